//! Activations that a program writes as arithmetic: GELU, swish, mish, hard sigmoid, softplus and others.
//!
//! There are as many ways to write them as programs, so that they are not looked for by form. What an operation is computed
//! to from one value behind it, element by element, is a function of one number; it is read as the activation that has the
//! same values over the whole range of numbers. A constant that the program gives to seven digits is as good as the exact one.

use super::Lifted;
use super::function::{Function, Step, on_elements};
use crate::build::Held;
use crate::ops::Call;
use caribou_ir::op::{Activation, ElementwiseKind as Kind, UnaryKind};
use caribou_ir::{Graph, ValueId};

/// The largest difference of values, relative to them or to one.
const NEAR: f64 = 1e-6;

/// The activations that have no parameters.
const PLAIN: &[Activation] = &[
    Activation::Relu,
    Activation::Selu,
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::HardTanh,
    Activation::Softplus,
    Activation::Softsign,
    Activation::Swish,
    Activation::HardSwish,
    Activation::Mish,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::GeluSigmoid,
];

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
    for argument in arguments(call) {
        let Some(function) = function(call, argument) else {
            continue;
        };
        if function.operators() < 2 {
            continue;
        }
        if let Some(found) = recognised(&function) {
            let y = call.apply(found, &[argument])?;
            call.lift("an activation");
            return Ok(Some(vec![Held::Value(y, dtype)]));
        }
    }
    Ok(None)
}

/// The values that the operation may be a function of, the farthest first.
fn arguments(call: &Call<'_, '_>) -> Vec<ValueId> {
    let mut found: Vec<ValueId> = Vec::new();
    let mut open: Vec<ValueId> = call.inputs.iter().filter_map(value).collect();
    let mut next = 0;
    while let Some(&at) = open.get(next) {
        next += 1;
        if found.contains(&at) {
            continue;
        }
        if found.len() == 24 {
            break;
        }
        found.push(at);
        if let Some(node) = call.graph().producer(at).filter(|node| on_elements(&node.op)) {
            open.extend(&node.inputs);
        }
    }
    found.reverse();
    found
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

/// The activation that has the values of the function.
fn recognised(function: &Function) -> Option<Activation> {
    let same = |candidate: &Activation| {
        numbers().all(|x| {
            let (found, expected) = (function.at(x), candidate.at(x));
            // Where an exponential leaves the range of numbers, the program's way gives none.
            let beyond = x.abs() > 80.0 && !found.is_finite();
            beyond || (found - expected).abs() <= NEAR * expected.abs().max(1.0)
        })
    };
    // A function that none of them is like is told from them by its values near zero.
    PLAIN.iter().copied().chain(with_parameters(function)).find(same)
}

/// Activations whose parameters are those that the function has, if it is one of them.
fn with_parameters(function: &Function) -> Vec<Activation> {
    let at = |x: f64| function.at(x);
    let (zero, one, minus) = (at(0.0), at(1.0), at(-1.0));
    let mut found = Vec::new();
    if zero == 0.0 && (one - 1.0).abs() < NEAR {
        let max = at(1e4);
        if max < 1e4 && minus == 0.0 {
            found.push(Activation::BoundedRelu {
                max: Some(rounded(max)),
                slope: 0.0,
                threshold: 0.0,
            });
        }
        if minus < 0.0 {
            found.push(Activation::LeakyRelu {
                alpha: rounded(-minus),
            });
            found.push(Activation::Elu {
                alpha: rounded(minus / (-1f64).exp_m1()),
            });
        }
    }
    let slope = (at(1e-3) - at(-1e-3)) / 2e-3;
    if zero > 0.0 && zero < 1.0 && slope > 0.0 {
        let (slope, offset) = (rounded(slope), rounded(zero));
        found.push(Activation::HardSigmoid { slope, offset });
    }
    found
}

/// A parameter that was found from values, as the number of single precision that the program wrote.
fn rounded(number: f64) -> f64 {
    let decimal = (number * 1e6).round() / 1e6;
    if (number - decimal).abs() <= 1e-7 * number.abs() {
        decimal
    } else {
        number
    }
}

/// The numbers at which functions are compared: closely around zero, farther apart up to a million, none of them round.
fn numbers() -> impl Iterator<Item = f64> {
    let coarse = [0.3, -0.7, 2.3, -2.9, 0.0].into_iter();
    let fine = (0..800).map(|i| (f64::from(i) - 400.0) * 0.050_123 + 0.011);
    let far = (0..60).map(|i| 20.0 * 1.2f64.powi(i));
    coarse.chain(fine).chain(far.clone()).chain(far.map(|x| -x))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(steps: impl Fn(&mut Function)) -> Option<Activation> {
        let mut graph = Graph::new();
        let x = graph.input(
            "x",
            caribou_ir::Shape::new([caribou_ir::Dim::Fixed(1)]),
            caribou_ir::Layout::Plain,
        );
        let mut function = Function::of(x);
        steps(&mut function);
        recognised(&function)
    }

    fn affine(scale: f64, shift: f64) -> UnaryKind {
        UnaryKind::Affine { scale, shift }
    }

    #[test]
    fn parameters_are_those_of_the_program() {
        let found = of(|f| {
            let x = f.push(Step::Unary(affine(f64::from(0.2f32), 0.5), 0));
            f.push(Step::Unary(UnaryKind::Clip { min: 0.0, max: 1.0 }, x));
        });
        let expected = Activation::HardSigmoid {
            slope: 0.2,
            offset: 0.5,
        };
        assert_eq!(found, Some(expected));
    }

    #[test]
    fn what_is_almost_an_activation_is_none() {
        // A swish that is bounded far from zero, and one with another factor.
        let bounded = of(|f| {
            let y = f.push(Step::Activation(Activation::Swish, 0));
            f.push(Step::Unary(UnaryKind::Clip { min: -1.0, max: 5e5 }, y));
        });
        assert_eq!(bounded, None);
        let scaled = of(|f| {
            let y = f.push(Step::Unary(affine(1.01, 0.0), 0));
            let y = f.push(Step::Activation(Activation::Sigmoid, y));
            f.push(Step::Elementwise(Kind::Multiply, vec![0, y]));
        });
        assert_eq!(scaled, None);
    }
}
