//! How training goes on: the optimisers of the layers.

use crate::format::{Rate, Schedule, ScheduleType, Updater};
use caribou_ir::{
    Code, Count, Finding, Findings, LearningRate, Severity, Training, Updater as Source, UpdaterKind,
};

/// The rule will be another one than in the source.
const OTHER_RULE: Code = Code("D0111");
/// The rule is the same under another name.
const RENAMED: Code = Code("D0112");

/// The learning rate where the source names no optimiser that is known: plain gradient descent.
const DEFAULT: f64 = 1e-3;

/// An optimiser, and how its vectors follow from those of the source's.
#[derive(Debug, Clone)]
pub(super) struct Optimiser {
    pub(super) updater: Updater,
    /// What the source's learning rate was multiplied by.
    pub(super) rate_factor: f64,
    /// What the source's vectors are multiplied by.
    pub(super) scale: f32,
    /// Whether its steps are not always those of the source's rule.
    differs: bool,
    /// Where the network's count of steps starts.
    pub(super) start: Start,
}

/// Where the count of steps starts: where the source's stands, or so much later that corrections of a bias, which count
/// steps too, are over.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Start {
    /// Steps so far in the source.
    iterations: u64,
    /// How many more are counted, by schedules that are moved by as many.
    shift: u64,
    /// How many more are counted, where the schedules of the source reckon with them: it is an archive that was written so.
    ahead: u64,
}

impl Start {
    /// Where all optimisers of a network start.
    fn of(training: &Training) -> Self {
        let iterations = training.state.as_ref().map_or(0, |state| state.iterations);
        let own = training.layers.values();
        let own = own.flat_map(|layer| layer.updater.iter().chain(&layer.bias_updater));
        let all: Vec<&Source> = training.updater.iter().chain(own).collect();
        let corrected = |source: &&Source| {
            use UpdaterKind::{AdaMax, Adam, AmsGrad, Nadam};
            matches!(
                source.kind,
                Adam { .. } | AmsGrad { .. } | AdaMax { .. } | Nadam { .. }
            ) && Classical::written(source).is_none()
        };
        if all.iter().any(corrected) {
            return Self {
                iterations,
                ..Self::default()
            };
        }
        let missing = |rule: fn(&Source) -> Option<Classical>| {
            let rules = all.iter().filter_map(|source| rule(source));
            let least = rules.map(|rule| rule.least_iterations()).max();
            least.unwrap_or(0).saturating_sub(iterations)
        };
        // Stairs begin where they did.
        let stairs = all.iter().filter_map(|source| match source.learning_rate {
            LearningRate::Step { steps, .. } if steps >= 1.0 && steps.fract() == 0.0 => Some(steps as u64),
            _ => None,
        });
        let stair = stairs.max().unwrap_or(1);
        Self {
            iterations,
            shift: missing(Classical::of).next_multiple_of(stair),
            ahead: missing(Classical::written).next_multiple_of(stair),
        }
    }

    /// How many more steps are counted than the source has.
    pub(super) fn more(self) -> u64 {
        self.shift + self.ahead
    }
}

/// Momentum that is not Nesterov's.
struct Classical {
    /// The decay of the first moment.
    beta1: f64,
    /// Whether the rate changes in another way than by the same factor at each step.
    differs: bool,
}

impl Classical {
    /// 2^27: floats of this size are 16 apart.
    const EPSILON: f64 = 134_217_728.0;

    /// `None` for other rules, and where the rate falls faster than the velocity.
    fn of(source: &Source) -> Option<Self> {
        let UpdaterKind::Momentum { momentum } = source.kind else {
            return None;
        };
        let (beta1, differs) = match source.learning_rate {
            LearningRate::Constant(_) => (momentum, false),
            // The velocity is a mean of gradients times the rate, which falls with it.
            LearningRate::Exponential { gamma, .. } => (momentum / gamma, false),
            _ => (momentum, true),
        };
        let falls = (0.0..1.0).contains(&beta1) && source.learning_rate.at(0) > 0.0;
        (falls && source.counts == Count::Steps).then_some(Self { beta1, differs })
    }

    /// The rule that an Adam of an archive was written for.
    fn written(source: &Source) -> Option<Self> {
        match source.kind {
            UpdaterKind::Adam {
                beta1,
                beta2,
                epsilon,
            } if beta2 == 0.0 && epsilon == Self::EPSILON && (0.0..1.0).contains(&beta1) => Some(Self {
                beta1,
                differs: false,
            }),
            _ => None,
        }
    }

    /// The number of steps behind which the correction of the bias is one.
    fn least_iterations(&self) -> u64 {
        (f64::from(f32::EPSILON / 8.0).ln() / self.beta1.ln()).ceil() as u64
    }

    /// Momentum as DL4J's Adam. With `v = -rate / (1 - momentum) m`, `v = momentum v - rate g` is
    /// `m = momentum m + (1 - momentum) g`, the first moment. Its second moment does not count when `beta2` is zero, so
    /// that its root is `|g|`, and `epsilon` so large that adding `|g|` is rounded away. What is left is the correction of
    /// the bias, `1 / (1 - momentum^t)`, which is one after enough steps: the count starts there. Where the rate falls by a
    /// factor at each step, the momentum is divided by that.
    fn optimiser(&self, source: &Source, start: Start) -> Option<Optimiser> {
        let factor = Self::EPSILON / (1.0 - self.beta1);
        let learning_rate = shifted(&source.learning_rate, start.shift)?.multiplied(factor);
        let last = source.learning_rate.at(start.iterations.saturating_sub(1));
        let enough = start.iterations + start.shift >= self.least_iterations();
        enough.then(|| Optimiser {
            updater: Updater::Adam {
                rate: rate(&learning_rate, source.counts),
                beta1: self.beta1,
                beta2: 0.0,
                epsilon: Self::EPSILON,
            },
            rate_factor: factor,
            scale: ((self.beta1 - 1.0) / last) as f32,
            differs: self.differs,
            start,
        })
    }
}

/// The schedule whose rate at step `t + by` is that of `rate` at step `t`; `None` where there is none.
fn shifted(rate: &LearningRate, by: u64) -> Option<LearningRate> {
    if by == 0 {
        return Some(rate.clone());
    }
    let steps_before = by as f64;
    let finite = |value: f64| value.is_finite().then_some(value);
    Some(match *rate {
        LearningRate::Constant(rate) => LearningRate::Constant(rate),
        LearningRate::Exponential { initial, gamma } => LearningRate::Exponential {
            initial: finite(initial * gamma.powf(-steps_before))?,
            gamma,
        },
        LearningRate::Step {
            initial,
            decay,
            steps,
        } => {
            let stairs = Some(steps_before / steps).filter(|stairs| stairs.fract() == 0.0)?;
            LearningRate::Step {
                initial: finite(initial * decay.powf(-stairs))?,
                decay,
                steps,
            }
        }
        LearningRate::Inverse {
            initial,
            gamma,
            power,
        } => {
            let first = Some(1.0 - gamma * steps_before).filter(|first| *first > 0.0)?;
            LearningRate::Inverse {
                initial: finite(initial / first.powf(power))?,
                gamma: gamma / first,
                power,
            }
        }
        LearningRate::Sigmoid {
            initial,
            gamma,
            middle,
        } => LearningRate::Sigmoid {
            initial,
            gamma,
            middle: middle.checked_add(i32::try_from(by).ok()?)?,
        },
        LearningRate::Piecewise(ref stairs) => LearningRate::Piecewise(
            stairs
                .iter()
                .map(|&(from, rate)| (if from == 0 { 0 } else { from + by }, rate))
                .collect(),
        ),
    })
}

impl Optimiser {
    fn plain(updater: Updater, start: Start) -> Self {
        Self {
            updater,
            rate_factor: 1.0,
            scale: 1.0,
            differs: false,
            start,
        }
    }

    /// The optimiser of this rule, in a network whose steps are counted from `start` on.
    pub(super) fn of(source: &Source, start: Start) -> Self {
        if let Some(momentum) = Classical::of(source).and_then(|rule| rule.optimiser(source, start)) {
            return momentum;
        }
        let shifted = match source.counts {
            Count::Steps => shifted(&source.learning_rate, start.shift),
            Count::Epochs => None,
        };
        let learning_rate = shifted.as_ref().unwrap_or(&source.learning_rate);
        let differs = matches!(source.kind, UpdaterKind::Momentum { .. });
        let mut updater = rule(source.kind, rate(learning_rate, source.counts));
        if let (
            Updater::Nesterovs {
                momentum,
                momentum_schedule,
                ..
            },
            Some(course),
        ) = (&mut updater, &source.momentum)
        {
            *momentum = None;
            *momentum_schedule = Some(schedule(&course.values, course.counts));
        }
        Self {
            differs,
            ..Self::plain(updater, start)
        }
    }
}

/// The optimiser of the network.
pub(super) fn optimiser(training: Option<&Training>, findings: &mut Findings) -> Optimiser {
    let known = training.and_then(|training| Some((training, training.updater.as_ref()?)));
    let Some((training, updater)) = known else {
        let rate = Rate::constant(DEFAULT);
        return Optimiser::plain(Updater::Sgd { rate }, Start::default());
    };
    let start = Start::of(training);
    let optimiser = Optimiser::of(updater, start);
    if let UpdaterKind::Momentum { .. } = updater.kind {
        findings.push(told(&optimiser));
    }
    optimiser
}

/// What becomes of momentum that is not Nesterov's.
fn told(optimiser: &Optimiser) -> Finding {
    let (beta1, epsilon) = match optimiser.updater {
        Updater::Adam { beta1, epsilon, .. } => (beta1, epsilon),
        _ => {
            let message = "momentum that is not Nesterov's is no rule of DL4J: Nesterovs, of the same momentum, takes its place";
            return Finding::new(Severity::Warning, OTHER_RULE, None, message)
                .with_help("the same rule is written where the learning rate does not change");
        }
    };
    let Start {
        iterations, shift, ..
    } = optimiser.start;
    let message = format!(
        "momentum that is not Nesterov's is written as an Adam that equals it: beta1 is {beta1}, beta2 0, epsilon {epsilon}, the \
         learning rate {} times that of the source, and the count of steps starts at {}",
        optimiser.rate_factor,
        iterations + shift
    );
    match optimiser.differs {
        false => Finding::new(Severity::Note, RENAMED, None, message),
        true => Finding::new(
            Severity::Warning,
            OTHER_RULE,
            None,
            format!(
                "{message}; where the learning rate changes, DL4J multiplies what is left of steps before with the new rate, the \
                 source with the rate that each had"
            ),
        ),
    }
}

fn rate(rate: &LearningRate, counts: Count) -> Rate {
    match *rate {
        LearningRate::Constant(rate) => Rate::constant(rate),
        _ => Rate::scheduled(schedule(rate, counts)),
    }
}

/// The course of a number.
pub(super) fn schedule(values: &LearningRate, counts: Count) -> Schedule {
    let schedule_type = match counts {
        Count::Steps => ScheduleType::Iteration,
        Count::Epochs => ScheduleType::Epoch,
    };
    match *values {
        LearningRate::Constant(value) => Schedule::Fixed { value },
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
    }
}

fn rule(kind: UpdaterKind, rate: Rate) -> Updater {
    match kind {
        UpdaterKind::Sgd => Updater::Sgd { rate },
        UpdaterKind::Momentum { momentum } | UpdaterKind::Nesterovs { momentum } => Updater::Nesterovs {
            rate,
            momentum: Some(momentum),
            momentum_schedule: None,
        },
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
