//! Activation functions of Keras 3 that are put together from several operators (keras/src/activations/activations.py).

use super::{Call, MISFIT};
use crate::activation::Composed;
use caribou_ir::op::{Activation, Elementwise, ElementwiseKind, Op, Slice, SliceAxis, Unary, UnaryKind};
use caribou_ir::{Finding, ValueId};

/// The threshold of both shrinking functions.
const THRESHOLD: f64 = 0.5;

fn unary(kind: UnaryKind) -> Op {
    Unary { kind }.into()
}

/// Operators one after the other.
fn chain(
    call: &mut Call<'_>,
    x: ValueId,
    operators: impl IntoIterator<Item = Op>,
) -> Result<ValueId, Box<Finding>> {
    operators
        .into_iter()
        .try_fold(x, |value, operator| call.apply(operator, &[value]))
}

/// The function of `x`.
pub(super) fn composed(call: &mut Call<'_>, function: Composed, x: ValueId) -> Result<ValueId, Box<Finding>> {
    let two = |call: &mut Call<'_>, kind, values: [ValueId; 2]| call.apply(Elementwise { kind }, &values);
    let (add, subtract) = (ElementwiseKind::Add, ElementwiseKind::Subtract);
    match function {
        Composed::LogSigmoid => {
            let minus = || Op::affine(-1.0, 0.0);
            chain(call, x, [minus(), Activation::Softplus.into(), minus()])
        }
        Composed::TanhShrink => {
            let tanh = call.apply(Activation::Tanh, &[x])?;
            two(call, subtract, [x, tanh])
        }
        Composed::SoftShrink => {
            let side = |sign: f64| [Op::affine(sign, -THRESHOLD), Activation::Relu.into()];
            let (above, below) = (chain(call, x, side(1.0))?, chain(call, x, side(-1.0))?);
            two(call, subtract, [above, below])
        }
        Composed::HardShrink => {
            let beyond: Op = Activation::ThresholdedRelu { theta: THRESHOLD }.into();
            let above = call.apply(beyond.clone(), &[x])?;
            let below = chain(call, x, [Op::affine(-1.0, 0.0), beyond])?;
            two(call, subtract, [above, below])
        }
        Composed::SquarePlus => {
            let root = [
                unary(UnaryKind::Square),
                Op::affine(1.0, 4.0),
                unary(UnaryKind::Sqrt),
            ];
            let root = chain(call, x, root)?;
            let sum = two(call, add, [x, root])?;
            call.apply(Op::affine(0.5, 0.0), &[sum])
        }
        Composed::SparsePlus => {
            // ((clip(x, -1, 1) + 1) / 2)^2, and what is left of x above one.
            let curve = [
                Activation::HardTanh.into(),
                Op::affine(0.5, 0.5),
                unary(UnaryKind::Square),
            ];
            let curve = chain(call, x, curve)?;
            let line = chain(call, x, [Op::affine(1.0, -1.0), Activation::Relu.into()])?;
            two(call, add, [curve, line])
        }
        Composed::Gated => {
            let axis = call.rank(x) - 1;
            let size = call.size(x, axis)?;
            if !size.is_multiple_of(2) {
                let message = format!("a gated linear unit halves an even number of features, not {size}");
                return Err(call.refuse(MISFIT, message));
            }
            let half = (size / 2) as i64;
            let cut = |from: i64, to: i64| Slice {
                axes: vec![SliceAxis::range(axis, from, Some(to))],
            };
            let values = call.apply(cut(0, half), &[x])?;
            let gates = call.apply(cut(half, 2 * half), &[x])?;
            let gates = call.apply(Activation::Sigmoid, &[gates])?;
            two(call, ElementwiseKind::Multiply, [values, gates])
        }
    }
}
