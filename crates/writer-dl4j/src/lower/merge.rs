//! Operators on several values.

use super::{Lowered, Lowering, Place, identity, inexpressible};
use crate::format::Vertex;
use caribou_ir::op::{Concat, Elementwise, ElementwiseKind};
use caribou_ir::{Dim, Node};

impl Lowering<'_> {
    /// The order that most of the inputs are in already.
    fn common_order(&mut self, node: &Node) -> Lowered<Vec<usize>> {
        let mut votes: Vec<(Vec<usize>, usize)> = Vec::new();
        for &input in &node.inputs {
            let Place { order, .. } = self.forwards(input, &node.origin)?;
            match votes.iter_mut().find(|(known, _)| *known == order) {
                Some((_, count)) => *count += 1,
                None => votes.push((order, 1)),
            }
        }
        let most = votes.iter().map(|(_, count)| *count).max().unwrap_or(0);
        let winner = votes.into_iter().find(|(_, count)| *count == most);
        Ok(winner.map_or_else(|| identity(self.rank(node.outputs[0])), |(order, _)| order))
    }

    pub(super) fn concat(&mut self, node: &Node, op: &Concat) -> Lowered<()> {
        let order = self.common_order(node)?;
        if op.axis == 0 {
            return Err(inexpressible(
                &node.origin,
                "values one behind the other on the batch axis",
            ));
        }
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for &input in &node.inputs {
            inputs.push(self.array(input, &order, &node.origin)?);
        }
        let name = if inputs.len() == 1 {
            inputs.swap_remove(0)
        } else {
            self.vertex(
                &node.origin,
                "",
                Vertex::Merge {
                    merge_axis: order[op.axis],
                },
                &inputs,
            )
        };
        self.put(node.outputs[0], name, order);
        Ok(())
    }

    pub(super) fn elementwise(&mut self, node: &Node, op: &Elementwise) -> Lowered<()> {
        let origin = &node.origin;
        let rank = self.rank(node.outputs[0]);
        if node
            .inputs
            .iter()
            .any(|&input| !self.is_constant(input) && self.rank(input) != rank)
        {
            return Err(inexpressible(origin, "values of different numbers of axes"));
        }
        let order = self.common_order(node)?;
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for &input in &node.inputs {
            let vertex = self.array(input, &order, origin)?;
            inputs.push(self.stretched(node, input, vertex, &order)?);
        }
        let vertex = |this: &mut Self, suffix: &str, op: &str, inputs: &[String]| {
            this.vertex(origin, suffix, Vertex::ElementWise { op: op.to_owned() }, inputs)
        };
        let negated = |this: &mut Self, input: &String, suffix: &str| {
            this.vertex(
                origin,
                suffix,
                Vertex::Scale { scale_factor: -1.0 },
                std::slice::from_ref(input),
            )
        };
        let name = match op.kind {
            ElementwiseKind::Add => vertex(self, "", "Add", &inputs),
            ElementwiseKind::Subtract => vertex(self, "", "Subtract", &inputs),
            ElementwiseKind::Multiply => vertex(self, "", "Product", &inputs),
            ElementwiseKind::Average => vertex(self, "", "Average", &inputs),
            ElementwiseKind::Maximum => vertex(self, "", "Max", &inputs),
            ElementwiseKind::Minimum => {
                let inputs: Vec<String> = inputs
                    .iter()
                    .map(|input| negated(self, input, "negated"))
                    .collect();
                let largest = vertex(self, "largest", "Max", &inputs);
                self.rewrite(
                    "minimum-by-maximum",
                    origin,
                    "the smallest is minus the largest of the negated",
                );
                negated(self, &largest, "")
            }
            other => return Err(inexpressible(origin, format!("DL4J has no vertex for {other:?}"))),
        };
        self.put(node.outputs[0], name, order);
        Ok(())
    }

    /// The array with every axis of size one repeated to the size of the result, where DL4J would not stretch it.
    fn stretched(
        &mut self,
        node: &Node,
        input: caribou_ir::ValueId,
        vertex: String,
        order: &[usize],
    ) -> Lowered<String> {
        let from = self.graph.shape(input).clone();
        let to = self.graph.shape(node.outputs[0]).clone();
        let mut name = vertex;
        for (axis, &place) in order.iter().enumerate().skip(1) {
            let (Dim::Fixed(1), dim) = (from.dims()[axis], to.dims()[axis]) else {
                continue;
            };
            if dim == Dim::Fixed(1) {
                continue;
            }
            let Some(times) = dim.fixed().filter(|&times| times <= 4096) else {
                return Err(inexpressible(
                    &node.origin,
                    format!("stretching {from} to {to}: the size must be known"),
                ));
            };
            // Doubling keeps the number of vertices small.
            let axis = place;
            let mut parts = Vec::new();
            let (mut width, mut left) = (1, times);
            loop {
                if left & 1 == 1 {
                    parts.push(name.clone());
                }
                left >>= 1;
                if left == 0 {
                    break;
                }
                name = self.vertex(
                    &node.origin,
                    "stretched",
                    Vertex::Merge { merge_axis: axis },
                    &[name.clone(), name.clone()],
                );
                width *= 2;
            }
            debug_assert!(width <= times);
            if parts.len() > 1 {
                name = self.vertex(
                    &node.origin,
                    "stretched",
                    Vertex::Merge { merge_axis: axis },
                    &parts,
                );
            } else if let Some(part) = parts.pop() {
                name = part;
            }
        }
        Ok(name)
    }
}
