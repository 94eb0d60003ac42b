//! Operators on several values.

use super::volume::arranged;
use super::{Lowered, Lowering, Place, identity, inexpressible};
use crate::format::Vertex;
use caribou_ir::op::{Concat, Elementwise, ElementwiseKind};
use caribou_ir::{Dim, Node, Origin};

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
        let mut sizes = arranged(from.feature_sizes(), order);
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
            name = self.repeated(&node.origin, name, place, times, &mut sizes);
        }
        Ok(name)
    }

    /// An array put side by side with itself `times` times; `sizes` are its axes behind the batch, before and after.
    /// Doubling keeps the number of vertices small.
    fn repeated(
        &mut self,
        origin: &Origin,
        mut name: String,
        axis: usize,
        times: usize,
        sizes: &mut Option<Vec<usize>>,
    ) -> String {
        let wide = |sizes: &Option<Vec<usize>>, width: usize| {
            sizes.clone().map(|mut sizes| {
                sizes[axis - 1] *= width;
                sizes
            })
        };
        let mut parts = Vec::new();
        let (mut width, mut left) = (1, times);
        loop {
            if left & 1 == 1 {
                parts.push((name.clone(), wide(sizes, width)));
            }
            left >>= 1;
            if left == 0 {
                break;
            }
            let pair = [name.clone(), name];
            let pair_sizes = vec![wide(sizes, width); 2];
            name = self.side_by_side(origin, "stretched", axis, &pair, &pair_sizes);
            width *= 2;
        }
        *sizes = wide(sizes, times);
        let (mut names, part_sizes): (Vec<String>, Vec<Option<Vec<usize>>>) = parts.into_iter().unzip();
        match names.len() {
            1 => names.swap_remove(0),
            _ => self.side_by_side(origin, "stretched", axis, &names, &part_sizes),
        }
    }
}
