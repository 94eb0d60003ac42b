//! Reductions.

use super::super::{Call, OPTION, Outputs};
use super::arguments::Arguments;
use super::{Function, function};
use caribou_ir::op::{Elementwise, ElementwiseKind, Reduce, ReduceKind as Kind, Unary, UnaryKind};

const PARAMETERS: &[&str] = &["input_tensor", "axis", "keepdims"];

pub(super) const TABLE: &[Function] = &[
    function(
        &["math.reduce_mean", "reduce_mean"],
        PARAMETERS,
        |call, arguments| reduce(call, arguments, Kind::Mean),
    ),
    function(
        &["math.reduce_sum", "reduce_sum"],
        PARAMETERS,
        |call, arguments| reduce(call, arguments, Kind::Sum),
    ),
    function(
        &["math.reduce_max", "reduce_max"],
        PARAMETERS,
        |call, arguments| reduce(call, arguments, Kind::Max),
    ),
    function(
        &["math.reduce_min", "reduce_min"],
        PARAMETERS,
        |call, arguments| reduce(call, arguments, Kind::Min),
    ),
    function(
        &["math.reduce_prod", "reduce_prod"],
        PARAMETERS,
        |call, arguments| reduce(call, arguments, Kind::Product),
    ),
    function(&["math.reduce_variance"], PARAMETERS, |call, arguments| {
        variance(call, arguments, false)
    }),
    function(&["math.reduce_std"], PARAMETERS, |call, arguments| {
        variance(call, arguments, true)
    }),
    function(&["math.reduce_euclidean_norm"], PARAMETERS, |call, arguments| {
        reduce(call, arguments, Kind::L2)
    }),
];

/// The axes, without the batch.
pub(super) fn reduced_axes(
    call: &Call<'_>,
    arguments: &Arguments<'_>,
    rank: usize,
) -> Result<Vec<usize>, Box<caribou_ir::Finding>> {
    let mut axes = match arguments.get("axis") {
        None => (0..rank).collect(),
        Some(_) => arguments
            .integers(call, "axis")?
            .into_iter()
            .map(|axis| call.axis(axis, rank))
            .collect::<Result<Vec<_>, _>>()?,
    };
    axes.sort_unstable();
    axes.dedup();
    if axes.contains(&0) {
        return Err(call.refuse(OPTION, "it reduces over the examples of a batch"));
    }
    Ok(axes)
}

fn reduce(call: &mut Call<'_>, arguments: &Arguments<'_>, kind: Kind) -> Outputs {
    let x = arguments.value(call, "input_tensor")?;
    let op = Reduce {
        kind,
        axes: reduced_axes(call, arguments, call.rank(x))?,
        keep_dims: arguments.flag(call, "keepdims")?,
    };
    Ok(vec![call.apply(op, &[x])?])
}

/// The mean of the squared distances from the mean.
fn variance(call: &mut Call<'_>, arguments: &Arguments<'_>, root: bool) -> Outputs {
    let x = arguments.value(call, "input_tensor")?;
    let axes = reduced_axes(call, arguments, call.rank(x))?;
    let mean = Reduce {
        kind: Kind::Mean,
        axes,
        keep_dims: true,
    };
    let centre = call.apply(mean.clone(), &[x])?;
    let kind = ElementwiseKind::Subtract;
    let distance = call.apply(Elementwise { kind }, &[x, centre])?;
    let square = UnaryKind::Square;
    let square = call.apply(Unary { kind: square }, &[distance])?;
    let mean = Reduce {
        keep_dims: arguments.flag(call, "keepdims")?,
        ..mean
    };
    let mut y = call.apply(mean, &[square])?;
    if root {
        let kind = UnaryKind::Sqrt;
        y = call.apply(Unary { kind }, &[y])?;
    }
    Ok(vec![y])
}
