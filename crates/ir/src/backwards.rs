//! What a graph tells of its values, walking back from where they are read.

use crate::op::{Activation, ElementwiseKind, Identity, Op, UnaryKind};
use crate::{Graph, NodeId, Producer, ValueId};
use std::collections::{HashMap, HashSet};

impl Graph {
    /// The nodes that the outputs need, each behind those that it reads: depth first, from the outputs back along the
    /// inputs of each node in their order. It follows from the connections alone, in whatever order the nodes were added,
    /// so that graphs of one structure are gone through in one order, whichever file they came from.
    pub fn depth_first(&self) -> Vec<NodeId> {
        let mut order = Vec::with_capacity(self.nodes().len());
        let mut seen = HashSet::new();
        let makes = |value: ValueId| match self.value(value).producer {
            Producer::Node(node, _) => Some(node),
            Producer::Input(_) => None,
        };
        // Each open node with how many of its inputs were looked at; no recursion, for graphs are deep.
        let mut open: Vec<(NodeId, usize)> = Vec::new();
        for port in self.outputs() {
            open.extend(
                makes(port.value)
                    .filter(|node| seen.insert(*node))
                    .map(|node| (node, 0)),
            );
            while let Some((node, next)) = open.pop() {
                let Some(&input) = self.node(node).inputs.get(next) else {
                    order.push(node);
                    continue;
                };
                open.push((node, next + 1));
                open.extend(
                    makes(input)
                        .filter(|node| seen.insert(*node))
                        .map(|node| (node, 0)),
                );
            }
        }
        order
    }

    /// Inputs that an embedding reads hold indices: whoever makes inputs up must keep to its vocabulary.
    pub fn mark_indices(&mut self) {
        let mut bounds: HashMap<ValueId, usize> = HashMap::new();
        for (_, node) in self.nodes().rev() {
            let through = matches!(
                node.op,
                Op::Identity(Identity) | Op::Noise(_) | Op::Reshape(_) | Op::Transpose(_)
            );
            let bound = match &node.op {
                Op::Embedding(op) => op.table.shape().first().copied(),
                _ if through => node
                    .outputs
                    .iter()
                    .filter_map(|output| bounds.get(output))
                    .min()
                    .copied(),
                _ => None,
            };
            for &input in &node.inputs {
                if let Some(bound) = bound {
                    let entry = bounds.entry(input).or_insert(bound);
                    *entry = (*entry).min(bound);
                }
            }
        }
        for port in self.inputs_mut() {
            port.index_bound = bounds.get(&port.value).copied();
        }
    }

    /// Whether no operator on the way to the value can turn finite numbers of moderate size into others.
    pub fn stays_finite(&self, value: ValueId) -> bool {
        let (mut open, mut seen) = (vec![value], HashSet::new());
        while let Some(value) = open.pop() {
            if !seen.insert(value) {
                continue;
            }
            let Some(node) = self.producer(value) else {
                continue;
            };
            let risky = match &node.op {
                Op::Unary(op) => matches!(
                    op.kind,
                    UnaryKind::Log | UnaryKind::Sqrt | UnaryKind::ReciprocalSqrt | UnaryKind::Reciprocal
                ),
                Op::Elementwise(op) => matches!(op.kind, ElementwiseKind::Divide | ElementwiseKind::Power),
                Op::Activate(op) => op.function == Activation::Exponential,
                _ => false,
            };
            if risky {
                return false;
            }
            open.extend(&node.inputs);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::{Activate, Elementwise};
    use crate::{Dim, Layout, Origin, Shape};

    #[test]
    fn the_order_follows_from_the_connections() {
        // y = a + b with a = relu x and b = tanh x, added in either order, and one more node that nothing needs.
        let built = |a_first: bool| {
            let mut graph = Graph::new();
            let shape = Shape::new([Dim::BATCH, Dim::Fixed(2)]);
            let x = graph.input("x", shape, Layout::Plain);
            let of = |name: &str, function: Activation, graph: &mut Graph| {
                graph
                    .apply(Activate { function }, &[x], &Origin::new(name, "test"))
                    .unwrap()
            };
            let (a, b) = if a_first {
                let a = of("a", Activation::Relu, &mut graph);
                (a, of("b", Activation::Tanh, &mut graph))
            } else {
                let b = of("b", Activation::Tanh, &mut graph);
                (of("a", Activation::Relu, &mut graph), b)
            };
            of("unused", Activation::Selu, &mut graph);
            let kind = ElementwiseKind::Add;
            let y = graph
                .apply(Elementwise { kind }, &[a, b], &Origin::new("y", "test"))
                .unwrap();
            graph.output("y", y, Layout::Plain);
            let names = graph
                .depth_first()
                .into_iter()
                .map(|node| graph.node(node).origin.layer.to_string());
            names.collect::<Vec<_>>()
        };
        assert_eq!(built(true), ["a", "b", "y"]);
        assert_eq!(built(false), ["a", "b", "y"]);
    }
}
