//! Functions of Keras 3 that TensorFlow has not, or has in other words: norms and activations with options.

use super::super::{Call, OPTION, Outputs};
use super::arguments::{Arguments, Number};
use super::arithmetic::elementwise;
use super::array::affine;
use super::reduce::reduced_axes;
use super::{Function, function};
use crate::config::Operand;
use caribou_ir::op::{
    Activation, ArgMax, ElementwiseKind as Kind, L2Normalize, Reduce, ReduceKind, Split, Unary, UnaryKind,
};
use serde_json::Value;

pub(super) const TABLE: &[Function] = &[
    function(&["ops.norm"], &["input_tensor", "axis", "keepdims", "ord"], norm),
    function(&["ops.normalize"], &["x", "axis", "order", "epsilon"], normalize),
    function(&["ops.deg2rad"], &["x"], |call, arguments| {
        let x = arguments.value(call, "x")?;
        affine(call, x, std::f64::consts::PI / 180.0, 0.0)
    }),
    function(&["ops.rad2deg"], &["x"], |call, arguments| {
        let x = arguments.value(call, "x")?;
        affine(call, x, 180.0 / std::f64::consts::PI, 0.0)
    }),
    function(&["ops.elu"], &["x", "alpha"], |call, arguments| {
        let (x, alpha) = (
            arguments.value(call, "x")?,
            arguments.real_or(call, "alpha", 1.0)?,
        );
        Ok(vec![call.apply(Activation::Elu { alpha }, &[x])?])
    }),
    function(&["ops.celu"], &["x", "alpha"], |call, arguments| {
        let (x, alpha) = (
            arguments.value(call, "x")?,
            arguments.real_or(call, "alpha", 1.0)?,
        );
        Ok(vec![call.apply(Activation::Celu { alpha }, &[x])?])
    }),
    function(&["ops.argmax"], &["x", "axis", "keepdims"], |call, arguments| {
        position(call, arguments, "x", false)
    }),
    function(&["ops.argmin"], &["x", "axis", "keepdims"], |call, arguments| {
        position(call, arguments, "x", true)
    }),
    function(
        &["math.argmax", "argmax"],
        &["input", "axis", "output_type"],
        |call, arguments| position(call, arguments, "input", false),
    ),
    function(
        &["math.argmin", "argmin"],
        &["input", "axis", "output_type"],
        |call, arguments| position(call, arguments, "input", true),
    ),
    function(&["ops.glu"], &["x", "axis"], gated),
    function(&["ops.tanh_shrink"], &["x"], |call, arguments| {
        let x = arguments.value(call, "x")?;
        let y = call.apply(Activation::Tanh, &[x])?;
        let y = elementwise(call, Kind::Subtract, Number::Value(x), Number::Value(y))?;
        Ok(vec![y])
    }),
    function(&["ops.threshold"], &["x", "threshold", "default"], threshold),
];

/// The Euclidean norm, or the sum of the magnitudes, along one axis; along several axes the Euclidean one alone, for
/// matrices have others by these names.
fn norm(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "input_tensor")?;
    let axes = reduced_axes(call, arguments, call.rank(x))?;
    let kind = match (arguments.get("ord"), axes.len()) {
        (None, _) => ReduceKind::L2,
        (Some(Operand::Plain(Value::String(name))), _) if name == "fro" => ReduceKind::L2,
        (Some(Operand::Plain(order)), 1) if order.as_f64() == Some(2.0) => ReduceKind::L2,
        (Some(Operand::Plain(order)), 1) if order.as_f64() == Some(1.0) => ReduceKind::L1,
        _ => return Err(call.refuse(OPTION, "a norm of this order is not supported")),
    };
    let keep_dims = arguments.flag(call, "keepdims")?;
    let op = Reduce {
        kind,
        axes,
        keep_dims,
    };
    Ok(vec![call.apply(op, &[x])?])
}

/// `x / max(norm, epsilon)`.
fn normalize(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "x")?;
    let rank = call.rank(x);
    if arguments.integer_or(call, "order", 2)? != 2 {
        return Err(call.refuse(OPTION, "a norm other than the Euclidean one is not supported"));
    }
    let axis = call.axis(arguments.integer_or(call, "axis", -1)?, rank)?;
    if axis == 0 {
        return Err(call.refuse(OPTION, "it normalises over the examples of a batch"));
    }
    let op = L2Normalize {
        axes: vec![axis],
        epsilon: arguments.real_or(call, "epsilon", 1e-7)?,
    };
    Ok(vec![call.apply(op, &[x])?])
}

/// The place of the first of the largest, or of the smallest, along one axis.
fn position(call: &mut Call<'_>, arguments: &Arguments<'_>, name: &str, smallest: bool) -> Outputs {
    let mut x = arguments.value(call, name)?;
    let axis = match arguments.get("axis") {
        Some(_) => call.axis(arguments.integer_or(call, "axis", 0)?, call.rank(x))?,
        None => 0,
    };
    if axis == 0 {
        return Err(call.refuse(OPTION, "it looks among the examples of a batch"));
    }
    if smallest {
        let kind = UnaryKind::Negate;
        x = call.apply(Unary { kind }, &[x])?;
    }
    let op = ArgMax {
        axis,
        keep_dims: arguments.flag(call, "keepdims")?,
        select_last: false,
    };
    Ok(vec![call.apply(op, &[x])?])
}

/// One half of an axis times the sigmoid of the other.
fn gated(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "x")?;
    let axis = call.axis(arguments.integer_or(call, "axis", -1)?, call.rank(x))?;
    let size = call.size(x, axis)?;
    if axis == 0 || !size.is_multiple_of(2) {
        return Err(call.refuse(OPTION, format!("{size} elements have no halves")));
    }
    let sizes = vec![size / 2; 2];
    let halves = call.push(Split { axis, sizes }, &[x])?;
    let gate = call.apply(Activation::Sigmoid, &[halves[1]])?;
    let y = elementwise(
        call,
        Kind::Multiply,
        Number::Value(halves[0]),
        Number::Value(gate),
    )?;
    Ok(vec![y])
}

/// Numbers above the threshold, and another one for the rest.
fn threshold(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "x")?;
    let threshold = arguments.real_or(call, "threshold", 0.0)?;
    let default = arguments.real_or(call, "default", 0.0)?;
    let kind = UnaryKind::Step { threshold };
    let above = call.apply(Unary { kind }, &[x])?;
    let y = elementwise(call, Kind::Multiply, Number::Value(x), Number::Value(above))?;
    if default == 0.0 {
        return Ok(vec![y]);
    }
    let rest = affine(call, above, -default, default)?[0];
    Ok(vec![elementwise(
        call,
        Kind::Add,
        Number::Value(y),
        Number::Value(rest),
    )?])
}
