//! Arithmetic on elements.

use super::{Array, ExecError, Result, first};
use caribou_ir::op::{Elementwise, ElementwiseKind, Unary};
use ndarray::Zip;

pub(super) fn elementwise(op: &Elementwise, inputs: &[&Array]) -> Result<Array> {
    let mut sum = first(inputs)?.clone();
    for other in &inputs[1..] {
        sum = pair(op.kind, &sum, other)?;
    }
    if op.kind == ElementwiseKind::Average {
        let n = inputs.len() as f32;
        sum.mapv_inplace(|x| x / n);
    }
    Ok(sum)
}

fn pair(kind: ElementwiseKind, a: &Array, b: &Array) -> Result<Array> {
    let rank = a.ndim().max(b.ndim());
    let size = |x: &Array, axis: usize| {
        (axis + x.ndim())
            .checked_sub(rank)
            .map_or(1, |axis| x.shape()[axis])
    };
    let shape: Vec<usize> = (0..rank)
        .map(|axis| match (size(a, axis), size(b, axis)) {
            (1, n) | (n, 1) => Ok(n),
            (n, m) if n == m => Ok(n),
            _ => Err(ExecError::new(format!(
                "shapes {:?} and {:?} do not broadcast",
                a.shape(),
                b.shape()
            ))),
        })
        .collect::<Result<_>>()?;
    super::checked(&shape)?;
    let mismatch = || ExecError::new("the values do not broadcast");
    let a = a.broadcast(shape.clone()).ok_or_else(mismatch)?;
    let b = b.broadcast(shape).ok_or_else(mismatch)?;
    let f: fn(f32, f32) -> f32 = match kind {
        ElementwiseKind::Add | ElementwiseKind::Average => |a, b| a + b,
        ElementwiseKind::Subtract => |a, b| a - b,
        ElementwiseKind::Multiply => |a, b| a * b,
        ElementwiseKind::Divide => |a, b| a / b,
        ElementwiseKind::Maximum => f32::max,
        ElementwiseKind::Minimum => f32::min,
        ElementwiseKind::Power => f32::powf,
    };
    Ok(Zip::from(&a).and(&b).map_collect(|&a, &b| f(a, b)))
}

pub(super) fn unary(op: &Unary, x: &Array) -> Result<Array> {
    Ok(x.mapv(|x| op.kind.at(f64::from(x)) as f32))
}
