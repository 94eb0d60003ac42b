//! Layers that do something in training only.

use super::{Operator, one};
use crate::{Infer, Shape, ShapeError};

/// What a layer does to its input during training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NoiseKind {
    /// Zeroes elements with probability `rate` and scales the rest by `1 / (1 - rate)` (Srivastava et al. 2014).
    Dropout {
        /// The probability to zero.
        rate: f64,
    },
    /// The same for whole channels, which are axis 1.
    SpatialDropout {
        /// The probability to zero.
        rate: f64,
    },
    /// Keeps mean and variance of SELU networks (Klambauer et al. 2017).
    AlphaDropout {
        /// The probability to drop.
        rate: f64,
    },
    /// Multiplies by a normal number of mean one and variance `rate / (1 - rate)`.
    GaussianDropout {
        /// As of the dropout it replaces.
        rate: f64,
    },
    /// Adds a normal number of mean zero.
    GaussianNoise {
        /// The standard deviation.
        deviation: f64,
    },
    /// Something else that leaves the outputs of a trained model as they are: a regulariser of activities, say.
    Other,
}

impl NoiseKind {
    /// Whether it treats axis 1 otherwise than the others.
    pub const fn is_by_channel(self) -> bool {
        matches!(self, Self::SpatialDropout { .. })
    }
}

/// The identity at inference; the noise is kept so that training can go on with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// What it does during training.
    pub kind: NoiseKind,
}

impl Operator for Noise {
    fn name(&self) -> &'static str {
        "Noise"
    }

    fn infer(&self, inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        Ok(vec![one(inputs)?.clone()])
    }
}
