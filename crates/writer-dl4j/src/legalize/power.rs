//! Powers: local response normalisation with a window of one channel is `x / (k + x^2)^beta`, which is `x^(1 - 2 beta)`
//! for positive `x` once `k` is negligible.

use super::{Failure, Step};
use caribou_ir::ValueId;
use caribou_ir::op::{ElementwiseKind as Kind, LocalResponseNorm};

/// Added to the square, so that zero gives zero. Numbers below its root, 1e-15, are what it makes wrong.
const NEGLIGIBLE: f64 = 1e-30;

/// The largest whole power that is multiplied out.
const PRODUCTS: u32 = 32;

/// `x^exponent`; of negative numbers only where the exponent is whole. The power zero is the sign.
pub(super) fn power(step: &mut Step<'_>, x: ValueId, exponent: f64) -> Result<ValueId, Failure> {
    if exponent.fract() == 0.0 && exponent >= 1.0 && exponent <= f64::from(PRODUCTS) {
        step.rewrite("power-by-products", "a whole power is a product");
        return whole(step, x, exponent as u32);
    }
    if exponent.fract() == 0.0 && exponent < -1.0 && exponent >= -f64::from(PRODUCTS) {
        let x = power(step, x, -1.0)?;
        return whole(step, x, (-exponent) as u32);
    }
    // The sign of x survives, so even powers of negative numbers are not among these.
    step.rewrite(
        "power-by-normalisation",
        "a local response normalisation with a window of one is a power; roots of negative numbers, which are none, become those of their magnitudes",
    );
    let op = LocalResponseNorm {
        size: 1,
        alpha: 1.0,
        beta: (1.0 - exponent) / 2.0,
        bias: NEGLIGIBLE,
    };
    step.leaf(op, &[x])
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
