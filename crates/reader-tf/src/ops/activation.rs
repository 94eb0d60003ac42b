//! Activation functions.

use super::{Call, Outputs, Row, real};
use crate::build::Held;
use crate::fold::{self, Fold};
use caribou_ir::op::{Activation, LogSoftmax, Op, Softmax, Unary, UnaryKind};

macro_rules! function {
    ($op:expr, $function:expr, $fold:expr) => {
        real($op, &[], |call| pointwise(call, $function, Some($fold)))
    };
}

pub(super) const TABLE: &[Row] = &[
    function!("Relu", Activation::Relu, |x| x.max(0.0)),
    function!(
        "Relu6",
        Activation::BoundedRelu {
            max: Some(6.0),
            slope: 0.0,
            threshold: 0.0
        },
        |x| x.clamp(0.0, 6.0)
    ),
    real("LeakyRelu", &["alpha"], leaky_relu),
    function!("Elu", Activation::Elu { alpha: 1.0 }, |x| if x < 0.0 {
        x.exp_m1()
    } else {
        x
    }),
    real("Selu", &[], |call| pointwise(call, Activation::Selu, None)),
    function!("Sigmoid", Activation::Sigmoid, |x| 1.0 / (1.0 + (-x).exp())),
    function!("Tanh", Activation::Tanh, f64::tanh),
    function!("Softplus", Activation::Softplus, |x| x.max(0.0)
        + (-x.abs()).exp().ln_1p()),
    function!("Softsign", Activation::Softsign, |x| x / (1.0 + x.abs())),
    function!("Exp", Activation::Exponential, f64::exp),
    real("Softmax", &[], |call| {
        over_last_axis(call, |axis| Softmax { axis }.into())
    }),
    real("LogSoftmax", &[], |call| {
        over_last_axis(call, |axis| LogSoftmax { axis }.into())
    }),
    real("Erf", &[], |call| {
        pointwise(call, Unary { kind: UnaryKind::Erf }, None)
    }),
    real("Erfc", &[], |call| {
        let x = call.value(0)?;
        let y = call.apply(Unary { kind: UnaryKind::Erf }, &[x])?;
        let y = call.apply(Op::affine(-1.0, 1.0), &[y])?;
        call.gives(y)
    }),
];

/// A function of each element.
pub(super) fn pointwise(call: &mut Call<'_, '_>, op: impl Into<Op>, fold: Option<fn(f64) -> f64>) -> Outputs {
    match call.input(0)?.clone() {
        Held::Value(x, _) => {
            let y = call.apply(op, &[x])?;
            call.gives(y)
        }
        Held::Known(array) => {
            let function = Fold {
                real: fold,
                whole: None,
            };
            Ok(vec![Held::Known(call.folded(fold::unary(function, &array))?)])
        }
    }
}

fn leaky_relu(call: &mut Call<'_, '_>) -> Outputs {
    let alpha = call.real("alpha", 0.2)?;
    pointwise(call, Activation::LeakyRelu { alpha }, None)
}

fn over_last_axis(call: &mut Call<'_, '_>, op: fn(usize) -> Op) -> Outputs {
    let x = call.value(0)?;
    let rank = call.rank(x);
    if rank < 2 {
        return Err(call.option("it normalises over the examples of a batch"));
    }
    let y = call.apply(op(rank - 1), &[x])?;
    call.gives(y)
}
