//! Reductions of axes.

use super::{Call, Tops};
use crate::schema::reduction_parameter::ReductionOp;
use caribou_ir::op::{
    Activation, ArgMax, Concat, Elementwise, ElementwiseKind, Reduce, ReduceKind, Reshape, Size, Tile, Unary,
    UnaryKind,
};
use caribou_ir::{Finding, Tensor, ValueId};

/// `Reduction`: all axes from `axis` on become one number. Where nothing is left but the examples, the number keeps an
/// axis of its own: DL4J has no arrays of one axis.
pub(super) fn reduction(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.reduction_param.unwrap_or_default();
    let x = call.input()?;
    let rank = call.rank(x);
    let axis = call.inner_axis(parameters.axis(), x)?;
    let kind = match parameters.operation() {
        ReductionOp::Sum => ReduceKind::Sum,
        ReductionOp::Asum => ReduceKind::L1,
        ReductionOp::Sumsq => ReduceKind::SumOfSquares,
        ReductionOp::Mean => ReduceKind::Mean,
    };
    let op = |axes: Vec<usize>| Reduce {
        kind,
        axes,
        keep_dims: false,
    };
    let y = if axis == 1 {
        let target = vec![Size::Keep(0), Size::Rest, Size::Fixed(1)];
        let flat = call.apply(Reshape { target }, &[x])?;
        call.apply(op(vec![1]), &[flat])?
    } else {
        call.apply(op((axis..rank).collect()), &[x])?
    };
    Ok(vec![super::function::affine(
        call,
        y,
        f64::from(parameters.coeff()),
        0.0,
    )?])
}

/// What is taken from a number that was found already: then it is below all that a network computes.
const FOUND: f64 = 1e38;

/// `ArgMax`: the places of the largest numbers in falling order, the last first among equals; or the numbers, or both.
pub(super) fn arg_max(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.argmax_param.unwrap_or_default();
    let (count, numbers) = (parameters.top_k() as usize, parameters.out_max_val());
    let x = call.input()?;
    if let Some(axis) = parameters.axis {
        let axis = call.inner_axis(axis, x)?;
        let (places, values) = largest(call, x, axis, count)?;
        let wanted = if numbers { values } else { places };
        return Ok(vec![joined(call, axis, &wanted)?]);
    }
    // Without an axis, of all numbers of an example: [N, 1, k, 1…], or [N, 2, k, 1…] with the numbers behind their places.
    let axes = call.rank(x).max(3);
    let flat = call.apply(
        Reshape {
            target: vec![Size::Keep(0), Size::Rest],
        },
        &[x],
    )?;
    let (mut found, values) = largest(call, flat, 1, count)?;
    if numbers {
        found.extend(values);
    }
    let y = joined(call, 1, &found)?;
    let mut target = vec![
        Size::Keep(0),
        Size::Fixed(found.len() / count),
        Size::Fixed(count),
    ];
    target.resize(axes, Size::Fixed(1));
    Ok(vec![call.apply(Reshape { target }, &[y])?])
}

/// The places of the `count` largest numbers along an axis, and the numbers: the largest, then the largest of the others.
fn largest(call: &mut Call<'_>, x: ValueId, axis: usize, count: usize) -> Result<Largest, Box<Finding>> {
    let size = call.size(x, axis)?;
    if count == 0 || count > size {
        return Err(call.misconfigured(format!("top_k is {count}, and axis {axis} has {size} numbers")));
    }
    let place = ArgMax {
        axis,
        keep_dims: true,
        select_last: true,
    };
    let number = Reduce {
        kind: ReduceKind::Max,
        axes: vec![axis],
        keep_dims: true,
    };
    let (mut places, mut values, mut left) = (Vec::new(), Vec::new(), x);
    loop {
        let found = call.apply(place, &[left])?;
        places.push(found);
        values.push(call.apply(number.clone(), &[left])?);
        if places.len() == count {
            return Ok((places, values));
        }
        left = without(call, left, found, axis, size)?;
    }
}

/// The places, and the numbers there.
type Largest = (Vec<ValueId>, Vec<ValueId>);

/// The numbers, with one that is below all others at the place that was found.
fn without(
    call: &mut Call<'_>,
    x: ValueId,
    found: ValueId,
    axis: usize,
    size: usize,
) -> Result<ValueId, Box<Finding>> {
    let rank = call.rank(x);
    let mut repeats = vec![1; rank];
    repeats[axis] = size;
    let found = call.apply(Tile { repeats }, &[found])?;
    let numbers: Vec<f32> = (0..size).map(|place| -(place as f32)).collect();
    let numbers = super::arithmetic::constant(call, &Tensor::vector(&numbers), axis, rank)?;
    let elementwise = |kind| Elementwise { kind };
    let distance = call.apply(elementwise(ElementwiseKind::Add), &[found, numbers])?;
    let kind = UnaryKind::Abs;
    let distance = call.apply(Unary { kind }, &[distance])?;
    // Exactly zero everywhere else: nothing is taken from the other numbers.
    let near = super::function::affine(call, distance, -1.0, 0.5)?;
    let mark = call.apply(Activation::Relu, &[near])?;
    let below = super::function::affine(call, mark, -2.0 * FOUND, 0.0)?;
    call.apply(elementwise(ElementwiseKind::Add), &[x, below])
}

/// The parts one behind the other along an axis.
fn joined(call: &mut Call<'_>, axis: usize, parts: &[ValueId]) -> Result<ValueId, Box<Finding>> {
    match parts {
        [one] => Ok(*one),
        parts => call.apply(Concat { axis }, parts),
    }
}
