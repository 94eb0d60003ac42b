//! How the source was being trained: enough to go on training in the target.

/// A loss function, in the field's names.
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

/// The loss of one output.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    /// The position of the output among the graph's outputs.
    pub output: usize,
    /// Which function.
    pub kind: LossKind,
}

/// An optimiser rule and its constants; symbols as in the rule's paper.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum UpdaterKind {
    /// `p -= lr g`.
    Sgd,
    /// Gradient descent with (Nesterov) momentum.
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
}

/// An optimiser with its learning rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Updater {
    /// The rule.
    pub kind: UpdaterKind,
    /// The step size, per iteration.
    pub learning_rate: f64,
}

/// What the source says about its training.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Training {
    /// The optimiser, when the source names one that is known.
    pub updater: Option<Updater>,
    /// The losses, at most one for each output.
    pub losses: Vec<Loss>,
}
