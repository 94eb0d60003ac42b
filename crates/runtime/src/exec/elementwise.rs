//! Arithmetic on elements.

use super::{Array, ExecError, Result, first};
use caribou_ir::op::{Elementwise, ElementwiseKind, Unary, UnaryKind};
use ndarray::Zip;

pub(super) fn elementwise(op: &Elementwise, inputs: &[&Array]) -> Result<Array> {
    let mut sum = first(inputs)?.clone();
    for other in &inputs[1..] {
        sum = pair(op.kind, &sum, other)?;
    }
    if op.kind == ElementwiseKind::Average {
        let n = inputs.len() as f32;
        sum.mapv_inplace(|x| x / n);
    }
    Ok(sum)
}

fn pair(kind: ElementwiseKind, a: &Array, b: &Array) -> Result<Array> {
    let rank = a.ndim().max(b.ndim());
    let size = |x: &Array, axis: usize| {
        (axis + x.ndim())
            .checked_sub(rank)
            .map_or(1, |axis| x.shape()[axis])
    };
    let shape: Vec<usize> = (0..rank)
        .map(|axis| match (size(a, axis), size(b, axis)) {
            (1, n) | (n, 1) => Ok(n),
            (n, m) if n == m => Ok(n),
            _ => Err(ExecError::new(format!(
                "shapes {:?} and {:?} do not broadcast",
                a.shape(),
                b.shape()
            ))),
        })
        .collect::<Result<_>>()?;
    super::checked(&shape)?;
    let mismatch = || ExecError::new("the values do not broadcast");
    let a = a.broadcast(shape.clone()).ok_or_else(mismatch)?;
    let b = b.broadcast(shape).ok_or_else(mismatch)?;
    let f: fn(f32, f32) -> f32 = match kind {
        ElementwiseKind::Add | ElementwiseKind::Average => |a, b| a + b,
        ElementwiseKind::Subtract => |a, b| a - b,
        ElementwiseKind::Multiply => |a, b| a * b,
        ElementwiseKind::Divide => |a, b| a / b,
        ElementwiseKind::Maximum => f32::max,
        ElementwiseKind::Minimum => f32::min,
        ElementwiseKind::Power => f32::powf,
    };
    Ok(Zip::from(&a).and(&b).map_collect(|&a, &b| f(a, b)))
}

pub(super) fn unary(op: &Unary, x: &Array) -> Result<Array> {
    let kind = op.kind;
    Ok(x.mapv(|x| {
        let x = f64::from(x);
        (match kind {
            UnaryKind::Negate => -x,
            UnaryKind::Abs => x.abs(),
            UnaryKind::Log => x.ln(),
            UnaryKind::Sqrt => x.sqrt(),
            UnaryKind::ReciprocalSqrt => 1.0 / x.sqrt(),
            UnaryKind::Square => x * x,
            UnaryKind::Reciprocal => 1.0 / x,
            UnaryKind::Sign => {
                if x == 0.0 {
                    0.0
                } else {
                    x.signum()
                }
            }
            UnaryKind::Floor => x.floor(),
            UnaryKind::Ceil => x.ceil(),
            UnaryKind::Round => x.round_ties_even(),
            UnaryKind::Erf => erf(x),
            UnaryKind::Sin => x.sin(),
            UnaryKind::Cos => x.cos(),
            UnaryKind::Clip { min, max } => x.max(min).min(max),
            UnaryKind::Step { threshold } => f64::from(u8::from(x > threshold)),
            UnaryKind::Affine { scale, shift } => scale * x + shift,
        }) as f32
    }))
}

/// The error function to about 1e-15: its Maclaurin series near zero, and the continued fraction of the complementary
/// function far from it (Abramowitz and Stegun 7.1.5, 7.1.14).
pub(super) fn erf(x: f64) -> f64 {
    let a = x.abs();
    if a.is_nan() {
        return x;
    }
    if a < 2.5 {
        let (mut term, mut sum) = (x, x);
        for n in 1..80 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return sum * std::f64::consts::FRAC_2_SQRT_PI;
    }
    let mut fraction = 0.0;
    for n in (1..=60).rev() {
        fraction = f64::from(n) / 2.0 / (a + fraction);
    }
    let complement = (-a * a).exp() / ((a + fraction) * std::f64::consts::PI.sqrt());
    x.signum() * (1.0 - complement)
}

#[cfg(test)]
mod tests {
    use super::erf;

    #[test]
    fn the_error_function_has_its_tabulated_values() {
        // Abramowitz and Stegun, table 7.1.
        for (x, y) in [
            (0.5, 0.520_499_877_8),
            (1.0, 0.842_700_792_9),
            (2.0, 0.995_322_265_0),
            (3.0, 0.999_977_909_5),
        ] {
            assert!(
                (erf(x) - y).abs() < 1e-9 && (erf(-x) + y).abs() < 1e-9,
                "erf({x}) = {}",
                erf(x)
            );
        }
        assert!((erf(2.499_999) - erf(2.500_001)).abs() < 1e-8);
    }
}
