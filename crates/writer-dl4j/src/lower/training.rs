//! How training goes on: the optimiser of the layers, and what it remembers of each parameter.
//!
//! DL4J keeps what an optimiser remembers in one vector. Parameters that follow each other and have the same optimiser
//! form a block, and a block holds each of the optimiser's vectors whole, in the order of the parameters. The statistics
//! of batch normalisation and the parameters of frozen layers have no optimiser: they end a block and take no space.

use super::{Kind, Placed};
use crate::format::{Layer, Rate, Schedule, ScheduleType, Updater};
use caribou_ir::{
    Code, Finding, Findings, LearningRate, Severity, Tensor, TensorError, Training, TrainingState,
    UpdaterKind,
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

/// The optimiser of the layers, and how its vectors follow from those of the source's.
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

    /// How many vectors the optimiser keeps.
    fn vectors(&self) -> usize {
        match self.updater {
            Updater::Sgd { .. } | Updater::Unknown(_) => 0,
            Updater::Nesterovs { .. } | Updater::RmsProp { .. } | Updater::AdaGrad { .. } => 1,
            Updater::Adam { .. }
            | Updater::AdaMax { .. }
            | Updater::Nadam { .. }
            | Updater::AdaDelta { .. } => 2,
            Updater::AmsGrad { .. } => 3,
        }
    }
}

/// The optimiser of the layers.
pub(super) fn optimiser(training: Option<&Training>, findings: &mut Findings) -> Optimiser {
    let known = training.and_then(|training| Some((training, training.updater.as_ref()?)));
    let Some((training, updater)) = known else {
        return Optimiser::plain(Updater::Sgd {
            rate: Rate::constant(DEFAULT),
        });
    };
    if let UpdaterKind::Momentum { momentum } = updater.kind {
        if let (LearningRate::Constant(rate), Some(_)) = (&updater.learning_rate, &training.state)
            && *rate > 0.0
        {
            return classical_momentum(*rate, momentum, findings);
        }
        findings.push(
            Finding::new(
                Severity::Warning,
                OTHER_RULE,
                None,
                "momentum that is not Nesterov's is no rule of DL4J: Nesterovs, of the same momentum, takes its place",
            )
            .with_help("the training state, where it is carried over, brings a rule that is equal"),
        );
    }
    Optimiser::plain(rule(updater.kind, rate(&updater.learning_rate)))
}

/// Momentum that is not Nesterov's, as DL4J's Adam. With `v = -rate / (1 - momentum) m`, `v = momentum v - rate g` is
/// `m = momentum m + (1 - momentum) g`, the first moment. Its second moment does not count when `beta2` is zero, so that
/// its root is `|g|`, and `epsilon` so large that adding `|g|` is rounded away. What is left is the correction of the
/// bias, `1 / (1 - momentum^t)`, which is one after enough steps: the count starts there.
fn classical_momentum(rate: f64, momentum: f64, findings: &mut Findings) -> Optimiser {
    /// 2^27: floats of this size are 16 apart.
    const EPSILON: f64 = 134_217_728.0;
    let factor = EPSILON / (1.0 - momentum);
    let message = format!(
        "momentum that is not Nesterov's is written as an Adam that equals it: beta1 is the momentum, beta2 0, epsilon \
         {EPSILON}, and the learning rate {factor} times that of the source"
    );
    findings.push(Finding::new(Severity::Note, RENAMED, None, message));
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

/// What the optimiser remembers, in the order of the archive.
pub(crate) struct State {
    pub(crate) iterations: u64,
    pub(crate) vectors: Vec<Vector>,
}

/// `scale` times the elements of a tensor.
pub(crate) struct Vector {
    /// The layer whose parameter it belongs to.
    pub(crate) layer: String,
    pub(crate) tensor: Tensor,
    pub(crate) scale: f32,
}

/// The state of the written network: for each block, one after the other, the optimiser's vectors.
///
/// # Errors
/// When what belongs to a parameter can't be viewed as the parameter is.
pub(super) fn state(
    vertices: &[Placed],
    optimiser: &Optimiser,
    source: &TrainingState,
    findings: &mut Findings,
) -> Result<State, TensorError> {
    if source.parameters.is_empty() {
        // Only the steps are known: the optimiser starts anew.
        return Ok(State {
            iterations: source.iterations,
            vectors: Vec::new(),
        });
    }
    let mut vectors = Vec::new();
    let mut unknown: BTreeSet<String> = BTreeSet::new();
    let mut block: Vec<(&str, &Tensor)> = Vec::new();
    let mut end_block = |block: &mut Vec<(&str, &Tensor)>| {
        for slot in 0..optimiser.vectors() {
            for (layer, parameter) in block.iter() {
                let known = source
                    .parameters
                    .iter()
                    .find(|known| known.parameter.shares_storage(parameter));
                let tensor = match known.and_then(|known| known.slots.get(slot)) {
                    Some(vector) => parameter.same_view_of(vector)?,
                    None => {
                        unknown.insert((*layer).to_owned());
                        Tensor::filled(&parameter.shape(), 0.0)
                    }
                };
                vectors.push(Vector {
                    layer: (*layer).to_owned(),
                    tensor,
                    scale: optimiser.scale,
                });
            }
        }
        block.clear();
        Ok(())
    };
    for placed in vertices {
        let trained = match &placed.kind {
            Kind::Layer { layer, .. } => trained(layer, placed.parameters.len(), optimiser),
            Kind::Vertex(_) => 0,
        };
        for (i, parameter) in placed.parameters.iter().enumerate() {
            if i < trained {
                block.push((&placed.name, parameter));
            } else {
                end_block(&mut block)?;
            }
        }
    }
    end_block(&mut block)?;
    if !unknown.is_empty() {
        let message = format!(
            "what the optimiser remembers of parameters of {} is not in the source, and starts at zero",
            Vec::from_iter(unknown).join(", ")
        );
        findings.push(Finding::new(Severity::Warning, NO_STATE, None, message));
    }
    Ok(State {
        iterations: source.iterations.max(optimiser.least_iterations),
        vectors,
    })
}

/// How many of a layer's parameters, from the first on, have this optimiser.
fn trained(layer: &Layer, parameters: usize, optimiser: &Optimiser) -> usize {
    match layer {
        _ if !layer.learns_by(&optimiser.updater) => 0,
        Layer::FrozenLayer(_) => 0,
        // It keeps the optimiser of the layer inside, whose gradients are zero.
        Layer::FrozenLayerWithBackprop(layer) => trained(&layer.underlying, parameters, optimiser),
        // Its mean and variance are gathered, not learned.
        Layer::BatchNormalization(_) => parameters.saturating_sub(2),
        _ => parameters,
    }
}

fn rate(rate: &LearningRate) -> Rate {
    let schedule_type = ScheduleType::Iteration;
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
        LearningRate::Inverse { initial, gamma } => Schedule::Inverse {
            schedule_type,
            initial_value: initial,
            gamma,
            power: 1.0,
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
    }
}
