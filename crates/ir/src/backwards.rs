//! What a graph tells of its values, walking back from where they are read.

use crate::op::{Activation, ElementwiseKind, Identity, Op, UnaryKind};
use crate::{Graph, ValueId};
use std::collections::{HashMap, HashSet};

impl Graph {
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
