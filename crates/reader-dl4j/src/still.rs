//! Layers whose numbers were composed and never learned.

use crate::archive;
use caribou_ir::{Limits, ReadError, Source};
use caribou_writer_dl4j::format::{Configuration, Layer, Updater, Vertex};

/// The layers that an archive keeps still while others learn: steps of length zero are how the writer marks what a composition is
/// made of, such as the kernels that centre a layer normalisation. Empty where no layer learns at all, since then nothing is told.
///
/// # Errors
/// When the archive or its configuration can't be read.
pub fn still(source: &Source, limits: &Limits) -> Result<Vec<String>, ReadError> {
    let (mut names, mut learning) = (Vec::new(), false);
    let mut look = |name: String, layer: &Layer| {
        if let Some(updater) = updater(layer) {
            match *updater == Updater::still() {
                true => names.push(name),
                false => learning = true,
            }
        }
    };
    match archive::configuration(source, limits)? {
        Configuration::MultiLayer(network) => {
            for (i, conf) in network.confs.iter().enumerate() {
                let name = conf.layer.base().and_then(|base| base.layer_name.clone());
                look(name.unwrap_or_else(|| format!("layer{i}")), &conf.layer);
            }
        }
        Configuration::Graph(network) => {
            for name in network.vertices.keys() {
                if let Some(Vertex::Layer { layer_conf, .. }) = network.vertex(name) {
                    look(name.clone(), &layer_conf.layer);
                }
            }
        }
    }
    Ok(if learning { names } else { Vec::new() })
}

/// The optimiser of a layer with parameters.
fn updater(layer: &Layer) -> Option<&Updater> {
    match layer {
        Layer::TimeDistributed(wrapper) => updater(&wrapper.underlying),
        layer if layer.variables().is_empty() => None,
        layer => layer.base()?.iupdater.as_ref(),
    }
}
