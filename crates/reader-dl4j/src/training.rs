//! The optimiser that an archive carries.

use caribou_ir::{Training, Updater, UpdaterKind};
use caribou_writer_dl4j::format::{Configuration, Layer, Updater as Class, Vertex};

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
    let (kind, learning_rate) = match class {
        Class::Sgd { learning_rate } => (UpdaterKind::Sgd, learning_rate),
        Class::Nesterovs {
            learning_rate,
            momentum,
        } => (UpdaterKind::Nesterovs { momentum }, learning_rate),
        Class::Adam {
            learning_rate,
            beta1,
            beta2,
            epsilon,
        } => (
            UpdaterKind::Adam {
                beta1,
                beta2,
                epsilon,
            },
            learning_rate,
        ),
        Class::AmsGrad {
            learning_rate,
            beta1,
            beta2,
            epsilon,
        } => (
            UpdaterKind::AmsGrad {
                beta1,
                beta2,
                epsilon,
            },
            learning_rate,
        ),
        Class::AdaMax {
            learning_rate,
            beta1,
            beta2,
            epsilon,
        } => (
            UpdaterKind::AdaMax {
                beta1,
                beta2,
                epsilon,
            },
            learning_rate,
        ),
        Class::Nadam {
            learning_rate,
            beta1,
            beta2,
            epsilon,
        } => (
            UpdaterKind::Nadam {
                beta1,
                beta2,
                epsilon,
            },
            learning_rate,
        ),
        Class::RmsProp {
            learning_rate,
            rms_decay,
            epsilon,
        } => (
            UpdaterKind::RmsProp {
                decay: rms_decay,
                epsilon,
            },
            learning_rate,
        ),
        Class::AdaGrad {
            learning_rate,
            epsilon,
        } => (UpdaterKind::AdaGrad { epsilon }, learning_rate),
        Class::AdaDelta { rho, epsilon } => (UpdaterKind::AdaDelta { rho, epsilon }, 1.0),
        Class::Unknown(_) => return None,
    };
    Some(Training {
        updater: Some(Updater { kind, learning_rate }),
        losses: Vec::new(),
    })
}
