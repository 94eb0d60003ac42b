//! What is left where operations could not be read, so that one run names all that stands in the way.

use super::{Builder, Held};
use crate::graph::Output;
use caribou_ir::{DType, Dim, Layout, Shape};

/// Outputs that an operation that is not read may have.
const OUTPUTS: usize = 8;

impl Builder<'_> {
    /// Lets values that are taken to be like the first that the operation reads stand in for its outputs.
    pub(super) fn stand_ins(&mut self, index: usize) {
        let node = &self.flat.nodes[index];
        let first = node.inputs.iter().find_map(|input| match self.held.get(input) {
            Some(Held::Value(value, dtype)) => Some((*value, *dtype)),
            _ => None,
        });
        let (shape, dtype) = match first {
            Some((value, dtype)) => (self.graph.shape(value).clone(), dtype),
            None => (Shape::new(vec![Dim::BATCH, Dim::Fixed(1)]), DType::F32),
        };
        for slot in 0..OUTPUTS {
            let name = format!("{} ({})", node.name, self.graph.inputs().len());
            let value = self.graph.input(name, shape.clone(), Layout::Plain);
            self.unknown.insert(value);
            self.held
                .insert(Output { node: index, slot }, Held::Value(value, dtype));
        }
    }
}
