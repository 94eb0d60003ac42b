//! The optimiser that an archive carries.

use caribou_ir::{LearningRate, Training, Updater, UpdaterKind};
use caribou_writer_dl4j::format::{
    Configuration, Layer, Rate, Schedule, ScheduleType, Updater as Class, Vertex,
};

/// The optimiser of the first layer that has one.
pub(crate) fn training(configuration: &Configuration) -> Option<Training> {
    let layers: Vec<Layer> = match configuration {
        Configuration::MultiLayer(network) => network.confs.iter().map(|conf| conf.layer.clone()).collect(),
        Configuration::Graph(network) => network
            .vertices
            .keys()
            .filter_map(|name| match network.vertex(name) {
                Some(Vertex::Layer { layer_conf, .. }) => Some(layer_conf.layer.clone()),
                _ => None,
            })
            .collect(),
    };
    let class = layers
        .iter()
        .find_map(|layer| layer.base().and_then(|base| base.iupdater.clone()))?;
    let (kind, rate) = match class {
        Class::Sgd { rate } => (UpdaterKind::Sgd, rate),
        Class::Nesterovs { rate, momentum } => (UpdaterKind::Nesterovs { momentum }, rate),
        Class::Adam {
            rate,
            beta1,
            beta2,
            epsilon,
        } => (
            UpdaterKind::Adam {
                beta1,
                beta2,
                epsilon,
            },
            rate,
        ),
        Class::AmsGrad {
            rate,
            beta1,
            beta2,
            epsilon,
        } => (
            UpdaterKind::AmsGrad {
                beta1,
                beta2,
                epsilon,
            },
            rate,
        ),
        Class::AdaMax {
            rate,
            beta1,
            beta2,
            epsilon,
        } => (
            UpdaterKind::AdaMax {
                beta1,
                beta2,
                epsilon,
            },
            rate,
        ),
        Class::Nadam {
            rate,
            beta1,
            beta2,
            epsilon,
        } => (
            UpdaterKind::Nadam {
                beta1,
                beta2,
                epsilon,
            },
            rate,
        ),
        Class::RmsProp {
            rate,
            rms_decay,
            epsilon,
        } => (
            UpdaterKind::RmsProp {
                decay: rms_decay,
                epsilon,
            },
            rate,
        ),
        Class::AdaGrad { rate, epsilon } => (UpdaterKind::AdaGrad { epsilon }, rate),
        Class::AdaDelta { rho, epsilon } => (UpdaterKind::AdaDelta { rho, epsilon }, Rate::constant(1.0)),
        Class::Unknown(_) => return None,
    };
    Some(Training {
        updater: Some(Updater {
            learning_rate: learning_rate(&rate)?,
            ..Updater::new(kind, 0.0)
        }),
        ..Training::default()
    })
}

/// A rate, or a schedule that counts steps.
fn learning_rate(rate: &Rate) -> Option<LearningRate> {
    const STEPS: ScheduleType = ScheduleType::Iteration;
    match rate.schedule() {
        None => rate.value().map(LearningRate::Constant),
        Some(&Schedule::Fixed { value }) => Some(LearningRate::Constant(value)),
        Some(&Schedule::Exponential {
            schedule_type: STEPS,
            initial_value,
            gamma,
        }) => Some(LearningRate::Exponential {
            initial: initial_value,
            gamma,
        }),
        Some(&Schedule::Step {
            schedule_type: STEPS,
            initial_value,
            decay_rate,
            step,
        }) => Some(LearningRate::Step {
            initial: initial_value,
            decay: decay_rate,
            steps: step,
        }),
        Some(&Schedule::Inverse {
            schedule_type: STEPS,
            initial_value,
            gamma,
            power: 1.0,
        }) => Some(LearningRate::Inverse {
            initial: initial_value,
            gamma,
        }),
        Some(Schedule::Map {
            schedule_type: STEPS,
            values,
        }) => {
            let stairs = values
                .iter()
                .map(|(from, &rate)| Some((from.parse().ok()?, rate)));
            let mut stairs = stairs.collect::<Option<Vec<(u64, f64)>>>()?;
            stairs.sort_by_key(|&(from, _)| from);
            Some(LearningRate::Piecewise(stairs))
        }
        Some(_) => None,
    }
}
