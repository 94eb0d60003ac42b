//! The layers behind one that could not be read, so that one run names all that stands in the way.
//!
//! What a refused layer would have made becomes an input of the graph. A file of Caffe says no shape but those of inputs
//! and weights, so that it is taken to be like what the layer reads, or what the weights of the layer behind it speak for.
//! What such a layer makes is then known no better, and a problem of its shapes and weights is not told.

use super::{Blob, Builder};
use crate::layers;
use crate::net::Layer;
use caribou_ir::{Dim, Finding, Layout, Severity, Shape, ValueId};

impl Builder<'_> {
    /// What stands in for the tops of a layer that was not read.
    pub(super) fn stand_in(&mut self, layer: &Layer) -> Blob {
        let like = layer.bottoms.iter().find_map(|name| match self.blobs.get(name) {
            Some(Blob::Value { value, .. }) => Some(self.graph.shape(*value).clone()),
            _ => None,
        });
        let shape = like.filter(|shape| matches!(shape.dims().first(), Some(Dim::Batch(_))));
        let shape = shape.unwrap_or_else(|| Shape::new(vec![Dim::BATCH, Dim::Fixed(1)]));
        Blob::Value {
            value: self.unknown_value(&layer.name, shape),
            read: false,
        }
    }

    fn unknown_value(&mut self, layer: &str, shape: Shape) -> ValueId {
        let name = format!("{layer} ({})", self.graph.inputs().len());
        let value = self.graph.input(name, shape, Layout::Plain);
        self.unknown.insert(value);
        value
    }

    /// The inputs of a layer, those that stand in for others with the shape that its weights speak for.
    pub(super) fn likely(&mut self, layer: &Layer, inputs: Vec<ValueId>) -> Vec<ValueId> {
        let kernel = self.weights.raw(self.net, layer, 0);
        let Some(kernel) = kernel.map(|blob| blob.tensor.shape()) else {
            return inputs;
        };
        let mut likely = Vec::with_capacity(inputs.len());
        for input in inputs {
            let dims = self.graph.shape(input).dims().to_vec();
            let sizes = match (layer.kind.as_str(), kernel.as_slice()) {
                _ if !self.unknown.contains(&input) => None,
                ("InnerProduct", &[_, features]) => Some(vec![Dim::Fixed(features)]),
                ("Convolution", &[_, channels, ..]) if dims.len() == kernel.len() => {
                    let convolution = layer.parameters.convolution_param.as_ref();
                    let group = convolution.map_or(1, |convolution| convolution.group()) as usize;
                    let channels = channels.checked_mul(group).map(Dim::Fixed);
                    channels.map(|channels| std::iter::once(channels).chain(dims[2..].to_vec()).collect())
                }
                _ => None,
            };
            likely.push(match sizes {
                Some(sizes) => {
                    let dims: Vec<Dim> = std::iter::once(Dim::BATCH).chain(sizes).collect();
                    self.unknown_value(&layer.name, Shape::new(dims))
                }
                None => input,
            });
        }
        likely
    }

    /// Takes back what was found since `before` of a layer with inputs that stand in for others, where it is the fault of
    /// their shapes.
    pub(super) fn forgive(&mut self, before: usize) {
        let all = std::mem::take(self.findings);
        let kept = |finding: &Finding| {
            finding.severity != Severity::Error || !layers::GUESSED.contains(&finding.code)
        };
        for (index, finding) in all.into_iter().enumerate() {
            if index < before || kept(&finding) {
                self.findings.push(finding);
            }
        }
    }
}
