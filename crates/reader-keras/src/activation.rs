//! The activation functions of Keras by name.

use crate::version::Generation;
use caribou_ir::Op;
use caribou_ir::op::{Activation, LogSoftmax, Softmax};
use serde_json::Value;

/// A named function.
#[derive(Debug, Clone, Copy)]
enum Function {
    Pointwise(Activation),
    /// Over the last axis.
    Softmax,
    /// Over the last axis.
    LogSoftmax,
}

const FUNCTIONS: &[(&str, Function)] = &[
    ("linear", Function::Pointwise(Activation::Linear)),
    ("relu", Function::Pointwise(Activation::Relu)),
    (
        "relu6",
        Function::Pointwise(Activation::BoundedRelu {
            max: Some(6.0),
            slope: 0.0,
            threshold: 0.0,
        }),
    ),
    (
        "leaky_relu",
        Function::Pointwise(Activation::LeakyRelu { alpha: 0.2 }),
    ),
    ("elu", Function::Pointwise(Activation::Elu { alpha: 1.0 })),
    ("selu", Function::Pointwise(Activation::Selu)),
    ("softplus", Function::Pointwise(Activation::Softplus)),
    ("softsign", Function::Pointwise(Activation::Softsign)),
    ("tanh", Function::Pointwise(Activation::Tanh)),
    ("sigmoid", Function::Pointwise(Activation::Sigmoid)),
    (
        "hard_sigmoid",
        Function::Pointwise(Activation::HardSigmoid {
            slope: 0.2,
            offset: 0.5,
        }),
    ),
    ("exponential", Function::Pointwise(Activation::Exponential)),
    ("swish", Function::Pointwise(Activation::Swish)),
    ("silu", Function::Pointwise(Activation::Swish)),
    ("gelu", Function::Pointwise(Activation::Gelu)),
    ("mish", Function::Pointwise(Activation::Mish)),
    ("softmax", Function::Softmax),
    ("log_softmax", Function::LogSoftmax),
];

/// What Keras 3 adds, or means otherwise.
const KERAS_3: &[(&str, Function)] = &[
    (
        "hard_sigmoid",
        Function::Pointwise(Activation::HardSigmoid {
            slope: 1.0 / 6.0,
            offset: 0.5,
        }),
    ),
    (
        "sparse_sigmoid",
        Function::Pointwise(Activation::HardSigmoid {
            slope: 0.5,
            offset: 0.5,
        }),
    ),
    ("hard_silu", Function::Pointwise(Activation::HardSwish)),
    ("hard_swish", Function::Pointwise(Activation::HardSwish)),
    ("hard_tanh", Function::Pointwise(Activation::HardTanh)),
    ("celu", Function::Pointwise(Activation::Celu { alpha: 1.0 })),
];

/// A function that is put together from several operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Composed {
    /// `ln(sigmoid(x)) = -softplus(-x)`.
    LogSigmoid,
    /// `x - tanh(x)`.
    TanhShrink,
    /// `x` moved towards zero by a half: `relu(x - 0.5) - relu(-x - 0.5)`.
    SoftShrink,
    /// `x`, and zero where it is no further than a half from it.
    HardShrink,
    /// `(x + sqrt(x^2 + 4)) / 2`.
    SquarePlus,
    /// Zero up to -1, `x` from 1 on, and `(x + 1)^2 / 4` between them.
    SparsePlus,
    /// The first half of the last axis times the sigmoid of the second.
    Gated,
}

const COMPOSED: &[(&str, Composed)] = &[
    ("log_sigmoid", Composed::LogSigmoid),
    ("tanh_shrink", Composed::TanhShrink),
    ("soft_shrink", Composed::SoftShrink),
    ("hard_shrink", Composed::HardShrink),
    ("squareplus", Composed::SquarePlus),
    ("sparse_plus", Composed::SparsePlus),
    ("glu", Composed::Gated),
];

/// The function `value` of Keras 3, where it is one that several operators are needed for.
pub(crate) fn composed(value: Option<&Value>, generation: Generation) -> Option<Composed> {
    let name = name(value?).filter(|_| matches!(generation, Generation::Three))?;
    let found = COMPOSED.iter().find(|(known, _)| *known == name);
    found.map(|&(_, function)| function)
}

/// The name of a function as a configuration gives it: a string, or a serialised object.
fn name(value: &Value) -> Option<&str> {
    match value {
        Value::String(name) => Some(name),
        Value::Object(object) => match object.get("class_name")?.as_str()? {
            "function" => object.get("config")?.as_str(),
            _ => None,
        },
        _ => None,
    }
}

/// The operator of the function `value` on an array of `rank` axes; `None` for the identity.
///
/// # Errors
/// The name, when there is no such function.
pub(crate) fn operator(
    value: Option<&Value>,
    rank: usize,
    generation: Generation,
) -> Result<Option<Op>, String> {
    let Some(value) = value else { return Ok(None) };
    let axis = rank.saturating_sub(1);
    match lookup(value, generation)? {
        Function::Pointwise(Activation::Linear) => Ok(None),
        Function::Pointwise(function) => Ok(Some(function.into())),
        Function::Softmax => Ok(Some(Softmax { axis }.into())),
        Function::LogSoftmax => Ok(Some(LogSoftmax { axis }.into())),
    }
}

/// The function `value` inside of a recurrent cell, which is applied to single numbers.
///
/// # Errors
/// The name, when there is no such function, or it is not one of single numbers.
pub(crate) fn pointwise(
    value: Option<&Value>,
    default: Activation,
    generation: Generation,
) -> Result<Activation, String> {
    let Some(value) = value else { return Ok(default) };
    match lookup(value, generation)? {
        Function::Pointwise(function) => Ok(function),
        Function::Softmax | Function::LogSoftmax => Err(format!("activation {value} inside of a cell")),
    }
}

fn lookup(value: &Value, generation: Generation) -> Result<Function, String> {
    let name = name(value).ok_or_else(|| {
        format!(
            "activation {}",
            value.to_string().chars().take(60).collect::<String>()
        )
    })?;
    let own: &[(&str, Function)] = match generation {
        Generation::Two => &[],
        Generation::Three => KERAS_3,
    };
    own.iter()
        .chain(FUNCTIONS)
        .find(|(known, _)| *known == name)
        .map(|&(_, function)| function)
        .ok_or_else(|| format!("activation {name}"))
}
