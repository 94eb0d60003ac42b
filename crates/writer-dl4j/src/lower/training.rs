//! How training goes on: the optimisers of the layers, and what they remember of each parameter.
//!
//! DL4J keeps what an optimiser remembers in one vector. Parameters that follow each other and have the same optimiser
//! form a block, and a block holds each of the optimiser's vectors whole, in the order of the parameters. The statistics
//! of batch normalisation and the parameters of frozen layers have no optimiser: they end a block and take no space.

use super::{Kind, Placed};
use crate::format::{Rate, Schedule, ScheduleType, Updater};
use caribou_ir::{
    Code, Count, Finding, Findings, LearningRate, Severity, Tensor, TensorError, Training, TrainingState,
    Updater as Source, UpdaterKind,
};
use std::collections::BTreeSet;

/// The rule will be another one than in the source.
const OTHER_RULE: Code = Code("D0111");
/// The rule is the same under another name.
const RENAMED: Code = Code("D0112");

/// What the optimiser remembers of a parameter is not known.
const NO_STATE: Code = Code("D0125");

/// The learning rate where the source names no optimiser that is known: plain gradient descent.
const DEFAULT: f64 = 1e-3;

/// An optimiser, and how its vectors follow from those of the source's.
#[derive(Debug, Clone)]
pub(super) struct Optimiser {
    pub(super) updater: Updater,
    /// What the source's learning rate was multiplied by.
    pub(super) rate_factor: f64,
    /// What the source's vectors are multiplied by.
    scale: f32,
    /// Steps below this number are not counted.
    least_iterations: u64,
}

impl Optimiser {
    fn plain(updater: Updater) -> Self {
        Self {
            updater,
            rate_factor: 1.0,
            scale: 1.0,
            least_iterations: 0,
        }
    }

    /// The optimiser of this rule, of training that goes on from a state or starts anew.
    pub(super) fn of(source: &Source, goes_on: bool) -> Self {
        match (source.kind, &source.learning_rate) {
            (UpdaterKind::Momentum { momentum }, LearningRate::Constant(rate)) if goes_on && *rate > 0.0 => {
                classical_momentum(*rate, momentum)
            }
            _ => Self::plain(rule(source.kind, rate(&source.learning_rate, source.counts))),
        }
    }
}

/// The optimiser of the network.
pub(super) fn optimiser(training: Option<&Training>, findings: &mut Findings) -> Optimiser {
    let known = training.and_then(|training| Some((training, training.updater.as_ref()?)));
    let Some((training, updater)) = known else {
        return Optimiser::plain(Updater::Sgd {
            rate: Rate::constant(DEFAULT),
        });
    };
    let optimiser = Optimiser::of(updater, training.state.is_some());
    if let UpdaterKind::Momentum { .. } = updater.kind {
        findings.push(match &optimiser.updater {
            Updater::Adam { epsilon, .. } => {
                let message = format!(
                    "momentum that is not Nesterov's is written as an Adam that equals it: beta1 is the momentum, beta2 0, epsilon \
                     {epsilon}, and the learning rate {} times that of the source",
                    optimiser.rate_factor
                );
                Finding::new(Severity::Note, RENAMED, None, message)
            }
            _ => Finding::new(
                Severity::Warning,
                OTHER_RULE,
                None,
                "momentum that is not Nesterov's is no rule of DL4J: Nesterovs, of the same momentum, takes its place",
            )
            .with_help("the training state, where it is carried over, brings a rule that is equal"),
        });
    }
    optimiser
}

/// Momentum that is not Nesterov's, as DL4J's Adam. With `v = -rate / (1 - momentum) m`, `v = momentum v - rate g` is
/// `m = momentum m + (1 - momentum) g`, the first moment. Its second moment does not count when `beta2` is zero, so that
/// its root is `|g|`, and `epsilon` so large that adding `|g|` is rounded away. What is left is the correction of the
/// bias, `1 / (1 - momentum^t)`, which is one after enough steps: the count starts there.
fn classical_momentum(rate: f64, momentum: f64) -> Optimiser {
    /// 2^27: floats of this size are 16 apart.
    const EPSILON: f64 = 134_217_728.0;
    let factor = EPSILON / (1.0 - momentum);
    Optimiser {
        updater: Updater::Adam {
            rate: Rate::constant(rate * factor),
            beta1: momentum,
            beta2: 0.0,
            epsilon: EPSILON,
        },
        rate_factor: factor,
        scale: ((momentum - 1.0) / rate) as f32,
        least_iterations: (f64::from(f32::EPSILON / 8.0).ln() / momentum.ln()).ceil() as u64,
    }
}

/// What the optimisers remember, in the order of the archive.
pub(crate) struct State {
    pub(crate) iterations: u64,
    pub(crate) epochs: u64,
    pub(crate) vectors: Vec<Vector>,
}

/// `scale` times the elements of a tensor.
pub(crate) struct Vector {
    /// The layer whose parameter it belongs to.
    pub(crate) layer: String,
    pub(crate) tensor: Tensor,
    pub(crate) scale: f32,
}

/// A parameter, or a piece of one, with the optimiser that moves it.
struct Member<'v> {
    layer: &'v str,
    tensor: &'v Tensor,
    updater: &'v Updater,
    scale: f32,
}

/// The state of the written network: for each block, one after the other, the optimiser's vectors.
///
/// # Errors
/// When what belongs to a parameter can't be viewed as the parameter is, or nothing tells which optimiser moves it.
pub(super) fn state(
    vertices: &[Placed],
    optimiser: &Optimiser,
    training: &Training,
    source: &TrainingState,
    findings: &mut Findings,
) -> Result<State, TensorError> {
    let (members, least_iterations) = members(vertices, optimiser, training)?;
    let known = |member: &Member| {
        let mut known = source.parameters.iter();
        known.find(|known| known.parameter.shares_storage(member.tensor))
    };
    let mut vectors = Vec::new();
    let mut unknown: BTreeSet<&str> = BTreeSet::new();
    for block in members.chunk_by(|a, b| a.updater == b.updater) {
        for slot in 0..block[0].updater.vectors().unwrap_or(0) {
            for member in block {
                let (tensor, scale) = match known(member).and_then(|known| known.slots.get(slot)) {
                    Some(vector) => (member.tensor.same_view_of(vector)?, member.scale),
                    None => {
                        unknown.insert(member.layer);
                        let start = member.updater.starts_with() as f32;
                        (Tensor::filled(&member.tensor.shape(), start), 1.0)
                    }
                };
                vectors.push(Vector {
                    layer: member.layer.to_owned(),
                    tensor,
                    scale,
                });
            }
        }
    }
    if !members.iter().any(|member| known(member).is_some()) {
        // Only the steps are known: the optimisers start anew.
        vectors.clear();
    } else if !unknown.is_empty() {
        let message = format!(
            "what the optimiser remembers of parameters of {} is not in the source, and starts anew",
            Vec::from_iter(unknown).join(", ")
        );
        findings.push(Finding::new(Severity::Warning, NO_STATE, None, message));
    }
    Ok(State {
        iterations: source.iterations.max(least_iterations),
        epochs: source.epochs,
        vectors,
    })
}

/// All parameters in the order of the archive, and the number below which steps are not counted.
fn members<'v>(
    vertices: &'v [Placed],
    optimiser: &Optimiser,
    training: &Training,
) -> Result<(Vec<Member<'v>>, u64), TensorError> {
    let mut members = Vec::new();
    let mut least_iterations = optimiser.least_iterations;
    for placed in vertices {
        let Kind::Layer { layer, .. } = &placed.kind else {
            continue;
        };
        let names = layer.stored_variables();
        // The gates of a recurrent layer are pieces of one parameter each.
        let pieces = placed.parameters.len() / names.len().max(1);
        let own = training.layers.get(&*placed.source);
        for (i, tensor) in placed.parameters.iter().enumerate() {
            let name = names.get(i / pieces.max(1)).copied();
            let updater = name.and_then(|name| layer.updater_of(name));
            let (Some(name), Some(updater)) = (name, updater) else {
                return Err(TensorError::Read(format!(
                    "nothing tells which optimiser moves parameter {i} of {}",
                    placed.name
                )));
            };
            let biases = own.and_then(|own| own.bias_updater.as_ref());
            let special = biases
                .filter(|_| name.ends_with('b'))
                .or(own.and_then(|own| own.updater.as_ref()));
            let special = special.map(|updater| Optimiser::of(updater, true));
            let optimiser = special.as_ref().unwrap_or(optimiser);
            least_iterations = least_iterations.max(optimiser.least_iterations);
            members.push(Member {
                layer: &placed.name,
                tensor,
                updater,
                scale: optimiser.scale,
            });
        }
    }
    Ok((members, least_iterations))
}

fn rate(rate: &LearningRate, counts: Count) -> Rate {
    let schedule_type = match counts {
        Count::Steps => ScheduleType::Iteration,
        Count::Epochs => ScheduleType::Epoch,
    };
    Rate::scheduled(match *rate {
        LearningRate::Constant(rate) => return Rate::constant(rate),
        LearningRate::Exponential { initial, gamma } => Schedule::Exponential {
            schedule_type,
            initial_value: initial,
            gamma,
        },
        LearningRate::Step {
            initial,
            decay,
            steps,
        } => Schedule::Step {
            schedule_type,
            initial_value: initial,
            decay_rate: decay,
            step: steps,
        },
        LearningRate::Inverse {
            initial,
            gamma,
            power,
        } => Schedule::Inverse {
            schedule_type,
            initial_value: initial,
            gamma,
            power,
        },
        LearningRate::Sigmoid {
            initial,
            gamma,
            middle,
        } => Schedule::Sigmoid {
            schedule_type,
            initial_value: initial,
            gamma,
            step_size: middle,
        },
        LearningRate::Piecewise(ref stairs) => Schedule::Map {
            schedule_type,
            values: stairs
                .iter()
                .map(|(from, rate)| (from.to_string(), *rate))
                .collect(),
        },
    })
}

fn rule(kind: UpdaterKind, rate: Rate) -> Updater {
    match kind {
        UpdaterKind::Sgd => Updater::Sgd { rate },
        UpdaterKind::Momentum { momentum } | UpdaterKind::Nesterovs { momentum } => {
            Updater::Nesterovs { rate, momentum }
        }
        UpdaterKind::Adam {
            beta1,
            beta2,
            epsilon,
        } => Updater::Adam {
            rate,
            beta1,
            beta2,
            epsilon,
        },
        UpdaterKind::AmsGrad {
            beta1,
            beta2,
            epsilon,
        } => Updater::AmsGrad {
            rate,
            beta1,
            beta2,
            epsilon,
        },
        UpdaterKind::AdaMax {
            beta1,
            beta2,
            epsilon,
        } => Updater::AdaMax {
            rate,
            beta1,
            beta2,
            epsilon,
        },
        UpdaterKind::Nadam {
            beta1,
            beta2,
            epsilon,
        } => Updater::Nadam {
            rate,
            beta1,
            beta2,
            epsilon,
        },
        UpdaterKind::RmsProp { decay, epsilon } => Updater::RmsProp {
            rate,
            rms_decay: decay,
            epsilon,
        },
        UpdaterKind::AdaGrad { epsilon } => Updater::AdaGrad { rate, epsilon },
        UpdaterKind::AdaDelta { rho, epsilon } => Updater::AdaDelta { rho, epsilon },
        UpdaterKind::NoOp => Updater::NoOp {},
    }
}
