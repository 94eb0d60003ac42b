//! Comparisons, truth values, and choices between values. True is one, false is zero.

use super::arithmetic::elementwise;
use super::{Call, Found, Outputs, Row, any};
use crate::build::Held;
use crate::fold::{self, Array, Binary, Fold};
use caribou_ir::op::{Elementwise, ElementwiseKind as Kind, Op, Reduce, ReduceKind, Tile, Unary, UnaryKind};
use caribou_ir::{DType, ValueId};

pub(super) const TABLE: &[Row] = &[
    any("Greater", &[], |call| compared(call, Binary::Greater)),
    any("Less", &[], |call| compared(call, Binary::Less)),
    any("GreaterEqual", &[], |call| compared(call, Binary::GreaterEqual)),
    any("LessEqual", &[], |call| compared(call, Binary::LessEqual)),
    any("Equal", &["incompatible_shape_error"], |call| {
        compared(call, Binary::Equal)
    }),
    any("NotEqual", &["incompatible_shape_error"], |call| {
        compared(call, Binary::NotEqual)
    }),
    any("LogicalAnd", &[], |call| joined(call, Kind::Minimum, Binary::And)),
    any("LogicalOr", &[], |call| joined(call, Kind::Maximum, Binary::Or)),
    any("LogicalNot", &[], not),
    any("All", &["keep_dims"], |call| {
        over_axes(call, ReduceKind::Min, Binary::And)
    }),
    any("Any", &["keep_dims"], |call| {
        over_axes(call, ReduceKind::Max, Binary::Or)
    }),
    any("Select", &[], choose),
    any("SelectV2", &[], choose),
    any("ZerosLike", &[], |call| filled(call, 0.0)),
    any("OnesLike", &[], |call| filled(call, 1.0)),
];

fn unary(call: &mut Call<'_, '_>, kind: UnaryKind, x: ValueId) -> Found<ValueId> {
    call.apply(Unary { kind }, &[x])
}

/// One where a number is positive.
fn positive(call: &mut Call<'_, '_>, x: ValueId) -> Found<ValueId> {
    unary(call, UnaryKind::Step { threshold: 0.0 }, x)
}

fn negated(call: &mut Call<'_, '_>, x: ValueId) -> Found<ValueId> {
    call.apply(Op::affine(-1.0, 1.0), &[x])
}

fn compared(call: &mut Call<'_, '_>, function: Binary) -> Outputs {
    let (x, y) = (call.input(0)?.clone(), call.input(1)?.clone());
    if let (Held::Known(x), Held::Known(y)) = (&x, &y) {
        return Ok(vec![Held::Known(call.folded(fold::binary(function, x, y))?)]);
    }
    // The difference of whole numbers is exact as long as they are those of positions and classes.
    let (x, y) = match function {
        Binary::Less | Binary::GreaterEqual => (y, x),
        _ => (x, y),
    };
    let difference = elementwise(call, Kind::Subtract, &x, &y)?;
    let (distance, opposite) = match function {
        Binary::Greater | Binary::Less => (difference, false),
        Binary::GreaterEqual | Binary::LessEqual => (difference, true),
        _ => (
            unary(call, UnaryKind::Abs, difference)?,
            function == Binary::Equal,
        ),
    };
    let y = positive(call, distance)?;
    let y = if opposite { negated(call, y)? } else { y };
    Ok(vec![Held::Value(y, DType::Bool)])
}

/// The value repeated along axes of size one until it has the shape of `other`.
fn stretched(call: &mut Call<'_, '_>, x: ValueId, other: ValueId) -> Found<ValueId> {
    let (from, to) = (call.shape(x), call.shape(other));
    if from.rank() != to.rank() {
        return Err(call.option(format!(
            "values of shapes {from} and {to} align at their last axes"
        )));
    }
    let repeats: Vec<usize> = (0..from.rank())
        .map(|axis| match (from.size(axis), to.size(axis)) {
            (Some(1), Some(size)) if axis > 0 => size,
            _ => 1,
        })
        .collect();
    if repeats.iter().all(|&times| times == 1) {
        return Ok(x);
    }
    call.apply(Tile { repeats }, &[x])
}

/// Or as the greater, and as the smaller of two truth values.
fn joined(call: &mut Call<'_, '_>, kind: Kind, function: Binary) -> Outputs {
    match (call.input(0)?.clone(), call.input(1)?.clone()) {
        (Held::Known(x), Held::Known(y)) => {
            Ok(vec![Held::Known(call.folded(fold::binary(function, &x, &y))?)])
        }
        (Held::Value(x, _), Held::Value(y, _)) => {
            let (x, y) = (stretched(call, x, y)?, stretched(call, y, x)?);
            let y = call.apply(Elementwise { kind }, &[x, y])?;
            call.gives(y)
        }
        (Held::Value(x, _), Held::Known(array)) | (Held::Known(array), Held::Value(x, _)) => {
            // What is or-ed with false, or and-ed with true, stays as it is.
            let neutral = if kind == Kind::Maximum { 0 } else { 1 };
            match call.folded(array.integers())?.iter().all(|&v| v == neutral) {
                true if array.rank() <= call.rank(x) => call.gives(x),
                _ => Err(call.option("it combines truth values with constant ones")),
            }
        }
    }
}

fn not(call: &mut Call<'_, '_>) -> Outputs {
    match call.input(0)?.clone() {
        Held::Known(array) => {
            let function = Fold {
                real: None,
                whole: Some(|v| Some(1 - v)),
            };
            Ok(vec![Held::Known(call.folded(fold::unary(function, &array))?)])
        }
        Held::Value(x, _) => {
            let y = negated(call, x)?;
            call.gives(y)
        }
    }
}

fn over_axes(call: &mut Call<'_, '_>, kind: ReduceKind, function: Binary) -> Outputs {
    let keep_dims = call.flag("keep_dims", false)?;
    match call.input(0)?.clone() {
        Held::Known(array) => {
            let axes = super::reduce::axes(call, array.rank())?;
            let array = fold::reduced(function, &array, &axes, keep_dims, false);
            Ok(vec![Held::Known(call.folded(array)?)])
        }
        Held::Value(x, _) => {
            let axes = super::reduce::axes(call, call.rank(x))?;
            if axes.first() == Some(&0) {
                return Err(call.option("it reduces over the examples of a batch"));
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

fn filled(call: &mut Call<'_, '_>, shift: f64) -> Outputs {
    match call.input(0)?.clone() {
        Held::Known(array) => {
            let shape = array.shape();
            let filled = match array.dtype().is_float() {
                true => Array::reals(array.dtype(), &shape, &vec![shift; array.len()]),
                false => {
                    let value = fold::Whole::known(shift as i64);
                    Array::wholes(array.dtype(), shape, vec![value; array.len()])
                }
            };
            Ok(vec![Held::Known(call.folded(filled)?)])
        }
        Held::Value(x, _) => {
            let y = call.apply(Op::affine(0.0, shift), &[x])?;
            call.gives(y)
        }
    }
}

/// `c x + (1 - c) y`, which is the one or the other as long as both are finite.
fn choose(call: &mut Call<'_, '_>) -> Outputs {
    let (x, y) = (call.input(1)?.clone(), call.input(2)?.clone());
    if let Held::Known(array) = call.input(0)? {
        // The older operation chooses rows by a vector.
        let rank = [&x, &y].map(|held| match held {
            Held::Value(value, _) => call.rank(*value),
            Held::Known(array) => array.rank(),
        });
        if &*call.node.op == "Select" && array.rank() == 1 && rank != [1, 1] {
            return Err(call.option("it chooses among the examples of a batch"));
        }
        let flags = call.folded(array.integers())?;
        match (&flags[..], &x, &y) {
            ([1], ..) if array.rank() == 0 => return Ok(vec![x]),
            ([0], ..) if array.rank() == 0 => return Ok(vec![y]),
            (_, Held::Known(x), Held::Known(y)) => {
                let chosen = call.folded(fold::chosen(array, x, y))?;
                return Ok(vec![Held::Known(chosen)]);
            }
            _ => {}
        }
    }
    if let Some(dtype) = [&x, &y]
        .iter()
        .map(|held| held.dtype())
        .find(|dtype| !dtype.is_float())
    {
        return Err(call.option(format!("it chooses between numbers of type {dtype}")));
    }
    for branch in [&x, &y] {
        let finite = match branch {
            Held::Value(value, _) => call.graph().stays_finite(*value),
            Held::Known(array) => array
                .as_reals()
                .is_ok_and(|values| values.iter().all(|v| v.is_finite())),
        };
        if !finite {
            return Err(call.option(
                "it chooses between values that may be infinite or no number, where DL4J would compute with both",
            ));
        }
    }
    let [yes, no] = match call.input(0)?.clone() {
        Held::Known(array) => {
            let yes = call.folded(array.cast(DType::F32))?;
            let one = call.folded(Array::reals(DType::F32, &[], &[1.0]))?;
            let no = call.folded(fold::binary(Binary::Subtract, &one, &yes))?;
            [Held::Known(yes), Held::Known(no)]
        }
        Held::Value(condition, _) => {
            let opposite = negated(call, condition)?;
            [condition, opposite].map(|flags| Held::Value(flags, DType::F32))
        }
    };
    let zero = |held: &Held| matches!(held, Held::Known(array) if array.as_reals().is_ok_and(|v| v.iter().all(|v| *v == 0.0)));
    let sum = match (zero(&x), zero(&y)) {
        (false, true) => product(call, &yes, &x)?,
        (true, false) => product(call, &no, &y)?,
        _ => {
            let x = product(call, &yes, &x)?;
            let y = product(call, &no, &y)?;
            Held::Value(elementwise(call, Kind::Add, &x, &y)?, x.dtype())
        }
    };
    Ok(vec![sum])
}

/// A product of values and arrays, of the second one's type.
fn product(call: &mut Call<'_, '_>, x: &Held, y: &Held) -> Found<Held> {
    if let (Held::Known(x), Held::Known(y)) = (x, y) {
        return Ok(Held::Known(call.folded(fold::binary(Binary::Multiply, x, y))?));
    }
    Ok(Held::Value(elementwise(call, Kind::Multiply, x, y)?, y.dtype()))
}
