//! Where values leave the network.

use super::{Blob, Builder, TIME};
use caribou_ir::op::{Identity, Transpose};
use caribou_ir::{Dim, Finding, Layout, Loss, Origin, Producer, ValueId};
use std::collections::HashSet;

impl Builder<'_> {
    /// Every value that no layer reads is an output, in the order of the names, which is Caffe's; so is what a loss
    /// compares with labels. Gives the losses.
    pub(super) fn outputs(&mut self) -> Vec<Loss> {
        let mut blobs: Vec<(String, ValueId)> = self
            .blobs
            .iter()
            .filter_map(|(name, blob)| match blob {
                Blob::Value { value, read: false } => Some((name.clone(), *value)),
                _ => None,
            })
            .collect();
        let losses = self.trained(&mut blobs);
        let mut taken = HashSet::new();
        for (name, mut value) in blobs {
            // A value that is an input, or another output already, gets a node of its own.
            let plain = matches!(self.graph.value(value).producer, Producer::Node(..));
            if !plain || !taken.insert(value) {
                let origin = Origin::new(name.as_str(), "Split");
                if let Ok(copy) = self.graph.apply(Identity, &[value], &origin) {
                    value = copy;
                }
            }
            let (value, layout) = self.examples_first(&name, value);
            self.graph.output(name, value, layout);
        }
        let position = |name: &str| self.graph.outputs().iter().position(|port| port.name == name);
        losses
            .into_iter()
            .filter_map(|(name, loss)| {
                let output = position(&name)?;
                Some(Loss { output, ..loss })
            })
            .collect()
    }

    /// An output with its examples on the first axis, and what its axes are.
    fn examples_first(&mut self, name: &str, value: ValueId) -> (ValueId, Layout) {
        let shape = self.graph.shape(value);
        let rank = shape.rank();
        let plain = if rank > 2 {
            Layout::ChannelsFirst
        } else {
            Layout::Plain
        };
        let time_first =
            rank > 1 && !matches!(shape.dims()[0], Dim::Batch(_)) && matches!(shape.dims()[1], Dim::Batch(_));
        if !time_first {
            return (value, plain);
        }
        let origin = Origin::new(name, "output");
        let mut permutation: Vec<usize> = (0..rank).collect();
        permutation.swap(0, 1);
        match self.graph.apply(Transpose { permutation }, &[value], &origin) {
            Ok(swapped) => {
                let message =
                    format!("the output {name} has examples on its first axis and steps on its second");
                self.findings.push(Finding::note(TIME, &origin, message));
                let layout = if rank == 3 { Layout::Sequence } else { plain };
                (swapped, layout)
            }
            Err(_) => (value, plain),
        }
    }
}
