//! Powers: local response normalisation with a window of one channel is `x / (k + x^2)^beta`, which is `x^(1 - 2 beta)`
//! for positive `x` once `k` is negligible, and `-|x|^(1 - 2 beta)` for negative ones.

use super::sign::is_non_negative;
use super::{Failure, Step};
use caribou_ir::ValueId;
use caribou_ir::op::{Activation, ElementwiseKind as Kind, LocalResponseNorm};

/// Added to the square, so that zero gives zero where the exponent is positive. Numbers below its root, 1e-15, are what it makes wrong.
const NEGLIGIBLE: f64 = 1e-30;

/// The largest whole power that is multiplied out.
const PRODUCTS: u32 = 32;

/// Twice this times the smallest float is infinite.
const HUGE: f64 = 3e38;

/// `x^exponent`, which is no number where `x` is negative and the exponent is not whole, nor where `x` is zero and the
/// exponent negative (there the source has an infinity).
pub(super) fn power(step: &mut Step<'_>, x: ValueId, exponent: f64) -> Result<ValueId, Failure> {
    if exponent.fract() == 0.0 && exponent >= 1.0 && exponent <= f64::from(PRODUCTS) {
        step.rewrite("power-by-products", "a whole power is a product");
        return whole(step, x, exponent as u32);
    }
    if exponent.fract() == 0.0 && exponent < -1.0 && exponent >= -f64::from(PRODUCTS) {
        let x = power(step, x, -1.0)?;
        return whole(step, x, (-exponent) as u32);
    }
    if exponent == 0.0 {
        return step.affine(x, 0.0, 1.0);
    }
    // The sign of x survives, so even powers of negative numbers are not among these.
    let bias = if exponent > 0.0 { NEGLIGIBLE } else { 0.0 };
    let y = signed(step, x, exponent, bias)?;
    if exponent.fract() == 0.0 || is_non_negative(step.graph, x) {
        return Ok(y);
    }
    let none = unless_negative(step, x)?;
    step.elementwise(Kind::Add, &[y, none])
}

/// `x / (bias + x^2)^((1 - exponent) / 2)`.
pub(super) fn signed(step: &mut Step<'_>, x: ValueId, exponent: f64, bias: f64) -> Result<ValueId, Failure> {
    step.rewrite(
        "power-by-normalisation",
        "a local response normalisation with a window of one is a power",
    );
    let op = LocalResponseNorm {
        size: 1,
        alpha: 1.0,
        beta: (1.0 - exponent) / 2.0,
        bias,
    };
    step.leaf(op, &[x])
}

/// Zero, but no number where `x` is negative: there, what is made of it overflows, and zero times infinity is none.
pub(super) fn unless_negative(step: &mut Step<'_>, x: ValueId) -> Result<ValueId, Failure> {
    step.rewrite("no-root-of-negatives", "roots of negative numbers are no numbers");
    let minus = step.affine(x, -1.0, 0.0)?;
    let mut y = step.apply(Activation::Relu, &[minus])?;
    for factor in [HUGE, HUGE, 0.0] {
        y = step.affine(y, factor, 0.0)?;
    }
    Ok(y)
}

fn whole(step: &mut Step<'_>, x: ValueId, exponent: u32) -> Result<ValueId, Failure> {
    let (mut square, mut left) = (x, exponent);
    let mut product: Option<ValueId> = None;
    loop {
        if left & 1 == 1 {
            product = Some(match product {
                None => square,
                Some(product) => step.elementwise(Kind::Multiply, &[product, square])?,
            });
        }
        left >>= 1;
        if left == 0 {
            return Ok(product.unwrap_or(x));
        }
        square = step.elementwise(Kind::Multiply, &[square, square])?;
    }
}
