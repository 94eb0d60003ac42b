//! Activation layers.

use super::{CONFIG, Call, Outputs, config};
use caribou_ir::op::{Activation, PRelu, Reshape, Softmax};

/// A function by name.
pub(super) fn activation(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let y = call.activated(x)?;
    if y == x {
        return Ok(vec![call.apply(caribou_ir::op::Identity, &[x])?]);
    }
    Ok(vec![y])
}

/// `x >= threshold ? min(x, max_value) : negative_slope * (x - threshold)`.
pub(super) fn relu(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let max = match call.config.get("max_value") {
        None => None,
        Some(_) => Some(config!(call, number_or("max_value", 0.0))),
    };
    let slope = config!(call, number_or("negative_slope", 0.0));
    let threshold = config!(call, number_or("threshold", 0.0));
    let function = match (max, slope == 0.0, threshold == 0.0) {
        (None, true, true) => Activation::Relu,
        _ => Activation::BoundedRelu {
            max,
            slope,
            threshold,
        },
    };
    Ok(vec![call.apply(function, &[x])?])
}

/// `x > 0 ? x : alpha * x`; Keras 3 calls the slope `negative_slope`.
pub(super) fn leaky_relu(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let alpha = config!(call, number_or("alpha", 0.3));
    let alpha = config!(call, number_or("negative_slope", alpha));
    Ok(vec![call.apply(Activation::LeakyRelu { alpha }, &[x])?])
}

/// `x > 0 ? x : alpha * (exp(x) - 1)`.
pub(super) fn elu(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let alpha = config!(call, number_or("alpha", 1.0));
    Ok(vec![call.apply(Activation::Elu { alpha }, &[x])?])
}

/// `x > theta ? x : 0`.
pub(super) fn thresholded_relu(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let theta = config!(call, number_or("theta", 1.0));
    Ok(vec![call.apply(Activation::ThresholdedRelu { theta }, &[x])?])
}

/// Softmax along one axis, or over the cells of several.
pub(super) fn softmax(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let rank = call.rank(x);
    let mut axes = Vec::new();
    for axis in config!(call, axes_or("axis", &[-1])) {
        let axis = call.axis(axis, rank)?;
        if !axes.contains(&axis) {
            axes.push(axis);
        }
    }
    if let [axis] = axes[..] {
        return Ok(vec![call.apply(Softmax { axis }, &[x])?]);
    }
    if axes.is_empty() || axes.contains(&0) {
        return Err(call.refuse(
            CONFIG,
            "a softmax over the batch, or over no axis, is not supported",
        ));
    }
    let kept: Vec<usize> = (0..rank).filter(|axis| !axes.contains(axis)).collect();
    let order: Vec<usize> = kept.iter().chain(&axes).copied().collect();
    let mut back = vec![0; rank];
    for (place, &axis) in order.iter().enumerate() {
        back[axis] = place;
    }
    let sizes: Vec<usize> = order[1..]
        .iter()
        .map(|&axis| call.size(x, axis))
        .collect::<Result<_, _>>()?;
    let (outer, inner) = sizes.split_at(kept.len() - 1);
    let joined: Vec<usize> = outer.iter().copied().chain([inner.iter().product()]).collect();
    let y = call.permuted(x, order)?;
    let y = call.apply(Reshape::features(&joined), &[y])?;
    let y = call.apply(Softmax { axis: joined.len() }, &[y])?;
    let y = call.apply(Reshape::features(&sizes), &[y])?;
    Ok(vec![call.permuted(y, back)?])
}

/// Learned slopes, of size one on the shared axes.
pub(super) fn prelu(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let rank = call.rank(x);
    let mut shared = vec![false; rank];
    // Keras takes the axes minus one as places in a list of those behind the batch, also negative ones.
    for axis in config!(call, axes_or("shared_axes", &[])) {
        shared[call.axis(axis.saturating_sub(1), rank - 1)? + 1] = true;
    }
    let shape: Vec<usize> = (1..rank)
        .map(|axis| if shared[axis] { Ok(1) } else { call.size(x, axis) })
        .collect::<Result<_, _>>()?;
    let op = PRelu {
        slope: call.weight("alpha", &shape)?,
    };
    Ok(vec![call.apply(op, &[x])?])
}
