//! How the source was being trained: enough to go on training in the target.

use crate::Tensor;
use std::collections::BTreeMap;

/// A loss function of the predictions `p` and the labels `y` of one example. Those that compare numbers one by one are
/// averaged over the features; those that compare distributions or directions are sums over them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LossKind {
    /// Mean of the squared differences.
    MeanSquaredError,
    /// Mean of the absolute differences.
    MeanAbsoluteError,
    /// Mean of the absolute relative differences, in percent.
    MeanAbsolutePercentageError,
    /// Mean of the squared differences of `ln(1 + y)`.
    MeanSquaredLogarithmicError,
    /// `-(y ln p + (1 - y) ln (1 - p))`.
    BinaryCrossEntropy,
    /// `-sum(y ln p)` with one-hot labels.
    CategoricalCrossEntropy,
    /// `-ln p[y]` with class indices as labels.
    SparseCategoricalCrossEntropy,
    /// `max(0, 1 - y p)`.
    Hinge,
    /// `max(0, 1 - y p)^2`.
    SquaredHinge,
    /// `sum(y ln(y / p))`.
    KullbackLeiblerDivergence,
    /// `p - y ln p`.
    Poisson,
    /// Minus the cosine of the angle between label and prediction.
    CosineSimilarity,
}

/// The loss of one output, averaged over all examples, steps and cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    /// The position of the output among the graph's outputs.
    pub output: usize,
    /// Which function.
    pub kind: LossKind,
    /// The weight of this output's loss in the sum of all.
    pub weight: f64,
    /// A factor for each feature, or class, besides; empty where there is none.
    pub features: Vec<f64>,
    /// How far probabilities are kept from zero and from one before their logarithm is taken.
    pub clip: f64,
    /// Whether it is added up over steps, cells and, for some functions, features, as DL4J does, and not averaged.
    pub summed: bool,
}

/// An optimiser rule and its constants; symbols as in the rule's paper.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum UpdaterKind {
    /// `p -= lr g`.
    Sgd,
    /// Gradient descent with momentum: `v = momentum v - lr g`, `p += v`.
    Momentum {
        /// Share of the last step that is kept.
        momentum: f64,
    },
    /// Gradient descent with Nesterov momentum: `v = momentum v - lr g`, `p += momentum v - lr g`.
    Nesterovs {
        /// Share of the last step that is kept.
        momentum: f64,
    },
    /// Adaptive moments.
    Adam {
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the denominator.
        epsilon: f64,
    },
    /// Adam with the largest second moment so far.
    AmsGrad {
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the denominator.
        epsilon: f64,
    },
    /// Adam with the infinity norm.
    AdaMax {
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the denominator.
        epsilon: f64,
    },
    /// Adam with Nesterov momentum.
    Nadam {
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the denominator.
        epsilon: f64,
    },
    /// Steps divided by a running root mean square.
    RmsProp {
        /// Decay of the running mean.
        decay: f64,
        /// Added to the denominator.
        epsilon: f64,
    },
    /// Steps divided by the root of the sum of squares.
    AdaGrad {
        /// Added to the denominator.
        epsilon: f64,
    },
    /// Steps scaled by the ratio of two running means.
    AdaDelta {
        /// Decay of both means.
        rho: f64,
        /// Added to both roots.
        epsilon: f64,
    },
    /// No steps.
    NoOp,
}

impl UpdaterKind {
    /// Whether the first vector that the rule keeps is a direction, a velocity or a mean of gradients, which moves a parameter
    /// without a gradient too. The others only scale steps.
    pub fn keeps_direction(&self) -> bool {
        match self {
            Self::Momentum { .. }
            | Self::Nesterovs { .. }
            | Self::Adam { .. }
            | Self::AmsGrad { .. }
            | Self::AdaMax { .. }
            | Self::Nadam { .. } => true,
            Self::Sgd | Self::RmsProp { .. } | Self::AdaGrad { .. } | Self::AdaDelta { .. } | Self::NoOp => {
                false
            }
        }
    }
}

/// The size of a step, by the number `t` of steps, or of passes over the data, before it.
#[derive(Debug, Clone, PartialEq)]
pub enum LearningRate {
    /// The same for all.
    Constant(f64),
    /// `initial * gamma^t`.
    Exponential {
        /// At the first step.
        initial: f64,
        /// From one step to the next.
        gamma: f64,
    },
    /// `initial * decay^floor(t / steps)`.
    Step {
        /// At the first step.
        initial: f64,
        /// From one stair to the next.
        decay: f64,
        /// The length of a stair.
        steps: f64,
    },
    /// `initial / (1 + gamma t)^power`. With `gamma = -1 / n` and a negative power it is a polynomial that ends after `n`
    /// steps.
    Inverse {
        /// At the first step.
        initial: f64,
        /// How fast it falls.
        gamma: f64,
        /// Of what it is divided by.
        power: f64,
    },
    /// `initial / (1 + exp(-gamma (t - middle)))`.
    Sigmoid {
        /// What it grows to, or falls from.
        initial: f64,
        /// How fast, falling when negative.
        gamma: f64,
        /// The step of half of it.
        middle: i32,
    },
    /// Stairs: each rate from its step on. The first is for step zero.
    Piecewise(Vec<(u64, f64)>),
}

impl LearningRate {
    /// The same schedule, `factor` times as high.
    #[must_use]
    pub fn multiplied(&self, factor: f64) -> Self {
        let mut rate = self.clone();
        match &mut rate {
            Self::Constant(initial)
            | Self::Exponential { initial, .. }
            | Self::Step { initial, .. }
            | Self::Inverse { initial, .. }
            | Self::Sigmoid { initial, .. } => *initial *= factor,
            Self::Piecewise(stairs) => stairs.iter_mut().for_each(|(_, rate)| *rate *= factor),
        }
        rate
    }

    /// The rate of step `t`.
    pub fn at(&self, t: u64) -> f64 {
        let steps_before = t as f64;
        match self {
            Self::Constant(rate) => *rate,
            Self::Exponential { initial, gamma } => initial * gamma.powf(steps_before),
            Self::Step {
                initial,
                decay,
                steps,
            } => initial * decay.powf((steps_before / steps).floor()),
            Self::Inverse {
                initial,
                gamma,
                power,
            } => initial / (1.0 + gamma * steps_before).powf(*power),
            Self::Sigmoid {
                initial,
                gamma,
                middle,
            } => initial / (1.0 + (-gamma * (steps_before - f64::from(*middle))).exp()),
            Self::Piecewise(stairs) => stairs
                .iter()
                .take_while(|(from, _)| *from <= t)
                .last()
                .map_or(0.0, |&(_, rate)| rate),
        }
    }
}

/// What is done to gradients before the rule sees them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Clipping {
    /// Each element to `[-limit, limit]`.
    Value(f64),
    /// The gradient of each parameter tensor to a Euclidean norm of at most this.
    Norm(f64),
    /// The gradients of all parameters of a layer together to a Euclidean norm of at most this.
    LayerNorm(f64),
    /// The gradient of each parameter tensor to a Euclidean norm of one.
    Unit,
    /// The gradients of all parameters of a layer together to a Euclidean norm of one.
    LayerUnit,
}

/// An optimiser with its learning rate.
#[derive(Debug, Clone, PartialEq)]
pub struct Updater {
    /// The rule.
    pub kind: UpdaterKind,
    /// The step size.
    pub learning_rate: LearningRate,
    /// Decoupled weight decay: each step also takes `rate * decay * p` from every parameter `p`.
    pub weight_decay: f64,
    /// What is done to gradients first.
    pub clipping: Option<Clipping>,
    /// What a schedule of the learning rate counts.
    pub counts: Count,
    /// The momentum of Nesterov's rule by the number of steps, or of passes over the data, in place of the rule's own.
    pub momentum: Option<Scheduled>,
}

/// A number that changes while training goes on, as a learning rate does.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheduled {
    /// Its course.
    pub values: LearningRate,
    /// What the course counts.
    pub counts: Count,
}

/// What a schedule counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Count {
    /// Steps.
    #[default]
    Steps,
    /// Passes over the data.
    Epochs,
}

impl Updater {
    /// A rule with a constant rate and nothing besides.
    pub fn new(kind: UpdaterKind, learning_rate: f64) -> Self {
        Self {
            kind,
            learning_rate: LearningRate::Constant(learning_rate),
            weight_decay: 0.0,
            clipping: None,
            counts: Count::Steps,
            momentum: None,
        }
    }
}

/// A penalty on the size of a parameter: `l1 * sum |p| + l2 * sum p^2` is added to the loss.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Regularization {
    /// The weight of the absolute values.
    pub l1: f64,
    /// The weight of the squares.
    pub l2: f64,
}

/// What a parameter is forced to behind each step. Norms are Euclidean, over the axes of the parameter that lead into
/// one unit or filter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Constraint {
    /// A norm of at most this.
    MaxNorm(f64),
    /// No element below zero.
    NonNegative,
    /// A norm of one.
    UnitNorm,
    /// A norm between two bounds, by a share `rate` of the way.
    MinMaxNorm {
        /// Lower bound.
        min: f64,
        /// Upper bound.
        max: f64,
        /// One for the whole way.
        rate: f64,
    },
}

/// How the kernels of a layer are initialised when there are none, by the numbers of connections in and out of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scheme {
    /// Normal, of variance `2 / (in + out)` (Glorot and Bengio 2010; DL4J's `WeightInitXavier`).
    #[default]
    Xavier,
    /// Normal, of variance `2 / in` (He et al. 2015; DL4J's `WeightInitRelu`).
    Relu,
    /// Zeros.
    Zero,
}

/// What training does to the parameters of a layer, besides the updater's rule.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LayerTraining {
    /// They stay as they are, and statistics are not gathered either.
    pub frozen: bool,
    /// Whether it computes in training what it computes at inference, as part of a front that is used and not trained:
    /// without noise, and without gradients through it where nothing in front of it learns.
    pub inference: bool,
    /// Of kernels.
    pub regularization: Regularization,
    /// Of biases.
    pub bias_regularization: Regularization,
    /// Of kernels.
    pub constraint: Option<Constraint>,
    /// Of biases.
    pub bias_constraint: Option<Constraint>,
    /// What is added to a norm before a constraint divides by it, where the source says it.
    pub constraint_epsilon: Option<f64>,
    /// How it was initialised, for whoever does it again.
    pub scheme: Scheme,
    /// The share of its input that a layer of dropout keeps, where that changes.
    pub kept: Option<Scheduled>,
    /// The optimiser of its parameters, where it is another than that of the network.
    pub updater: Option<Updater>,
    /// The optimiser of its biases, where it is another than that of its kernels.
    pub bias_updater: Option<Updater>,
}

/// What the updater remembers of one parameter.
#[derive(Debug, Clone)]
pub struct ParameterState {
    /// The parameter as it is stored.
    pub parameter: Tensor,
    /// One tensor of its shape for each vector that the rule keeps, in the order of the rule's definition:
    /// the velocity; the first and second moment (and the largest second moment); the mean square; the sum of squares;
    /// the mean squares of gradients and of steps.
    pub slots: Vec<Tensor>,
}

/// Where training stands.
#[derive(Debug, Clone, Default)]
pub struct TrainingState {
    /// Steps so far.
    pub iterations: u64,
    /// Passes over the data so far; zero where the source does not count them.
    pub epochs: u64,
    /// For each parameter that has been trained.
    pub parameters: Vec<ParameterState>,
}

/// What the source says about its training.
#[derive(Debug, Clone, Default)]
pub struct Training {
    /// The optimiser, when the source names one that is known.
    pub updater: Option<Updater>,
    /// The losses, at most one for each output.
    pub losses: Vec<Loss>,
    /// By the name of the layer, as [`Origin`](crate::Origin) has it; layers without anything special are left out.
    pub layers: BTreeMap<String, LayerTraining>,
    /// Where training stands, when the source says so and the target is to go on from there.
    pub state: Option<TrainingState>,
}
