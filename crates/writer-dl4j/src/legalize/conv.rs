//! Convolutions that DL4J has no layer for.

use super::{Composed, Failure, Step};
use caribou_ir::op::{Concat, Conv, ConvTranspose, Padding, Reshape, Slice, SliceAxis};
use caribou_ir::{Tensor, TensorError, ValueId};

/// The number of groups that are convolved one by one; more are one kernel with zeros between them.
const GROUPS: usize = 64;
/// The number of weights that such a kernel may have.
const BLOCK_DIAGONAL: usize = 1 << 26;

fn unreadable(error: &TensorError) -> Failure {
    Failure::Inexpressible(error.to_string())
}

/// Depthwise convolutions over one axis, and those that give a single cell.
pub(super) fn conv(step: &mut Step<'_>, op: &Conv, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    let weight = op.weight.shape();
    if op.groups == 1 || weight[1] != 1 {
        return Ok(None);
    }
    match weight.len() {
        3 => depthwise_sequence(step, op, x),
        4 => single_cell(step, op, x),
        _ => Ok(None),
    }
}

/// Stock DL4J fails on a depthwise convolution of one example to one cell: a second cell is made and cut off.
fn single_cell(step: &mut Step<'_>, op: &Conv, x: ValueId) -> Composed {
    let shape = step.graph.shape(x).clone();
    let mut sides = Vec::with_capacity(2);
    for axis in 0..2 {
        let size = shape.size(axis + 2);
        let extent = op.dilations[axis] * (op.weight.shape()[axis + 2].max(1) - 1) + 1;
        let (Some(size), Some(side)) = (size, op.padding.resolve(axis, size, extent, op.strides[axis]))
        else {
            return Ok(None);
        };
        if (size + side[0] + side[1]).saturating_sub(extent) / op.strides[axis] > 0 {
            return Ok(None);
        }
        sides.push((size, side, extent));
    }
    let (size, [before, _], extent) = sides[0];
    // One more window below.
    let below = (op.strides[0] + extent).saturating_sub(size + before);
    let padding = Padding::Explicit(vec![[before, below], sides[1].1]);
    step.rewrite(
        "second-cell",
        "stock DL4J fails on a depthwise convolution of one example to one cell: a second is made and cut off",
    );
    let y = step.apply(
        Conv {
            padding,
            ..op.clone()
        },
        &[x],
    )?;
    let cut = SliceAxis::range(2, 0, Some(1));
    let y = step.apply(Slice { axes: vec![cut] }, &[y])?;
    Ok(Some(vec![y]))
}

/// A depthwise convolution over one axis is one over two, the second of size one.
fn depthwise_sequence(step: &mut Step<'_>, op: &Conv, x: ValueId) -> Composed {
    let weight = op.weight.shape();
    let Some(sizes) = step.graph.shape(x).feature_sizes() else {
        return Ok(None);
    };
    let extent = op.dilations[0] * (weight[2].max(1) - 1) + 1;
    let Some(sides) = op.padding.resolve(0, Some(sizes[1]), extent, op.strides[0]) else {
        return Ok(None);
    };
    step.rewrite(
        "sequence-as-image",
        "DL4J convolves depthwise over images: the sequence is one of width one",
    );
    let wide = Conv {
        weight: widened(&op.weight)?,
        bias: op.bias.clone(),
        strides: vec![op.strides[0], 1],
        dilations: vec![op.dilations[0], 1],
        padding: Padding::Explicit(vec![sides, [0, 0]]),
        groups: op.groups,
    };
    on_image(step, x, &sizes, wide)
}

/// The kernel with an axis of size one behind.
fn widened(weight: &Tensor) -> Result<Tensor, Failure> {
    let shape: Vec<usize> = weight.shape().into_iter().chain([1]).collect();
    weight
        .to_owned_f32()
        .and_then(|weight| weight.reshape(&shape))
        .map_err(|error| unreadable(&error))
}

fn on_image(step: &mut Step<'_>, x: ValueId, sizes: &[usize], op: impl Into<caribou_ir::Op>) -> Composed {
    let y = step.apply(Reshape::features(&[sizes[0], sizes[1], 1]), &[x])?;
    let y = step.apply(op, &[y])?;
    let after = step
        .graph
        .shape(y)
        .feature_sizes()
        .ok_or_else(|| Failure::Inexpressible("a convolution whose result has no known size".into()))?;
    let y = step.apply(Reshape::features(&after[..2]), &[y])?;
    Ok(Some(vec![y]))
}

/// Transposed convolutions with dilation have zeros between the elements of their kernel, and those over one axis are
/// ones over two.
pub(super) fn conv_transpose(step: &mut Step<'_>, op: &ConvTranspose, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    let shape = op.weight.shape();
    if op.dilations.iter().any(|&dilation| dilation != 1) {
        step.rewrite("dilate-kernel", "a dilated kernel is one with zeros in between");
        let weight = with_holes(&op.weight, &op.dilations)?;
        step.zeros_learn();
        let dilations = vec![1; op.dilations.len()];
        let plain = ConvTranspose {
            weight,
            dilations,
            ..op.clone()
        };
        return Ok(Some(vec![step.apply(plain, &[x])?]));
    }
    if op.groups != 1 {
        return grouped(step, op, x);
    }
    if shape.len() != 3 {
        return Ok(None);
    }
    let from = step.graph.shape(x).clone();
    let sizes = from.feature_sizes().ok_or_else(|| {
        Failure::Inexpressible(format!(
            "a transposed convolution over one axis of {from}, whose length is unknown"
        ))
    })?;
    step.rewrite(
        "sequence-as-image",
        "DL4J has transposed convolutions over images: the sequence is one of width one",
    );
    let wide = ConvTranspose {
        weight: widened(&op.weight)?,
        bias: op.bias.clone(),
        strides: vec![op.strides[0], 1],
        dilations: vec![1, 1],
        crops: vec![op.crops[0], [0, 0]],
        output_padding: vec![op.output_padding[0], 0],
        groups: 1,
    };
    on_image(step, x, &sizes, wide)
}

/// Each group by itself: its channels cut out, convolved, and put side by side again.
fn grouped(step: &mut Step<'_>, op: &ConvTranspose, x: ValueId) -> Composed {
    if op.groups > GROUPS {
        return block_diagonal(step, op, x);
    }
    step.rewrite(
        "split-groups",
        "DL4J has no grouped transposed convolution: each group became one of its own",
    );
    let (inside, outside) = (op.weight.shape()[0] / op.groups, op.weight.shape()[1]);
    let mut parts = Vec::with_capacity(op.groups);
    for group in 0..op.groups {
        let (start, end) = (group * inside, (group + 1) * inside);
        let part = Slice {
            axes: vec![SliceAxis::range(1, start as i64, Some(end as i64))],
        };
        let part = step.apply(part, &[x])?;
        let narrow = |tensor: &Tensor, start: usize, end: usize| {
            tensor.narrow(0, start, end).map_err(|error| unreadable(&error))
        };
        let bias = op.bias.as_ref();
        let one = ConvTranspose {
            weight: narrow(&op.weight, start, end)?,
            bias: bias
                .map(|bias| narrow(bias, group * outside, (group + 1) * outside))
                .transpose()?,
            groups: 1,
            ..op.clone()
        };
        parts.push(step.apply(one, &[part])?);
    }
    Ok(Some(vec![step.apply(Concat { axis: 1 }, &parts)?]))
}

/// A kernel without groups that holds zeros where channels of different groups would meet. Training must not fill them.
fn block_diagonal(step: &mut Step<'_>, op: &ConvTranspose, x: ValueId) -> Composed {
    let from = op.weight.shape();
    let (inside, outside) = (from[0] / op.groups, from[1]);
    let block: usize = from[1..].iter().product();
    let mut to = from.clone();
    to[1] = outside * op.groups;
    let size = to
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(size));
    let Some(size) = size.filter(|&size| size <= BLOCK_DIAGONAL) else {
        return Err(Failure::Inexpressible(format!(
            "a transposed convolution of {} groups, which DL4J lacks",
            op.groups
        )));
    };
    step.rewrite(
        "groups-as-zeros",
        "DL4J has no grouped transposed convolution: channels of different groups meet in zeros; these weights stay fixed",
    );
    let values = op.weight.to_vec().map_err(|error| unreadable(&error))?;
    let mut spread = vec![0f32; size];
    for (channel, row) in values.chunks_exact(block.max(1)).enumerate() {
        let at = (channel * op.groups + channel / inside) * block;
        spread[at..at + block].copy_from_slice(row);
    }
    let dense = ConvTranspose {
        weight: super::constant::tensor(&to, &spread)?,
        groups: 1,
        ..op.clone()
    };
    Ok(Some(vec![step.fixed(dense, &[x])?]))
}

/// The kernel with `dilation - 1` zeros between its elements on each spatial axis.
fn with_holes(weight: &Tensor, dilations: &[usize]) -> Result<Tensor, Failure> {
    let from = weight.shape();
    let mut to = from.clone();
    for (size, dilation) in to[2..].iter_mut().zip(dilations) {
        *size = dilation * (size.saturating_sub(1)) + 1;
    }
    let values = weight.to_vec().map_err(|error| unreadable(&error))?;
    let mut spread = vec![0f32; to.iter().product()];
    for (mut flat, value) in values.into_iter().enumerate() {
        let (mut at, mut stride) = (0, 1);
        for axis in (0..from.len()).rev() {
            let place = flat % from[axis];
            flat /= from[axis];
            let dilation = if axis < 2 { 1 } else { dilations[axis - 2] };
            at += place * dilation * stride;
            stride *= to[axis];
        }
        spread[at] = value;
    }
    super::constant::tensor(&to, &spread)
}
