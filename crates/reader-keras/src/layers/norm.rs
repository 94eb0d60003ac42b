//! Normalisation.

use super::{CONFIG, Call, OPTION, Outputs, config};
use caribou_ir::op::{BatchNorm, LayerNorm, NormEpsilon};

/// Batch normalisation with its moving statistics.
pub(super) fn batch(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let [axis] = config!(call, axes_or("axis", &[-1]))[..] else {
        return Err(call.refuse(CONFIG, "a batch normalisation over several axes is not supported"));
    };
    if config!(call, flag_or("renorm", false)) {
        return Err(call.refuse(OPTION, "batch renormalisation is not supported"));
    }
    let axis = call.axis(axis, call.rank(x))?;
    let channels = call.size(x, axis)?;
    let learned = |call: &Call<'_>, flag: &str, variable: &str| match config!(call, flag_or(flag, true)) {
        true => call.weight(variable, &[channels]).map(Some),
        false => Ok(None),
    };
    let op = BatchNorm {
        axis,
        scale: learned(call, "scale", "gamma")?,
        offset: learned(call, "center", "beta")?,
        mean: call.weight("moving_mean", &[channels])?,
        variance: call.weight("moving_variance", &[channels])?,
        epsilon: config!(call, number_or("epsilon", 1e-3)),
        momentum: config!(call, number_or("momentum", 0.99)),
    };
    Ok(vec![call.apply(op, &[x])?])
}

/// Layer normalisation.
pub(super) fn layer(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let mut axes = Vec::new();
    for axis in config!(call, axes_or("axis", &[-1])) {
        axes.push(call.axis(axis, call.rank(x))?);
    }
    axes.sort_unstable();
    let sizes: Vec<usize> = axes
        .iter()
        .map(|&axis| call.size(x, axis))
        .collect::<Result<_, _>>()?;
    let learned = |call: &Call<'_>, flag: &str, variable: &str| match config!(call, flag_or(flag, true)) {
        true => call.weight(variable, &sizes).map(Some),
        false => Ok(None),
    };
    let op = LayerNorm {
        scale: learned(call, "scale", "gamma")?,
        offset: learned(call, "center", "beta")?,
        axes,
        epsilon: config!(call, number_or("epsilon", 1e-3)),
        placement: NormEpsilon::InsideRoot,
        divide: true,
    };
    Ok(vec![call.apply(op, &[x])?])
}
