//! Arithmetic with stored arrays: a depthwise convolution with a kernel of size one multiplies and shifts each channel,
//! and every axis that the array varies along can be made the channels.

use super::{Failure, Step};
use caribou_ir::op::{Conv, Dense, Op, Padding, Reshape, Tile, Transpose};
use caribou_ir::{Dim, Tensor, TensorError, ValueId};

/// Units up to which a diagonal matrix stands in for a depthwise convolution where a length is unknown; four times as
/// many on rows.
const DIAGONAL: usize = 512;

/// The stored array that makes a value.
pub(super) fn stored(step: &Step<'_>, value: ValueId) -> Option<Tensor> {
    match step.graph.producer(value).map(|node| &node.op) {
        Some(Op::Constant(constant)) => Some(constant.value.clone()),
        _ => None,
    }
}

fn unreadable(error: &TensorError) -> Failure {
    Failure::Inexpressible(error.to_string())
}

pub(super) fn tensor(shape: &[usize], values: &[f32]) -> Result<Tensor, Failure> {
    Tensor::from_f32(shape, values).map_err(|error| unreadable(&error))
}

pub(super) fn elements(tensor: &Tensor) -> Result<Vec<f32>, Failure> {
    tensor.to_vec().map_err(|error| unreadable(&error))
}

/// The array with as many axes as `x`; `x` is repeated along axes that only the array has.
pub(super) fn aligned(step: &mut Step<'_>, x: ValueId, array: &Tensor) -> Result<(ValueId, Tensor), Failure> {
    let dims = step.graph.shape(x).dims().to_vec();
    let mut shape = array.shape();
    if shape.len() > dims.len() {
        return Err(Failure::Inexpressible(format!(
            "a constant of {} axes beside a value of {}",
            shape.len(),
            dims.len()
        )));
    }
    shape.splice(0..0, std::iter::repeat_n(1, dims.len() - shape.len()));
    let array = array
        .to_owned_f32()
        .and_then(|array| array.reshape(&shape))
        .map_err(|error| unreadable(&error))?;
    if shape[0] != 1 {
        return Err(Failure::Inexpressible(
            "a constant for each example of a batch".into(),
        ));
    }
    let repeats: Vec<usize> = dims
        .iter()
        .zip(&shape)
        .map(|(dim, &size)| if *dim == Dim::Fixed(1) { size } else { 1 })
        .collect();
    let x = match repeats.iter().any(|&times| times > 1) {
        true => step.apply(Tile { repeats }, &[x])?,
        false => x,
    };
    Ok((x, array))
}

/// `scale * x + shift`, where one of them may be left out. Both have the axes of `x`, of size one or that of `x`.
pub(super) fn affine(
    step: &mut Step<'_>,
    x: ValueId,
    scale: Option<&Tensor>,
    shift: Option<&Tensor>,
) -> Result<ValueId, Failure> {
    let shape = step.graph.shape(x).clone();
    let rank = shape.rank();
    let varies = |axis: usize| {
        [scale, shift]
            .into_iter()
            .flatten()
            .any(|tensor| tensor.shape()[axis] > 1)
    };
    let varying: Vec<usize> = (1..rank).filter(|&axis| varies(axis)).collect();
    let sizes: Option<Vec<usize>> = varying.iter().map(|&axis| shape.size(axis)).collect();
    let sizes = sizes.ok_or_else(|| {
        Failure::Inexpressible(format!(
            "an array beside a value of shape {shape}, whose sizes are unknown"
        ))
    })?;
    let channels: usize = sizes.iter().product();
    // One number a channel, in the order of the varying axes.
    let spread = |tensor: Option<&Tensor>, default: f32| -> Result<Vec<f32>, Failure> {
        let Some(tensor) = tensor else {
            return Ok(vec![default; channels]);
        };
        let values = elements(tensor)?;
        let own = tensor.shape();
        Ok((0..channels)
            .map(|mut flat| {
                let mut places = vec![0; rank];
                for (&axis, &size) in varying.iter().zip(&sizes).rev() {
                    places[axis] = flat % size;
                    flat /= size;
                }
                let at = places.iter().zip(&own).fold(0, |at, (&place, &size)| {
                    at * size + if size == 1 { 0 } else { place }
                });
                values[at]
            })
            .collect())
    };
    let (scales, shifts) = (spread(scale, 1.0)?, spread(shift, 0.0)?);
    step.rewrite(
        "array-by-depthwise-convolution",
        "DL4J has no stored arrays: a convolution of size one with a kernel for each channel multiplies and adds them",
    );
    let rest: Vec<usize> = (1..rank).filter(|axis| !varying.contains(axis)).collect();
    let order: Vec<usize> = [0].iter().chain(&varying).chain(&rest).copied().collect();
    let mut back = vec![0; rank];
    for (i, &axis) in order.iter().enumerate() {
        back[axis] = i;
    }
    let plain = order.iter().enumerate().all(|(i, &axis)| i == axis);
    let bias = shift.is_some().then(|| Tensor::vector(&shifts));
    let depthwise = Conv {
        weight: tensor(&[channels, 1, 1, 1], &scales)?,
        bias: bias.clone(),
        strides: vec![1, 1],
        dilations: vec![1, 1],
        padding: Padding::none(2),
        groups: channels,
    };
    // On the rows that a dense layer gives, stock DL4J's depthwise convolution of one cell throws.
    let rows = rank == 2 && varying.len() == 1 && channels <= 4 * DIAGONAL;
    if rows || (shape.feature_sizes().is_none() && !(rank == 4 && varying.len() == 1)) {
        // Of a sequence of unknown length only the features can vary: a dense layer at each step.
        if varying[..] != [rank - 1] || (channels > DIAGONAL && !rows) {
            return Err(Failure::Inexpressible(format!(
                "an array beside a value of shape {shape}, whose sizes are unknown"
            )));
        }
        let mut weight = vec![0.0; channels * channels];
        for (i, &scale) in scales.iter().enumerate() {
            weight[i * channels + i] = scale;
        }
        let weight = tensor(&[channels, channels], &weight)?;
        return step.fixed(Dense { weight, bias }, &[x]);
    }
    let mut y = x;
    if !plain {
        y = step.apply(Transpose { permutation: order }, &[y])?;
    }
    if rank == 4 && varying.len() == 1 {
        y = step.fixed(depthwise, &[y])?;
    } else {
        let moved: Vec<usize> = step.graph.shape(y).feature_sizes().unwrap_or_default();
        let others: usize = moved[varying.len()..].iter().product();
        y = step.apply(Reshape::features(&[channels, others, 1]), &[y])?;
        y = step.fixed(depthwise, &[y])?;
        y = step.apply(Reshape::features(&moved), &[y])?;
    }
    if !plain {
        y = step.apply(Transpose { permutation: back }, &[y])?;
    }
    Ok(y)
}

/// The array as a value that has the shape of `x`: nothing of `x` and all of the array.
pub(super) fn materialised(step: &mut Step<'_>, x: ValueId, array: &Tensor) -> Result<ValueId, Failure> {
    let values = elements(array)?;
    let first = values.first().copied().unwrap_or(0.0);
    if values.iter().all(|&value| value == first) {
        return step.affine(x, 0.0, f64::from(first));
    }
    let zeros = Tensor::filled(&array.shape(), 0.0);
    affine(step, x, Some(&zeros), Some(array))
}
