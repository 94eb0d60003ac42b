//! How the new network is to be trained.

use super::layers::{Layers, learns};
use super::{Surgery, TransferError, TransferReport};
use caribou_ir::{Graph, LearningRate, Training, TrainingState, Updater, UpdaterKind};

/// The rate of an updater that the source does not name: DL4J's of gradient descent.
const RATE: f64 = 1e-3;

/// Sets what the surgery says, and drops what the optimiser remembers: training starts anew.
///
/// # Errors
/// When a schedule is asked for and the optimiser has no learning rate.
pub(super) fn set(
    training: &mut Training,
    graph: &Graph,
    surgery: &Surgery,
    report: &TransferReport,
) -> Result<(), TransferError> {
    if let Some(updater) = &surgery.updater {
        training.updater = Some(updater.clone());
    }
    if surgery.schedule.is_some() || surgery.clipping.is_some() {
        let updater = training
            .updater
            .get_or_insert_with(|| Updater::new(UpdaterKind::Sgd, RATE));
        if let Some(rate) = &surgery.schedule {
            if matches!(updater.kind, UpdaterKind::AdaDelta { .. } | UpdaterKind::NoOp) {
                let message = "the optimizer has no learning rate; give another one with --updater";
                return Err(TransferError::option("--schedule", message));
            }
            updater.learning_rate = LearningRate::clone(rate);
        }
        if surgery.clipping.is_some() {
            updater.clipping = surgery.clipping;
        }
    }
    let layers = Layers::of(graph);
    training
        .layers
        .retain(|name, _| layers.names().any(|known| known == name));
    for name in &report.frozen {
        let layer = training.layers.entry(name.clone()).or_default();
        layer.frozen = true;
        layer.inference = true;
    }
    if let Some(l2) = surgery.l2 {
        for (_, node) in graph.nodes().filter(|(_, node)| learns(&node.op)) {
            let layer = training.layers.entry(node.origin.layer.to_string()).or_default();
            if !layer.frozen || layer.inference {
                // DL4J's penalty is half of the squares.
                layer.regularization.l2 = l2 / 2.0;
            }
        }
    }
    for new in &report.initialised {
        training.layers.entry(new.layer.clone()).or_default().scheme = surgery.scheme;
    }
    training.state = training.state.take().map(|state| TrainingState {
        parameters: Vec::new(),
        ..state
    });
    Ok(())
}
