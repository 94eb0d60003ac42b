//! Where values leave the network.

use super::{Blob, Builder};
use caribou_ir::op::Identity;
use caribou_ir::{Layout, Origin, Producer, ValueId};
use std::collections::HashSet;

impl Builder<'_> {
    /// Every value that no layer reads is an output, in the order of the names, which is Caffe's.
    pub(super) fn outputs(&mut self) {
        let blobs: Vec<(String, ValueId)> = self
            .blobs
            .iter()
            .filter_map(|(name, blob)| match blob {
                Blob::Value { value, read: false } => Some((name.clone(), *value)),
                _ => None,
            })
            .collect();
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
            let layout = if self.graph.shape(value).rank() > 2 {
                Layout::ChannelsFirst
            } else {
                Layout::Plain
            };
            self.graph.output(name, value, layout);
        }
    }
}
