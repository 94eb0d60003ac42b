//! Loss functions by their ND4J classes.

use serde::{Deserialize, Serialize};

/// A loss, as `lossFn` holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "@class")]
pub enum LossFunction {
    /// Mean squared error.
    #[serde(rename = "org.nd4j.linalg.lossfunctions.impl.LossMSE")]
    Mse,
    /// Mean absolute error.
    #[serde(rename = "org.nd4j.linalg.lossfunctions.impl.LossMAE")]
    Mae,
    /// Mean absolute percentage error.
    #[serde(rename = "org.nd4j.linalg.lossfunctions.impl.LossMAPE")]
    Mape,
    /// Mean squared logarithmic error.
    #[serde(rename = "org.nd4j.linalg.lossfunctions.impl.LossMSLE")]
    Msle,
    /// Binary cross-entropy.
    #[serde(rename = "org.nd4j.linalg.lossfunctions.impl.LossBinaryXENT")]
    BinaryXent {
        /// Probabilities are clipped to this distance from 0 and 1.
        #[serde(rename = "clipEps", default = "binary_clip")]
        clip_eps: f64,
    },
    /// Multi-class cross-entropy with one-hot labels.
    #[serde(rename = "org.nd4j.linalg.lossfunctions.impl.LossMCXENT")]
    Mcxent {
        /// Probabilities are clipped to this.
        #[serde(rename = "softmaxClipEps", default = "softmax_clip")]
        softmax_clip_eps: f64,
    },
    /// Multi-class cross-entropy with class indices as labels.
    #[serde(rename = "org.nd4j.linalg.lossfunctions.impl.LossSparseMCXENT")]
    SparseMcxent {
        /// Probabilities are clipped to this.
        #[serde(rename = "softmaxClipEps", default = "softmax_clip")]
        softmax_clip_eps: f64,
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
