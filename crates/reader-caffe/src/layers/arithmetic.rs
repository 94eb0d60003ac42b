//! Sums, products and maxima of values, and of values with stored arrays.

use super::{Call, MISFIT, OPTION, Tops};
use crate::schema::eltwise_parameter::EltwiseOp;
use caribou_ir::op::{
    BatchNorm, Constant, Conv, Elementwise, ElementwiseKind, Op, Padding, Reshape, Size, Unary, UnaryKind,
};
use caribou_ir::{Dim, Finding, Producer, Tensor, ValueId};

fn elementwise(
    call: &mut Call<'_>,
    kind: ElementwiseKind,
    inputs: &[ValueId],
) -> Result<ValueId, Box<Finding>> {
    call.apply(Elementwise { kind }, inputs)
}

fn scaled(call: &mut Call<'_>, x: ValueId, scale: f64) -> Result<ValueId, Box<Finding>> {
    if scale == 1.0 {
        return Ok(x);
    }
    let kind = UnaryKind::Affine { scale, shift: 0.0 };
    call.apply(Unary { kind }, &[x])
}

/// `Eltwise`: the sum with a coefficient for each bottom, the product or the largest.
pub(super) fn eltwise(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.eltwise_param.clone().unwrap_or_default();
    let mut inputs = call.inputs.to_vec();
    let [first, rest @ ..] = &inputs[..] else {
        return Err(call.refuse(MISFIT, "expected two bottoms or more, found none"));
    };
    // What `DummyData` holds has no examples: it is the same for each.
    let features = |value: ValueId| {
        let dims = call.shape(value).dims();
        let stored = matches!(
            call.graph.producer(value).map(|node| &node.op),
            Some(Op::Constant(_))
        );
        if stored {
            dims
        } else {
            dims.get(1..).unwrap_or_default()
        }
    };
    let other = rest.iter().find(|&&other| features(other) != features(*first));
    if let Some(&other) = other {
        return Err(call.refuse(
            MISFIT,
            format!(
                "its bottoms have the shapes {} and {}",
                call.shape(*first),
                call.shape(other)
            ),
        ));
    }
    if inputs.len() < 2 {
        return Err(call.refuse(MISFIT, "expected two bottoms or more, found one"));
    }
    let coefficients = &parameters.coeff;
    if !coefficients.is_empty() && coefficients.len() != inputs.len() {
        return Err(call.misconfigured(format!(
            "{} coefficients for {} bottoms",
            coefficients.len(),
            inputs.len()
        )));
    }
    let operation = parameters.operation();
    if operation == EltwiseOp::Prod && !coefficients.is_empty() {
        return Err(call.misconfigured("a product takes no coefficients"));
    }
    let kind = match operation {
        EltwiseOp::Prod => ElementwiseKind::Multiply,
        EltwiseOp::Max => ElementwiseKind::Maximum,
        EltwiseOp::Sum => {
            if coefficients[..] == [1.0, -1.0] {
                return Ok(vec![elementwise(call, ElementwiseKind::Subtract, &inputs)?]);
            }
            for (input, &coefficient) in inputs.iter_mut().zip(coefficients) {
                *input = scaled(call, *input, f64::from(coefficient))?;
            }
            ElementwiseKind::Add
        }
    };
    Ok(vec![elementwise(call, kind, &inputs)?])
}

/// The axes of the first bottom that a stored array of `Scale` or `Bias` runs along: from `axis` on, `num_axes` of
/// them, or all for -1.
fn covered(
    call: &Call<'_>,
    x: ValueId,
    axis: i32,
    num_axes: i32,
) -> Result<(usize, Vec<usize>), Box<Finding>> {
    let rank = call.rank(x);
    if num_axes == 0 {
        return Ok((rank, Vec::new()));
    }
    let start = call.inner_axis(axis, x)?;
    let end = match usize::try_from(num_axes) {
        Err(_) if num_axes == -1 => rank,
        Ok(count) if start + count <= rank => start + count,
        _ => {
            return Err(call.misconfigured(format!(
                "num_axes {num_axes} from axis {start} on are more than the {rank} axes of its bottom"
            )));
        }
    };
    let sizes: Result<Vec<usize>, _> = (start..end).map(|axis| call.size(x, axis)).collect();
    Ok((start, sizes?))
}

/// A stored array as a value that broadcasts over `rank` axes, with its first axis at `start`.
pub(super) fn constant(
    call: &mut Call<'_>,
    array: &Tensor,
    start: usize,
    rank: usize,
) -> Result<ValueId, Box<Finding>> {
    let mut shape = array.shape();
    let behind = rank.saturating_sub(start + shape.len());
    shape.extend(std::iter::repeat_n(1, behind));
    if shape.is_empty() {
        shape.push(1);
    }
    let value = array
        .reshape(&shape)
        .map_err(|error| call.refuse(MISFIT, error.to_string()))?;
    call.apply(Constant { value }, &[])
}

/// `x * scale + bias` with stored arrays that run along axes from `start` on.
fn affine(
    call: &mut Call<'_>,
    x: ValueId,
    scale: Option<&Tensor>,
    bias: Option<&Tensor>,
    start: usize,
) -> Tops {
    let rank = call.rank(x);
    let channels = |tensor: &Tensor| tensor.rank() == 1 && start == 1;
    let by_channel = scale.into_iter().chain(bias).all(channels);
    if let (true, Some(scale)) = (by_channel, scale) {
        if let Some(folded) = into_normalisation(call, x, scale, bias) {
            return Ok(vec![folded]);
        }
        if rank == 4 {
            let count = scale.len();
            let weight = scale
                .reshape(&[count, 1, 1, 1])
                .map_err(|error| call.refuse(MISFIT, error.to_string()))?;
            let op = Conv {
                weight,
                bias: bias.cloned(),
                strides: vec![1, 1],
                dilations: vec![1, 1],
                padding: Padding::none(2),
                groups: count,
            };
            return Ok(vec![call.apply(op, &[x])?]);
        }
    }
    let mut y = x;
    for (array, kind) in [(scale, ElementwiseKind::Multiply), (bias, ElementwiseKind::Add)] {
        if let Some(array) = array {
            let array = constant(call, array, start, rank)?;
            y = elementwise(call, kind, &[y, array])?;
        }
    }
    Ok(vec![y])
}

/// A scale for each channel right behind a normalisation is that one's gamma and beta, where nothing else reads what
/// stands between them.
fn into_normalisation(
    call: &mut Call<'_>,
    x: ValueId,
    scale: &Tensor,
    bias: Option<&Tensor>,
) -> Option<ValueId> {
    let Producer::Node(node, _) = call.graph.value(x).producer else {
        return None;
    };
    if call.only_reader.first() != Some(&true) {
        return None;
    }
    match call.graph.op_mut(node) {
        Op::BatchNorm(BatchNorm {
            axis: 1,
            scale: gamma @ None,
            offset: beta @ None,
            ..
        }) => {
            *gamma = Some(scale.clone());
            *beta = bias.cloned();
            Some(x)
        }
        _ => None,
    }
}

/// `Scale`: by a stored array, or by the second bottom; then a stored bias, if it has one.
pub(super) fn scale(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.scale_param.clone().unwrap_or_default();
    match *call.inputs {
        [x] => {
            let (start, sizes) = covered(call, x, parameters.axis(), parameters.num_axes())?;
            let scale = if call.is_untrained() {
                call.blob(0, &sizes)?;
                Tensor::filled(&sizes, 1.0)
            } else {
                call.blob(0, &sizes)?
            };
            let bias = parameters.bias_term().then(|| call.blob(1, &sizes)).transpose()?;
            affine(call, x, Some(&scale), bias.as_ref(), start)
        }
        [x, by] => {
            let y = with_second(call, x, by, parameters.axis(), ElementwiseKind::Multiply)?;
            if !parameters.bias_term() {
                return Ok(vec![y]);
            }
            // The bias has the shape of the second bottom, its examples included.
            let sizes = call.sizes(by)?;
            match sizes[..] {
                [1, ref sizes @ ..] => {
                    let sizes = sizes.to_vec();
                    let mut stored = vec![1];
                    stored.extend(&sizes);
                    let bias = call.blob(0, &stored)?;
                    let bias = bias
                        .reshape(&sizes)
                        .map_err(|error| call.refuse(MISFIT, error.to_string()))?;
                    affine(call, y, None, Some(&bias), 1)
                }
                _ => Err(call.refuse(OPTION, "it has a bias for each example of a batch")),
            }
        }
        _ => Err(call.refuse(
            MISFIT,
            format!("expected one or two bottoms, found {}", call.inputs.len()),
        )),
    }
}

/// `Bias`: a stored array is added, or the second bottom.
pub(super) fn bias(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.bias_param.clone().unwrap_or_default();
    match *call.inputs {
        [x] => {
            let (start, sizes) = covered(call, x, parameters.axis(), parameters.num_axes())?;
            let bias = call.blob(0, &sizes)?;
            affine(call, x, None, Some(&bias), start)
        }
        [x, by] => Ok(vec![with_second(
            call,
            x,
            by,
            parameters.axis(),
            ElementwiseKind::Add,
        )?]),
        _ => Err(call.refuse(
            MISFIT,
            format!("expected one or two bottoms, found {}", call.inputs.len()),
        )),
    }
}

/// The number that `DummyData` puts in all places of a value, along whatever axes these lie.
fn everywhere(call: &Call<'_>, value: ValueId) -> Option<f64> {
    match call.graph.producer(value).map(|node| &node.op) {
        Some(Op::Constant(op)) => {
            let values = op.value.to_vec().ok()?;
            let first = *values.first()?;
            let same = values.iter().all(|&value| value == first);
            same.then(|| f64::from(first))
        }
        _ => None,
    }
}

/// The first bottom with the second, whose first axis lies at `axis` of the first.
pub(super) fn with_second(
    call: &mut Call<'_>,
    x: ValueId,
    by: ValueId,
    axis: i32,
    kind: ElementwiseKind,
) -> Result<ValueId, Box<Finding>> {
    let (shape, other) = (call.shape(x).clone(), call.shape(by).clone());
    let start = call.axis(axis, shape.rank())?;
    if let Some(number) = everywhere(call, by) {
        let (scale, shift) = match kind {
            ElementwiseKind::Multiply => (number, 0.0),
            _ => (1.0, number),
        };
        let kind = UnaryKind::Affine { scale, shift };
        return call.apply(Unary { kind }, &[x]);
    }
    // One number for each example has a second axis here, and none in Caffe.
    let number = other.rank() == 2 && other.size(1) == Some(1);
    let lies = |dims: &[Dim]| {
        shape
            .dims()
            .get(start..)
            .is_some_and(|along| along.starts_with(dims))
    };
    let rank = match number && !lies(other.dims()) {
        true => 1,
        false => other.rank(),
    };
    let fits = lies(&other.dims()[..rank]);
    if start != 0 || !fits {
        return Err(call.refuse(
            MISFIT,
            format!(
                "its second bottom {other} does not lie along {shape} from axis {axis} on, examples along examples"
            ),
        ));
    }
    let mut target: Vec<Size> = (0..rank).map(Size::Keep).collect();
    target.extend(std::iter::repeat_n(Size::Fixed(1), shape.rank() - rank));
    let by = if target.len() == other.rank() {
        by
    } else {
        call.apply(Reshape { target }, &[by])?
    };
    elementwise(call, kind, &[x, by])
}
