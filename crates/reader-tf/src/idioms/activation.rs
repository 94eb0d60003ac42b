//! Activations that a program writes as arithmetic: GELU, swish, mish, hard sigmoid, softplus and others.
//!
//! There are as many ways to write them as programs, so that they are not looked for by form. What an operation is computed
//! to from one value behind it, element by element, is a function of one number; it is read as the activation that has the
//! same values over the whole range of numbers. A constant that the program gives to seven digits is as good as the exact one.

use super::Lifted;
use crate::build::Held;
use crate::ops::Call;
use caribou_ir::function::{Function, Step, arguments};
use caribou_ir::op::{ElementwiseKind as Kind, Op, UnaryKind};
use caribou_ir::{Graph, ValueId};

/// The operations that an activation may end with.
pub(super) const ENDS: &[&str] = &[
    "Mul",
    "Add",
    "AddV2",
    "Sub",
    "RealDiv",
    "Div",
    "Maximum",
    "Minimum",
    "Select",
    "SelectV2",
    "Log",
    "Log1p",
    "Reciprocal",
    "Inv",
    "ClipByValue",
];

/// The operation as an activation of a value before it.
pub(super) fn by_values(call: &mut Call<'_, '_>) -> Lifted {
    let Some(dtype) = call.inputs.iter().rev().find_map(|input| match input {
        Held::Value(_, dtype) if dtype.is_float() => Some(*dtype),
        _ => None,
    }) else {
        return Ok(None);
    };
    let candidates: Vec<(ValueId, Function)> = arguments(call.graph(), call.inputs.iter().filter_map(value))
        .into_iter()
        .filter_map(|argument| Some((argument, function(call, argument)?)))
        .filter(|(_, function)| function.operators() >= 2)
        .collect();
    let mut found = candidates
        .iter()
        .find_map(|(argument, function)| Some((*argument, function.recognised()?)));
    if found.is_none() {
        let of_affine = candidates
            .iter()
            .find_map(|(argument, function)| Some((*argument, function.recognised_of_affine()?)));
        if let Some((argument, (activation, [scale, shift]))) = of_affine {
            found = Some((call.apply(Op::affine(scale, shift), &[argument])?, activation));
        }
    }
    let Some((argument, activation)) = found else {
        return Ok(None);
    };
    let y = call.apply(activation, &[argument])?;
    call.lift("an activation");
    Ok(Some(vec![Held::Value(y, dtype)]))
}

fn value(held: &Held) -> Option<ValueId> {
    match held {
        Held::Value(value, _) => Some(*value),
        Held::Known(_) => None,
    }
}

/// What the operation is computed to from `argument`; `None` where it depends on anything else.
fn function(call: &Call<'_, '_>, argument: ValueId) -> Option<Function> {
    let graph: &Graph = call.graph();
    let mut function = Function::of(argument);
    let mut places = Vec::with_capacity(call.inputs.len());
    for held in &call.inputs {
        places.push(match held {
            Held::Value(value, _) => function.place(graph, *value)?,
            Held::Known(array) if array.rank() <= graph.shape(argument).rank() => {
                function.push(Step::Number(array.scalar()?))
            }
            Held::Known(_) => return None,
        });
    }
    let pair = |kind: Kind| Step::Elementwise(kind, places.clone());
    let step = match (&*call.node.op, &places[..]) {
        ("Mul", [_, _]) => pair(Kind::Multiply),
        ("Add" | "AddV2", [_, _]) => pair(Kind::Add),
        ("Sub", [_, _]) => pair(Kind::Subtract),
        ("RealDiv" | "Div", [_, _]) => pair(Kind::Divide),
        ("Maximum", [_, _]) => pair(Kind::Maximum),
        ("Minimum", [_, _]) => pair(Kind::Minimum),
        ("Select" | "SelectV2", &[condition, yes, no]) => Step::Choice([condition, yes, no]),
        ("Log", &[x]) => Step::Unary(UnaryKind::Log, x),
        ("Log1p", &[x]) => {
            let (scale, shift) = (1.0, 1.0);
            let sum = function.push(Step::Unary(UnaryKind::Affine { scale, shift }, x));
            Step::Unary(UnaryKind::Log, sum)
        }
        ("Reciprocal" | "Inv", &[x]) => Step::Unary(UnaryKind::Reciprocal, x),
        ("ClipByValue", &[x, low, high]) => {
            let least = function.push(Step::Elementwise(Kind::Maximum, vec![x, low]));
            Step::Elementwise(Kind::Minimum, vec![least, high])
        }
        _ => return None,
    };
    function.push(step);
    Some(function)
}
