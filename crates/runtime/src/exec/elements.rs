//! What is done to every element by itself, over threads where there are many.

use super::{Array, ExecError, Result, checked, flat};
use ndarray::{IxDyn, Zip};
use rayon::prelude::*;

/// Elements that are worth a task of their own.
pub(super) const PART: usize = 1 << 14;

/// `f` of each element, in their place.
pub(super) fn map(x: Array, f: impl Fn(f32) -> f32 + Sync) -> Array {
    let mut y = in_order(x);
    if let Some(y) = y.as_slice_mut() {
        y.par_chunks_mut(PART)
            .for_each(|y| y.iter_mut().for_each(|y| *y = f(*y)));
    }
    y
}

/// The value with its elements in C order.
pub(super) fn in_order(x: Array) -> Array {
    match x.is_standard_layout() {
        true => x,
        false => x.as_standard_layout().into_owned(),
    }
}

/// `f` of each pair of elements, in place of the first ones where they stay as many; the axes align at the last, and one of
/// size one is stretched.
pub(super) fn zip(a: Array, b: &Array, f: impl Fn(f32, f32) -> f32 + Sync) -> Result<Array> {
    if a.shape() != b.shape() {
        return stretched(&a, b, f);
    }
    let (mut y, b) = (in_order(a), flat(b));
    if let Some(y) = y.as_slice_mut() {
        y.par_chunks_mut(PART)
            .zip(b.par_chunks(PART))
            .for_each(|(y, b)| y.iter_mut().zip(b).for_each(|(y, &b)| *y = f(*y, b)));
    }
    Ok(y)
}

fn stretched(a: &Array, b: &Array, f: impl Fn(f32, f32) -> f32) -> Result<Array> {
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
    checked(&shape)?;
    let mismatch = || ExecError::new("the values do not broadcast");
    let a = a.broadcast(shape.clone()).ok_or_else(mismatch)?;
    let b = b.broadcast(shape).ok_or_else(mismatch)?;
    Ok(Zip::from(&a).and(&b).map_collect(|&a, &b| f(a, b)))
}

/// Rows of one task of a transposition, and how many of their elements are copied before the next row's: both read and
/// write whole lines of the cache.
const TILE: usize = 16;

/// The elements with the axes in the order of `permutation`: axis `i` of the result is axis `permutation[i]` of `x`.
pub(super) fn permute(x: &Array, permutation: &[usize]) -> Result<Array> {
    let source = flat(x);
    let mut strides = vec![1; x.ndim()];
    for axis in (1..x.ndim()).rev() {
        strides[axis - 1] = strides[axis] * x.shape()[axis];
    }
    let shape: Vec<usize> = permutation.iter().map(|&axis| x.shape()[axis]).collect();
    // The loops over the result: extent, and steps between neighbours in the source. Neighbours of both are one loop.
    let mut loops: Vec<[usize; 2]> = Vec::with_capacity(shape.len());
    for (&extent, &axis) in shape.iter().zip(permutation) {
        let step = strides[axis];
        match loops.last_mut() {
            _ if extent == 1 => {}
            Some(outer) if outer[1] == extent * step => *outer = [outer[0] * extent, step],
            _ => loops.push([extent, step]),
        }
    }
    let [width, step] = loops.pop().unwrap_or([1, 1]);
    let start = |row: usize| {
        let (mut at, mut row) = (0, row);
        for &[extent, step] in loops.iter().rev() {
            at += row % extent * step;
            row /= extent;
        }
        at
    };
    let mut y = vec![0f32; source.len()];
    if y.is_empty() {
        return Ok(Array::from_shape_vec(IxDyn(&shape), y)?);
    }
    let rows = TILE.max(PART / width / TILE * TILE);
    y.par_chunks_mut(rows * width).enumerate().for_each(|(part, y)| {
        for (tile, y) in y.chunks_mut(TILE * width).enumerate() {
            let starts = std::array::from_fn::<usize, TILE, _>(|row| start(part * rows + tile * TILE + row));
            for from in (0..width).step_by(TILE) {
                let count = TILE.min(width - from);
                for (y, start) in y.chunks_mut(width).zip(starts) {
                    let source = source[start + from * step..].iter().step_by(step);
                    for (y, &x) in y[from..from + count].iter_mut().zip(source) {
                        *y = x;
                    }
                }
            }
        }
    });
    Ok(Array::from_shape_vec(IxDyn(&shape), y)?)
}
