//! Whose memory arrays lie in. Stock DL4J overwrites arrays at inference, gives parts of them on, and checks which
//! workspace they are in.

use super::{Edge, Kind, Lowering, Placed};
use crate::format::{Layer, Vertex};
use caribou_ir::{Origin, ValueId};

/// Layers that overwrite their input at inference.
pub(super) fn overwrites_input(layer: &Layer) -> bool {
    matches!(layer, Layer::ActivationLayer(_) | Layer::PReLULayer(_))
}

/// Whether a layer gives a part of its input's memory.
fn is_view(layer: &Layer) -> bool {
    matches!(
        layer,
        Layer::Cropping1D(_) | Layer::Cropping2D(_) | Layer::Cropping3D(_)
    )
}

/// Whether what a vertex gives lies in memory of its own.
fn makes_memory(kind: &Kind) -> bool {
    match kind {
        Kind::Layer { layer, .. } => {
            !is_view(layer) && !matches!(layer, Layer::PReLULayer(_) | Layer::DropoutLayer(_))
        }
        Kind::Vertex(vertex) => matches!(
            vertex,
            Vertex::ElementWise { .. } | Vertex::Merge { .. } | Vertex::Scale { .. } | Vertex::Shift { .. }
        ),
    }
}

impl Lowering<'_> {
    /// A vertex whose array may be overwritten: the one given, or a copy of it where somebody else sees that memory.
    pub(super) fn own_memory(&mut self, value: ValueId, vertex: &str, origin: &Origin) -> String {
        let shared = self.uses[value.index()] != 1 || self.shared.contains(vertex);
        let cut_from = self.find(vertex).and_then(|placed| match &placed.kind {
            Kind::Layer { layer, .. } if is_view(layer) => placed.inputs.first().cloned(),
            _ => None,
        });
        let fresh = match cut_from {
            Some(from) => self.read_once(&from),
            None => self.find(vertex).is_some_and(|placed| makes_memory(&placed.kind)),
        };
        if fresh && !shared {
            vertex.to_owned()
        } else {
            self.copy(vertex, origin)
        }
    }

    /// Whether the memory behind a vertex belongs to the network, and nothing but the one vertex that was made of it
    /// reads it: what cropping and permuting give lies in the memory of their input.
    fn read_once(&self, vertex: &str) -> bool {
        let Some(placed) = self.by_name.get(vertex).map(|&i| &self.vertices[i]) else {
            return false;
        };
        let mut known = self.places.iter().filter(|(_, place)| place.vertex == vertex);
        if self.shared.contains(vertex) || !known.all(|(value, _)| self.uses[value.index()] == 1) {
            return false;
        }
        let view = match &placed.kind {
            Kind::Layer { layer, .. } => is_view(layer),
            Kind::Vertex(vertex) => matches!(vertex, Vertex::Preprocessor { .. }),
        };
        match view {
            true => placed.inputs.iter().all(|input| self.read_once(input)),
            false => makes_memory(&placed.kind),
        }
    }

    /// Copies a network's input before a dropout that gives it on to a layer that reshapes it or gives it on too:
    /// stock DL4J finds that the array lies in no workspace, and stops.
    pub(super) fn copy_dropped_inputs(&mut self, vertices: &mut Vec<Placed>, inputs: &[Edge]) {
        let is_dropout = |kind: &Kind| {
            matches!(
                kind,
                Kind::Layer {
                    layer: Layer::DropoutLayer(_),
                    preprocessor: None
                }
            )
        };
        let hands_on = |placed: &Placed, from: &str| {
            placed.inputs.iter().any(|input| input == from)
                && match &placed.kind {
                    Kind::Layer { preprocessor, .. } => preprocessor.is_some() || is_dropout(&placed.kind),
                    Kind::Vertex(_) => false,
                }
        };
        let mut i = 0;
        while i < vertices.len() {
            let placed = &vertices[i];
            let source = placed.inputs.first().cloned();
            let source = source.filter(|source| inputs.iter().any(|edge| edge.name == *source));
            let caught =
                is_dropout(&placed.kind) && vertices.iter().any(|other| hands_on(other, &placed.name));
            if let (Some(source), true) = (source, caught) {
                let name = self.unique(&format!("{}_copy", vertices[i].name));
                let copy = Placed {
                    name: name.clone(),
                    kind: Kind::Vertex(Vertex::Scale { scale_factor: 1.0 }),
                    inputs: vec![source],
                    parameters: Vec::new(),
                    source: vertices[i].source.clone(),
                };
                vertices[i].inputs = vec![name];
                vertices.insert(i, copy);
                i += 1;
            }
            i += 1;
        }
    }
}
