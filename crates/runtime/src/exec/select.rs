//! Parts of values, and values put together.

use super::{Array, ExecError, Result, checked};
use caribou_ir::op::{Concat, Pad, PadMode, Slice, Split, Tile};
use ndarray::{Axis, IxDyn};

pub(super) fn concat(op: &Concat, inputs: &[&Array]) -> Result<Array> {
    let views: Vec<_> = inputs.iter().map(|input| input.view()).collect();
    Ok(ndarray::concatenate(Axis(op.axis), &views)?
        .as_standard_layout()
        .into_owned())
}

pub(super) fn split(op: &Split, x: &Array) -> Result<Vec<Array>> {
    let mut start = 0;
    Ok(op
        .sizes
        .iter()
        .map(|&size| {
            let part = x.slice_axis(Axis(op.axis), ndarray::Slice::from(start..start + size));
            start += size;
            part.as_standard_layout().into_owned()
        })
        .collect())
}

pub(super) fn slice(op: &Slice, x: &Array) -> Result<Array> {
    let mut y = x.clone();
    for cut in &op.axes {
        let size = x.shape()[cut.axis];
        let (start, count) = cut.resolve(size);
        if cut.squeeze && start >= size {
            return Err(ExecError::new(format!(
                "index {} lies outside of axis {} of {:?}",
                cut.start,
                cut.axis,
                x.shape()
            )));
        }
        let at = |i: usize| (start as i64 + i as i64 * cut.step) as usize;
        let places: Vec<usize> = (0..count).map(at).collect();
        y = y.select(Axis(cut.axis), &places);
    }
    let mut gone: Vec<usize> = op
        .axes
        .iter()
        .filter(|cut| cut.squeeze)
        .map(|cut| cut.axis)
        .collect();
    gone.sort_unstable();
    for axis in gone.into_iter().rev() {
        y = y.index_axis_move(Axis(axis), 0);
    }
    Ok(y.as_standard_layout().into_owned())
}

pub(super) fn pad(op: &Pad, x: &Array) -> Result<Array> {
    let shape: Vec<usize> = x
        .shape()
        .iter()
        .zip(&op.pads)
        .map(|(&size, pad)| size + pad[0] + pad[1])
        .collect();
    checked(&shape)?;
    // The place of the input that each place of the output shows, axis by axis; none in a constant border.
    let mut y = x.clone();
    for (axis, &[before, after]) in op.pads.iter().enumerate() {
        if before + after == 0 {
            continue;
        }
        let size = x.shape()[axis] as i64;
        if let PadMode::Constant(value) = op.mode {
            let border = |cells: usize| {
                let mut shape = y.shape().to_vec();
                shape[axis] = cells;
                Array::from_elem(IxDyn(&shape), value as f32)
            };
            let (front, behind) = (border(before), border(after));
            y = ndarray::concatenate(Axis(axis), &[front.view(), y.view(), behind.view()])?;
            continue;
        }
        let places: Vec<usize> = (-(before as i64)..size + after as i64)
            .map(|place| op.mode.cell(place, size))
            .collect();
        y = y.select(Axis(axis), &places);
    }
    Ok(y.as_standard_layout().into_owned())
}

pub(super) fn tile(op: &Tile, x: &Array) -> Result<Array> {
    let shape: Vec<usize> = x
        .shape()
        .iter()
        .zip(&op.repeats)
        .map(|(size, times)| size * times)
        .collect();
    checked(&shape)?;
    let mut y = x.clone();
    for (axis, &times) in op.repeats.iter().enumerate() {
        let places: Vec<usize> = (0..x.shape()[axis] * times)
            .map(|i| i % x.shape()[axis].max(1))
            .collect();
        y = y.select(Axis(axis), &places);
    }
    Ok(y.as_standard_layout().into_owned())
}

pub(super) fn reverse(axis: usize, x: &Array) -> Result<Array> {
    let mut y = x.clone();
    y.invert_axis(Axis(axis));
    Ok(y.as_standard_layout().into_owned())
}
