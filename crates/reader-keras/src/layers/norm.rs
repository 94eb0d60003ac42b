//! Normalisation.

use super::operator::{Number, elementwise};
use super::{CONFIG, Call, OPTION, Outputs, WEIGHT, config};
use crate::version::Generation;
use caribou_ir::op::{BatchNorm, Centring, ElementwiseKind, GroupNorm, L2Normalize, LayerNorm, NormEpsilon};
use caribou_ir::{Finding, Tensor, ValueId};

/// Batch normalisation with its moving statistics.
pub(super) fn batch(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    if config!(call, flag_or("renorm", false)) {
        return Err(call.refuse(OPTION, "batch renormalisation is not supported"));
    }
    if call.config.get("virtual_batch_size").is_some() || call.config.get("adjustment").is_some() {
        return Err(call.refuse(
            OPTION,
            "batch normalisation of virtual batches (virtual_batch_size) is not supported",
        ));
    }
    let listed = config!(call, axes_or("axis", &[-1]));
    let [axis] = listed[..] else {
        return batch_over(call, x, &listed);
    };
    let axis = call.axis(axis, call.rank(x))?;
    let channels = call.size(x, axis)?;
    let op = BatchNorm {
        axis,
        scale: learned(call, "scale", "gamma", &[channels])?,
        offset: learned(call, "center", "beta", &[channels])?,
        mean: call.weight("moving_mean", &[channels])?,
        variance: call.weight("moving_variance", &[channels])?,
        epsilon: config!(call, number_or("epsilon", 1e-3)),
        momentum: config!(call, number_or("momentum", 0.99)),
    };
    Ok(vec![call.apply(op, &[x])?])
}

/// Batch normalisation with statistics of each cell of several axes, as a factor and a summand for each.
fn batch_over(call: &mut Call<'_>, x: ValueId, listed: &[i64]) -> Outputs {
    let rank = call.rank(x);
    let mut shape = vec![1; rank];
    for &axis in listed {
        let axis = call.axis(axis, rank)?;
        if axis == 0 {
            return Err(call.refuse(CONFIG, "axis: a normalisation over the batch is not supported"));
        }
        shape[axis] = call.size(x, axis)?;
    }
    let epsilon = config!(call, number_or("epsilon", 1e-3));
    let values = |call: &Call<'_>, tensor: Tensor| {
        tensor
            .to_vec()
            .map_err(|error| call.refuse(WEIGHT, error.to_string()))
    };
    let mean = values(call, call.weight("moving_mean", &shape)?)?;
    let variance = values(call, call.weight("moving_variance", &shape)?)?;
    let scale = learned(call, "scale", "gamma", &shape)?;
    let scale = scale.map(|scale| values(call, scale)).transpose()?;
    let offset = learned(call, "center", "beta", &shape)?;
    let offset = offset.map(|offset| values(call, offset)).transpose()?;
    let (mut factors, mut summands) = (Vec::new(), Vec::new());
    for (i, (mean, variance)) in mean.iter().zip(&variance).enumerate() {
        let gamma = scale.as_ref().map_or(1.0, |scale| f64::from(scale[i]));
        let beta = offset.as_ref().map_or(0.0, |offset| f64::from(offset[i]));
        let factor = gamma / (f64::from(*variance) + epsilon).sqrt();
        factors.push(factor as f32);
        summands.push((beta - f64::from(*mean) * factor) as f32);
    }
    call.lost_in_training("its statistics over several axes are constants, and training leaves them alone");
    let known = |call: &Call<'_>, values: &[f32]| {
        Tensor::from_f32(&shape, values)
            .map(Number::Known)
            .map_err(|error| call.refuse(WEIGHT, error.to_string()))
    };
    let (factors, summands) = (known(call, &factors)?, known(call, &summands)?);
    let y = elementwise(call, ElementwiseKind::Multiply, Number::Value(x), factors)?;
    Ok(vec![elementwise(
        call,
        ElementwiseKind::Add,
        Number::Value(y),
        summands,
    )?])
}

/// A parameter, unless its flag is off.
fn learned(
    call: &Call<'_>,
    flag: &str,
    variable: &str,
    shape: &[usize],
) -> Result<Option<Tensor>, Box<Finding>> {
    match config!(call, flag_or(flag, true)) {
        true => call.weight(variable, shape).map(Some),
        false => Ok(None),
    }
}

/// The axes of a normalisation, ascending, and their sizes in the order in which the configuration lists them.
fn axes(call: &Call<'_>, x: ValueId) -> Result<(Vec<usize>, Vec<usize>), Box<Finding>> {
    let mut axes = Vec::new();
    for axis in config!(call, axes_or("axis", &[-1])) {
        let axis = call.axis(axis, call.rank(x))?;
        if axis == 0 || axes.contains(&axis) {
            return Err(call.refuse(
                CONFIG,
                "axis: a normalisation over the batch, or twice over an axis, is not supported",
            ));
        }
        axes.push(axis);
    }
    let sizes = axes
        .iter()
        .map(|&axis| call.size(x, axis))
        .collect::<Result<_, _>>()?;
    Ok((axes, sizes))
}

/// A parameter with its axes ascending. Keras stores it by the listed axes, and then takes the numbers as they come.
fn ascending(
    call: &Call<'_>,
    tensor: Option<Tensor>,
    sizes: &[usize],
) -> Result<Option<Tensor>, Box<Finding>> {
    tensor
        .map(|tensor| tensor.reshape(sizes))
        .transpose()
        .map_err(|error| call.refuse(WEIGHT, error.to_string()))
}

/// Layer normalisation.
pub(super) fn layer(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let (axes, sizes) = axes(call, x)?;
    // With rms_scaling there is a gamma, whatever `scale` says, and no beta.
    let (scale, offset, centring) = match config!(call, flag_or("rms_scaling", false)) {
        true => (Some(call.weight("gamma", &sizes)?), None, Centring::Squares),
        false => (
            learned(call, "scale", "gamma", &sizes)?,
            learned(call, "center", "beta", &sizes)?,
            Centring::Values,
        ),
    };
    let epsilon = config!(call, number_or("epsilon", 1e-3));
    normalised(call, x, axes, centring, epsilon, [scale, offset])
}

/// Normalisation by the root of the mean square; Keras 3 has no offset for it.
pub(super) fn root_mean_square(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let (mut axes, _) = axes(call, x)?;
    axes.sort_unstable();
    let rank = call.rank(x);
    if !axes.iter().copied().eq(rank - axes.len()..rank) {
        return Err(call.refuse(
            OPTION,
            "axis: Keras multiplies its scale with the last axes, whatever axes are normalised; only those are supported",
        ));
    }
    let sizes: Vec<usize> = axes
        .iter()
        .map(|&axis| call.size(x, axis))
        .collect::<Result<_, _>>()?;
    let scale = call.weight("scale", &sizes)?;
    let epsilon = config!(call, number_or("epsilon", 1e-6));
    normalised(call, x, axes, Centring::Nothing, epsilon, [Some(scale), None])
}

fn normalised(
    call: &mut Call<'_>,
    x: ValueId,
    axes: Vec<usize>,
    centring: Centring,
    epsilon: f64,
    [scale, offset]: [Option<Tensor>; 2],
) -> Outputs {
    let mut sorted = axes;
    sorted.sort_unstable();
    let sizes: Vec<usize> = sorted
        .iter()
        .map(|&axis| call.size(x, axis))
        .collect::<Result<_, _>>()?;
    let (scale, offset) = (ascending(call, scale, &sizes)?, ascending(call, offset, &sizes)?);
    let op = LayerNorm {
        scale,
        offset,
        axes: sorted,
        centring,
        epsilon,
        placement: NormEpsilon::InsideRoot,
        divide: true,
    };
    Ok(vec![call.apply(op, &[x])?])
}

/// Normalisation of groups of channels together with all other axes.
pub(super) fn group(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let rank = call.rank(x);
    let [axis] = config!(call, axes_or("axis", &[-1]))[..] else {
        return Err(call.refuse(CONFIG, "axis: expected one axis"));
    };
    let axis = call.axis(axis, rank)?;
    if axis == 0 {
        return Err(call.refuse(CONFIG, "axis: a normalisation over the batch is not supported"));
    }
    let channels = call.size(x, axis)?;
    let groups = match call.config.get("groups").map(serde_json::Value::as_i64) {
        None => 32,
        Some(Some(-1)) => channels,
        Some(Some(groups)) if groups > 0 => usize::try_from(groups).unwrap_or(usize::MAX),
        Some(_) => return Err(call.refuse(CONFIG, "groups: expected a positive number, or -1")),
    };
    let op = GroupNorm {
        groups,
        scale: learned(call, "scale", "gamma", &[channels])?,
        offset: learned(call, "center", "beta", &[channels])?,
        epsilon: config!(call, number_or("epsilon", 1e-3)),
    };
    let order: Vec<usize> = [0, axis]
        .into_iter()
        .chain((1..rank).filter(|&other| other != axis))
        .collect();
    let mut back = vec![0; rank];
    for (place, &axis) in order.iter().enumerate() {
        back[axis] = place;
    }
    let y = call.permuted(x, order)?;
    let y = call.apply(op, &[y])?;
    Ok(vec![call.permuted(y, back)?])
}

/// Division by the L2 norm. Keras 2 bounds the square of the norm by 1e-12, Keras 3 the norm itself.
pub(super) fn unit(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let (mut axes, _) = axes(call, x)?;
    axes.sort_unstable();
    let epsilon = match call.generation {
        Generation::Two => 1e-6,
        Generation::Three => 1e-12,
    };
    let op = L2Normalize { axes, epsilon };
    Ok(vec![call.apply(op, &[x])?])
}

/// The layer inside: its kernel is stored as it is at inference. The norm is taken in training only.
pub(super) fn spectral(call: &mut Call<'_>) -> Outputs {
    call.lost_in_training("the spectral norm of its kernel is no longer kept at one in training");
    super::wrapper::wrapped(call)
}
