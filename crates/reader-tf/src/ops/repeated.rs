//! Arrays that are the same for each example: `zeros([batch, units])`, a constant tiled over the batch, `ones_like`.
//!
//! They are known but for how often they are repeated. An operation on them that keeps the examples apart is computed once,
//! on `[1, …]`; beside a value of the model they stretch to it.

use super::{Call, Found, OPTION};
use crate::build::Held;
use crate::fold::{Array, Elements, Whole};
use crate::graph::EACH;
use caribou_ir::{DType, Dim};

/// Operations on elements.
const ELEMENTS: &[&str] = &[
    "Abs",
    "Add",
    "AddN",
    "AddV2",
    "BiasAdd",
    "Cast",
    "Ceil",
    "CheckNumerics",
    "ClipByValue",
    "Cos",
    "Div",
    "DivNoNan",
    "Elu",
    "EnsureShape",
    "Equal",
    "Exp",
    "Floor",
    "FloorDiv",
    "FloorMod",
    "Greater",
    "GreaterEqual",
    "Identity",
    "Less",
    "LessEqual",
    "Log",
    "Log1p",
    "LogicalAnd",
    "LogicalNot",
    "LogicalOr",
    "Maximum",
    "Minimum",
    "Mul",
    "Neg",
    "NotEqual",
    "OnesLike",
    "Pow",
    "PreventGradient",
    "RealDiv",
    "Reciprocal",
    "Relu",
    "Relu6",
    "Round",
    "Rsqrt",
    "Select",
    "SelectV2",
    "Sigmoid",
    "Sign",
    "Sin",
    "Snapshot",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Square",
    "SquaredDifference",
    "StopGradient",
    "Sub",
    "Tanh",
    "ZerosLike",
];

/// Operations that take such an array beside a value of the model as they take `[1, …]`.
const BESIDE: &[&str] = &[
    "BatchMatMul",
    "BatchMatMulV2",
    "BatchMatMulV3",
    "BlockLSTM",
    "BlockLSTMV2",
    "Concat",
    "ConcatV2",
    "Pack",
    "Reshape",
    "ReverseSequence",
];

/// Operations that only ask for the shape.
const SHAPES: &[&str] = &["Shape", "ShapeN", "Size", "Rank"];

/// The outputs of an operation where they are such arrays. `None` where it is read like any other, its inputs being what
/// they are without examples.
pub(crate) fn read(call: &mut Call<'_, '_>) -> Found<Option<Vec<Array>>> {
    if let Some(array) = made(call)? {
        return Ok(Some(vec![array]));
    }
    let op = &*call.node.op;
    if !call.repeated.contains(&true) || SHAPES.contains(&op) {
        return Ok(None);
    }
    if call.inputs.iter().any(|input| matches!(input, Held::Value(..))) {
        if ELEMENTS.contains(&op) {
            return beside(call);
        }
        if BESIDE.contains(&op) {
            return Ok(None);
        }
    } else if ELEMENTS.contains(&op) || keeps_examples(call)? {
        return folded(call).map(Some);
    }
    Err(call.refuse(OPTION, "it computes with an array of constants for each example"))
}

/// The operation computed on `[1, …]`.
fn folded(call: &mut Call<'_, '_>) -> Found<Vec<Array>> {
    let outputs = super::read(call)?;
    let apart = |held: Held| match held {
        Held::Known(array) if array.shape().first() == Some(&1) => Ok(array),
        _ => Err(call.option("it mixes arrays of constants for each example")),
    };
    outputs.into_iter().map(apart).collect()
}

/// The array of an operation that makes one.
fn made(call: &mut Call<'_, '_>) -> Found<Option<Array>> {
    let op = &*call.node.op;
    if op == EACH {
        return Ok(Some(call.known(0)?.clone()));
    }
    if !matches!(op, "Fill" | "BroadcastTo" | "Tile" | "ZerosLike" | "OnesLike") {
        return Ok(None);
    }
    if let Held::Value(value, dtype) = *call.input(0)? {
        let shape = call.shape(value);
        let number = match op {
            "ZerosLike" => 0.0,
            "OnesLike" => 1.0,
            _ => return Ok(None),
        };
        let (Some(sizes), Some(&Dim::BATCH)) = (shape.feature_sizes(), shape.dims().first()) else {
            return Ok(None);
        };
        return filled(call, dtype, &sizes, number).map(Some);
    }
    let place = usize::from(op != "Fill");
    if op.ends_with("Like") || !matches!(call.input(place)?, Held::Known(_)) {
        return Ok(None);
    }
    let sizes = call.wholes(place.max(usize::from(op != "Fill")))?;
    let Some((first, rest)) = sizes.split_first() else {
        return Ok(None);
    };
    let rest: Option<Vec<usize>> = rest
        .iter()
        .map(|size| usize::try_from(size.number()?).ok())
        .collect();
    let (true, Some(rest)) = (first.is(Dim::BATCH), rest) else {
        return Ok(None);
    };
    let sizes: Vec<usize> = std::iter::once(1).chain(rest).collect();
    let array = match op {
        "Fill" => {
            let number = call.folded(call.known(1)?.reshaped(&[]))?;
            number.stretched(&sizes)
        }
        "Tile" if call.known(0)?.shape().first() == Some(&1) => call.known(0)?.tiled(&sizes),
        "BroadcastTo" => call.known(0)?.stretched(&sizes),
        _ => return Ok(None),
    };
    call.folded(array).map(Some)
}

/// One number everywhere.
fn filled(call: &Call<'_, '_>, dtype: DType, features: &[usize], number: f64) -> Found<Array> {
    let shape: Vec<usize> = std::iter::once(1).chain(features.iter().copied()).collect();
    let one = match dtype.is_float() {
        true => Array::reals(dtype, &[], &[number]),
        false => Array::wholes(dtype, vec![], vec![Whole::known(number as i64)]),
    };
    call.folded(one.and_then(|one| one.stretched(&shape)))
}

/// An operation on elements of values and such arrays: these have the same axes, so that they stretch to the values.
fn beside(call: &mut Call<'_, '_>) -> Found<Option<Vec<Array>>> {
    let value = call.inputs.iter().find_map(|input| match input {
        Held::Value(value, dtype) => Some((*value, *dtype)),
        Held::Known(_) => None,
    });
    let Some((value, dtype)) = value else {
        return Ok(None);
    };
    let shape = call.shape(value);
    for place in 0..call.inputs.len() {
        let (true, Held::Known(array)) = (call.repeated[place], &call.inputs[place]) else {
            continue;
        };
        let own = array.shape();
        if own.len() != shape.rank() {
            let message = format!("{own:?} for each example beside {shape}: they align at their last axes");
            return Err(call.option(message));
        }
        let Some(number) = uniform(array) else { continue };
        let within = (1..own.len()).all(|axis| own[axis] == 1 || shape.size(axis) == Some(own[axis]));
        if !within {
            continue;
        }
        // Nothing of the value is left.
        if &*call.node.op == "Mul"
            && number == 0.0
            && call.graph().stays_finite(value)
            && let Some(sizes) = shape.feature_sizes()
        {
            return filled(call, dtype, &sizes, 0.0).map(|array| Some(vec![array]));
        }
        let single = call.folded(match array.dtype().is_float() {
            true => Array::reals(array.dtype(), &[], &[number]),
            false => Array::wholes(array.dtype(), vec![], vec![Whole::known(number as i64)]),
        })?;
        call.inputs[place] = Held::Known(single);
    }
    Ok(None)
}

/// The number that all elements are.
fn uniform(array: &Array) -> Option<f64> {
    let values = match array.elements().ok()? {
        Elements::Real(values) => values,
        Elements::Whole(_) => array.as_reals().ok()?,
    };
    let first = *values.first()?;
    values.iter().all(|&value| value == first).then_some(first)
}

/// Whether the operation leaves the first axis of such arrays alone; a shape that names it is made one of a single example.
fn keeps_examples(call: &mut Call<'_, '_>) -> Found<bool> {
    let op = &*call.node.op;
    let place = usize::from(op == "Split");
    let rank = match call.input(place)? {
        Held::Known(array) => array.rank(),
        Held::Value(..) => return Ok(false),
    };
    let all = |call: &Call<'_, '_>, count: usize| call.repeated.iter().take(count).all(|&each| each);
    Ok(match op {
        "Transpose" => call.integers(1)?.first() == Some(&0),
        "Sum" | "Mean" | "Max" | "Min" | "Prod" | "All" | "Any" => {
            !super::reduce::axes(call, rank)?.contains(&0)
        }
        "ExpandDims" => call.axis(call.integer(1)?, rank + 1)? != 0,
        "Squeeze" => {
            let axes = [call.list("squeeze_dims")?, call.list("axis")?].concat();
            !axes.is_empty() && axes.iter().all(|&axis| axis != 0 && axis != -(rank as i64))
        }
        "Tile" => call.integers(1)?.first() == Some(&1),
        "ConcatV2" => {
            let last = call.inputs.len() - 1;
            all(call, last) && call.axis(call.integer(last)?, rank)? != 0
        }
        "Pack" => all(call, call.inputs.len()) && call.axis(call.whole("axis", 0)?, rank + 1)? != 0,
        "Split" => call.axis(call.integer(0)?, rank)? != 0,
        "SplitV" => call.axis(call.integer(2)?, rank)? != 0,
        "Unpack" => call.axis(call.whole("axis", 0)?, rank)? != 0,
        "StridedSlice" => super::slice::leaves_first_axis(call, rank)?,
        "MatMul" => call.repeated == [true, false] && !call.flag("transpose_a", false)?,
        "GatherV2" => {
            let axis = call.axis(call.integer(2)?, rank)?;
            call.whole("batch_dims", 0)? == 0
                && match call.repeated[..] {
                    [true, false, ..] => axis != 0,
                    [false, true, ..] => axis == 0,
                    _ => false,
                }
        }
        "Reshape" => {
            let (mut sizes, features) = (call.wholes(1)?, call.known(0)?.len() as i64);
            let rest: i64 = sizes
                .iter()
                .skip(1)
                .filter_map(Whole::number)
                .filter(|&size| size >= 0)
                .product();
            let known = sizes
                .iter()
                .skip(1)
                .all(|size| size.number().is_some_and(|n| n >= 0));
            match sizes.first_mut() {
                Some(first)
                    if first.is(Dim::BATCH) || (first.number() == Some(-1) && known && rest == features) =>
                {
                    *first = Whole::known(1);
                    let dtype = call.known(1)?.dtype();
                    let shape = Array::wholes(dtype, vec![sizes.len()], sizes);
                    call.inputs[1] = Held::Known(call.folded(shape)?);
                    true
                }
                _ => false,
            }
        }
        _ => false,
    })
}
