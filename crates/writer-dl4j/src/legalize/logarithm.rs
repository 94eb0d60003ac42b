//! The natural logarithm: a rough one by powers, made exact by one step that goes down to the cube of its error.

use super::power::{signed, unless_negative};
use super::{Failure, Step};
use caribou_ir::ValueId;
use caribou_ir::op::{Activation, ElementwiseKind as Kind};

/// The power `p` of the rough logarithm, `(x^p - x^-p) / (2 p)`, which is `sinh(p ln x) / p`.
const POWER: f64 = 1.0 / 1024.0;

/// The least and the largest number whose square and its reciprocal are far from the ends of single precision.
const RANGE: [f64; 2] = [1e-18, 1e18];

/// `y + 2 (x - e^y) / (x + e^y)`, a step of Halley's to `e^y = x`: its error is a twelfth of the cube of that of `y`.
///
/// Within [`RANGE`], `y` is off by `(p ln x)^3 / (6 p)`, less than 0.012, and by 3e-7 `/ p` of rounding; what is left
/// of it behind the step is less than 2e-7, beside the rounding of `e^y`. Outside, the result is no number.
pub(super) fn logarithm(step: &mut Step<'_>, x: ValueId) -> Result<ValueId, Failure> {
    step.inexact(
        "logarithm-by-powers",
        "the logarithm is (x^p - x^-p) / 2p for a small p, and one step of Halley's: it is off by less than 5e-7 and 3e-7 of itself between 1e-18 and 1e18, and no number elsewhere",
    );
    let above = signed(step, x, POWER, 0.0)?;
    let below = signed(step, x, -POWER, 0.0)?;
    let rough = step.elementwise(Kind::Subtract, &[above, below])?;
    let rough = step.affine(rough, 0.5 / POWER, 0.0)?;
    let power = step.apply(Activation::Exponential, &[rough])?;
    let apart = step.elementwise(Kind::Subtract, &[x, power])?;
    let sum = step.elementwise(Kind::Add, &[x, power])?;
    let part = step.elementwise(Kind::Divide, &[apart, sum])?;
    let part = step.affine(part, 2.0, 0.0)?;
    let [least, most] = RANGE;
    let mut terms = vec![rough, part];
    for (scale, shift) in [(1.0, -least), (-1.0, most)] {
        let inside = step.affine(x, scale, shift)?;
        terms.push(unless_negative(step, inside)?);
    }
    step.elementwise(Kind::Add, &terms)
}

#[cfg(test)]
mod tests {
    use super::{POWER, RANGE};

    /// The composition in double precision: what is left is the error of the method.
    fn composed(x: f64) -> f64 {
        let y = (x.powf(POWER) - x.powf(-POWER)) / (2.0 * POWER);
        y + 2.0 * (x - y.exp()) / (x + y.exp())
    }

    #[test]
    fn the_method_is_exact_within_its_bound() {
        let [least, most] = RANGE.map(f64::ln);
        let worst = (0..=100_000)
            .map(|i| least + (most - least) * f64::from(i) / 1e5)
            .map(|y| (composed(y.exp()) - y).abs())
            .fold(0.0, f64::max);
        assert!(worst < 2e-7, "{worst:e}");
    }
}
