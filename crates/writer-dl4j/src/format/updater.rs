//! Optimisers by their ND4J classes.

use serde::{Deserialize, Serialize};

/// An optimiser, as `iupdater` holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "@class", rename_all_fields = "camelCase")]
#[allow(missing_docs)] // The fields are the symbols of the rules, as the classes of ND4J name them.
pub enum Updater {
    /// Gradient descent.
    #[serde(rename = "org.nd4j.linalg.learning.config.Sgd")]
    Sgd { learning_rate: f64 },
    /// Nesterov momentum.
    #[serde(rename = "org.nd4j.linalg.learning.config.Nesterovs")]
    Nesterovs { learning_rate: f64, momentum: f64 },
    /// Adam.
    #[serde(rename = "org.nd4j.linalg.learning.config.Adam")]
    Adam {
        learning_rate: f64,
        beta1: f64,
        beta2: f64,
        epsilon: f64,
    },
    /// Adam with the largest second moment.
    #[serde(rename = "org.nd4j.linalg.learning.config.AMSGrad")]
    AmsGrad {
        learning_rate: f64,
        beta1: f64,
        beta2: f64,
        epsilon: f64,
    },
    /// Adam with the infinity norm.
    #[serde(rename = "org.nd4j.linalg.learning.config.AdaMax")]
    AdaMax {
        learning_rate: f64,
        beta1: f64,
        beta2: f64,
        epsilon: f64,
    },
    /// Adam with Nesterov momentum.
    #[serde(rename = "org.nd4j.linalg.learning.config.Nadam")]
    Nadam {
        learning_rate: f64,
        beta1: f64,
        beta2: f64,
        epsilon: f64,
    },
    /// RMSProp.
    #[serde(rename = "org.nd4j.linalg.learning.config.RmsProp")]
    RmsProp {
        learning_rate: f64,
        rms_decay: f64,
        epsilon: f64,
    },
    /// AdaGrad.
    #[serde(rename = "org.nd4j.linalg.learning.config.AdaGrad")]
    AdaGrad { learning_rate: f64, epsilon: f64 },
    /// AdaDelta, which has no learning rate.
    #[serde(rename = "org.nd4j.linalg.learning.config.AdaDelta")]
    AdaDelta { rho: f64, epsilon: f64 },
    /// A class that is not known here, or one with a schedule.
    #[serde(untagged)]
    Unknown(serde_json::Value),
}
