//! Convolutions. TensorFlow stores kernels as `[K…, in / groups, out]`, the graph as `[out, in / groups, K…]`.

use super::{Call, Found, MISFIT, Outputs, Row, real};
use caribou_ir::op::{Conv, ConvTranspose, Padding, Transpose};
use caribou_ir::{Tensor, ValueId};

const ATTRIBUTES: &[&str] = &[
    "strides",
    "padding",
    "explicit_paddings",
    "data_format",
    "dilations",
];

pub(super) const TABLE: &[Row] = &[
    real("Conv2D", ATTRIBUTES, |call| conv(call, 2)),
    real("Conv3D", ATTRIBUTES, |call| conv(call, 3)),
    real("DepthwiseConv2dNative", ATTRIBUTES, depthwise),
    real("Conv2DBackpropInput", ATTRIBUTES, |call| transpose(call, 2)),
    real("Conv3DBackpropInputV2", ATTRIBUTES, |call| transpose(call, 3)),
];

/// Where channels and spatial axes of an operation stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    /// The number of spatial axes.
    pub(crate) axes: usize,
    pub(crate) channels_first: bool,
}

impl Frame {
    /// As the operation's `data_format` says.
    pub(crate) fn of(call: &Call<'_, '_>, axes: usize) -> Found<Self> {
        let channels_first = match call.text("data_format", "N…C")? {
            "N…C" | "NHWC" | "NDHWC" | "NWC" => false,
            "NCHW" | "NCDHW" | "NCW" => true,
            other => return Err(call.option(format!("data_format {other} is not supported"))),
        };
        Ok(Self { axes, channels_first })
    }

    /// `value` brought to `[N, C, D…]`.
    pub(crate) fn ahead(self, call: &mut Call<'_, '_>, value: ValueId) -> Found<ValueId> {
        let rank = self.checked(call, value)?;
        match self.channels_first {
            true => Ok(value),
            false => call.permuted(value, Transpose::channels_first(rank).permutation),
        }
    }

    /// `[N, C, D…]` brought back to the order that the operation gives.
    pub(crate) fn behind(self, call: &mut Call<'_, '_>, value: ValueId) -> Found<ValueId> {
        let rank = self.checked(call, value)?;
        match self.channels_first {
            true => Ok(value),
            false => call.permuted(value, Transpose::channels_last(rank).permutation),
        }
    }

    fn checked(self, call: &Call<'_, '_>, value: ValueId) -> Found<usize> {
        let rank = call.rank(value);
        if rank != self.axes + 2 {
            let shape = call.shape(value);
            return Err(call.refuse(MISFIT, format!("expected {} axes, found {shape}", self.axes + 2)));
        }
        Ok(rank)
    }

    /// The first spatial axis.
    pub(crate) const fn first(self) -> usize {
        if self.channels_first { 2 } else { 1 }
    }

    /// The axis of channels.
    pub(crate) const fn channels(self) -> usize {
        if self.channels_first { 1 } else { self.axes + 1 }
    }

    /// The spatial part of a list that has an entry for each axis; the others must be one.
    pub(crate) fn spatial(self, call: &Call<'_, '_>, name: &str) -> Found<Vec<usize>> {
        let list = call.sizes(name, &vec![1; self.axes + 2])?;
        self.part(call, name, &list)
    }

    /// The same for a list that is read.
    pub(crate) fn of_input(self, call: &Call<'_, '_>, name: &str, place: usize) -> Found<Vec<usize>> {
        let list: Vec<usize> = call
            .integers(place)?
            .into_iter()
            .filter_map(|size| usize::try_from(size).ok())
            .collect();
        self.part(call, name, &list)
    }

    fn part(self, call: &Call<'_, '_>, name: &str, list: &[usize]) -> Found<Vec<usize>> {
        let first = self.first();
        if list.len() != self.axes + 2 {
            return Err(call.refuse(MISFIT, format!("{name} {list:?} for {} axes", self.axes + 2)));
        }
        if list[0] != 1 || list[self.channels()] != 1 {
            return Err(call.option(format!("{name} {list:?} goes over examples or channels")));
        }
        let part = list[first..first + self.axes].to_vec();
        if part.contains(&0) {
            return Err(call.refuse(MISFIT, format!("{name} {list:?} has a zero")));
        }
        Ok(part)
    }

    /// What the operation adds around the spatial axes.
    pub(crate) fn padding(self, call: &Call<'_, '_>) -> Found<Padding> {
        match call.text("padding", "")? {
            "VALID" => Ok(Padding::none(self.axes)),
            "SAME" => Ok(Padding::Same),
            "EXPLICIT" => {
                let list = call.sizes("explicit_paddings", &[])?;
                let pairs: Vec<[usize; 2]> = list.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
                let first = self.first();
                if list.len() != 2 * (self.axes + 2) || pairs[0] != [0, 0] || pairs[self.channels()] != [0, 0]
                {
                    return Err(call.option(format!("explicit_paddings {list:?} of examples or channels")));
                }
                Ok(Padding::Explicit(pairs[first..first + self.axes].to_vec()))
            }
            other => Err(call.option(format!("padding {other:?} is not supported"))),
        }
    }

    /// Refuses `SAME` on volumes where strides lead over two or more cells that no window reads: the kernels of
    /// TensorFlow differ there among each other (with and without oneDNN), so that the file does not tell what the model
    /// computes. `x` is `[N, C, D…]`.
    pub(crate) fn told_by_the_file(
        self,
        call: &Call<'_, '_>,
        x: ValueId,
        padding: &Padding,
        extents: &[usize],
        strides: &[usize],
    ) -> Found<()> {
        if *padding != Padding::Same || self.axes != 3 {
            return Ok(());
        }
        let shape = call.shape(x);
        for (axis, (&extent, &stride)) in extents.iter().zip(strides).enumerate() {
            let skips = match shape.size(axis + 2) {
                Some(size) => (size.div_ceil(stride).max(1) - 1) * stride + extent + 2 <= size,
                None => stride >= extent + 2,
            };
            if skips {
                return Err(call.option(
                    "TensorFlow's own kernels disagree on padding SAME with strides this far beyond the window",
                ));
            }
        }
        Ok(())
    }
}

/// The axes of a kernel with two of them first.
fn channels_ahead(axes: usize, first: usize, second: usize) -> Vec<usize> {
    [first, second].into_iter().chain(0..axes).collect()
}

/// A kernel that the operation reads, of `axes + 2` axes.
fn kernel(call: &Call<'_, '_>, place: usize, axes: usize) -> Found<Tensor> {
    let kernel = call.tensor(place)?;
    let shape = kernel.shape();
    if shape.len() != axes + 2 || shape.contains(&0) {
        return Err(call.refuse(
            MISFIT,
            format!("a kernel of shape {shape:?} for {axes} spatial axes"),
        ));
    }
    Ok(kernel)
}

/// The operator of a convolution with a kernel `[K…, in / groups, out]` on an input of `channels`.
pub(crate) fn operator(
    call: &Call<'_, '_>,
    kernel: &Tensor,
    channels: usize,
    [strides, dilations]: [Vec<usize>; 2],
    padding: Padding,
) -> Found<Conv> {
    let shape = kernel.shape();
    let axes = shape.len() - 2;
    if !channels.is_multiple_of(shape[axes]) {
        return Err(call.refuse(
            MISFIT,
            format!("a kernel of shape {shape:?} for {channels} channels"),
        ));
    }
    Ok(Conv {
        weight: call.viewed(kernel.permute(&channels_ahead(axes, axes + 1, axes)))?,
        bias: None,
        strides,
        dilations,
        padding,
        groups: channels / shape[axes],
    })
}

fn conv(call: &mut Call<'_, '_>, axes: usize) -> Outputs {
    let x = call.value(0)?;
    let frame = Frame::of(call, axes)?;
    let kernel = kernel(call, 1, axes)?;
    let x = frame.ahead(call, x)?;
    let channels = call.size(x, 1)?;
    let windows = [frame.spatial(call, "strides")?, frame.spatial(call, "dilations")?];
    let op = operator(call, &kernel, channels, windows, frame.padding(call)?)?;
    frame.told_by_the_file(
        call,
        x,
        &op.padding,
        &extents(&kernel.shape()[..axes], &op.dilations),
        &op.strides,
    )?;
    let y = call.apply(op, &[x])?;
    let y = frame.behind(call, y)?;
    call.gives(y)
}

fn extents(kernel: &[usize], dilations: &[usize]) -> Vec<usize> {
    kernel
        .iter()
        .zip(dilations)
        .map(|(k, dilation)| dilation * (k - 1) + 1)
        .collect()
}

/// The operator of a depthwise convolution with a kernel `[K…, channels, multiplier]`.
pub(crate) fn depthwise_operator(
    call: &Call<'_, '_>,
    kernel: &Tensor,
    [strides, dilations]: [Vec<usize>; 2],
    padding: Padding,
) -> Found<Conv> {
    let shape = kernel.shape();
    let axes = shape.len() - 2;
    let rows: Vec<usize> = [shape[axes] * shape[axes + 1], 1]
        .into_iter()
        .chain(shape[..axes].iter().copied())
        .collect();
    let weight = kernel
        .permute(&channels_ahead(axes, axes, axes + 1))
        .and_then(|kernel| kernel.reshape(&rows));
    Ok(Conv {
        weight: call.viewed(weight)?,
        bias: None,
        strides,
        dilations,
        padding,
        groups: shape[axes],
    })
}

fn depthwise(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.value(0)?;
    let frame = Frame::of(call, 2)?;
    let kernel = kernel(call, 1, 2)?;
    let windows = [frame.spatial(call, "strides")?, frame.spatial(call, "dilations")?];
    let op = depthwise_operator(call, &kernel, windows, frame.padding(call)?)?;
    let x = frame.ahead(call, x)?;
    let y = call.apply(op, &[x])?;
    let y = frame.behind(call, y)?;
    call.gives(y)
}

/// The gradient of a convolution with respect to its input, which is a transposed convolution. The kernel is that of the
/// forward one, `[K…, out, in]` as this one sees it; the first input is the shape of the result.
fn transpose(call: &mut Call<'_, '_>, axes: usize) -> Outputs {
    let x = call.value(2)?;
    let frame = Frame::of(call, axes)?;
    let kernel = kernel(call, 1, axes)?;
    let shape = kernel.shape();
    let (strides, dilations) = (frame.spatial(call, "strides")?, frame.spatial(call, "dilations")?);
    let padding = frame.padding(call)?;
    let target = call.wholes(0)?;
    let x = frame.ahead(call, x)?;
    let first = if target.len() == axes { 0 } else { frame.first() };
    if target.len() != axes && target.len() != axes + 2 {
        return Err(call.refuse(MISFIT, format!("a result of {} axes", target.len())));
    }
    let mut crops = Vec::with_capacity(axes);
    let mut output_padding = Vec::with_capacity(axes);
    for axis in 0..axes {
        let extent = dilations[axis] * (shape[axis] - 1) + 1;
        let stride = strides[axis];
        // How many cells the result has beyond `stride * (D - 1)`, and what the forward convolution puts before them.
        let (beyond, front) = match (target[first + axis].number(), call.shape(x).size(axis + 2)) {
            (Some(cells), Some(size)) => {
                let cells = usize::try_from(cells).unwrap_or(0);
                let forward = padding
                    .resolve(axis, Some(cells), extent, stride)
                    .unwrap_or_default();
                let windows = (cells + forward[0] + forward[1])
                    .checked_sub(extent)
                    .map(|room| room / stride + 1);
                if windows != Some(size) {
                    return Err(call.refuse(
                        MISFIT,
                        format!("a result of {cells} cells on axis {axis} does not go with {size} cells"),
                    ));
                }
                (cells as i64 - (stride * (size - 1)) as i64, forward[0])
            }
            // What the program computes of a size that is not known is `stride * D` for SAME, and for VALID with a window
            // that is not smaller than the stride `stride * (D - 1) + extent`; another size is not told from these.
            _ => match &padding {
                Padding::Same if is_multiple(&target[first + axis], call, x, axis, stride) => {
                    (stride as i64, extent.saturating_sub(stride) / 2)
                }
                Padding::Explicit(sides) if sides[axis] == [0, 0] && stride == 1 && extent == 1 => (1, 0),
                _ => {
                    return Err(call.option(format!(
                        "the size of its result on axis {axis} is not told from the size of its input"
                    )));
                }
            },
        };
        let behind = extent as i64 - front as i64 - beyond;
        crops.push([front, behind.max(0) as usize]);
        output_padding.push((-behind).max(0) as usize);
    }
    let op = ConvTranspose {
        weight: call.viewed(kernel.permute(&channels_ahead(axes, axes + 1, axes)))?,
        bias: None,
        strides,
        dilations,
        crops,
        output_padding,
        groups: 1,
    };
    let y = call.apply(op, &[x])?;
    let y = frame.behind(call, y)?;
    call.gives(y)
}

/// Whether a size is `stride` times that of the input.
fn is_multiple(
    size: &crate::fold::Whole,
    call: &Call<'_, '_>,
    x: ValueId,
    axis: usize,
    stride: usize,
) -> bool {
    let dim = crate::fold::Whole::of(call.shape(x).dims()[axis + 2]);
    let multiple = dim.times(&crate::fold::Whole::known(stride as i64));
    multiple.same(size) == Some(true)
}
