//! Arithmetic on elements.

use super::activation::pointwise;
use super::linear::biased;
use super::{Call, Found, MISFIT, Outputs, Row, any, real};
use crate::build::Held;
use crate::fold::{self, Array, Binary, Fold};
use caribou_ir::op::{Activation, Constant, Elementwise, ElementwiseKind as Kind, Op, Unary, UnaryKind};
use caribou_ir::{Tensor, ValueId};

macro_rules! unary {
    ($op:expr, $kind:expr, $fold:expr) => {
        any($op, &[], |call| unary(call, $kind, $fold))
    };
}

pub(super) const TABLE: &[Row] = &[
    any("Add", &[], |call| pair(call, Kind::Add, Binary::Add)),
    any("AddV2", &[], |call| pair(call, Kind::Add, Binary::Add)),
    any("AddN", &[], add_n),
    any("Sub", &[], |call| pair(call, Kind::Subtract, Binary::Subtract)),
    any("Mul", &[], |call| pair(call, Kind::Multiply, Binary::Multiply)),
    any("RealDiv", &[], |call| pair(call, Kind::Divide, Binary::Divide)),
    any("Div", &[], divide),
    any("DivNoNan", &[], divide_no_nan),
    any("FloorDiv", &[], |call| known_pair(call, Binary::FloorDivide)),
    any("TruncateDiv", &[], |call| {
        known_pair(call, Binary::TruncateDivide)
    }),
    any("FloorMod", &[], |call| known_pair(call, Binary::Modulo)),
    any("Maximum", &[], |call| pair(call, Kind::Maximum, Binary::Maximum)),
    any("Minimum", &[], |call| pair(call, Kind::Minimum, Binary::Minimum)),
    any("Pow", &[], |call| pair(call, Kind::Power, Binary::Power)),
    any("SquaredDifference", &[], squared_difference),
    unary!("Neg", UnaryKind::Negate, both(|x| -x, i64::checked_neg)),
    unary!("Abs", UnaryKind::Abs, both(f64::abs, i64::checked_abs)),
    unary!("Square", UnaryKind::Square, both(|x| x * x, |x| x.checked_mul(x))),
    unary!(
        "Sign",
        UnaryKind::Sign,
        both(|x| if x == 0.0 { 0.0 } else { x.signum() }, |x| Some(x.signum()))
    ),
    unary!("Log", UnaryKind::Log, of_reals(f64::ln)),
    unary!("Sqrt", UnaryKind::Sqrt, of_reals(f64::sqrt)),
    unary!("Rsqrt", UnaryKind::ReciprocalSqrt, of_reals(|x| 1.0 / x.sqrt())),
    unary!("Reciprocal", UnaryKind::Reciprocal, of_reals(|x| 1.0 / x)),
    unary!("Inv", UnaryKind::Reciprocal, of_reals(|x| 1.0 / x)),
    unary!("Floor", UnaryKind::Floor, of_reals(f64::floor)),
    unary!("Ceil", UnaryKind::Ceil, of_reals(f64::ceil)),
    unary!("Round", UnaryKind::Round, of_reals(f64::round_ties_even)),
    unary!("Rint", UnaryKind::Round, of_reals(f64::round_ties_even)),
    unary!("Sin", UnaryKind::Sin, of_reals(f64::sin)),
    unary!("Cos", UnaryKind::Cos, of_reals(f64::cos)),
    any("Log1p", &[], |call| {
        shifted(call, 1.0, Unary { kind: UnaryKind::Log }.into(), f64::ln_1p)
    }),
    any("Expm1", &[], expm1),
    real("ClipByValue", &[], clip),
];

const fn of_reals(real: fn(f64) -> f64) -> Fold {
    Fold {
        real: Some(real),
        whole: None,
    }
}

const fn both(real: fn(f64) -> f64, whole: fn(i64) -> Option<i64>) -> Fold {
    Fold {
        real: Some(real),
        whole: Some(whole),
    }
}

/// Which operand of a function of two numbers a constant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operand {
    First,
    Second,
}

/// Refuses arithmetic on whole numbers that depend on the inputs: TensorFlow wraps them around and cuts quotients off.
fn fractions(call: &Call<'_, '_>) -> Found<()> {
    let whole = call.inputs.iter().find_map(|input| match input {
        Held::Value(_, dtype) if !dtype.is_float() => Some(*dtype),
        _ => None,
    });
    match whole {
        Some(dtype) => Err(call.option(format!(
            "it computes with numbers of type {dtype} that depend on the inputs of the model"
        ))),
        None => Ok(()),
    }
}

fn unary(call: &mut Call<'_, '_>, kind: UnaryKind, function: Fold) -> Outputs {
    match call.input(0)?.clone() {
        Held::Value(x, _) => {
            fractions(call)?;
            let y = call.apply(Unary { kind }, &[x])?;
            call.gives(y)
        }
        Held::Known(array) => Ok(vec![Held::Known(call.folded(fold::unary(function, &array))?)]),
    }
}

fn pair(call: &mut Call<'_, '_>, kind: Kind, function: Binary) -> Outputs {
    let (x, y) = (call.input(0)?.clone(), call.input(1)?.clone());
    if let (Held::Known(x), Held::Known(y)) = (&x, &y) {
        return Ok(vec![Held::Known(call.folded(fold::binary(function, x, y))?)]);
    }
    fractions(call)?;
    // A vector on the last axis is a bias.
    if kind == Kind::Add {
        for (value, other, place) in [(&x, &y, 0), (&y, &x, 1)] {
            if let (Held::Value(value, _), Held::Known(array)) = (value, other)
                && let Some((axis, bias)) = bias(call, *value, array)?
            {
                let y = biased(call, *value, axis, bias, place)?;
                return call.gives(y);
            }
        }
    }
    let y = elementwise(call, kind, &x, &y)?;
    call.gives(y)
}

/// The axis that a constant runs along, with the constant as a vector, where it is one for each element of the last axis
/// or of the first behind the batch.
fn bias(call: &Call<'_, '_>, x: ValueId, array: &Array) -> Found<Option<(usize, Tensor)>> {
    let shape = array.shape();
    let rank = call.rank(x);
    let long: Vec<usize> = (0..shape.len()).filter(|&axis| shape[axis] != 1).collect();
    let [place] = long[..] else { return Ok(None) };
    if shape.len() > rank || rank < 2 {
        return Ok(None);
    }
    let axis = place + rank - shape.len();
    let fits = call.graph().shape(x).size(axis) == Some(array.len());
    if !fits || axis == 0 || (axis != rank - 1 && axis != 1) {
        return Ok(None);
    }
    let vector = call.folded(array.reshaped(&[array.len()]))?;
    Ok(Some((axis, call.folded(vector.tensor())?)))
}

/// A function of two numbers, arrays or values.
pub(crate) fn elementwise(call: &mut Call<'_, '_>, kind: Kind, x: &Held, y: &Held) -> Found<ValueId> {
    match (x, y) {
        (Held::Known(_), Held::Known(_)) => Err(call.option("it combines constants")),
        (&Held::Value(x, _), &Held::Value(y, _)) => {
            // Values of the model align at the batch; with fewer axes they would meet other axes of each other.
            if call.rank(x) != call.rank(y) {
                let message = format!(
                    "values of shapes {} and {} align at their last axes",
                    call.shape(x),
                    call.shape(y)
                );
                return Err(call.option(message));
            }
            call.apply(Elementwise { kind }, &[x, y])
        }
        (&Held::Value(x, _), Held::Known(y)) => with_array(call, kind, x, y, Operand::Second),
        (Held::Known(x), &Held::Value(y, _)) => with_array(call, kind, y, x, Operand::First),
    }
}

/// A value and an array; a single number where it can be.
fn with_array(
    call: &mut Call<'_, '_>,
    kind: Kind,
    x: ValueId,
    array: &Array,
    operand: Operand,
) -> Found<ValueId> {
    let swapped = operand == Operand::First;
    let first = match array.rank() == call.rank(x) && array.shape()[0] > 1 {
        true => Some(call.each_example(array)?),
        false => None,
    };
    let array = first.as_ref().unwrap_or(array);
    if array.len() == 1
        && array.rank() <= call.rank(x)
        && let Some(c) = array.scalar()
    {
        if !c.is_finite() {
            return Err(call.option(format!("it computes with {c}")));
        }
        if kind == Kind::Divide && swapped {
            let kind = UnaryKind::Reciprocal;
            let y = call.apply(Unary { kind }, &[x])?;
            return if c == 1.0 {
                Ok(y)
            } else {
                call.apply(Op::affine(c, 0.0), &[y])
            };
        }
        // A power of a positive number is an exponential.
        if kind == Kind::Power && swapped && c > 0.0 {
            let x = call.apply(Op::affine(c.ln(), 0.0), &[x])?;
            return call.apply(Activation::Exponential, &[x]);
        }
        let neutral = match kind {
            Kind::Add => c == 0.0,
            Kind::Subtract => c == 0.0 && !swapped,
            Kind::Multiply => c == 1.0,
            Kind::Divide => c == 1.0 && !swapped,
            _ => false,
        };
        if neutral {
            return Ok(x);
        }
        if let Some(op) = kind.with_number(c, swapped) {
            return call.apply(op, &[x]);
        }
    }
    let tensor = call.folded(array.tensor())?;
    beside(call, kind, x, tensor, operand)
}

/// A value beside an array of constants, the same for each example.
pub(crate) fn beside(
    call: &mut Call<'_, '_>,
    kind: Kind,
    x: ValueId,
    array: Tensor,
    operand: Operand,
) -> Found<ValueId> {
    let shape = array.shape();
    let rank = call.rank(x);
    if shape.len() > rank || (shape.len() == rank && shape[0] != 1) {
        let message = format!(
            "a constant of shape {shape:?} does not fit each example of {}",
            call.shape(x)
        );
        return Err(call.refuse(MISFIT, message));
    }
    let constant = call.apply(Constant { value: array }, &[])?;
    let inputs = match operand {
        Operand::First => [constant, x],
        Operand::Second => [x, constant],
    };
    call.apply(Elementwise { kind }, &inputs)
}

/// What is only computed of sizes.
fn known_pair(call: &mut Call<'_, '_>, function: Binary) -> Outputs {
    match (call.input(0)?, call.input(1)?) {
        (Held::Known(x), Held::Known(y)) => {
            let array = fold::binary(function, x, y);
            Ok(vec![Held::Known(call.folded(array)?)])
        }
        _ => Err(call.option("DL4J has no division that rounds, and no rest of one")),
    }
}

/// The older division, which cuts the quotient of whole numbers off.
fn divide(call: &mut Call<'_, '_>) -> Outputs {
    if call.inputs.iter().all(|input| !input.dtype().is_float()) {
        return known_pair(call, Binary::TruncateDivide);
    }
    pair(call, Kind::Divide, Binary::Divide)
}

/// A division that gives zero where it divides by zero. With `d` one where the divisor `y` is not zero, and zero where it
/// is: `(x * d) / (y + 1 - d)`.
fn divide_no_nan(call: &mut Call<'_, '_>) -> Outputs {
    if let Held::Value(y, _) = *call.input(1)? {
        fractions(call)?;
        let kind = UnaryKind::Step { threshold: 0.0 };
        let above = call.apply(Unary { kind }, &[y])?;
        let opposite = call.apply(Op::affine(-1.0, 0.0), &[y])?;
        let below = call.apply(Unary { kind }, &[opposite])?;
        let kind = Kind::Add;
        let there = call.apply(Elementwise { kind }, &[above, below])?;
        let absent = call.apply(Op::affine(-1.0, 1.0), &[there])?;
        let divisor = call.apply(Elementwise { kind }, &[y, absent])?;
        let (x, dtype) = (call.input(0)?.clone(), call.input(0)?.dtype());
        let x = elementwise(call, Kind::Multiply, &x, &Held::Value(there, dtype))?;
        let kind = Kind::Divide;
        let y = call.apply(Elementwise { kind }, &[x, divisor])?;
        return call.gives(y);
    }
    let divisors = call.folded(call.known(1)?.as_reals())?;
    if divisors.contains(&0.0) {
        return Err(call.option("a division by zero that gives zero"));
    }
    pair(call, Kind::Divide, Binary::Divide)
}

/// The sum of values of one shape.
fn add_n(call: &mut Call<'_, '_>) -> Outputs {
    let all: Option<Vec<ValueId>> = call
        .inputs
        .iter()
        .map(|input| match input {
            Held::Value(value, _) => Some(*value),
            Held::Known(_) => None,
        })
        .collect();
    match all {
        Some(values) => {
            fractions(call)?;
            match values[..] {
                [] => Err(call.option("a sum of nothing")),
                [only] => call.gives(only),
                _ => {
                    let y = call.apply(Elementwise { kind: Kind::Add }, &values)?;
                    call.gives(y)
                }
            }
        }
        None if call.inputs.iter().all(|input| matches!(input, Held::Known(_))) => {
            let mut sum = call.known(0)?.clone();
            for place in 1..call.inputs.len() {
                let next = call.known(place)?.clone();
                sum = call.folded(fold::binary(Binary::Add, &sum, &next))?;
            }
            Ok(vec![Held::Known(sum)])
        }
        None => Err(call.option("a sum of values and constants")),
    }
}

fn squared_difference(call: &mut Call<'_, '_>) -> Outputs {
    let (x, y) = (call.input(0)?.clone(), call.input(1)?.clone());
    if let (Held::Known(x), Held::Known(y)) = (&x, &y) {
        let array = fold::binary(Binary::SquaredDifference, x, y);
        return Ok(vec![Held::Known(call.folded(array)?)]);
    }
    fractions(call)?;
    let difference = elementwise(call, Kind::Subtract, &x, &y)?;
    let kind = UnaryKind::Square;
    let y = call.apply(Unary { kind }, &[difference])?;
    call.gives(y)
}

/// A function of `x + shift`.
fn shifted(call: &mut Call<'_, '_>, shift: f64, op: Op, function: fn(f64) -> f64) -> Outputs {
    match call.input(0)?.clone() {
        Held::Value(x, _) => {
            fractions(call)?;
            let y = call.apply(Op::affine(1.0, shift), &[x])?;
            let y = call.apply(op, &[y])?;
            call.gives(y)
        }
        Held::Known(array) => Ok(vec![Held::Known(
            call.folded(fold::unary(of_reals(function), &array))?,
        )]),
    }
}

fn expm1(call: &mut Call<'_, '_>) -> Outputs {
    if let Held::Known(_) = call.input(0)? {
        return pointwise(call, Activation::Exponential, Some(f64::exp_m1));
    }
    let x = call.value(0)?;
    fractions(call)?;
    let y = call.apply(Activation::Exponential, &[x])?;
    let y = call.apply(Op::affine(1.0, -1.0), &[y])?;
    call.gives(y)
}

/// `min(max(t, low), high)` with numbers for both ends.
fn clip(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.value(0)?;
    let end = |call: &Call<'_, '_>, place: usize| {
        call.known(place)?
            .scalar()
            .ok_or_else(|| call.option("it clips to arrays of numbers"))
    };
    let (min, max) = (end(call, 1)?, end(call, 2)?);
    if min.is_nan() || max.is_nan() || min > max {
        return Err(call.option(format!("it clips to at least {min} and at most {max}")));
    }
    let kind = UnaryKind::Clip { min, max };
    let y = call.apply(Unary { kind }, &[x])?;
    call.gives(y)
}
