//! Dense layers on values of more than two axes: rows folded together, a product, and the axes taken apart again
//! (`tensordot`).

use super::Lifted;
use super::pattern::made;
use crate::ops::Call;
use caribou_ir::op::{Embedding, Op};

/// `Reshape(MatMul(Reshape(x, [-1, in]), w), [… of x, out])`.
pub(super) fn folded_rows(call: &mut Call<'_, '_>) -> Lifted {
    let (Ok(product), Ok(sizes)) = (call.value(0), call.wholes(1)) else {
        return Ok(None);
    };
    let graph = call.graph();
    let Some((Op::Dense(dense), [rows])) = graph.producer(product).map(|node| (&node.op, &node.inputs[..]))
    else {
        return Ok(None);
    };
    let Some((Op::Reshape(_), &[x])) = graph.producer(*rows).map(|node| (&node.op, &node.inputs[..])) else {
        return Ok(None);
    };
    let [features, units] = dense.weight.shape()[..] else {
        return Ok(None);
    };
    let shape = graph.shape(x);
    let rank = shape.rank();
    let batch = call.builder.batch.map(|n| n as i64);
    let same = |axis: usize| {
        let size = &sizes[axis];
        size.is(shape.dims()[axis]) || (axis == 0 && size.number().is_some() && size.number() == batch)
    };
    // One size may be left to be computed; the others and the number of elements tell it.
    let open = sizes.iter().filter(|size| size.number() == Some(-1)).count();
    let fits = rank > 2
        && sizes.len() == rank
        && graph.shape(*rows).rank() == 2
        && shape.size(rank - 1) == Some(features)
        && open <= 1
        && (0..rank - 1).all(|axis| same(axis) || sizes[axis].number() == Some(-1))
        && sizes[rank - 1].number() == Some(units as i64);
    if !fits {
        return Ok(None);
    }
    let op = dense.clone();
    let y = match (crate::idioms::one_hot(call, x, features), &op.bias) {
        (Some(indices), None) => call.apply(Embedding { table: op.weight }, &[indices])?,
        _ => call.apply(op, &[x])?,
    };
    call.lift("a dense layer");
    call.gives(y).map(Some)
}

/// `Reshape(Embedding(Reshape(x, [-1])), [… of x, features])`: the indices need not be folded together.
pub(super) fn folded_indices(call: &mut Call<'_, '_>) -> Lifted {
    let (Ok(rows), Ok(sizes)) = (call.value(0), call.wholes(1)) else {
        return Ok(None);
    };
    let graph = call.graph();
    let Some((Op::Embedding(op), &[folded])) = made(graph, rows) else {
        return Ok(None);
    };
    let Some((Op::Reshape(_), &[x])) = made(graph, folded) else {
        return Ok(None);
    };
    let shape = graph.shape(x);
    let features = op.table.shape()[1] as i64;
    let open = sizes.iter().filter(|size| size.number() == Some(-1)).count();
    let fits = graph.shape(folded).rank() == 1
        && sizes.len() == shape.rank() + 1
        && open <= 1
        && sizes
            .iter()
            .zip(shape.dims())
            .all(|(size, &dim)| size.is(dim) || size.number() == Some(-1))
        && sizes.last().and_then(|size| size.number()) == Some(features);
    if !fits {
        return Ok(None);
    }
    let op = op.clone();
    let y = call.apply(op, &[x])?;
    call.lift("an embedding");
    call.gives(y).map(Some)
}
