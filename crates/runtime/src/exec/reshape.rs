//! Other shapes and orders of the same elements.

use super::{Array, ExecError, Result, elements};
use caribou_ir::op::{Reshape, Size, Transpose};
use ndarray::IxDyn;

pub(super) fn reshape(op: &Reshape, x: Array) -> Result<Array> {
    let mut shape = Vec::with_capacity(op.target.len());
    for size in &op.target {
        shape.push(match *size {
            Size::Fixed(size) => Some(size),
            Size::Keep(axis) => x.shape().get(axis).copied(),
            Size::Rest => None,
        });
    }
    let known: usize = shape.iter().flatten().product();
    let rest = x.len().checked_div(known).unwrap_or(0);
    let shape: Vec<usize> = shape.into_iter().map(|size| size.unwrap_or(rest)).collect();
    if shape.iter().product::<usize>() != x.len() {
        return Err(ExecError::new(format!(
            "an array of shape {:?} can't be reshaped to {shape:?}",
            x.shape()
        )));
    }
    Ok(elements::in_order(x).into_shape_with_order(IxDyn(&shape))?)
}

pub(super) fn transpose(op: &Transpose, x: &Array) -> Result<Array> {
    elements::permute(x, &op.permutation)
}
