//! Looking back from an operation at those before it.

use super::Builder;
use crate::graph::{Node, Output};
use crate::ops::Call;
use caribou_ir::ValueId;
use caribou_ir::op::Op;

/// Whether a node passes on its input, a variable that is read included.
fn passes_on(node: &Node) -> bool {
    node.passes_on() || &*node.op == "ReadVariableOp"
}

impl Builder<'_> {
    /// The output behind operations that pass it on.
    pub(crate) fn through(&self, output: Output) -> Output {
        let mut output = output;
        for _ in 0..self.flat.nodes.len() {
            match self.flat.nodes.get(output.node) {
                Some(node) if passes_on(node) && node.literal.is_none() => {
                    match node.inputs.get(output.slot) {
                        Some(&next) => output = next,
                        None => break,
                    }
                }
                _ => break,
            }
        }
        output
    }

    /// Whether an output is a constant that the program wrote itself, not a variable that was frozen.
    pub(crate) fn is_written_constant(&self, output: Output) -> bool {
        let name = &*self.flat.nodes[output.node].name;
        let last = name.rsplit('/').next().unwrap_or(name);
        &*self.flat.nodes[output.node].op == "Const"
            && last.strip_prefix("Const").is_some_and(|rest| {
                rest.is_empty()
                    || rest
                        .strip_prefix('_')
                        .is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
            })
    }
}

impl Call<'_, '_> {
    /// Notes that this operation and those before it were read as `what`.
    pub(crate) fn lift(&mut self, what: &'static str) {
        self.builder.lift(self.index, what);
    }

    /// The same where only these outputs are left of what it was made of.
    pub(crate) fn lift_of(&mut self, what: &'static str, inputs: Vec<Output>) {
        self.lift(what);
        self.builder.made_of(self.index, inputs);
    }

    /// Whether a value is an input of the model, under another shape perhaps.
    pub(crate) fn is_input(&self, value: ValueId) -> bool {
        let mut value = value;
        while let Some(node) = self.builder.graph.producer(value) {
            match node.op {
                Op::Identity(_) | Op::Reshape(_) => value = node.inputs[0],
                _ => return false,
            }
        }
        true
    }

    /// Whether all that reads the operation's output looks something up by it.
    pub(crate) fn is_read_as_indices(&self) -> bool {
        let own = Output {
            node: self.index,
            slot: 0,
        };
        let flat = self.builder.flat;
        let looks_up = |node: &Node| {
            let place = match &*node.op {
                "Gather" | "GatherV2" | "ResourceGather" => 1,
                "OneHot" => 0,
                _ => return false,
            };
            node.inputs.get(place) == Some(&own)
        };
        let mut readers = flat
            .nodes
            .iter()
            .filter(|node| node.inputs.contains(&own))
            .peekable();
        readers.peek().is_some()
            && readers.all(looks_up)
            && flat.fetches.iter().all(|fetch| fetch.output != own)
    }

    /// Whether nothing but this operation reads what its input `place` is, on the way through operations that pass it on.
    pub(crate) fn only_reader(&self, place: usize) -> bool {
        let Some(&start) = self.node.inputs.get(place) else {
            return false;
        };
        let mut output = start;
        for _ in 0..self.builder.flat.nodes.len() {
            if self.builder.readers(output) != 1 {
                return false;
            }
            let node = &self.builder.flat.nodes[output.node];
            match node.inputs.get(output.slot) {
                Some(&next) if passes_on(node) => output = next,
                _ => return true,
            }
        }
        false
    }
}
