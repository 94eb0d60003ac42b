//! Elements moved along an axis, and added up along it.

use super::join::joined_values;
use super::linear::dense;
use super::{Call, Found, Outputs, Row, any, real};
use crate::build::Held;
use crate::fold;
use caribou_ir::op::{Slice, SliceAxis};
use caribou_ir::{Tensor, ValueId};

pub(super) const TABLE: &[Row] = &[
    any("Roll", &["Tshift"], roll),
    real("Cumsum", &["exclusive", "reverse"], cumulative),
];

/// The most elements that are added up along an axis.
const SUMMANDS: usize = 2048;

/// The end of each axis brought to its front.
fn roll(call: &mut Call<'_, '_>) -> Outputs {
    let (shifts, axes) = (call.integers(1)?, call.integers(2)?);
    let mut y = call.value(0)?;
    for (&shift, &axis) in shifts.iter().zip(&axes) {
        let axis = call.axis(axis, call.rank(y))?;
        if axis == 0 {
            return Err(call.option("it moves the examples of a batch"));
        }
        let size = call.size(y, axis)? as i64;
        let front = match size {
            0 => 0,
            size => size - shift.rem_euclid(size),
        };
        if front == size {
            continue;
        }
        let part = |call: &mut Call<'_, '_>, from: i64, to: i64| {
            let axes = vec![SliceAxis::range(axis, from, Some(to))];
            call.apply(Slice { axes }, &[y])
        };
        let parts = [part(call, front, size)?, part(call, 0, front)?];
        y = joined_values(call, &parts, axis)?;
    }
    call.gives(y)
}

/// The sum of all elements of an axis up to each: a product with a triangular matrix of ones.
fn cumulative(call: &mut Call<'_, '_>) -> Outputs {
    let (exclusive, reverse) = (call.flag("exclusive", false)?, call.flag("reverse", false)?);
    if let Held::Known(array) = call.input(0)?.clone() {
        let axis = call.axis(call.integer(1)?, array.rank())?;
        let sums = call.folded(fold::cumulated(&array, axis, exclusive, reverse))?;
        return Ok(vec![Held::Known(sums)]);
    }
    let x = call.value(0)?;
    let rank = call.rank(x);
    let axis = call.axis(call.integer(1)?, rank)?;
    let size = call.size(x, axis)?;
    if axis == 0 || size > SUMMANDS {
        return Err(call.option(format!("sums of up to {size} elements of axis {axis}")));
    }
    let counts = |from: usize, to: usize| {
        let ahead = if reverse { from > to } else { from < to };
        ahead || (from == to && !exclusive)
    };
    let ones: Vec<f32> = (0..size * size)
        .map(|i| if counts(i / size, i % size) { 1.0 } else { 0.0 })
        .collect();
    let weight = call.viewed(Tensor::from_f32(&[size, size], &ones))?;
    let x = exchanged(call, x, axis)?;
    let y = dense(call, x, weight)?;
    let y = exchanged(call, y, axis)?;
    Ok(vec![Held::Value(y, call.inputs[0].dtype())])
}

/// The value with this axis in the last one's place.
fn exchanged(call: &mut Call<'_, '_>, x: ValueId, axis: usize) -> Found<ValueId> {
    let rank = call.rank(x);
    let mut permutation: Vec<usize> = (0..rank).collect();
    permutation.swap(axis, rank - 1);
    call.permuted(x, permutation)
}
