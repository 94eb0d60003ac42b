//! Where values are found: the vertex that makes each, the order of its axes, and the direction of its steps.

use super::{Lowered, Lowering, inexpressible};
use crate::format::{Preprocessor, Vertex};
use caribou_ir::op::{Op, Transpose};
use caribou_ir::{Node, Origin, ValueId};

/// Where a value is found: axis `i` of the value is axis `order[i]` of the array that `vertex` makes.
#[derive(Clone, PartialEq)]
pub(super) struct Place {
    pub(super) vertex: String,
    pub(super) order: Vec<usize>,
    /// Whether the steps (axis 1 of the value) are in reverse order.
    pub(super) reversed: bool,
}

impl Lowering<'_> {
    pub(super) fn transpose(&mut self, node: &Node, op: &Transpose) -> Lowered<()> {
        let mut place = self.place(node.inputs[0], &node.origin)?;
        if place.reversed {
            place = self.forwards(node.inputs[0], &node.origin)?;
        }
        self.mark_shared(node.inputs[0], &place);
        place.order = op.permutation.iter().map(|&axis| place.order[axis]).collect();
        self.places.insert(node.outputs[0], place);
        Ok(())
    }

    /// The output is where the input is.
    pub(super) fn alias(&mut self, node: &Node) -> Lowered<()> {
        let place = self.place(node.inputs[0], &node.origin)?;
        self.mark_shared(node.inputs[0], &place);
        self.places.insert(node.outputs[0], place);
        self.report(&node.origin, None);
        Ok(())
    }

    /// Before a second value is found at the vertex of `value`: when others read `value`, the vertex must stay as it is.
    pub(super) fn mark_shared(&mut self, value: ValueId, place: &Place) {
        if self.uses[value.index()] != 1 {
            self.shared.insert(place.vertex.clone());
        }
    }

    pub(super) fn place(&self, value: ValueId, origin: &Origin) -> Lowered<Place> {
        self.places
            .get(&value)
            .cloned()
            .ok_or_else(|| inexpressible(origin, "it reads a constant, which DL4J has no vertex for"))
    }

    /// The value with its steps in forward order.
    pub(super) fn forwards(&mut self, value: ValueId, origin: &Origin) -> Lowered<Place> {
        let place = self.place(value, origin)?;
        if !place.reversed {
            return Ok(place);
        }
        let order = vec![0, 2, 1];
        let from = self.in_order(&place, &order, origin)?;
        let name = self.vertex(
            origin,
            "forwards",
            Vertex::ReverseTimeSeries {
                mask_array_input_name: None,
            },
            &[from],
        );
        let place = Place {
            vertex: name,
            order,
            reversed: false,
        };
        self.places.insert(value, place.clone());
        Ok(place)
    }

    /// The vertex that makes `value` with its axis `i` as axis `order[i]` of the array.
    pub(super) fn array(&mut self, value: ValueId, order: &[usize], origin: &Origin) -> Lowered<String> {
        let place = self.forwards(value, origin)?;
        self.in_order(&place, order, origin)
    }

    pub(super) fn in_order(&mut self, place: &Place, order: &[usize], origin: &Origin) -> Lowered<String> {
        if place.order == order {
            return Ok(place.vertex.clone());
        }
        let mut permutation = vec![0; order.len()];
        for (&to, &from) in order.iter().zip(&place.order) {
            permutation[to] = from;
        }
        if permutation.first() != Some(&0) {
            return Err(inexpressible(origin, "it moves the batch axis"));
        }
        let key = (place.vertex.clone(), permutation.clone());
        if let Some(name) = self.permuted.get(&key) {
            return Ok(name.clone());
        }
        let mut name = place.vertex.clone();
        // Nothing takes the gradient of an input that is read once, and a chain stays one with a single permutation.
        let input = self
            .graph
            .inputs()
            .iter()
            .zip(&self.inputs)
            .find(|(_, edge)| edge.name == name);
        let plain = input.is_some_and(|(port, _)| self.is_read_in_one_order(port.value));
        for step in if plain {
            vec![permutation]
        } else {
            involutions(&permutation)
        } {
            let pre_processor = Preprocessor::Permute {
                permutation_indices: step[1..].to_vec(),
            };
            name = self.vertex(origin, "permute", Vertex::Preprocessor { pre_processor }, &[name]);
        }
        self.permuted.insert(key, name.clone());
        Ok(name)
    }

    /// Whether an input has one reader, which takes it in an order of its own. What stands between values of the same shape
    /// takes them in any: then the input is read as it is too.
    fn is_read_in_one_order(&self, input: ValueId) -> bool {
        let mut value = input;
        while self.uses[value.index()] == 1 {
            let mut readers = self.graph.nodes().map(|(_, node)| node);
            match readers.find(|node| node.inputs.contains(&value)) {
                Some(node) if matches!(node.op, Op::Transpose(_)) => value = node.outputs[0],
                _ => return true,
            }
        }
        let mut readers = self.graph.nodes().map(|(_, node)| node);
        value != input
            && !readers.any(|node| {
                node.inputs.contains(&value) && matches!(node.op, Op::Elementwise(_) | Op::Concat(_))
            })
    }

    pub(super) fn put(&mut self, value: ValueId, vertex: String, order: Vec<usize>) {
        self.places.insert(
            value,
            Place {
                vertex,
                order,
                reversed: false,
            },
        );
    }
}

/// One or two permutations that make up `permutation` and are their own inverses. Stock DL4J takes gradients back by
/// the permutation itself instead of its inverse, so others could not be trained through. A cycle is the product of two
/// reflections: `j[i] -> j[-i]`, then `j[i] -> j[1 - i]`.
fn involutions(permutation: &[usize]) -> Vec<Vec<usize>> {
    if (0..permutation.len()).all(|i| permutation[permutation[i]] == i) {
        return vec![permutation.to_vec()];
    }
    let mut first = identity(permutation.len());
    let mut second = identity(permutation.len());
    let mut seen = vec![false; permutation.len()];
    for start in 0..permutation.len() {
        let mut cycle = Vec::new();
        let mut j = start;
        while !std::mem::replace(&mut seen[j], true) {
            cycle.push(j);
            j = permutation[j];
        }
        let n = cycle.len();
        for i in 0..n {
            second[cycle[i]] = cycle[(n - i) % n];
            first[cycle[i]] = cycle[(n + 1 - i) % n];
        }
    }
    vec![first, second]
}

pub(super) fn identity(rank: usize) -> Vec<usize> {
    (0..rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permutation_is_two_that_undo_themselves() {
        for permutation in [
            vec![0, 2, 3, 1],
            vec![0, 3, 1, 2],
            vec![0, 2, 3, 4, 1],
            vec![0, 2, 1],
            vec![0, 2, 1, 4, 3],
        ] {
            let steps = involutions(&permutation);
            for step in &steps {
                assert!((0..step.len()).all(|i| step[step[i]] == i), "{step:?}");
            }
            // Axis j of the result is axis step[j] of what the step reads.
            let total: Vec<usize> = (0..permutation.len())
                .map(|j| steps.iter().rev().fold(j, |axis, step| step[axis]))
                .collect();
            assert_eq!(total, permutation);
        }
    }
}
