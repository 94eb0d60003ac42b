//! Convolutions. Keras stores kernels as `[K…, in / groups, out]`, the graph as `[out, in / groups, K…]`.

use super::{CONFIG, Call, OPTION, Outputs, config};
use crate::version::Generation;
use caribou_ir::op::{Conv, ConvTranspose, Padding};
use caribou_ir::{Finding, Tensor, TensorError, ValueId};

/// The axes of a Keras kernel with the last two first, in the given order.
fn channels_ahead(axes: usize, first: usize, second: usize) -> Vec<usize> {
    [first, second].into_iter().chain(0..axes).collect()
}

fn padding(call: &Call<'_>, axes: usize) -> Result<Padding, Box<Finding>> {
    Ok(match config!(call, text_or("padding", "valid")) {
        "valid" => Padding::none(axes),
        "same" => Padding::Same,
        "causal" if axes == 1 => Padding::Causal,
        other => {
            return Err(call.refuse(
                CONFIG,
                format!("padding: expected valid, same or causal, found {other}"),
            ));
        }
    })
}

/// Refuses `same` on volumes where strides lead over two or more cells that no window reads: the kernels of TensorFlow
/// differ there among each other (with and without oneDNN), so that the file does not tell what the model computes.
pub(super) fn told_by_the_file(
    call: &Call<'_>,
    x: ValueId,
    padding: &Padding,
    extents: &[usize],
    strides: &[usize],
) -> Result<(), Box<Finding>> {
    if *padding != Padding::Same || extents.len() != 3 {
        return Ok(());
    }
    let shape = call.shape(x);
    for (axis, (&extent, &stride)) in extents.iter().zip(strides).enumerate() {
        let skips = match shape.size(axis + 2) {
            Some(size) => (size.div_ceil(stride.max(1)).max(1) - 1) * stride + extent + 2 <= size,
            None => stride >= extent + 2,
        };
        if skips {
            return Err(call.refuse(
                OPTION,
                "TensorFlow's own kernels disagree on padding \"same\" with strides this far beyond the window",
            ));
        }
    }
    Ok(())
}

pub(super) fn viewed(call: &Call<'_>, result: Result<Tensor, TensorError>) -> Result<Tensor, Box<Finding>> {
    result.map_err(|error| call.refuse(super::WEIGHT, error.to_string()))
}

/// The channels of the input and the value in the graph's order.
fn prepared(call: &mut Call<'_>) -> Result<(ValueId, usize), Box<Finding>> {
    let x = call.input()?;
    let x = call.channels_ahead(x)?;
    let channels = call.size(x, 1)?;
    Ok((x, channels))
}

fn finished(call: &mut Call<'_>, y: ValueId) -> Outputs {
    let y = call.channels_behind(y)?;
    Ok(vec![call.activated(y)?])
}

/// Conv1D, Conv2D, Conv3D.
pub(super) fn conv(call: &mut Call<'_>) -> Outputs {
    let axes = call.spatial_axes();
    let (x, channels) = prepared(call)?;
    let filters = config!(call, size("filters"));
    let groups = config!(call, size_or("groups", 1));
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(call.refuse(
            CONFIG,
            format!("{channels} channels can't be divided into {groups} groups"),
        ));
    }
    let mut shape = config!(call, sizes("kernel_size", axes));
    shape.extend([channels / groups, filters]);
    let kernel = call.weight("kernel", &shape)?;
    let op = Conv {
        weight: viewed(call, kernel.permute(&channels_ahead(axes, axes + 1, axes)))?,
        bias: call.bias(filters)?,
        strides: config!(call, sizes_or("strides", axes, 1)),
        dilations: config!(call, sizes_or("dilation_rate", axes, 1)),
        padding: padding(call, axes)?,
        groups,
    };
    let extents: Vec<usize> = shape[..axes]
        .iter()
        .zip(&op.dilations)
        .map(|(k, dilation)| dilation * k.saturating_sub(1) + 1)
        .collect();
    told_by_the_file(call, x, &op.padding, &extents, &op.strides)?;
    let y = call.apply(op, &[x])?;
    finished(call, y)
}

/// The depthwise part of a layer: output channel `c * multiplier + m` sees input channel `c`.
fn depthwise_op(
    call: &Call<'_>,
    axes: usize,
    channels: usize,
    bias: Option<Tensor>,
) -> Result<Conv, Box<Finding>> {
    let multiplier = config!(call, size_or("depth_multiplier", 1));
    let mut shape = config!(call, sizes("kernel_size", axes));
    let extents = shape.clone();
    shape.extend([channels, multiplier]);
    // Keras 3 calls that of a DepthwiseConv by the common name.
    let name = match call.weights.shape(&call.scopes, "depthwise_kernel") {
        None if call.generation == Generation::Three => "kernel",
        _ => "depthwise_kernel",
    };
    let kernel = call.weight(name, &shape)?;
    let rows: Vec<usize> = [channels * multiplier, 1].into_iter().chain(extents).collect();
    let weight = kernel
        .permute(&channels_ahead(axes, axes, axes + 1))
        .and_then(|kernel| kernel.reshape(&rows));
    Ok(Conv {
        weight: viewed(call, weight)?,
        bias,
        strides: config!(call, sizes_or("strides", axes, 1)),
        dilations: config!(call, sizes_or("dilation_rate", axes, 1)),
        padding: padding(call, axes)?,
        groups: channels,
    })
}

/// DepthwiseConv1D, DepthwiseConv2D.
pub(super) fn depthwise(call: &mut Call<'_>) -> Outputs {
    let axes = call.spatial_axes();
    let (x, channels) = prepared(call)?;
    let multiplier = config!(call, size_or("depth_multiplier", 1));
    let bias = call.bias(channels * multiplier)?;
    let op = depthwise_op(call, axes, channels, bias)?;
    let y = call.apply(op, &[x])?;
    finished(call, y)
}

/// SeparableConv1D, SeparableConv2D: a depthwise convolution, then one with a kernel of size one.
pub(super) fn separable(call: &mut Call<'_>) -> Outputs {
    let axes = call.spatial_axes();
    let (x, channels) = prepared(call)?;
    let filters = config!(call, size("filters"));
    let multiplier = config!(call, size_or("depth_multiplier", 1));
    let depthwise = depthwise_op(call, axes, channels, None)?;
    let mut shape = vec![1; axes];
    shape.extend([channels * multiplier, filters]);
    let kernel = call.weight("pointwise_kernel", &shape)?;
    let pointwise = Conv {
        weight: viewed(call, kernel.permute(&channels_ahead(axes, axes + 1, axes)))?,
        bias: call.bias(filters)?,
        strides: vec![1; axes],
        dilations: vec![1; axes],
        padding: Padding::none(axes),
        groups: 1,
    };
    let y = call.apply(depthwise, &[x])?;
    let y = call.apply(pointwise, &[y])?;
    finished(call, y)
}

/// Conv1DTranspose, Conv2DTranspose, Conv3DTranspose. Keras stores `[K…, out, in]`.
///
/// The output has `D * stride` cells with `same` padding and `D * stride + max(kernel - stride, 0)` with `valid`;
/// with `output_padding` it has `(D - 1) * stride + kernel - 2 * pad + output_padding`, `pad` half the kernel for `same`.
pub(super) fn transpose(call: &mut Call<'_>) -> Outputs {
    let axes = call.spatial_axes();
    let (x, channels) = prepared(call)?;
    let filters = config!(call, size("filters"));
    let extents = config!(call, sizes("kernel_size", axes));
    let strides = config!(call, sizes_or("strides", axes, 1));
    let dilations = config!(call, sizes_or("dilation_rate", axes, 1));
    // Keras 2 leaves it out of account on volumes, and runs it on sequences nowhere but on a GPU.
    if axes != 2 && dilations.iter().any(|&dilation| dilation != 1) {
        return Err(call.refuse(
            super::OPTION,
            "dilation of a transposed convolution is supported on images only",
        ));
    }
    let added = match call.config.get("output_padding") {
        None => None,
        Some(_) => Some(config!(call, sizes("output_padding", axes))),
    };
    let same = match padding(call, axes)? {
        Padding::Same => true,
        Padding::Explicit(_) => false,
        Padding::Causal => {
            return Err(call.refuse(CONFIG, "padding: a transposed convolution can't be causal"));
        }
    };
    let mut crops = Vec::with_capacity(axes);
    let mut output_padding = Vec::with_capacity(axes);
    for axis in 0..axes {
        let extent = dilations[axis] * (extents[axis].max(1) - 1) + 1;
        let stride = strides[axis];
        // Cells of the full result, and what Keras keeps of it.
        let full = extent as i64 - stride as i64;
        let kept = match (&added, same) {
            (None, true) => 0,
            (None, false) => full.max(0),
            (Some(added), same) => full - if same { 2 * (extent as i64 / 2) } else { 0 } + added[axis] as i64,
        };
        // TensorFlow crops as the forward convolution pads: with SAME, the smaller half in front.
        let total = full - kept;
        let front = if same {
            forward_pad(extent, stride, kept)
        } else {
            0
        };
        let behind = total - front as i64;
        crops.push([front, behind.max(0) as usize]);
        output_padding.push((-behind).max(0) as usize);
    }
    let mut shape = extents;
    shape.extend([filters, channels]);
    let kernel = call.weight("kernel", &shape)?;
    let op = ConvTranspose {
        weight: viewed(call, kernel.permute(&channels_ahead(axes, axes + 1, axes)))?,
        bias: call.bias(filters)?,
        strides,
        dilations,
        crops,
        output_padding,
        groups: 1,
    };
    let y = call.apply(op, &[x])?;
    finished(call, y)
}

/// What SAME padding puts in front in the forward convolution from the `D * stride + kept` cells of the result to
/// `D` cells: half of `max((D - 1) * stride + extent - (D * stride + kept), 0)`, rounded down.
fn forward_pad(extent: usize, stride: usize, kept: i64) -> usize {
    (extent as i64 - stride as i64 - kept).max(0) as usize / 2
}
