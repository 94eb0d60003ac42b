//! Comparisons, truth values, and choices between values. True is one, false is zero.

use super::super::{Call, OPTION, Outputs};
use super::arguments::{Arguments, Number};
use super::arithmetic::elementwise;
use super::reduce::reduced_axes;
use super::{Function, function};
use caribou_ir::op::{Elementwise, ElementwiseKind as Kind, Op, Reduce, ReduceKind, Tile, Unary, UnaryKind};
use caribou_ir::{Finding, Graph, Tensor, ValueId};

const XY: &[&str] = &["x", "y"];
const X: &[&str] = &["x"];

pub(super) const TABLE: &[Function] = &[
    function(&["math.greater", "greater"], XY, |call, arguments| {
        compared(call, arguments, ["x", "y"], false)
    }),
    function(&["math.less", "less"], XY, |call, arguments| {
        compared(call, arguments, ["y", "x"], false)
    }),
    function(&["math.greater_equal", "greater_equal"], XY, |call, arguments| {
        compared(call, arguments, ["y", "x"], true)
    }),
    function(&["math.less_equal", "less_equal"], XY, |call, arguments| {
        compared(call, arguments, ["x", "y"], true)
    }),
    function(&["math.not_equal", "not_equal"], XY, |call, arguments| {
        different(call, arguments, false)
    }),
    function(&["math.equal", "equal"], XY, |call, arguments| {
        different(call, arguments, true)
    }),
    function(&["math.logical_or", "logical_or"], XY, |call, arguments| {
        joined(call, arguments, Kind::Maximum)
    }),
    function(&["math.logical_and", "logical_and"], XY, |call, arguments| {
        joined(call, arguments, Kind::Minimum)
    }),
    function(&["math.logical_not", "logical_not"], X, |call, arguments| {
        let x = arguments.value(call, "x")?;
        let x = truth(call, x)?;
        Ok(vec![negated(call, x)?])
    }),
    function(
        &["math.reduce_any", "reduce_any"],
        &["x", "axis", "keepdims"],
        |call, arguments| over_axes(call, arguments, ReduceKind::Max),
    ),
    function(
        &["math.reduce_all", "reduce_all"],
        &["x", "axis", "keepdims"],
        |call, arguments| over_axes(call, arguments, ReduceKind::Min),
    ),
    function(&["where"], &["condition", "x", "y"], choose),
    function(&["zeros_like"], &["x", "dtype"], |call, arguments| {
        filled(call, arguments, 0.0)
    }),
    function(&["ones_like"], &["x", "dtype"], |call, arguments| {
        filled(call, arguments, 1.0)
    }),
];

fn unary(call: &mut Call<'_>, kind: UnaryKind, x: ValueId) -> Result<ValueId, Box<Finding>> {
    call.apply(Unary { kind }, &[x])
}

/// One where a number is positive.
fn positive(call: &mut Call<'_>, x: ValueId) -> Result<ValueId, Box<Finding>> {
    unary(call, UnaryKind::Step { threshold: 0.0 }, x)
}

fn negated(call: &mut Call<'_>, x: ValueId) -> Result<ValueId, Box<Finding>> {
    let kind = UnaryKind::Affine {
        scale: -1.0,
        shift: 1.0,
    };
    unary(call, kind, x)
}

fn difference(
    call: &mut Call<'_>,
    arguments: &Arguments<'_>,
    [x, y]: [&str; 2],
) -> Result<ValueId, Box<Finding>> {
    let (x, y) = (arguments.number(call, x)?, arguments.number(call, y)?);
    if let (Number::Known(_), Number::Known(_)) = (&x, &y) {
        return Err(call.refuse(OPTION, "it compares constants"));
    }
    elementwise(call, Kind::Subtract, x, y)
}

/// Whether the first is greater than the second; the opposite where `not`.
fn compared(call: &mut Call<'_>, arguments: &Arguments<'_>, order: [&str; 2], not: bool) -> Outputs {
    let y = difference(call, arguments, order)?;
    let y = positive(call, y)?;
    Ok(vec![if not { negated(call, y)? } else { y }])
}

/// Whether both differ; the opposite where `not`.
fn different(call: &mut Call<'_>, arguments: &Arguments<'_>, not: bool) -> Outputs {
    let y = difference(call, arguments, ["x", "y"])?;
    let y = unary(call, UnaryKind::Abs, y)?;
    let y = positive(call, y)?;
    Ok(vec![if not { negated(call, y)? } else { y }])
}

/// Whether every number of the value is zero or one.
pub(super) fn is_truth(graph: &Graph, value: ValueId) -> bool {
    let Some(node) = graph.producer(value) else {
        return false;
    };
    let all = || node.inputs.iter().all(|&input| is_truth(graph, input));
    match &node.op {
        Op::Unary(op) => match op.kind {
            UnaryKind::Step { .. } => true,
            UnaryKind::Affine { scale, shift } => {
                (scale == 0.0 && (shift == 0.0 || shift == 1.0)) || (scale == -1.0 && shift == 1.0 && all())
            }
            _ => false,
        },
        Op::Elementwise(op) => matches!(op.kind, Kind::Maximum | Kind::Minimum | Kind::Multiply) && all(),
        Op::Reduce(op) => matches!(op.kind, ReduceKind::Max | ReduceKind::Min | ReduceKind::Product) && all(),
        Op::Concat(_)
        | Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Slice(_)
        | Op::Split(_)
        | Op::Gather(_)
        | Op::Reverse(_)
        | Op::Tile(_)
        | Op::Identity(_) => all(),
        _ => false,
    }
}

/// Whether every number of the value is whole, so that no type of numbers changes it.
pub(super) fn is_whole(graph: &Graph, value: ValueId) -> bool {
    let Some(node) = graph.producer(value) else {
        return false;
    };
    match &node.op {
        Op::ArgMax(_) => true,
        Op::Reshape(_) | Op::Transpose(_) | Op::Slice(_) | Op::Tile(_) | Op::Identity(_) => {
            node.inputs.iter().all(|&input| is_whole(graph, input))
        }
        _ => is_truth(graph, value),
    }
}

/// The value as a truth value: whether it is not zero.
pub(super) fn truth(call: &mut Call<'_>, x: ValueId) -> Result<ValueId, Box<Finding>> {
    if is_truth(call.graph, x) {
        return Ok(x);
    }
    let x = unary(call, UnaryKind::Abs, x)?;
    positive(call, x)
}

/// The value repeated along axes of size one until it has the shape of `other`.
fn stretched(call: &mut Call<'_>, x: ValueId, other: ValueId) -> Result<ValueId, Box<Finding>> {
    let (from, to) = (call.shape(x), call.shape(other));
    if from.rank() != to.rank() {
        return Err(call.refuse(
            OPTION,
            format!("values of shapes {from} and {to} align at their last axes"),
        ));
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

/// Whether the value is one number everywhere.
fn constant(graph: &Graph, value: ValueId) -> Option<f64> {
    match &graph.producer(value)?.op {
        Op::Unary(Unary {
            kind: UnaryKind::Affine { scale, shift },
        }) if *scale == 0.0 => Some(*shift),
        _ => None,
    }
}

/// Or as the greater, and as the smaller of two truth values.
fn joined(call: &mut Call<'_>, arguments: &Arguments<'_>, kind: Kind) -> Outputs {
    let (x, y) = (arguments.value(call, "x")?, arguments.value(call, "y")?);
    let (x, y) = (truth(call, x)?, truth(call, y)?);
    let (x, y) = (stretched(call, x, y)?, stretched(call, y, x)?);
    // What is or-ed with false, or and-ed with true, stays as it is.
    let neutral = if kind == Kind::Maximum { 0.0 } else { 1.0 };
    for (one, other) in [(x, y), (y, x)] {
        if constant(call.graph, other) == Some(neutral) && call.shape(one) == call.shape(other) {
            return Ok(vec![one]);
        }
    }
    Ok(vec![call.apply(Elementwise { kind }, &[x, y])?])
}

fn over_axes(call: &mut Call<'_>, arguments: &Arguments<'_>, kind: ReduceKind) -> Outputs {
    let x = arguments.value(call, "x")?;
    let x = truth(call, x)?;
    let op = Reduce {
        kind,
        axes: reduced_axes(call, arguments, call.rank(x))?,
        keep_dims: arguments.flag(call, "keepdims")?,
    };
    Ok(vec![call.apply(op, &[x])?])
}

fn filled(call: &mut Call<'_>, arguments: &Arguments<'_>, shift: f64) -> Outputs {
    let x = arguments.value(call, "x")?;
    Ok(vec![unary(call, UnaryKind::Affine { scale: 0.0, shift }, x)?])
}

/// `c x + (1 - c) y`, which is the one or the other as long as both are finite.
fn choose(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let condition = arguments.value(call, "condition")?;
    let condition = truth(call, condition)?;
    let (x, y) = (arguments.number(call, "x")?, arguments.number(call, "y")?);
    for branch in [&x, &y] {
        let finite = match branch {
            Number::Value(value) => call.graph.stays_finite(*value),
            Number::Known(array) => is_finite(array),
        };
        if !finite {
            return Err(call.refuse(
                OPTION,
                "it chooses between values that may be infinite or no number, where DL4J would compute with both",
            ));
        }
    }
    let opposite = negated(call, condition)?;
    let x = elementwise(call, Kind::Multiply, Number::Value(condition), x)?;
    let y = elementwise(call, Kind::Multiply, Number::Value(opposite), y)?;
    Ok(vec![elementwise(
        call,
        Kind::Add,
        Number::Value(x),
        Number::Value(y),
    )?])
}

fn is_finite(array: &Tensor) -> bool {
    array
        .to_vec()
        .is_ok_and(|values| values.iter().all(|value| value.is_finite()))
}
