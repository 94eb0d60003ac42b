//! What only guards against infinite numbers, and the logarithm of a sum of exponentials.

use super::Lifted;
use super::pattern::{activation, reduce, unary};
use crate::ops::{Call, Found};
use caribou_ir::ValueId;
use caribou_ir::op::{Activation, Elementwise, ElementwiseKind, LogSoftmax, Reduce, ReduceKind, UnaryKind};

/// `x` where it is finite and something else where it is not: `x`.
pub(super) fn guarded(call: &mut Call<'_, '_>) -> Lifted {
    let flat = call.builder.flat;
    let (Some(&condition), Some(&kept)) = (call.node.inputs.first(), call.node.inputs.get(1)) else {
        return Ok(None);
    };
    let test = &flat.nodes[call.through(condition).node];
    let (true, &[tested]) = (&*test.op == "IsFinite", &test.inputs[..]) else {
        return Ok(None);
    };
    if call.through(tested) != call.through(kept) {
        return Ok(None);
    }
    let held = call.input(1)?.clone();
    call.lift_of("a value that is taken to be finite", vec![kept]);
    Ok(Some(vec![held]))
}

/// `ln sum exp x` over one axis: the largest `x` less the largest of its logarithmic softmax.
pub(super) fn log_sum_exp(call: &mut Call<'_, '_>, value: ValueId) -> Found<Option<ValueId>> {
    let graph = call.graph();
    let Some((op, power)) = unary(graph, value, UnaryKind::Log).and_then(|sum| reduce(graph, sum)) else {
        return Ok(None);
    };
    let (&[axis], ReduceKind::Sum) = (&op.axes[..], op.kind) else {
        return Ok(None);
    };
    let Some(x) = activation(graph, power, Activation::Exponential) else {
        return Ok(None);
    };
    if graph.shape(x).size(axis).is_none() || axis == 0 {
        return Ok(None);
    }
    let largest = Reduce {
        kind: ReduceKind::Max,
        ..op.clone()
    };
    let logarithms = call.apply(LogSoftmax { axis }, &[x])?;
    let most = call.apply(largest.clone(), &[x])?;
    let share = call.apply(largest, &[logarithms])?;
    let kind = ElementwiseKind::Subtract;
    let y = call.apply(Elementwise { kind }, &[most, share])?;
    call.lift("the logarithm of a sum of exponentials");
    Ok(Some(y))
}
