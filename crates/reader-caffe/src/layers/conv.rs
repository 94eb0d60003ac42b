//! Convolution.

use super::{Call, MISFIT, Tops};
use crate::schema::ConvolutionParameter;
use caribou_ir::op::{Conv, Op, Padding};
use caribou_ir::{Finding, Tensor};

/// The window of a convolution over some spatial axes.
pub(super) struct Window {
    pub(super) kernel: Vec<usize>,
    pub(super) strides: Vec<usize>,
    pub(super) dilations: Vec<usize>,
    /// `[before, after]`.
    pub(super) pads: Vec<[usize; 2]>,
}

/// One size for each spatial axis: given once, for each axis, or (on two axes) by the names for height and width.
pub(super) fn per_axis(
    call: &Call<'_>,
    what: &str,
    values: &[u32],
    named: [Option<u32>; 2],
    axes: usize,
    default: Option<u32>,
) -> Result<Vec<usize>, Box<Finding>> {
    if let [Some(height), Some(width)] = named {
        if axes == 2 && values.is_empty() {
            return Ok(vec![height as usize, width as usize]);
        }
        return Err(call.misconfigured(format!(
            "{what} is given both by itself and for height and width, or for other than two axes"
        )));
    }
    if named.iter().any(Option::is_some) && values.is_empty() && axes == 2 && default == Some(0) {
        // Only padding may be given for one of both.
        return Ok(named.iter().map(|size| size.unwrap_or(0) as usize).collect());
    }
    if named.iter().any(Option::is_some) {
        return Err(call.misconfigured(format!("{what} is given for one of height and width alone")));
    }
    match (values, default) {
        ([one], _) => Ok(vec![*one as usize; axes]),
        ([], Some(default)) => Ok(vec![default as usize; axes]),
        ([], None) => Err(call.misconfigured(format!("{what} is missing"))),
        _ if values.len() == axes => Ok(values.iter().map(|&value| value as usize).collect()),
        _ => Err(call.misconfigured(format!("{what} is given {} times for {axes} axes", values.len()))),
    }
}

/// That no size of a window is zero.
pub(super) fn check_sizes(
    call: &Call<'_>,
    kernel: &[usize],
    strides: &[usize],
    dilations: &[usize],
) -> Result<(), Box<Finding>> {
    let sizes = kernel.iter().chain(strides).chain(dilations);
    if sizes.into_iter().any(|&size| size == 0) {
        return Err(call.misconfigured("kernel_size, stride and dilation must be at least one"));
    }
    Ok(())
}

/// The window that the parameters tell of.
pub(super) fn window(
    call: &Call<'_>,
    parameters: &ConvolutionParameter,
    axes: usize,
) -> Result<Window, Box<Finding>> {
    let p = parameters;
    let kernel = per_axis(
        call,
        "kernel_size",
        &p.kernel_size,
        [p.kernel_h, p.kernel_w],
        axes,
        None,
    )?;
    let strides = per_axis(call, "stride", &p.stride, [p.stride_h, p.stride_w], axes, Some(1))?;
    let pads = per_axis(call, "pad", &p.pad, [p.pad_h, p.pad_w], axes, Some(0))?;
    let dilations = per_axis(call, "dilation", &p.dilation, [None, None], axes, Some(1))?;
    check_sizes(call, &kernel, &strides, &dilations)?;
    let mut pads: Vec<[usize; 2]> = pads.into_iter().map(|pad| [pad, pad]).collect();
    let sides = [[p.pad_t, p.pad_b], [p.pad_l, p.pad_r]];
    if sides.iter().flatten().any(Option::is_some) {
        if axes != 2 {
            return Err(call.misconfigured("pad_t, pad_b, pad_l and pad_r are for images"));
        }
        for (pad, side) in pads.iter_mut().zip(sides) {
            *pad = side.map(|size| size.unwrap_or(0) as usize);
        }
    }
    Ok(Window {
        kernel,
        strides,
        dilations,
        pads,
    })
}

/// The number of spatial axes of the layer's bottoms: those behind `axis`, which must be the second.
pub(super) fn spatial_axes(call: &Call<'_>, axis: i32) -> Result<usize, Box<Finding>> {
    let Some(&first) = call.inputs.first() else {
        return Err(call.refuse(MISFIT, "expected a bottom, found none"));
    };
    let rank = call.rank(first);
    if call.axis(axis, rank)? != 1 {
        return Err(call.refuse(
            super::OPTION,
            format!("its channels are on axis {axis}; only axis 1 can be expressed"),
        ));
    }
    match rank {
        3..=5 => Ok(rank - 2),
        _ => Err(call.refuse(
            MISFIT,
            format!("expected one to three spatial axes, found {}", call.shape(first)),
        )),
    }
}

/// `Convolution`: every bottom by the same kernel.
pub(super) fn convolution(call: &mut Call<'_>) -> Tops {
    let groups = groups(call);
    convolve(call, groups)
}

/// The number of groups, one where the layer says none.
pub(super) fn groups(call: &Call<'_>) -> usize {
    let parameters = call.parameters.convolution_param.as_ref();
    parameters.map_or(1, |p| p.group()) as usize
}

/// `DepthwiseConvolution` and `ConvolutionDepthwise` of forks: a group for each channel, whether they say so or not.
pub(super) fn depthwise_convolution(call: &mut Call<'_>) -> Tops {
    let x = call.input()?;
    let channels = call.size(x, 1)?;
    let given = call.parameters.convolution_param.as_ref().and_then(|p| p.group);
    match given {
        Some(groups) if groups as usize != channels => Err(call.misconfigured(format!(
            "a depthwise convolution of {channels} channels in {groups} groups"
        ))),
        _ => convolve(call, channels),
    }
}

fn convolve(call: &mut Call<'_>, groups: usize) -> Tops {
    let Kernel { window, weight, bias } = kernel(call, groups, |channels, out| [out, channels / groups])?;
    let op = Conv {
        weight,
        bias,
        strides: window.strides,
        dilations: window.dilations,
        padding: Padding::Explicit(window.pads),
        groups,
    };
    each_bottom(call, &op.into())
}

/// What a convolution and a transposed one read alike.
pub(super) struct Kernel {
    pub(super) window: Window,
    pub(super) weight: Tensor,
    pub(super) bias: Option<Tensor>,
}

/// The window and the blobs; `outer` gives the first two sizes of the kernel for the channels of the bottom and of the top.
pub(super) fn kernel(
    call: &mut Call<'_>,
    groups: usize,
    outer: impl Fn(usize, usize) -> [usize; 2],
) -> Result<Kernel, Box<Finding>> {
    let parameters = call.parameters.convolution_param.clone().unwrap_or_default();
    let axes = spatial_axes(call, parameters.axis())?;
    let window = window(call, &parameters, axes)?;
    let out = parameters.num_output() as usize;
    let channels = call.size(call.inputs[0], 1)?;
    if out == 0 || groups == 0 || !channels.is_multiple_of(groups) || !out.is_multiple_of(groups) {
        return Err(call.misconfigured(format!(
            "{channels} channels and num_output {out} can't be divided into {groups} groups"
        )));
    }
    let mut shape = outer(channels, out).to_vec();
    shape.extend(&window.kernel);
    let weight = call.blob(0, &shape)?;
    let bias = parameters.bias_term().then(|| call.blob(1, &[out])).transpose()?;
    Ok(Kernel { window, weight, bias })
}

/// A top for each bottom, with the same parameters.
pub(super) fn each_bottom(call: &mut Call<'_>, op: &Op) -> Tops {
    let inputs = call.inputs.to_vec();
    inputs
        .iter()
        .map(|&input| call.apply(op.clone(), &[input]))
        .collect()
}
