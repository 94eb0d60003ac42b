//! Functions of single elements, and of two values of which one may be stored.

use super::constant::{affine, aligned, elements, materialised, stored, tensor};
use super::logarithm::logarithm;
use super::power::power;
use super::{Composed, Failure, Step};
use caribou_ir::op::{Activation, ElementwiseKind as Kind, UnaryKind};
use caribou_ir::{Tensor, ValueId};

pub(super) fn unary(step: &mut Step<'_>, kind: UnaryKind, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    let y = match kind {
        UnaryKind::Square => {
            step.rewrite(
                "square-by-product",
                "a square is the product of a value with itself",
            );
            step.elementwise(Kind::Multiply, &[x, x])?
        }
        UnaryKind::Abs => {
            step.rewrite(
                "absolute-by-relu",
                "a leaky ReLU of slope -1 is the absolute value",
            );
            step.apply(Activation::LeakyRelu { alpha: -1.0 }, &[x])?
        }
        UnaryKind::Clip { min, max } => clip(step, x, min, max)?,
        UnaryKind::Sqrt => power(step, x, 0.5)?,
        UnaryKind::ReciprocalSqrt => power(step, x, -0.5)?,
        UnaryKind::Reciprocal => power(step, x, -1.0)?,
        UnaryKind::Log => logarithm(step, x)?,
        UnaryKind::Sign => {
            let y = lifted(step, x)?;
            step.apply(Activation::HardTanh, &[y])?
        }
        UnaryKind::Step { threshold } => {
            let mut above = x;
            if threshold != 0.0 {
                above = step.affine(x, 1.0, -threshold)?;
            }
            // Cut off first: a bounded ReLU of minus infinity is no number.
            let above = step.apply(Activation::Relu, &[above])?;
            let above = lifted(step, above)?;
            clip(step, above, 0.0, 1.0)?
        }
        _ => return Ok(None),
    };
    Ok(Some(vec![y]))
}

/// Large enough that its square lifts the smallest float over one.
const LIFT: f64 = (1u128 << 100) as f64;

/// The value times a number so large that only zero stays between minus one and one.
fn lifted(step: &mut Step<'_>, x: ValueId) -> Result<ValueId, Failure> {
    step.rewrite(
        "sign-by-scaling",
        "a number times 2^200 is zero, or beyond one in its own direction: clipped, it is its sign",
    );
    let x = step.affine(x, LIFT, 0.0)?;
    step.affine(x, LIFT, 0.0)
}

/// `min(max(x, min), max)`.
fn clip(step: &mut Step<'_>, x: ValueId, min: f64, max: f64) -> Result<ValueId, Failure> {
    match (min, max) {
        (0.0, f64::INFINITY) => step.apply(Activation::Relu, &[x]),
        (0.0, max) => {
            let function = Activation::BoundedRelu {
                max: Some(max),
                slope: 0.0,
                threshold: 0.0,
            };
            step.apply(function, &[x])
        }
        (-1.0, 1.0) => step.apply(Activation::HardTanh, &[x]),
        _ => {
            step.rewrite(
                "clip-by-extremes",
                "clipping is the largest and the smallest of a value and the ends",
            );
            let mut y = x;
            for (end, kind) in [(min, Kind::Maximum), (max, Kind::Minimum)] {
                if end.is_finite() {
                    let end = step.affine(x, 0.0, end)?;
                    y = step.elementwise(kind, &[y, end])?;
                }
            }
            Ok(y)
        }
    }
}

pub(super) fn several(step: &mut Step<'_>, kind: Kind, inputs: &[ValueId]) -> Composed {
    let known: Vec<Option<Tensor>> = inputs.iter().map(|&input| stored(step, input)).collect();
    let y = match (inputs, &known[..]) {
        (&[x, _], [None, Some(array)]) => with_array(step, kind, x, array, false)?,
        (&[_, x], [Some(array), None]) => with_array(step, kind, x, array, true)?,
        (&[x, y], [None, None]) if kind == Kind::Divide => {
            let y = power(step, y, -1.0)?;
            step.elementwise(Kind::Multiply, &[x, y])?
        }
        (_, known) if known.iter().any(Option::is_some) => {
            // The others tell the shape that the stored ones are to have.
            let Some(x) = inputs
                .iter()
                .zip(known)
                .find_map(|(&input, array)| array.is_none().then_some(input))
            else {
                return Err(Failure::Inexpressible("arithmetic of stored arrays alone".into()));
            };
            let mut made = Vec::with_capacity(inputs.len());
            for (&input, array) in inputs.iter().zip(known) {
                made.push(match array {
                    None => input,
                    Some(array) => {
                        let (x, array) = aligned(step, x, array)?;
                        materialised(step, x, &array)?
                    }
                });
            }
            step.elementwise(kind, &made)?
        }
        _ => return Ok(None),
    };
    Ok(Some(vec![y]))
}

/// `x op array`, or `array op x` where `swapped`.
fn with_array(
    step: &mut Step<'_>,
    kind: Kind,
    x: ValueId,
    array: &Tensor,
    swapped: bool,
) -> Result<ValueId, Failure> {
    let (x, array) = aligned(step, x, array)?;
    let values = elements(&array)?;
    let mapped =
        |f: fn(f32) -> f32| tensor(&array.shape(), &values.iter().copied().map(f).collect::<Vec<_>>());
    let alike = values
        .first()
        .copied()
        .filter(|first| values.iter().all(|value| value == first));
    match (kind, swapped) {
        (Kind::Add, _) => affine(step, x, None, Some(&array)),
        (Kind::Subtract, false) => affine(step, x, None, Some(&mapped(|value| -value)?)),
        (Kind::Subtract, true) => {
            let minus = Tensor::filled(&vec![1; array.rank()], -1.0);
            affine(step, x, Some(&minus), Some(&array))
        }
        (Kind::Multiply, _) => affine(step, x, Some(&array), None),
        (Kind::Divide, false) if values.iter().all(|&value| value != 0.0) => {
            affine(step, x, Some(&mapped(|value| 1.0 / value)?), None)
        }
        (Kind::Divide, true) => {
            let x = power(step, x, -1.0)?;
            affine(step, x, Some(&array), None)
        }
        (Kind::Maximum | Kind::Minimum | Kind::Average, _) => {
            let array = materialised(step, x, &array)?;
            step.elementwise(kind, &[x, array])
        }
        (Kind::Power, false) if alike.is_some() => power(step, x, f64::from(alike.unwrap_or(1.0))),
        (Kind::Power, true) if values.iter().all(|&value| value > 0.0 && value.is_finite()) => {
            step.rewrite(
                "power-by-exponential",
                "a power of known positive numbers is the exponential of its exponent times their logarithms",
            );
            let x = affine(
                step,
                x,
                Some(&mapped(|value| f64::from(value).ln() as f32)?),
                None,
            )?;
            step.apply(Activation::Exponential, &[x])
        }
        _ => Err(Failure::Inexpressible(format!(
            "DL4J has no vertex for {kind:?} with these numbers"
        ))),
    }
}
