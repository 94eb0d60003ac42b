//! Activation functions.

use super::{Operator, check_axis, one};
use crate::{Infer, Shape, ShapeError, Tensor};

/// A function of one number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// `x`.
    Linear,
    /// `max(x, 0)`.
    Relu,
    /// `x >= threshold ? min(x, max) : slope * (x - threshold)` (Keras' `ReLU` layer).
    BoundedRelu {
        /// The largest value; none where absent.
        max: Option<f64>,
        /// The slope below the threshold.
        slope: f64,
        /// Where the function turns.
        threshold: f64,
    },
    /// `x > 0 ? x : alpha * x`.
    LeakyRelu {
        /// The slope below zero.
        alpha: f64,
    },
    /// `x > theta ? x : 0`.
    ThresholdedRelu {
        /// Where the function jumps.
        theta: f64,
    },
    /// `x > 0 ? x : alpha * (exp(x) - 1)`.
    Elu {
        /// Minus the value at minus infinity.
        alpha: f64,
    },
    /// `1.0507009873554805 * elu(x, 1.6732632423543772)` (Klambauer et al. 2017).
    Selu,
    /// `x > 0 ? x : exp(x) - 1` with `x / alpha` in the exponent: `max(0, x) + min(0, alpha * (exp(x / alpha) - 1))`.
    Celu {
        /// The scale of the exponent.
        alpha: f64,
    },
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `clip(slope * x + offset, 0, 1)`: slope 0.2 in Keras 2, one sixth in Keras 3; offset 0.5.
    HardSigmoid {
        /// Factor of `x`.
        slope: f64,
        /// Value at zero.
        offset: f64,
    },
    /// Hyperbolic tangent.
    Tanh,
    /// `clip(x, -1, 1)`.
    HardTanh,
    /// `max(0, tanh(x))`.
    RectifiedTanh,
    /// `1.7159 * f(2x / 3)` with `f(y) = sgn(y) (1 - 1 / (1 + |y| + y^2 + 1.41645 y^4))`.
    RationalTanh,
    /// `ln(1 + exp(x))`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x * sigmoid(x)`.
    Swish,
    /// `x * clip(x / 6 + 0.5, 0, 1)`.
    HardSwish,
    /// `x * tanh(ln(1 + exp(x)))`.
    Mish,
    /// `x * (1 + erf(x / sqrt(2))) / 2`.
    Gelu,
    /// `x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) / 2`.
    GeluTanh,
    /// `x * sigmoid(1.702 x)`.
    GeluSigmoid,
    /// `exp(x)`.
    Exponential,
    /// `x^3`.
    Cube,
}

/// An [`Activation`] applied to every element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Activate {
    /// Which function.
    pub function: Activation,
}

impl From<Activation> for super::Op {
    fn from(function: Activation) -> Self {
        Activate { function }.into()
    }
}

impl Operator for Activate {
    fn name(&self) -> &'static str {
        match self.function {
            Activation::Linear => "Linear",
            Activation::Relu => "Relu",
            Activation::BoundedRelu { .. } => "BoundedRelu",
            Activation::LeakyRelu { .. } => "LeakyRelu",
            Activation::ThresholdedRelu { .. } => "ThresholdedRelu",
            Activation::Elu { .. } => "Elu",
            Activation::Selu => "Selu",
            Activation::Celu { .. } => "Celu",
            Activation::Sigmoid => "Sigmoid",
            Activation::HardSigmoid { .. } => "HardSigmoid",
            Activation::Tanh => "Tanh",
            Activation::HardTanh => "HardTanh",
            Activation::RectifiedTanh => "RectifiedTanh",
            Activation::RationalTanh => "RationalTanh",
            Activation::Softplus => "Softplus",
            Activation::Softsign => "Softsign",
            Activation::Swish => "Swish",
            Activation::HardSwish => "HardSwish",
            Activation::Mish => "Mish",
            Activation::Gelu => "Gelu",
            Activation::GeluTanh => "GeluTanh",
            Activation::GeluSigmoid => "GeluSigmoid",
            Activation::Exponential => "Exponential",
            Activation::Cube => "Cube",
        }
    }

    fn infer(&self, inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        Ok(vec![one(inputs)?.clone()])
    }
}

/// `y = x > 0 ? x : slope * x` with a learned slope, which has the shape of one example with size one on the
/// axes that share it (He et al. 2015).
#[derive(Debug, Clone)]
pub struct PRelu {
    /// One axis for each axis of the input but the batch.
    pub slope: Tensor,
}

impl Operator for PRelu {
    fn name(&self) -> &'static str {
        "PRelu"
    }

    fn infer(&self, inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        let slope = self.slope.shape();
        let fits = slope.len() + 1 == input.rank()
            && slope
                .iter()
                .zip(&input.dims()[1..])
                .all(|(&size, dim)| size == 1 || dim.fixed() == Some(size));
        if !fits {
            return Err(ShapeError::new(format!(
                "slopes of shape {slope:?} do not fit an input of shape {input}"
            )));
        }
        Ok(vec![input.clone()])
    }

    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        vec![("slope", &self.slope)]
    }

    fn parameters_mut(&mut self) -> Vec<(&'static str, &mut Tensor)> {
        vec![("slope", &mut self.slope)]
    }
}

/// `y = exp(x) / sum exp(x)`, the sum over one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Softmax {
    /// The axis that sums to one.
    pub axis: usize,
}

/// `y = x - ln sum exp(x)`, the sum over one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSoftmax {
    /// The axis of the sum.
    pub axis: usize,
}

macro_rules! along_axis {
    ($($op:ident),*) => {
        $(impl Operator for $op {
            fn name(&self) -> &'static str {
                stringify!($op)
            }

            fn infer(&self, inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
                let input = one(inputs)?;
                check_axis(self.axis, input)?;
                Ok(vec![input.clone()])
            }
        })*
    };
}
along_axis!(Softmax, LogSoftmax);
