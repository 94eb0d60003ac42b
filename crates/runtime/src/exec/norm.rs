//! Normalisations, with statistics in f64.

use super::elements::{self, PART};
use super::{Array, Result};
use caribou_ir::Tensor;
use caribou_ir::op::{
    BatchNorm, Centring, GroupNorm, L2Normalize, LayerNorm, LocalResponseNorm, NormEpsilon,
};
use ndarray::{Axis, IxDyn};
use rayon::prelude::*;

fn vector(tensor: &Option<Tensor>, n: usize, default: f32) -> Result<Vec<f32>> {
    Ok(match tensor {
        Some(tensor) => tensor.to_vec()?,
        None => vec![default; n],
    })
}

pub(super) fn batch_norm(op: &BatchNorm, x: Array) -> Result<Array> {
    let n = op.mean.len();
    let (mean, variance) = (op.mean.to_vec()?, op.variance.to_vec()?);
    let (scale, offset) = (vector(&op.scale, n, 1.0)?, vector(&op.offset, n, 0.0)?);
    let lines: Vec<[f64; 3]> = (0..n)
        .map(|c| {
            let factor = f64::from(scale[c]) / (f64::from(variance[c]) + op.epsilon).sqrt();
            [f64::from(mean[c]), factor, f64::from(offset[c])]
        })
        .collect();
    let inner: usize = x.shape()[op.axis + 1..].iter().product();
    let mut y = elements::in_order(x);
    let apply = |y: &mut [f32], [mean, factor, offset]: [f64; 3]| {
        for y in y {
            *y = ((f64::from(*y) - mean) * factor + offset) as f32;
        }
    };
    match y.as_slice_mut() {
        Some([]) => {}
        // Channels that are long enough are tasks of their own, or else many of them together.
        Some(y) if inner >= PART / 8 => y
            .par_chunks_mut(inner)
            .enumerate()
            .for_each(|(channel, y)| apply(y, lines[channel % n])),
        Some(y) => y
            .par_chunks_mut(PART.div_ceil(n * inner) * n * inner)
            .for_each(|y| {
                y.chunks_mut(inner)
                    .zip(lines.iter().cycle())
                    .for_each(|(y, line)| apply(y, *line))
            }),
        None => {}
    }
    Ok(y)
}

/// Mean and standard deviation of numbers.
fn statistics<'a>(values: impl Iterator<Item = &'a f32> + Clone) -> (f64, f64) {
    let n = values.clone().count().max(1) as f64;
    let mean = values.clone().map(|&x| f64::from(x)).sum::<f64>() / n;
    let variance = values.map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / n;
    (mean, variance)
}

pub(super) fn layer_norm(op: &LayerNorm, x: &Array) -> Result<Array> {
    // The normalised axes last, everything else in one axis before them.
    let kept: Vec<usize> = (0..x.ndim()).filter(|axis| !op.axes.contains(axis)).collect();
    let order: Vec<usize> = kept.iter().chain(&op.axes).copied().collect();
    let moved = x.view().permuted_axes(order.clone());
    let shape = moved.shape().to_vec();
    let inner: usize = op.axes.iter().map(|&axis| x.shape()[axis]).product();
    let (scale, offset) = (vector(&op.scale, inner, 1.0)?, vector(&op.offset, inner, 0.0)?);
    let mut values: Vec<f32> = moved.iter().copied().collect();
    for row in values.chunks_mut(inner.max(1)) {
        let (mut mean, mut variance) = statistics(row.iter());
        if op.centring == Centring::Nothing {
            variance += mean * mean;
        }
        if op.centring != Centring::Values {
            mean = 0.0;
        }
        let divisor = match (op.divide, op.placement) {
            (false, _) => 1.0,
            (true, NormEpsilon::InsideRoot) => (variance + op.epsilon).sqrt(),
            (true, NormEpsilon::OutsideRoot) => variance.sqrt() + op.epsilon,
        };
        for ((x, scale), offset) in row.iter_mut().zip(&scale).zip(&offset) {
            *x = ((f64::from(*x) - mean) / divisor * f64::from(*scale) + f64::from(*offset)) as f32;
        }
    }
    let mut back = vec![0; order.len()];
    order.iter().enumerate().for_each(|(i, &axis)| back[axis] = i);
    let y = Array::from_shape_vec(IxDyn(&shape), values)?.permuted_axes(back);
    Ok(y.as_standard_layout().into_owned())
}

pub(super) fn group_norm(op: &GroupNorm, x: &Array) -> Result<Array> {
    let channels = x.shape()[1];
    let (scale, offset) = (
        vector(&op.scale, channels, 1.0)?,
        vector(&op.offset, channels, 0.0)?,
    );
    let mut y = x.as_standard_layout().into_owned();
    let size = channels / op.groups;
    for mut image in y.axis_iter_mut(Axis(0)) {
        for group in 0..op.groups {
            let mut part =
                image.slice_axis_mut(Axis(0), ndarray::Slice::from(group * size..(group + 1) * size));
            let (mean, variance) = statistics(part.iter());
            let divisor = (variance + op.epsilon).sqrt();
            for (c, mut channel) in part.axis_iter_mut(Axis(0)).enumerate() {
                let c = group * size + c;
                let (scale, offset) = (f64::from(scale[c]), f64::from(offset[c]));
                channel.mapv_inplace(|x| ((f64::from(x) - mean) / divisor * scale + offset) as f32);
            }
        }
    }
    Ok(y)
}

pub(super) fn local_response_norm(op: &LocalResponseNorm, x: &Array) -> Result<Array> {
    let mut y = x.clone();
    let reach = op.size / 2;
    for (source, mut lane) in x.lanes(Axis(1)).into_iter().zip(y.lanes_mut(Axis(1))) {
        for (c, y) in lane.iter_mut().enumerate() {
            let window = c.saturating_sub(reach)..(c + reach + 1).min(source.len());
            let sum: f64 = window.map(|j| f64::from(source[j]).powi(2)).sum();
            *y = (f64::from(source[c]) / (op.bias + op.alpha * sum).powf(op.beta)) as f32;
        }
    }
    Ok(y)
}

pub(super) fn l2_normalize(op: &L2Normalize, x: &Array) -> Result<Array> {
    let mut norms = x.mapv(|x| f64::from(x).powi(2));
    for &axis in op.axes.iter().rev() {
        norms = norms.sum_axis(Axis(axis)).insert_axis(Axis(axis));
    }
    let norms = norms.mapv(|sum| sum.sqrt().max(op.epsilon));
    let norms = norms
        .broadcast(x.raw_dim())
        .ok_or_else(|| super::ExecError::new("the norms do not broadcast"))?;
    Ok(ndarray::Zip::from(x)
        .and(&norms)
        .map_collect(|&x, &norm| (f64::from(x) / norm) as f32))
}
