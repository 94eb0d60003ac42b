//! Reductions.

use super::{Call, Found, Outputs, Row, any, real};
use crate::build::Held;
use crate::fold::{self, Binary};
use caribou_ir::DType;
use caribou_ir::op::{ArgMax, Reduce, ReduceKind as Kind, Unary, UnaryKind};

const ATTRIBUTES: &[&str] = &["keep_dims"];

pub(super) const TABLE: &[Row] = &[
    any("Mean", ATTRIBUTES, |call| {
        reduce(call, Kind::Mean, Some(Binary::Add))
    }),
    any("Sum", ATTRIBUTES, |call| {
        reduce(call, Kind::Sum, Some(Binary::Add))
    }),
    any("Max", ATTRIBUTES, |call| {
        reduce(call, Kind::Max, Some(Binary::Maximum))
    }),
    any("Min", ATTRIBUTES, |call| {
        reduce(call, Kind::Min, Some(Binary::Minimum))
    }),
    any("Prod", ATTRIBUTES, |call| {
        reduce(call, Kind::Product, Some(Binary::Multiply))
    }),
    any("EuclideanNorm", ATTRIBUTES, |call| reduce(call, Kind::L2, None)),
    real("ArgMax", &["output_type"], |call| position(call, false)),
    real("ArgMin", &["output_type"], |call| position(call, true)),
];

/// The axes that input 1 lists, ascending.
pub(crate) fn axes(call: &Call<'_, '_>, rank: usize) -> Found<Vec<usize>> {
    let mut axes: Vec<usize> = call
        .integers(1)?
        .into_iter()
        .map(|axis| call.axis(axis, rank))
        .collect::<Result<_, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    Ok(axes)
}

fn reduce(call: &mut Call<'_, '_>, kind: Kind, function: Option<Binary>) -> Outputs {
    let keep_dims = call.flag("keep_dims", false)?;
    match call.input(0)?.clone() {
        Held::Known(array) => {
            let axes = axes(call, array.rank())?;
            let Some(function) = function else {
                return Err(call.option("a norm of constants"));
            };
            let array = fold::reduced(function, &array, &axes, keep_dims, kind == Kind::Mean);
            Ok(vec![Held::Known(call.folded(array)?)])
        }
        Held::Value(x, dtype) => {
            if !dtype.is_float() && !matches!(kind, Kind::Max | Kind::Min) {
                return Err(call.option(format!(
                    "it computes with numbers of type {dtype} that depend on the inputs of the model"
                )));
            }
            let axes = axes(call, call.rank(x))?;
            if axes.is_empty() {
                return call.gives(x);
            }
            if axes[0] == 0 {
                return Err(call.option("it reduces over the examples of a batch"));
            }
            let op = Reduce {
                kind,
                axes,
                keep_dims,
            };
            let y = call.apply(op, &[x])?;
            call.gives(y)
        }
    }
}

/// The place of the first of the largest, or of the smallest, along one axis.
fn position(call: &mut Call<'_, '_>, smallest: bool) -> Outputs {
    let mut x = call.value(0)?;
    let axis = call.axis(call.integer(1)?, call.rank(x))?;
    if axis == 0 {
        return Err(call.option("it looks among the examples of a batch"));
    }
    if smallest {
        let kind = UnaryKind::Negate;
        x = call.apply(Unary { kind }, &[x])?;
    }
    let op = ArgMax {
        axis,
        keep_dims: false,
        select_last: false,
    };
    let y = call.apply(op, &[x])?;
    Ok(vec![Held::Value(y, call.kind("output_type", DType::I64)?)])
}
