//! Functions that DL4J has no class for, or whose class is wrong for some numbers or in training.

use super::{Composed, Failure, Step};
use caribou_ir::ValueId;
use caribou_ir::op::{
    Activation, ElementwiseKind, LocalResponseNorm, LogSoftmax, PRelu, Slice, SliceAxis, Transpose,
};

/// Where softplus has long been the identity in single precision, and its exponential is far from overflow.
const LINEAR: f64 = 30.0;

/// `s` in the variable of [`GELU`] is `softsign(x^2 / GELU_SCALE)`.
const GELU_SCALE: f64 = 45.0;

/// `q` with `sigmoid(x q(s))` next to the normal distribution function: powers of `s` ascending. A minimax fit of
/// `x sigmoid(x q(s))` to `x (1 + erf(x / sqrt 2)) / 2` in double precision; the test scans its error.
const GELU: [f64; 5] = [
    1.595_778_17,
    3.268_713_74,
    3.195_055_23,
    -8.123_242_39,
    13.496_911_71,
];

pub(super) fn activate(step: &mut Step<'_>, function: Activation, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    let y = match function {
        Activation::Exponential => exponential(step, x)?,
        Activation::Gelu => gelu(step, x)?,
        Activation::Softplus => softplus(step, x)?,
        Activation::Elu { alpha } if alpha != 1.0 => {
            step.rewrite(
                "elu-by-elu",
                "stock DL4J takes gradients through an ELU as if alpha were one: it is alpha ELU(x) + (1 - alpha) ReLU(x)",
            );
            let elu = step.apply(Activation::Elu { alpha: 1.0 }, &[x])?;
            let elu = step.affine(elu, alpha, 0.0)?;
            let relu = step.apply(Activation::Relu, &[x])?;
            let relu = step.affine(relu, 1.0 - alpha, 0.0)?;
            step.elementwise(ElementwiseKind::Add, &[elu, relu])?
        }
        Activation::Celu { alpha } => {
            step.rewrite("celu-by-elu", "a CELU is alpha ELU(x / alpha)");
            let y = step.affine(x, 1.0 / alpha, 0.0)?;
            let y = step.apply(Activation::Elu { alpha: 1.0 }, &[y])?;
            step.affine(y, alpha, 0.0)?
        }
        _ => return Ok(None),
    };
    Ok(Some(vec![y]))
}

/// `relu(x) + slope * (x - relu(x))`, where the slopes run along one axis and others share them.
pub(super) fn prelu(step: &mut Step<'_>, op: &PRelu, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    let shape = step.graph.shape(x).clone();
    let slopes = op.slope.shape();
    let own: Vec<usize> = (0..slopes.len()).filter(|&axis| slopes[axis] > 1).collect();
    let alone = shape.rank() == 2 || own.len() + 1 == shape.rank();
    let (&[axis], false) = (&own[..], alone) else {
        return Ok(None);
    };
    step.rewrite(
        "prelu-by-depthwise-convolution",
        "stock DL4J can't train through a PReLU whose slopes more than 64 cells share: what is below zero goes through a depthwise convolution of size one, and what is above is added",
    );
    let above = step.apply(Activation::Relu, &[x])?;
    let below = step.elementwise(ElementwiseKind::Subtract, &[x, above])?;
    let below = super::norm::scaled(step, below, axis + 1, Some(&op.slope), None)?;
    Ok(Some(vec![
        step.elementwise(ElementwiseKind::Add, &[above, below])?,
    ]))
}

/// `min(x, max)`.
fn at_most(max: f64) -> Activation {
    Activation::BoundedRelu {
        max: Some(max),
        slope: 1.0,
        threshold: 0.0,
    }
}

/// `softplus(min(x, 30)) + (x - min(x, 30))`: DL4J's own is infinite from 89 on.
fn softplus(step: &mut Step<'_>, x: ValueId) -> Result<ValueId, Failure> {
    step.rewrite(
        "softplus-of-bounded",
        "the softplus of stock DL4J is infinite from 89 on: it is computed up to 30, and is the identity from there",
    );
    let low = step.apply(at_most(LINEAR), &[x])?;
    let y = step.leaf(Activation::Softplus, &[low])?;
    let rest = step.elementwise(ElementwiseKind::Subtract, &[x, low])?;
    step.elementwise(ElementwiseKind::Add, &[y, rest])
}

/// `(sigmoid(x / 2) / sigmoid(-x / 2))^2`, up to `exp(86)`: there is no larger single but by a factor of ten.
fn exponential(step: &mut Step<'_>, x: ValueId) -> Result<ValueId, Failure> {
    step.rewrite(
        "exponential-by-sigmoids",
        "exp(x) is the square of sigmoid(x / 2) / sigmoid(-x / 2); a local response normalisation with a window of one divides",
    );
    let half = step.affine(x, 0.5, 0.0)?;
    let above = step.apply(Activation::Sigmoid, &[half])?;
    let minus = step.affine(x, -0.5, 0.0)?;
    let below = step.apply(Activation::Sigmoid, &[minus])?;
    let reciprocal = LocalResponseNorm {
        size: 1,
        alpha: 1.0,
        beta: 1.0,
        bias: 0.0,
    };
    let reciprocal = step.apply(reciprocal, &[below])?;
    let root = step.elementwise(ElementwiseKind::Multiply, &[above, reciprocal])?;
    step.elementwise(ElementwiseKind::Multiply, &[root, root])
}

/// `x sigmoid(x q(s))` with `s = softsign(x^2 / 45)`.
fn gelu(step: &mut Step<'_>, x: ValueId) -> Result<ValueId, Failure> {
    step.inexact(
        "gelu-by-softsign-polynomial",
        "the normal distribution function is a sigmoid of an odd function, which a polynomial in softsign(x^2 / 45) gives: the output is off by less than 2e-7",
    );
    let s = step.affine(x, 1.0 / GELU_SCALE.sqrt(), 0.0)?;
    let s = step.elementwise(ElementwiseKind::Multiply, &[s, s])?;
    let s = step.apply(Activation::Softsign, &[s])?;
    let [low @ .., below, highest] = GELU;
    let mut q = step.affine(s, highest, below)?;
    for &coefficient in low.iter().rev() {
        q = step.elementwise(ElementwiseKind::Multiply, &[q, s])?;
        q = step.affine(q, 1.0, coefficient)?;
    }
    let gate = step.elementwise(ElementwiseKind::Multiply, &[q, x])?;
    let gate = step.apply(Activation::Sigmoid, &[gate])?;
    step.elementwise(ElementwiseKind::Multiply, &[x, gate])
}

/// `x - ln sum exp x`, the sum taken in pairs: `ln(exp a + exp b) = max(a, b) + softplus(-|a - b|)`.
pub(super) fn log_softmax(step: &mut Step<'_>, op: LogSoftmax, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    let shape = step.graph.shape(x).clone();
    let rank = shape.rank();
    let Some(mut count) = shape.size(op.axis).filter(|_| op.axis > 0) else {
        return Ok(None);
    };
    step.rewrite(
        "log-softmax-in-pairs",
        "the logarithm of a sum of exponentials is taken of pairs, by maxima and softplus",
    );
    // DL4J cuts along axis 1.
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(1, op.axis);
    let swapped = op.axis != 1;
    let x = match swapped {
        true => step.apply(
            Transpose {
                permutation: order.clone(),
            },
            &[x],
        )?,
        false => x,
    };
    let mut sum = x;
    while count > 1 {
        let half = count / 2;
        let cut = |step: &mut Step<'_>, from: usize, to: usize| {
            let axes = vec![SliceAxis::range(1, from as i64, Some(to as i64))];
            step.apply(Slice { axes }, &[sum])
        };
        let a = cut(step, 0, half)?;
        let b = cut(step, half, 2 * half)?;
        let last = match count % 2 {
            1 => Some(cut(step, 2 * half, count)?),
            _ => None,
        };
        let largest = step.elementwise(ElementwiseKind::Maximum, &[a, b])?;
        let apart = step.elementwise(ElementwiseKind::Subtract, &[a, b])?;
        let apart = step.apply(Activation::LeakyRelu { alpha: -1.0 }, &[apart])?;
        let apart = step.affine(apart, -1.0, 0.0)?;
        // Never above zero, so DL4J's own softplus is right.
        let more = step.leaf(Activation::Softplus, &[apart])?;
        sum = step.elementwise(ElementwiseKind::Add, &[largest, more])?;
        if let Some(last) = last {
            sum = step.apply(caribou_ir::op::Concat { axis: 1 }, &[sum, last])?;
        }
        count = half + count % 2;
    }
    let mut y = step.elementwise(ElementwiseKind::Subtract, &[x, sum])?;
    if swapped {
        y = step.apply(Transpose { permutation: order }, &[y])?;
    }
    Ok(Some(vec![y]))
}

#[cfg(test)]
mod tests {
    use super::{GELU, GELU_SCALE};

    /// The error function by its series, in double precision to 1e-15 up to 6 or so.
    fn erf(x: f64) -> f64 {
        if x > 6.0 {
            return 1.0;
        }
        let (mut term, mut sum, mut n) = (x, x, 0.0);
        while term.abs() > 1e-18 * sum.abs() {
            n += 1.0;
            term *= 2.0 * x * x / (2.0 * n + 1.0);
            sum += term;
        }
        sum * (-x * x).exp() * 2.0 / std::f64::consts::PI.sqrt()
    }

    fn composed(x: f64) -> f64 {
        let s = x * x / GELU_SCALE;
        let s = s / (1.0 + s);
        let q = GELU.iter().rev().fold(0.0, |q, coefficient| q * s + coefficient);
        x / (1.0 + (-x * q).exp())
    }

    #[test]
    fn the_gelu_is_off_by_less_than_it_says() {
        let mut worst: f64 = 0.0;
        for i in 0..400_000 {
            let x = f64::from(i) * 1e-4;
            let exact = x * 0.5 * (1.0 + erf(x / std::f64::consts::SQRT_2));
            worst = worst.max((composed(x) - exact).abs());
            // gelu(-x) = gelu(x) - x, for both.
            worst = worst.max((composed(-x) - (exact - x)).abs());
        }
        assert!(worst < 2e-7, "{worst}");
        assert!(composed(-1e6).abs() < 1e-9 && (composed(1e6) - 1e6).abs() < 1e-9);
    }
}
