//! Arithmetic on elements.

use super::{Array, Result, elements};
use caribou_ir::op::{Elementwise, ElementwiseKind, Unary};

pub(super) fn elementwise(op: &Elementwise, first: Array, rest: &[&Array]) -> Result<Array> {
    let mut sum = first;
    for other in rest {
        sum = pair(op.kind, sum, other)?;
    }
    if op.kind == ElementwiseKind::Average {
        let n = (rest.len() + 1) as f32;
        sum = elements::map(sum, |x| x / n);
    }
    Ok(sum)
}

fn pair(kind: ElementwiseKind, a: Array, b: &Array) -> Result<Array> {
    match kind {
        ElementwiseKind::Add | ElementwiseKind::Average => elements::zip(a, b, |a, b| a + b),
        ElementwiseKind::Subtract => elements::zip(a, b, |a, b| a - b),
        ElementwiseKind::Multiply => elements::zip(a, b, |a, b| a * b),
        ElementwiseKind::Divide => elements::zip(a, b, |a, b| a / b),
        ElementwiseKind::Maximum => elements::zip(a, b, f32::max),
        ElementwiseKind::Minimum => elements::zip(a, b, f32::min),
        ElementwiseKind::Power => elements::zip(a, b, f32::powf),
    }
}

pub(super) fn unary(op: &Unary, x: Array) -> Array {
    elements::map(x, |x| op.kind.at(f64::from(x)) as f32)
}
