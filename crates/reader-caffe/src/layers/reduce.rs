//! Reductions of axes.

use super::{Call, OPTION, Tops};
use crate::schema::reduction_parameter::ReductionOp;
use caribou_ir::op::{ArgMax, Concat, Reduce, ReduceKind, Reshape, Size};

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

/// `ArgMax`: the place of the largest number, the last among equals; or that number, or both.
pub(super) fn arg_max(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.argmax_param.unwrap_or_default();
    if parameters.top_k() != 1 {
        return Err(call.refuse(
            OPTION,
            format!(
                "the {} largest can't be expressed, only the largest",
                parameters.top_k()
            ),
        ));
    }
    let x = call.input()?;
    let largest = |axis: usize| Reduce {
        kind: ReduceKind::Max,
        axes: vec![axis],
        keep_dims: true,
    };
    let place = |axis: usize| ArgMax {
        axis,
        keep_dims: true,
        select_last: true,
    };
    if let Some(axis) = parameters.axis {
        let axis = call.inner_axis(axis, x)?;
        return Ok(vec![match parameters.out_max_val() {
            true => call.apply(largest(axis), &[x])?,
            false => call.apply(place(axis), &[x])?,
        }]);
    }
    // Without an axis, of all numbers of an example: [N, 1, 1], or [N, 2, 1] with the number behind its place.
    let flat = call.apply(
        Reshape {
            target: vec![Size::Keep(0), Size::Rest],
        },
        &[x],
    )?;
    let mut y = call.apply(place(1), &[flat])?;
    let mut count = 1;
    if parameters.out_max_val() {
        let number = call.apply(largest(1), &[flat])?;
        y = call.apply(Concat { axis: 1 }, &[y, number])?;
        count = 2;
    }
    let target = vec![Size::Keep(0), Size::Fixed(count), Size::Fixed(1)];
    Ok(vec![call.apply(Reshape { target }, &[y])?])
}
