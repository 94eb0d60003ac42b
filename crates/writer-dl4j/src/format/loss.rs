//! Loss functions by their ND4J classes.

use serde::{Deserialize, Serialize};

/// A loss, as `lossFn` holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "@class")]
pub enum LossFunction {
    /// Mean squared error.
    #[serde(rename = "org.nd4j.linalg.lossfunctions.impl.LossMSE")]
    Mse {
        /// A factor for each feature; absent for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weights: Option<RowVector>,
    },
    /// Mean absolute error.
    #[serde(rename = "org.nd4j.linalg.lossfunctions.impl.LossMAE")]
    Mae {
        /// A factor for each feature; absent for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weights: Option<RowVector>,
    },
    /// Mean absolute percentage error.
    #[serde(rename = "org.nd4j.linalg.lossfunctions.impl.LossMAPE")]
    Mape {
        /// A factor for each feature; absent for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weights: Option<RowVector>,
    },
    /// Mean squared logarithmic error.
    #[serde(rename = "org.nd4j.linalg.lossfunctions.impl.LossMSLE")]
    Msle {
        /// A factor for each feature; absent for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weights: Option<RowVector>,
    },
    /// Binary cross-entropy.
    #[serde(rename = "org.nd4j.linalg.lossfunctions.impl.LossBinaryXENT")]
    BinaryXent {
        /// Probabilities are clipped to this distance from 0 and 1.
        #[serde(rename = "clipEps", default = "binary_clip")]
        clip_eps: f64,
        /// A factor for each feature; absent for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weights: Option<RowVector>,
    },
    /// Multi-class cross-entropy with one-hot labels.
    #[serde(rename = "org.nd4j.linalg.lossfunctions.impl.LossMCXENT")]
    Mcxent {
        /// Probabilities are clipped to this.
        #[serde(rename = "softmaxClipEps", default = "softmax_clip")]
        softmax_clip_eps: f64,
        /// A factor for each feature; absent for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weights: Option<RowVector>,
    },
    /// Multi-class cross-entropy with class indices as labels.
    #[serde(rename = "org.nd4j.linalg.lossfunctions.impl.LossSparseMCXENT")]
    SparseMcxent {
        /// Probabilities are clipped to this.
        #[serde(rename = "softmaxClipEps", default = "softmax_clip")]
        softmax_clip_eps: f64,
        /// A factor for each feature; absent for one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weights: Option<RowVector>,
    },
    /// Hinge.
    #[serde(rename = "org.nd4j.linalg.lossfunctions.impl.LossHinge")]
    Hinge,
    /// Squared hinge.
    #[serde(rename = "org.nd4j.linalg.lossfunctions.impl.LossSquaredHinge")]
    SquaredHinge,
    /// Kullback-Leibler divergence.
    #[serde(rename = "org.nd4j.linalg.lossfunctions.impl.LossKLD")]
    Kld,
    /// Poisson.
    #[serde(rename = "org.nd4j.linalg.lossfunctions.impl.LossPoisson")]
    Poisson,
    /// Cosine proximity.
    #[serde(rename = "org.nd4j.linalg.lossfunctions.impl.LossCosineProximity")]
    CosineProximity,
    /// A class that is not known here.
    #[serde(untagged)]
    Unknown(serde_json::Value),
}

fn binary_clip() -> f64 {
    1e-5
}

fn softmax_clip() -> f64 {
    1e-10
}

/// A vector, as JSON holds one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RowVector {
    /// Its element type.
    pub data_type: String,
    /// Its length, alone.
    pub shape: Vec<usize>,
    /// Its elements.
    pub data: Vec<f64>,
}

impl RowVector {
    /// These numbers.
    pub fn new(data: Vec<f64>) -> Self {
        Self {
            data_type: "FLOAT".into(),
            shape: vec![data.len()],
            data,
        }
    }
}

impl LossFunction {
    /// Gives each feature this factor. `false` for functions that take none.
    pub fn set_weights(&mut self, factors: RowVector) -> bool {
        match self {
            Self::Mse { weights }
            | Self::Mae { weights }
            | Self::Mape { weights }
            | Self::Msle { weights }
            | Self::BinaryXent { weights, .. }
            | Self::Mcxent { weights, .. }
            | Self::SparseMcxent { weights, .. } => {
                *weights = Some(factors);
                true
            }
            _ => false,
        }
    }
}
