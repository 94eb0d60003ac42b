//! Changes of resolution, one axis after the other.

use super::{Array, Result, checked};
use caribou_ir::op::{Coordinates, Interpolation, Resize, ResizeTarget};
use ndarray::Axis;

pub(super) fn resize(op: &Resize, x: &Array) -> Result<Array> {
    let mut y = x.clone();
    for i in 0..x.ndim() - 2 {
        let axis = i + 2;
        let from = x.shape()[axis];
        let to = match &op.target {
            ResizeTarget::Factors(factors) => from * factors[i],
            ResizeTarget::Sizes(sizes) => sizes[i],
        };
        let mut shape = y.shape().to_vec();
        shape[axis] = to;
        checked(&shape)?;
        if from == 0 || to == 0 {
            continue;
        }
        let ratio = from as f64 / to as f64;
        let place = |o: usize| match op.coordinates {
            Coordinates::HalfPixel => (o as f64 + 0.5) * ratio - 0.5,
            Coordinates::Asymmetric => o as f64 * ratio,
            Coordinates::AlignCorners if to > 1 => o as f64 * (from - 1) as f64 / (to - 1) as f64,
            Coordinates::AlignCorners => 0.0,
        };
        y = match op.interpolation {
            Interpolation::Nearest => {
                // In whole numbers: a quotient rounded down by a hair would show the cell before.
                let nearest = |o: usize| match op.coordinates {
                    Coordinates::HalfPixel => (2 * o + 1) * from / (2 * to),
                    Coordinates::Asymmetric => o * from / to,
                    Coordinates::AlignCorners if to > 1 => (2 * o * (from - 1) + to - 1) / (2 * (to - 1)),
                    Coordinates::AlignCorners => 0,
                };
                let places: Vec<usize> = (0..to).map(|o| nearest(o).min(from - 1)).collect();
                y.select(Axis(axis), &places)
            }
            Interpolation::Linear => {
                let low: Vec<usize> = (0..to)
                    .map(|o| (place(o).floor().max(0.0) as usize).min(from - 1))
                    .collect();
                let high: Vec<usize> = low.iter().map(|&low| (low + 1).min(from - 1)).collect();
                let mut mixed = y.select(Axis(axis), &low);
                let above = y.select(Axis(axis), &high);
                for (o, (mut a, b)) in mixed
                    .axis_iter_mut(Axis(axis))
                    .zip(above.axis_iter(Axis(axis)))
                    .enumerate()
                {
                    let share = (place(o).clamp(0.0, (from - 1) as f64) - low[o] as f64) as f32;
                    ndarray::Zip::from(&mut a)
                        .and(&b)
                        .for_each(|a, &b| *a += (b - *a) * share);
                }
                mixed
            }
            Interpolation::Kernel(kernel) => {
                let matrix = kernel.matrix(from, to);
                let mut mixed = Array::zeros(shape);
                for (o, mut cell) in mixed.axis_iter_mut(Axis(axis)).enumerate() {
                    for i in 0..from {
                        cell.scaled_add(matrix[i * to + o], &y.index_axis(Axis(axis), i));
                    }
                }
                mixed
            }
        };
    }
    Ok(y.as_standard_layout().into_owned())
}
