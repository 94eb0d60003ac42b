//! Penalties, weight decay and constraints, by their classes.

use super::Schedule;
use serde::{Deserialize, Serialize};

/// What is added to the gradient, or to the step, of a parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "@class", rename_all_fields = "camelCase")]
#[allow(missing_docs)] // Fields by the names that the classes of ND4J give them.
pub enum Regularization {
    /// `l1 sign(p)` to the gradient.
    #[serde(rename = "org.nd4j.linalg.learning.regularization.L1Regularization")]
    L1 { l1: Schedule },
    /// `l2 p` to the gradient: the penalty is half of `l2 p^2`.
    #[serde(rename = "org.nd4j.linalg.learning.regularization.L2Regularization")]
    L2 { l2: Schedule },
    /// `coeff p`, times the learning rate, to the step.
    #[serde(rename = "org.nd4j.linalg.learning.regularization.WeightDecay")]
    WeightDecay {
        coeff: Schedule,
        #[serde(rename = "applyLR")]
        apply_lr: bool,
    },
    /// A class that is not known here.
    #[serde(untagged)]
    Unknown(serde_json::Value),
}

/// What a parameter is forced to behind each step. A norm is taken over `dimensions`, or over all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "@class", rename_all_fields = "camelCase")]
#[allow(missing_docs)] // Fields by the names that the classes of DL4J give them.
pub enum Constraint {
    /// A norm of at most this.
    #[serde(rename = "org.deeplearning4j.nn.conf.constraint.MaxNormConstraint")]
    MaxNorm {
        max_norm: f64,
        dimensions: Vec<usize>,
        epsilon: f64,
        params: Vec<String>,
    },
    /// No element below zero.
    #[serde(rename = "org.deeplearning4j.nn.conf.constraint.NonNegativeConstraint")]
    NonNegative { epsilon: f64, params: Vec<String> },
    /// A norm of one.
    #[serde(rename = "org.deeplearning4j.nn.conf.constraint.UnitNormConstraint")]
    UnitNorm {
        dimensions: Vec<usize>,
        epsilon: f64,
        params: Vec<String>,
    },
    /// A norm between two bounds, by a share of the way.
    #[serde(rename = "org.deeplearning4j.nn.conf.constraint.MinMaxNormConstraint")]
    MinMaxNorm {
        min: f64,
        max: f64,
        rate: f64,
        dimensions: Vec<usize>,
        epsilon: f64,
        params: Vec<String>,
    },
    /// A class that is not known here.
    #[serde(untagged)]
    Unknown(serde_json::Value),
}
