//! Operators on several values.

use super::volume::arranged;
use super::{Lowered, Lowering, Place, identity, inexpressible};
use crate::format::Vertex;
use caribou_ir::Node;
use caribou_ir::op::{Concat, Elementwise, ElementwiseKind};

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
            let sizes: Vec<Option<Vec<usize>>> = node
                .inputs
                .iter()
                .map(|&input| arranged(self.graph.shape(input).feature_sizes(), &order))
                .collect();
            self.side_by_side(&node.origin, "", order[op.axis], &inputs, &sizes)
        };
        self.put(node.outputs[0], name, order);
        Ok(())
    }

    /// Whether one of the inputs has the shape of the output.
    fn has_full_input(&self, node: &Node) -> bool {
        let shape = self.graph.shape(node.outputs[0]);
        node.inputs.iter().any(|&input| self.graph.shape(input) == shape)
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
            // The vertex stretches axes of size one itself, also in training.
            inputs.push(self.array(input, &order, origin)?);
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
            // Stock DL4J takes wrong gradients through a difference of two values that are both stretched.
            ElementwiseKind::Subtract if !self.has_full_input(node) => {
                let minus = negated(self, &inputs[1], "negated");
                vertex(self, "", "Add", &[inputs[0].clone(), minus])
            }
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
}
