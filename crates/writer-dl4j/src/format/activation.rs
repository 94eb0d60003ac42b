//! Activation functions by their ND4J classes.

use serde::{Deserialize, Serialize};

/// A function, as `activationFn` holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "@class")]
pub enum Activation {
    /// `x`.
    #[serde(rename = "org.nd4j.linalg.activations.impl.ActivationIdentity")]
    Identity,
    /// All fields null: `max(x, 0)`. Else `x >= t ? x : s (x - t)`, then `min(., max)`.
    #[serde(rename = "org.nd4j.linalg.activations.impl.ActivationReLU")]
    ReLU {
        /// The largest value.
        #[serde(default)]
        max: Option<f64>,
        /// `t`; zero where null.
        #[serde(default)]
        threshold: Option<f64>,
        /// `s`; zero where null.
        #[serde(default, rename = "negativeSlope")]
        negative_slope: Option<f64>,
    },
    /// `clip(x, 0, 6)`.
    #[serde(rename = "org.nd4j.linalg.activations.impl.ActivationReLU6")]
    ReLU6,
    /// `x > 0 ? x : alpha x`.
    #[serde(rename = "org.nd4j.linalg.activations.impl.ActivationLReLU")]
    LeakyReLU {
        /// The slope below zero.
        #[serde(default = "hundredth")]
        alpha: f64,
    },
    /// `x > 0 ? x : alpha (exp(x) - 1)`.
    #[serde(rename = "org.nd4j.linalg.activations.impl.ActivationELU")]
    Elu {
        /// Minus the value at minus infinity.
        #[serde(default = "one")]
        alpha: f64,
    },
    /// Self-normalising ELU.
    #[serde(rename = "org.nd4j.linalg.activations.impl.ActivationSELU")]
    Selu,
    /// Logistic function.
    #[serde(rename = "org.nd4j.linalg.activations.impl.ActivationSigmoid")]
    Sigmoid,
    /// `clip(0.2 x + 0.5, 0, 1)`.
    #[serde(rename = "org.nd4j.linalg.activations.impl.ActivationHardSigmoid")]
    HardSigmoid,
    /// Hyperbolic tangent.
    #[serde(rename = "org.nd4j.linalg.activations.impl.ActivationTanH")]
    Tanh,
    /// `clip(x, -1, 1)`.
    #[serde(rename = "org.nd4j.linalg.activations.impl.ActivationHardTanH")]
    HardTanh,
    /// `max(0, tanh(x))`.
    #[serde(rename = "org.nd4j.linalg.activations.impl.ActivationRectifiedTanh")]
    RectifiedTanh,
    /// A rational approximation of `1.7159 tanh(2 x / 3)`.
    #[serde(rename = "org.nd4j.linalg.activations.impl.ActivationRationalTanh")]
    RationalTanh,
    /// `ln(1 + exp(x))`.
    #[serde(rename = "org.nd4j.linalg.activations.impl.ActivationSoftPlus")]
    Softplus,
    /// `x / (1 + |x|)`.
    #[serde(rename = "org.nd4j.linalg.activations.impl.ActivationSoftSign")]
    Softsign,
    /// `x sigmoid(x)`.
    #[serde(rename = "org.nd4j.linalg.activations.impl.ActivationSwish")]
    Swish,
    /// `x tanh(softplus(x))`.
    #[serde(rename = "org.nd4j.linalg.activations.impl.ActivationMish")]
    Mish,
    /// `x^3`.
    #[serde(rename = "org.nd4j.linalg.activations.impl.ActivationCube")]
    Cube,
    /// `x > theta ? x : 0`.
    #[serde(rename = "org.nd4j.linalg.activations.impl.ActivationThresholdedReLU")]
    ThresholdedReLU {
        /// Where it jumps.
        #[serde(default = "one")]
        theta: f64,
    },
    /// `x sigmoid(1.702 x)` unless precise.
    #[serde(rename = "org.nd4j.linalg.activations.impl.ActivationGELU")]
    Gelu {
        /// Another formula, which is no GELU either.
        #[serde(default)]
        precise: bool,
    },
    /// Softmax along the last axis; in output and loss layers along the channels.
    #[serde(rename = "org.nd4j.linalg.activations.impl.ActivationSoftmax")]
    Softmax,
    /// A class that is not known here.
    #[serde(untagged)]
    Unknown(serde_json::Value),
}

impl Activation {
    /// Plain ReLU.
    pub const RELU: Self = Self::ReLU {
        max: None,
        threshold: None,
        negative_slope: None,
    };
}

fn hundredth() -> f64 {
    0.01
}

fn one() -> f64 {
    1.0
}
