//! Transpose sinking: moves every change of axis order towards the outputs, where most of them meet their inverse.
//!
//! A reader of a channels-last format puts a [`Transpose`](crate::op::Transpose) before and after each spatial
//! operator. This pass walks the graph once and computes with arrays in whatever order they are in, noting for each
//! value by which permutation the source's order follows from it ([`Placed`]). Operators that work on elements or on
//! named axes are done in the order that is there ([`follow`]); the others get the order that they need. A flatten
//! behind a permuted feature map becomes a permutation of the rows of the kernels that read it ([`flat`]).

mod flat;
mod follow;

use crate::op::{Op, Transpose};
use crate::{Graph, Node, Origin, Rewrite, ShapeError, ValueId};
use std::collections::HashMap;

/// Where a value of the old graph is found in the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Placed {
    value: ValueId,
    order: Order,
}

/// How the old value follows from the new one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Order {
    /// Axis `i` of the old value is axis `permutation[i]` of the new one.
    Axes(Vec<usize>),
    /// Both are `[N, K]`; the old one flattens axes of `sizes` in their order, the new one the same axes in the
    /// order `permutation` (axis `i` of the new is axis `permutation[i]` of the old, the batch not counted).
    Flattened {
        sizes: Vec<usize>,
        permutation: Vec<usize>,
    },
}

fn identity(rank: usize) -> Vec<usize> {
    (0..rank).collect()
}

fn is_identity(permutation: &[usize]) -> bool {
    permutation.iter().enumerate().all(|(i, &axis)| i == axis)
}

/// The permutation that undoes another: axis `permutation[i]` of its result is axis `i`.
pub fn inverse(permutation: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; permutation.len()];
    for (i, &axis) in permutation.iter().enumerate() {
        inverse[axis] = i;
    }
    inverse
}

/// The graph with its transposes sunk and cancelled, and what was done to get there.
///
/// # Errors
/// Only when the graph is not sound: an operator that does not fit its inputs.
pub fn sink_transposes(graph: &Graph) -> Result<(Graph, Vec<Rewrite>), ShapeError> {
    let (new, inputs) = graph.same_inputs();
    let mut sinker = Sinker {
        old: graph,
        new,
        placed: HashMap::new(),
        straight: HashMap::new(),
        rewrites: Vec::new(),
    };
    for (old, value) in inputs {
        let order = Order::Axes(identity(graph.shape(old).rank()));
        sinker.placed.insert(old, Placed { value, order });
    }
    for (_, node) in graph.nodes() {
        sinker.node(node)?;
    }
    for port in graph.outputs() {
        let origin = graph.producer(port.value).map_or_else(
            || Origin::new(port.name.as_str(), "output"),
            |node| node.origin.clone(),
        );
        let value = sinker.straight(port.value, &origin)?;
        sinker.new.output_like(port, value);
    }
    Ok((sinker.new, sinker.rewrites))
}

struct Sinker<'g> {
    old: &'g Graph,
    new: Graph,
    placed: HashMap<ValueId, Placed>,
    /// Values that had to be brought to the source's order, so that this is done once.
    straight: HashMap<ValueId, ValueId>,
    rewrites: Vec<Rewrite>,
}

impl Sinker<'_> {
    fn node(&mut self, node: &Node) -> Result<(), ShapeError> {
        if let Op::Transpose(Transpose { permutation }) = &node.op
            && let Placed {
                value,
                order: Order::Axes(order),
            } = self.placed(node.inputs[0])
        {
            let order = Order::Axes(permutation.iter().map(|&axis| order[axis]).collect());
            self.placed.insert(node.outputs[0], Placed { value, order });
            return Ok(());
        }
        if self.flatten(node)? || self.behind_flatten(node)? || self.follow(node)? {
            return Ok(());
        }
        let inputs: Result<Vec<ValueId>, ShapeError> = node
            .inputs
            .iter()
            .map(|&input| self.straight(input, &node.origin))
            .collect();
        self.emit(node, node.op.clone(), &inputs?, None)
    }

    fn placed(&self, old: ValueId) -> Placed {
        // Nodes stand in topological order, so the value was placed before anything reads it.
        self.placed[&old].clone()
    }

    /// Adds the node with `op` in place of its own; its outputs are in `order`, or in the source's.
    fn emit(
        &mut self,
        node: &Node,
        op: impl Into<Op>,
        inputs: &[ValueId],
        order: Option<&[Order]>,
    ) -> Result<(), ShapeError> {
        let values = self.new.push(op, inputs, &node.origin)?;
        for (slot, (&old, value)) in node.outputs.iter().zip(values).enumerate() {
            let order = order.map_or_else(
                || Order::Axes(identity(self.old.shape(old).rank())),
                |orders| orders[slot].clone(),
            );
            self.placed.insert(old, Placed { value, order });
        }
        Ok(())
    }

    /// The value in the source's order, transposed where it is not.
    fn straight(&mut self, old: ValueId, origin: &Origin) -> Result<ValueId, ShapeError> {
        if let Some(&value) = self.straight.get(&old) {
            return Ok(value);
        }
        let placed = self.placed(old);
        let value = match placed.order {
            Order::Axes(permutation) if is_identity(&permutation) => placed.value,
            Order::Axes(permutation) => self
                .new
                .apply(Transpose { permutation }, &[placed.value], origin)?,
            Order::Flattened { sizes, permutation } => {
                self.unflatten(placed.value, &sizes, &permutation, origin)?
            }
        };
        self.straight.insert(old, value);
        Ok(value)
    }
}

#[cfg(test)]
mod tests;
