//! Reductions.

use super::{Call, Found, Outputs, Row, any, real};
use crate::build::Held;
use crate::fold::{self, Binary};
use caribou_ir::op::{
    ArgMax, Concat, Elementwise, ElementwiseKind, Reduce, ReduceKind as Kind, Reshape, Size, Slice,
    SliceAxis, Unary, UnaryKind,
};
use caribou_ir::{DType, ValueId};

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
    real("TopK", &["k", "sorted"], top),
    real("TopKV2", &["sorted", "Tk", "index_type"], top),
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
            if kind == Kind::Product {
                return product(call, x, &axes, keep_dims);
            }
            let single = !keep_dims && axes.len() + 1 == call.rank(x);
            let op = Reduce {
                kind,
                axes,
                keep_dims: keep_dims || single,
            };
            let mut y = call.apply(op, &[x])?;
            if single {
                y = call.row(y)?;
            }
            call.gives(y)
        }
    }
}

/// The most factors of a product.
const FACTORS: usize = 256;

/// The product along one axis: of its first half and its second, until one factor is left.
fn product(call: &mut Call<'_, '_>, x: ValueId, axes: &[usize], keep_dims: bool) -> Outputs {
    let &[axis] = axes else {
        return Err(call.option("a product over several axes"));
    };
    let mut count = call.size(x, axis)?;
    if count > FACTORS {
        return Err(call.option(format!("a product of {count} factors")));
    }
    let mut y = x;
    while count > 1 {
        let part = |call: &mut Call<'_, '_>, from: usize, to: usize| {
            let axes = vec![SliceAxis::range(axis, from as i64, Some(to as i64))];
            call.apply(Slice { axes }, &[y])
        };
        let half = count / 2;
        let halves = [part(call, 0, half)?, part(call, half, 2 * half)?];
        let rest = match count % 2 {
            1 => Some(part(call, count - 1, count)?),
            _ => None,
        };
        let kind = ElementwiseKind::Multiply;
        y = call.apply(Elementwise { kind }, &halves)?;
        if let Some(rest) = rest {
            y = call.apply(Concat { axis }, &[y, rest])?;
        }
        count = half + count % 2;
    }
    if keep_dims {
        return call.gives(y);
    }
    let rank = call.rank(y);
    let y = match rank {
        2 => call.row(y)?,
        _ => {
            let target = (0..rank).filter(|&other| other != axis).map(Size::Keep).collect();
            call.apply(Reshape { target }, &[y])?
        }
    };
    call.gives(y)
}

/// The largest element of the last axis, and its place.
fn top(call: &mut Call<'_, '_>) -> Outputs {
    let count = match call.inputs.len() {
        2 => call.integer(1)?,
        _ => call.whole("k", 0)?,
    };
    let x = call.value(0)?;
    let axis = call.rank(x).saturating_sub(1);
    if count != 1 || axis == 0 {
        return Err(call.option(format!(
            "the {count} largest can't be expressed, only the largest"
        )));
    }
    let largest = Reduce {
        kind: Kind::Max,
        axes: vec![axis],
        keep_dims: true,
    };
    let place = ArgMax {
        axis,
        keep_dims: true,
        select_last: false,
    };
    let kind = match call.input(0)? {
        Held::Value(_, dtype) => *dtype,
        Held::Known(array) => array.dtype(),
    };
    let largest = call.apply(largest, &[x])?;
    let mut outputs = vec![Held::Value(largest, kind)];
    if call.is_read(1) {
        outputs.push(Held::Value(call.apply(place, &[x])?, DType::I32));
    }
    Ok(outputs)
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
    let single = call.rank(x) == 2;
    let op = ArgMax {
        axis,
        keep_dims: single,
        select_last: false,
    };
    let mut y = call.apply(op, &[x])?;
    if single {
        y = call.row(y)?;
    }
    Ok(vec![Held::Value(y, call.kind("output_type", DType::I64)?)])
}
