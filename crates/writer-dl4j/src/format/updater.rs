//! Optimisers by their ND4J classes.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An optimiser, as `iupdater` holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "@class", rename_all_fields = "camelCase")]
#[allow(missing_docs)] // The fields are the symbols of the rules, as the classes of ND4J name them.
pub enum Updater {
    /// Gradient descent.
    #[serde(rename = "org.nd4j.linalg.learning.config.Sgd")]
    Sgd {
        #[serde(flatten)]
        rate: Rate,
    },
    /// Nesterov momentum.
    #[serde(rename = "org.nd4j.linalg.learning.config.Nesterovs")]
    Nesterovs {
        #[serde(flatten)]
        rate: Rate,
        /// No number where there is a schedule.
        #[serde(serialize_with = "write_rate", deserialize_with = "read_rate")]
        momentum: Option<f64>,
        #[serde(
            default,
            rename = "momentumISchedule",
            skip_serializing_if = "Option::is_none"
        )]
        momentum_schedule: Option<Schedule>,
    },
    /// Adam.
    #[serde(rename = "org.nd4j.linalg.learning.config.Adam")]
    Adam {
        #[serde(flatten)]
        rate: Rate,
        beta1: f64,
        beta2: f64,
        epsilon: f64,
    },
    /// Adam with the largest second moment.
    #[serde(rename = "org.nd4j.linalg.learning.config.AMSGrad")]
    AmsGrad {
        #[serde(flatten)]
        rate: Rate,
        beta1: f64,
        beta2: f64,
        epsilon: f64,
    },
    /// Adam with the infinity norm.
    #[serde(rename = "org.nd4j.linalg.learning.config.AdaMax")]
    AdaMax {
        #[serde(flatten)]
        rate: Rate,
        beta1: f64,
        beta2: f64,
        epsilon: f64,
    },
    /// Adam with Nesterov momentum.
    #[serde(rename = "org.nd4j.linalg.learning.config.Nadam")]
    Nadam {
        #[serde(flatten)]
        rate: Rate,
        beta1: f64,
        beta2: f64,
        epsilon: f64,
    },
    /// RMSProp.
    #[serde(rename = "org.nd4j.linalg.learning.config.RmsProp")]
    RmsProp {
        #[serde(flatten)]
        rate: Rate,
        rms_decay: f64,
        epsilon: f64,
    },
    /// AdaGrad.
    #[serde(rename = "org.nd4j.linalg.learning.config.AdaGrad")]
    AdaGrad {
        #[serde(flatten)]
        rate: Rate,
        epsilon: f64,
    },
    /// AdaDelta, which has no learning rate.
    #[serde(rename = "org.nd4j.linalg.learning.config.AdaDelta")]
    AdaDelta { rho: f64, epsilon: f64 },
    /// No steps.
    #[serde(rename = "org.nd4j.linalg.learning.config.NoOp")]
    NoOp {},
    /// A class that is not known here.
    #[serde(untagged)]
    Unknown(serde_json::Value),
}

impl Updater {
    /// Steps of length zero, for parameters that training must leave as they are.
    pub fn still() -> Self {
        Self::Sgd {
            rate: Rate::constant(0.0),
        }
    }

    /// How many numbers it remembers of each parameter, in vectors one behind the other; `None` where the class is not known.
    pub fn vectors(&self) -> Option<usize> {
        Some(match self {
            Self::Sgd { .. } | Self::NoOp {} => 0,
            Self::Nesterovs { .. } | Self::RmsProp { .. } | Self::AdaGrad { .. } => 1,
            Self::Adam { .. } | Self::AdaMax { .. } | Self::Nadam { .. } | Self::AdaDelta { .. } => 2,
            Self::AmsGrad { .. } => 3,
            Self::Unknown(_) => return None,
        })
    }

    /// What each number starts with when training does.
    pub fn starts_with(&self) -> f64 {
        match self {
            Self::RmsProp { epsilon, .. } | Self::AdaGrad { epsilon, .. } => *epsilon,
            _ => 0.0,
        }
    }
}

/// A learning rate, constant or by the number of steps so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rate {
    #[serde(serialize_with = "write_rate", deserialize_with = "read_rate")]
    learning_rate: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    learning_rate_schedule: Option<Schedule>,
}

impl Rate {
    /// The same rate for all steps.
    pub fn constant(rate: f64) -> Self {
        Self {
            learning_rate: Some(rate),
            learning_rate_schedule: None,
        }
    }

    /// A rate by a schedule.
    pub fn scheduled(schedule: Schedule) -> Self {
        Self {
            learning_rate: None,
            learning_rate_schedule: Some(schedule),
        }
    }

    /// The rate, where it is constant.
    pub fn value(&self) -> Option<f64> {
        self.learning_rate
            .filter(|_| self.learning_rate_schedule.is_none())
    }

    /// The schedule, where there is one.
    pub fn schedule(&self) -> Option<&Schedule> {
        self.learning_rate_schedule.as_ref()
    }
}

/// A number that a schedule gives is none itself, which Jackson writes as text.
pub(super) fn write_rate<S: serde::Serializer>(rate: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match rate {
        Some(rate) => serializer.serialize_f64(*rate),
        None => serializer.serialize_str("NaN"),
    }
}

pub(super) fn read_rate<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    Ok(serde_json::Value::deserialize(deserializer)?.as_f64())
}

/// A value by the number of steps so far. The class `PolySchedule` is left out: the stock one grows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "@class", rename_all_fields = "camelCase")]
#[allow(missing_docs)] // Fields by the names that the classes of ND4J give them.
pub enum Schedule {
    /// Always the same.
    #[serde(rename = "org.nd4j.linalg.schedule.FixedSchedule")]
    Fixed { value: f64 },
    /// `initial_value * gamma^t`.
    #[serde(rename = "org.nd4j.linalg.schedule.ExponentialSchedule")]
    Exponential {
        schedule_type: ScheduleType,
        initial_value: f64,
        gamma: f64,
    },
    /// `initial_value * decay_rate^floor(t / step)`.
    #[serde(rename = "org.nd4j.linalg.schedule.StepSchedule")]
    Step {
        schedule_type: ScheduleType,
        initial_value: f64,
        decay_rate: f64,
        step: f64,
    },
    /// `initial_value / (1 + gamma t)^power`.
    #[serde(rename = "org.nd4j.linalg.schedule.InverseSchedule")]
    Inverse {
        schedule_type: ScheduleType,
        initial_value: f64,
        gamma: f64,
        power: f64,
    },
    /// `initial_value / (1 + exp(-gamma (t - step_size)))`.
    #[serde(rename = "org.nd4j.linalg.schedule.SigmoidSchedule")]
    Sigmoid {
        schedule_type: ScheduleType,
        initial_value: f64,
        gamma: f64,
        step_size: i32,
    },
    /// Each value from the step on that is its key, written as text.
    #[serde(rename = "org.nd4j.linalg.schedule.MapSchedule")]
    Map {
        schedule_type: ScheduleType,
        values: BTreeMap<String, f64>,
    },
    /// A class that is not known here.
    #[serde(untagged)]
    Unknown(serde_json::Value),
}

/// What `t` counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum ScheduleType {
    /// Steps.
    Iteration,
    /// Passes over the data.
    Epoch,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_takes_the_place_of_the_rate() {
        let schedule = Schedule::Map {
            schedule_type: ScheduleType::Iteration,
            values: BTreeMap::from([("0".into(), 0.1), ("10".into(), 0.01)]),
        };
        let updater = Updater::Sgd {
            rate: Rate::scheduled(schedule),
        };
        let json = serde_json::to_value(&updater).unwrap();
        assert_eq!(json["learningRate"], "NaN");
        assert_eq!(json["learningRateSchedule"]["values"]["10"], 0.01);
        assert_eq!(serde_json::from_value::<Updater>(json).unwrap(), updater);
        let constant = Updater::Sgd {
            rate: Rate::constant(0.5),
        };
        let json = serde_json::to_value(&constant).unwrap();
        assert_eq!(json["learningRate"], 0.5);
        assert_eq!(serde_json::from_value::<Updater>(json).unwrap(), constant);
    }
}
