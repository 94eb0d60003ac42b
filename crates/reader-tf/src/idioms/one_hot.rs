//! Rows that are one at the place that a whole number says, and zero elsewhere: the number compared with each place.

use super::pattern::{affine, constant, made, pair, unary};
use crate::ops::Call;
use caribou_ir::ValueId;
use caribou_ir::op::{Op, UnaryKind};

/// The numbers whose places among `count` a value marks on its last axis, where these are read from an input.
pub(crate) fn one_hot(call: &mut Call<'_, '_>, value: ValueId, count: usize) -> Option<ValueId> {
    let graph = call.graph();
    let mut marks = value;
    // Rows may have been folded together.
    let folded = match made(graph, value) {
        Some((Op::Reshape(op), &[before]))
            if graph.shape(before).size(graph.shape(before).rank() - 1) == Some(count) =>
        {
            marks = before;
            Some(op.clone())
        }
        _ => None,
    };
    let ([-1.0, 1.0], apart) = affine(graph, marks)? else {
        return None;
    };
    let distance = unary(graph, apart, UnaryKind::Step { threshold: 0.0 })?;
    let difference = unary(graph, distance, UnaryKind::Abs)?;
    let [numbers, places] = pair(graph, difference, caribou_ir::op::ElementwiseKind::Subtract)?;
    let places = constant(graph, places)?;
    let counted = places.len() == count
        && places.shape().last() == Some(&count)
        && places
            .to_vec()
            .ok()?
            .iter()
            .zip(0u32..)
            .all(|(&place, i)| place == i as f32);
    let rank = graph.shape(numbers).rank();
    let (Op::Reshape(_), &[indices]) = made(graph, numbers)? else {
        return None;
    };
    let fits = counted
        && graph.shape(numbers).size(rank - 1) == Some(1)
        && graph.shape(indices).dims() == &graph.shape(numbers).dims()[..rank - 1]
        && call.is_input(indices);
    if !fits {
        return None;
    }
    match folded {
        None => Some(indices),
        Some(mut fold) => {
            fold.target.pop();
            call.apply(fold, &[indices]).ok()
        }
    }
}
