//! Pooling.

use super::{Array, Result, checked, flat};
use caribou_ir::op::{AverageDivisor, Pool, PoolKind};
use ndarray::IxDyn;
use rayon::prelude::*;

/// One axis of a window: the input's cells that each position covers, and the number of cells of window and padding.
struct Axis {
    /// For each window, the cells of the input it covers.
    covered: Vec<Vec<usize>>,
    /// For each window, its cells that lie on the input or its padding.
    padded: Vec<usize>,
    kernel: usize,
}

pub(super) fn pool(op: &Pool, x: &Array) -> Result<Array> {
    let axes = op.kernel.len();
    let mut list = Vec::with_capacity(3);
    let mut shape = x.shape()[..2].to_vec();
    for axis in 0..axes {
        let size = x.shape()[axis + 2];
        let (pads, count) = op.windows(axis, size)?;
        let cell = |window: usize, k: usize| window * op.strides[axis] + k * op.dilations[axis];
        let covered = |window: usize| {
            (0..op.kernel[axis])
                .filter_map(|k| cell(window, k).checked_sub(pads[0]).filter(|&i| i < size))
                .collect()
        };
        let padded = |window: usize| {
            (0..op.kernel[axis])
                .filter(|&k| cell(window, k) < size + pads[0] + pads[1])
                .count()
        };
        shape.push(count);
        list.push(Axis {
            covered: (0..count).map(covered).collect(),
            padded: (0..count).map(padded).collect(),
            kernel: op.kernel[axis],
        });
    }
    while list.len() < 3 {
        list.insert(
            0,
            Axis {
                covered: vec![vec![0]],
                padded: vec![1],
                kernel: 1,
            },
        );
    }
    let mut y = vec![0f32; checked(&shape)?];
    let plane: usize = x.shape()[2..].iter().product();
    let cells: usize = shape[2..].iter().product();
    let (rows, row) = (
        if axes > 1 { x.shape()[x.ndim() - 2] } else { 1 },
        x.shape()[x.ndim() - 1],
    );
    let input = flat(x);
    let [depth, height, width] = &list[..] else {
        return Ok(x.clone());
    };
    if cells > 0 {
        y.par_chunks_mut(cells).enumerate().for_each(|(channel, y)| {
            let x = &input[channel * plane..][..plane];
            let mut cell = 0;
            for z in 0..depth.covered.len() {
                for line in 0..height.covered.len() {
                    for column in 0..width.covered.len() {
                        let mut state = State::default();
                        for &i in &depth.covered[z] {
                            for &j in &height.covered[line] {
                                for &k in &width.covered[column] {
                                    state.add(op.kind, x[(i * rows + j) * row + k]);
                                }
                            }
                        }
                        let padded = depth.padded[z] * height.padded[line] * width.padded[column];
                        y[cell] = state.finish(op.kind, padded, depth.kernel * height.kernel * width.kernel);
                        cell += 1;
                    }
                }
            }
        });
    }
    Ok(Array::from_shape_vec(IxDyn(&shape), y)?)
}

/// What a window has seen so far.
struct State {
    max: f32,
    sum: f64,
    count: usize,
}

impl Default for State {
    fn default() -> Self {
        Self {
            max: f32::NEG_INFINITY,
            sum: 0.0,
            count: 0,
        }
    }
}

impl State {
    fn add(&mut self, kind: PoolKind, value: f32) {
        self.count += 1;
        match kind {
            PoolKind::Max => {
                if value > self.max || value.is_nan() {
                    self.max = value;
                }
            }
            PoolKind::Average(_) => self.sum += f64::from(value),
            PoolKind::Lp(p) => self.sum += f64::from(value.abs()).powf(p),
        }
    }

    fn finish(&self, kind: PoolKind, padded: usize, all: usize) -> f32 {
        match kind {
            PoolKind::Max => self.max,
            PoolKind::Lp(p) => self.sum.powf(1.0 / p) as f32,
            PoolKind::Average(divisor) => {
                let cells = match divisor {
                    AverageDivisor::InputCells => self.count,
                    AverageDivisor::PaddedCells => padded,
                    AverageDivisor::AllCells => all,
                };
                (self.sum / cells.max(1) as f64) as f32
            }
        }
    }
}
