//! Matrix products.

use super::{Array, ExecError, Result, array, first, flat};
use caribou_ir::op::{Dense, MatMul};
use ndarray::{ArrayView2, Axis, Ix2, IxDyn};
use rayon::prelude::*;

/// Bytes of weights from which a product is split over threads.
const PARALLEL: usize = 1 << 16;

/// `x W` for rows of `x`, row by row; the columns of `W` in parallel where it is large.
pub(super) fn product(x: ArrayView2<f32>, weight: &ndarray::Array2<f32>) -> ndarray::Array2<f32> {
    let y = match weight.len() {
        ..PARALLEL => x.dot(weight),
        _ => side_by_side(x, weight),
    };
    match y.is_standard_layout() {
        true => y,
        false => y.as_standard_layout().into_owned(),
    }
}

/// The same, its columns in parallel; in whatever order.
fn side_by_side(x: ArrayView2<f32>, weight: &ndarray::Array2<f32>) -> ndarray::Array2<f32> {
    let width = weight.ncols().div_ceil(rayon::current_num_threads()).max(1);
    let starts: Vec<usize> = (0..weight.ncols()).step_by(width).collect();
    let parts: Vec<ndarray::Array2<f32>> = starts
        .into_par_iter()
        .map(|start| {
            let end = (start + width).min(weight.ncols());
            x.dot(&weight.slice(ndarray::s![.., start..end]))
        })
        .collect();
    let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
    // The parts have the same number of rows, so they fit side by side.
    ndarray::concatenate(Axis(1), &views).unwrap_or_else(|_| x.dot(weight))
}

pub(super) fn dense(op: &Dense, x: &Array) -> Result<Array> {
    let weight = array(&op.weight)?.into_dimensionality::<Ix2>()?;
    let features = weight.nrows();
    let rows = x.len() / features.max(1);
    let input = flat(x);
    let mut y = product(ArrayView2::from_shape((rows, features), &input)?, &weight);
    if let Some(bias) = &op.bias {
        y += &array(bias)?;
    }
    let mut shape = x.shape().to_vec();
    if let Some(last) = shape.last_mut() {
        *last = weight.ncols();
    }
    Ok(y.into_shape_with_order(IxDyn(&shape))?)
}

pub(super) fn matmul(op: &MatMul, inputs: &[&Array]) -> Result<Array> {
    let [a, b] = inputs else {
        return Err(ExecError::new("a product has two inputs"));
    };
    let turned = |x: &Array, transpose: bool| {
        let mut x = x.clone();
        if transpose {
            let rank = x.ndim();
            x.swap_axes(rank - 1, rank - 2);
        }
        x
    };
    let (a, b) = (turned(first(&[a])?, op.transpose_a), turned(b, op.transpose_b));
    let outer = |x: &Array| x.shape()[..x.ndim() - 2].to_vec();
    let (outer_a, outer_b) = (outer(&a), outer(&b));
    let rank = outer_a.len().max(outer_b.len());
    let size =
        |list: &[usize], axis: usize| (axis + list.len()).checked_sub(rank).map_or(1, |axis| list[axis]);
    let shared: Vec<usize> = (0..rank)
        .map(|axis| size(&outer_a, axis).max(size(&outer_b, axis)))
        .collect();
    let stretch = |x: &Array| {
        let matrix = &x.shape()[x.ndim() - 2..];
        let shape: Vec<usize> = shared.iter().chain(matrix).copied().collect();
        let view = x
            .broadcast(shape.clone())
            .ok_or_else(|| ExecError::new("the values do not broadcast"))?;
        let flat: Vec<f32> = view.iter().copied().collect();
        let n: usize = shared.iter().product();
        Ok::<_, ExecError>(ndarray::Array3::from_shape_vec((n, matrix[0], matrix[1]), flat)?)
    };
    let (a, b) = (stretch(&a)?, stretch(&b)?);
    if a.shape()[2] != b.shape()[1] {
        return Err(ExecError::new(format!(
            "matrices {:?} and {:?} can't be multiplied",
            a.shape(),
            b.shape()
        )));
    }
    let mut values = Vec::with_capacity(a.shape()[0] * a.shape()[1] * b.shape()[2]);
    for (a, b) in a.outer_iter().zip(b.outer_iter()) {
        values.extend(a.dot(&b).iter());
    }
    let shape: Vec<usize> = shared.into_iter().chain([a.shape()[1], b.shape()[2]]).collect();
    Ok(Array::from_shape_vec(IxDyn(&shape), values)?)
}
