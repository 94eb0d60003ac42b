//! Normalisations by statistics of the example itself.
//!
//! Means are dense layers with one unit where the axis is the last, else poolings; what the batch shares is stretched
//! by the element-wise vertices. A local response normalisation with a window of one and an exponent of 3/4 is
//! `v / (v^2)^(3/4)`, the reciprocal root of a positive `v`. Stock DL4J takes gradients through all of these; through
//! its vertex for the L2 norm it can't, unless the norm is over everything but the batch.

use super::{Composed, Failure, Step};
use caribou_ir::op::{
    Activation, Centring, Conv, Dense, ElementwiseKind, GroupNorm, L2Normalize, LayerNorm, LocalResponseNorm,
    NormEpsilon, Padding, Reduce, ReduceKind, Reshape, Transpose,
};
use caribou_ir::{Tensor, TensorError, ValueId};

/// Whether the axes are normalised where they are: the last one alone, or all but the batch and one other.
fn in_place(rank: usize, axes: &[usize]) -> bool {
    axes == [rank - 1] && rank <= 5 || axes.len() + 2 == rank && (3..=5).contains(&rank) && !axes.contains(&0)
}

/// The axes of a value moved behind the others, and the way back.
struct Moved {
    value: ValueId,
    /// The axes that are to be normalised, now.
    axes: Vec<usize>,
    back: Option<Back>,
}

struct Back {
    sizes: Option<Vec<usize>>,
    permutation: Vec<usize>,
}

/// Brings the axes to where a normalisation can be done: to the last place where it is one, else all of them joined
/// behind all others.
fn moved(step: &mut Step<'_>, x: ValueId, axes: &[usize]) -> Result<Moved, Failure> {
    let shape = step.graph.shape(x).clone();
    let rank = shape.rank();
    if axes.contains(&0) || axes.is_empty() {
        return Err(Failure::Inexpressible(
            "a normalisation over the batch, or over no axis".into(),
        ));
    }
    if in_place(rank, axes) {
        let axes = axes.to_vec();
        return Ok(Moved {
            value: x,
            axes,
            back: None,
        });
    }
    let kept: Vec<usize> = (0..rank).filter(|axis| !axes.contains(axis)).collect();
    let order: Vec<usize> = kept.iter().chain(axes).copied().collect();
    let mut permutation = vec![0; rank];
    for (place, &axis) in order.iter().enumerate() {
        permutation[axis] = place;
    }
    let mut value = match order.iter().enumerate().all(|(i, &axis)| i == axis) {
        true => x,
        false => step.apply(
            Transpose {
                permutation: order.clone(),
            },
            &[x],
        )?,
    };
    let mut sizes = None;
    let mut axes = vec![rank - 1];
    if order.len() - kept.len() > 1 || rank > 5 {
        let all: Option<Vec<usize>> = order[1..].iter().map(|&axis| shape.size(axis)).collect();
        let all = all.ok_or_else(|| {
            Failure::Inexpressible(format!(
                "a normalisation of several axes of {shape}, whose sizes are unknown"
            ))
        })?;
        let (outer, inner) = all.split_at(kept.len() - 1);
        let inner = inner.iter().product();
        let joined = match outer {
            [] => vec![inner],
            outer => vec![outer.iter().product(), inner],
        };
        value = step.apply(Reshape::features(&joined), &[value])?;
        axes = vec![joined.len()];
        sizes = Some(all);
    }
    let back = Some(Back { sizes, permutation });
    Ok(Moved { value, axes, back })
}

fn returned(step: &mut Step<'_>, value: ValueId, back: Option<Back>) -> Result<ValueId, Failure> {
    let Some(back) = back else { return Ok(value) };
    let value = match back.sizes {
        Some(sizes) => step.apply(Reshape::features(&sizes), &[value])?,
        None => value,
    };
    if back.permutation.iter().enumerate().all(|(i, &axis)| i == axis) {
        return Ok(value);
    }
    step.apply(
        Transpose {
            permutation: back.permutation,
        },
        &[value],
    )
}

/// `weight` times the sum over the axes, plus `shift`; the axes stay, with size one.
fn weighted_sum(
    step: &mut Step<'_>,
    x: ValueId,
    axes: &[usize],
    mean: bool,
    shift: f64,
) -> Result<ValueId, Failure> {
    let shape = step.graph.shape(x).clone();
    let rank = shape.rank();
    if axes == [rank - 1] {
        let features = shape.size(rank - 1).ok_or_else(|| {
            Failure::Inexpressible(format!(
                "a normalisation of the last axis of {shape}, whose size is unknown"
            ))
        })?;
        let weight = if mean { 1.0 / features as f32 } else { 1.0 };
        let op = Dense {
            weight: Tensor::filled(&[features, 1], weight),
            bias: (shift != 0.0).then(|| Tensor::filled(&[1], shift as f32)),
        };
        return step.fixed(op, &[x]);
    }
    let op = Reduce {
        kind: if mean { ReduceKind::Mean } else { ReduceKind::Sum },
        axes: axes.to_vec(),
        keep_dims: true,
    };
    let sum = step.leaf(op, &[x])?;
    match shift {
        0.0 => Ok(sum),
        shift => step.affine(sum, 1.0, shift),
    }
}

/// `x^exponent` of positive numbers, and zero of zero where `bias` is not.
fn power(step: &mut Step<'_>, x: ValueId, exponent: f64, bias: f64) -> Result<ValueId, Failure> {
    let op = LocalResponseNorm {
        size: 1,
        alpha: 1.0,
        beta: (1.0 - exponent) / 2.0,
        bias,
    };
    step.leaf(op, &[x])
}

fn square(step: &mut Step<'_>, x: ValueId) -> Result<ValueId, Failure> {
    step.elementwise(ElementwiseKind::Multiply, &[x, x])
}

fn viewed(result: Result<Tensor, TensorError>) -> Result<Tensor, Failure> {
    result.map_err(|error| Failure::Inexpressible(error.to_string()))
}

/// `scale * x + offset` with a number for each place on `axis`: a depthwise convolution with a kernel of size one, which
/// is trained as the two parameters are.
pub(super) fn scaled(
    step: &mut Step<'_>,
    x: ValueId,
    axis: usize,
    scale: Option<&Tensor>,
    offset: Option<&Tensor>,
) -> Result<ValueId, Failure> {
    let Some(channels) = scale.or(offset).map(Tensor::len) else {
        return Ok(x);
    };
    let shape = step.graph.shape(x).clone();
    let rank = shape.rank();
    let scale = match scale {
        Some(scale) => viewed(scale.reshape(&[channels]))?,
        None => Tensor::filled(&[channels], 1.0),
    };
    let offset = offset
        .map(|offset| viewed(offset.reshape(&[channels])))
        .transpose()?;
    let conv = |axes: usize| -> Result<Conv, Failure> {
        let kernel: Vec<usize> = [channels, 1]
            .into_iter()
            .chain(std::iter::repeat_n(1, axes))
            .collect();
        Ok(Conv {
            weight: viewed(scale.reshape(&kernel))?,
            bias: offset.clone(),
            strides: vec![1; axes],
            dilations: vec![1; axes],
            padding: Padding::none(axes),
            groups: channels,
        })
    };
    // The axis ahead of the others.
    let order: Vec<usize> = [0, axis]
        .into_iter()
        .chain((1..rank).filter(|&other| other != axis))
        .collect();
    let mut back = vec![0; rank];
    for (place, &axis) in order.iter().enumerate() {
        back[axis] = place;
    }
    let mut y = match axis {
        1 => x,
        _ => step.apply(
            Transpose {
                permutation: order.clone(),
            },
            &[x],
        )?,
    };
    let sizes: Option<Vec<usize>> = order[1..].iter().map(|&axis| shape.size(axis)).collect();
    y = match (rank, sizes) {
        (4, _) => step.apply(conv(2)?, &[y])?,
        (_, Some(sizes)) => {
            let others = sizes[1..].iter().product();
            let y = step.apply(Reshape::features(&[channels, others, 1]), &[y])?;
            let y = step.apply(conv(2)?, &[y])?;
            step.apply(Reshape::features(&sizes), &[y])?
        }
        (3, None) => step.leaf(conv(1)?, &[y])?,
        _ => {
            return Err(Failure::Inexpressible(format!(
                "scaling an axis of {shape}, whose sizes are unknown"
            )));
        }
    };
    if axis != 1 {
        y = step.apply(Transpose { permutation: back }, &[y])?;
    }
    Ok(y)
}

/// `x` divided by the root of the mean of the squares of `of`, over `axes`.
fn divided(
    step: &mut Step<'_>,
    x: ValueId,
    of: ValueId,
    axes: &[usize],
    epsilon: f64,
    placement: NormEpsilon,
) -> Result<ValueId, Failure> {
    let squares = square(step, of)?;
    let factor = match placement {
        NormEpsilon::InsideRoot => {
            let variance = weighted_sum(step, squares, axes, true, epsilon)?;
            power(step, variance, -0.5, 0.0)?
        }
        NormEpsilon::OutsideRoot => {
            let variance = weighted_sum(step, squares, axes, true, 0.0)?;
            let deviation = power(step, variance, 0.5, 1e-38)?;
            let divisor = step.affine(deviation, 1.0, epsilon)?;
            power(step, divisor, -1.0, 0.0)?
        }
    };
    step.elementwise(ElementwiseKind::Multiply, &[x, factor])
}

pub(super) fn layer(step: &mut Step<'_>, op: &LayerNorm, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    step.rewrite(
        "layer-norm-by-means",
        "DL4J has no layer normalisation: it is put together from means, products and a reciprocal root, exactly",
    );
    let at = moved(step, x, &op.axes)?;
    let centred = match op.centring {
        Centring::Nothing => at.value,
        Centring::Values | Centring::Squares => {
            let mean = weighted_sum(step, at.value, &at.axes, true, 0.0)?;
            step.elementwise(ElementwiseKind::Subtract, &[at.value, mean])?
        }
    };
    let mut y = match op.centring {
        Centring::Values => centred,
        Centring::Squares | Centring::Nothing => at.value,
    };
    if op.divide {
        y = divided(step, y, centred, &at.axes, op.epsilon, op.placement)?;
    }
    let (scale, offset) = (op.scale.as_ref(), op.offset.as_ref());
    if let [axis] = at.axes[..] {
        y = scaled(step, y, axis, scale, offset)?;
        y = returned(step, y, at.back)?;
        return Ok(Some(vec![y]));
    }
    y = returned(step, y, at.back)?;
    if scale.or(offset).is_some() {
        // All axes but one were normalised where they are; their parameters run along all of them.
        let shape = step.graph.shape(y).clone();
        let rest: Vec<usize> = (1..shape.rank()).filter(|axis| !op.axes.contains(axis)).collect();
        let order: Vec<usize> = [0]
            .into_iter()
            .chain(op.axes.iter().copied())
            .chain(rest)
            .collect();
        let sizes: Option<Vec<usize>> = order[1..].iter().map(|&axis| shape.size(axis)).collect();
        let sizes = sizes.ok_or_else(|| {
            Failure::Inexpressible(format!(
                "scaling several axes of {shape}, whose sizes are unknown"
            ))
        })?;
        let mut permutation = vec![0; order.len()];
        for (place, &axis) in order.iter().enumerate() {
            permutation[axis] = place;
        }
        let count = op.axes.len();
        let joined = [sizes[..count].iter().product(), sizes[count..].iter().product()];
        y = step.apply(Transpose { permutation: order }, &[y])?;
        y = step.apply(Reshape::features(&joined), &[y])?;
        y = scaled(step, y, 1, scale, offset)?;
        y = step.apply(Reshape::features(&sizes), &[y])?;
        y = step.apply(Transpose { permutation }, &[y])?;
    }
    Ok(Some(vec![y]))
}

pub(super) fn group(step: &mut Step<'_>, op: &GroupNorm, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    let shape = step.graph.shape(x).clone();
    let rank = shape.rank();
    step.rewrite(
        "group-norm-by-means",
        "DL4J has no group normalisation: it is put together from means, products and a reciprocal root, exactly",
    );
    let plain = op.groups == shape.size(1).unwrap_or(0) && rank > 2;
    let sizes = shape.feature_sizes();
    let (mut y, axes) = match (&sizes, plain) {
        // A group for each channel: the spatial axes are normalised where they are.
        (_, true) => (x, (2..rank).collect()),
        (Some(sizes), false) => {
            let inner = sizes.iter().product::<usize>() / op.groups;
            let joined = [op.groups, inner];
            (step.apply(Reshape::features(&joined), &[x])?, vec![2])
        }
        (None, false) => {
            return Err(Failure::Inexpressible(format!(
                "a group normalisation of {shape}, whose sizes are unknown"
            )));
        }
    };
    let pooled = |step: &mut Step<'_>, x: ValueId| {
        let op = Reduce {
            kind: ReduceKind::Mean,
            axes: axes.clone(),
            keep_dims: true,
        };
        step.leaf(op, &[x])
    };
    let mean = pooled(step, y)?;
    y = step.elementwise(ElementwiseKind::Subtract, &[y, mean])?;
    let squares = square(step, y)?;
    let variance = pooled(step, squares)?;
    let variance = step.affine(variance, 1.0, op.epsilon)?;
    let factor = power(step, variance, -0.5, 0.0)?;
    y = step.elementwise(ElementwiseKind::Multiply, &[y, factor])?;
    if let (Some(sizes), false) = (&sizes, plain) {
        y = step.apply(Reshape::features(sizes), &[y])?;
    }
    y = scaled(step, y, 1, op.scale.as_ref(), op.offset.as_ref())?;
    Ok(Some(vec![y]))
}

/// `x / max(norm, epsilon)`.
pub(super) fn unit(step: &mut Step<'_>, op: &L2Normalize, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    let rank = step.graph.shape(x).rank();
    if op.axes.iter().copied().eq(1..rank) {
        return Ok(None);
    }
    step.rewrite(
        "unit-norm-by-sums",
        "stock DL4J can't train through the norm of single axes: it is put together from sums and a reciprocal root, exactly from norms of 1e-9 on",
    );
    let at = moved(step, x, &op.axes)?;
    let squares = square(step, at.value)?;
    // max(s, e^2) = relu(s - e^2) + e^2. The reciprocal root squares it: below 1e-18 nothing would be left.
    let least = (op.epsilon * op.epsilon).max(1e-18);
    let mut sum = weighted_sum(step, squares, &at.axes, false, 0.0)?;
    sum = step.affine(sum, 1.0, -least)?;
    sum = step.apply(Activation::Relu, &[sum])?;
    sum = step.affine(sum, 1.0, least)?;
    let factor = power(step, sum, -0.5, 0.0)?;
    let y = step.elementwise(ElementwiseKind::Multiply, &[at.value, factor])?;
    Ok(Some(vec![returned(step, y, at.back)?]))
}
