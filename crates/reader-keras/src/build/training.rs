//! What training does to single layers, gathered on the way.

use super::{Builder, Scope, origin};
use crate::config::Layer;
use crate::training::layer;
use caribou_ir::{Code, Finding, LayerTraining};

/// Something that training does to a layer gets lost.
const LOST: Code = Code("K0303");

impl Builder<'_> {
    /// Remembers what training does to a layer.
    pub(super) fn training(&mut self, layer: &Layer, scope: &Scope<'_>) {
        let (mut training, mut lost) = layer::read(&layer.config, scope.frozen);
        // A wrapper's options are those of the layer inside.
        if let Some(inner) = layer::wrapped(&layer.config) {
            (training, lost) = layer::read(&inner, training.frozen);
        }
        if !lost.is_empty() {
            let message = format!("{} will have no effect when training goes on", lost.join(", "));
            self.findings
                .push(Finding::warning(LOST, &origin(layer), message));
        }
        let known = self.training.get(&layer.name);
        if known.is_some_and(|known| *known != training) {
            let message =
                "layers of this name in several models are trained differently: the last one counts for all";
            self.findings
                .push(Finding::warning(LOST, &origin(layer), message));
        }
        if known.is_some() || training != LayerTraining::default() {
            self.training.insert(layer.name.clone(), training);
        }
    }
}
