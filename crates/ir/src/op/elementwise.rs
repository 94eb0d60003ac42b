//! Arithmetic on elements.

use super::{Activation, Identity, Op, Operator, one};
use crate::{Infer, Shape, ShapeError};

/// A function of two or more numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ElementwiseKind {
    /// The sum of all.
    Add,
    /// The first minus the second.
    Subtract,
    /// The product of all.
    Multiply,
    /// The first divided by the second.
    Divide,
    /// The mean of all.
    Average,
    /// The largest.
    Maximum,
    /// The smallest.
    Minimum,
    /// The first to the power of the second.
    Power,
}

impl ElementwiseKind {
    /// `x op c`, or `c op x` where `swapped`, as a function of `x`.
    pub fn with_number(self, c: f64, swapped: bool) -> Option<Op> {
        let clip = |min: f64, max: f64| {
            Op::from(Unary {
                kind: UnaryKind::Clip { min, max },
            })
        };
        Some(match (self, swapped) {
            (Self::Add, _) => Op::affine(1.0, c),
            (Self::Subtract, false) => Op::affine(1.0, -c),
            (Self::Subtract, true) => Op::affine(-1.0, c),
            (Self::Multiply, _) => Op::affine(c, 0.0),
            (Self::Divide, false) if c != 0.0 => Op::affine(1.0 / c, 0.0),
            (Self::Maximum, _) if c == 0.0 => Activation::Relu.into(),
            (Self::Maximum, _) => clip(c, f64::INFINITY),
            (Self::Minimum, _) => clip(f64::NEG_INFINITY, c),
            (Self::Power, false) => {
                let kind = match c {
                    1.0 => return Some(Identity.into()),
                    2.0 => UnaryKind::Square,
                    0.5 => UnaryKind::Sqrt,
                    -0.5 => UnaryKind::ReciprocalSqrt,
                    -1.0 => UnaryKind::Reciprocal,
                    3.0 => return Some(Activation::Cube.into()),
                    _ => return None,
                };
                Unary { kind }.into()
            }
            _ => return None,
        })
    }
}

impl Op {
    /// `scale * x + shift`.
    pub fn affine(scale: f64, shift: f64) -> Self {
        let kind = UnaryKind::Affine { scale, shift };
        Unary { kind }.into()
    }
}

/// A function of the elements of several values, which broadcast as NumPy's do: aligned at the last axis, size one
/// stretches. Subtract, divide and power take exactly two values, the others two or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elementwise {
    /// Which function.
    pub kind: ElementwiseKind,
}

impl Operator for Elementwise {
    fn name(&self) -> &'static str {
        match self.kind {
            ElementwiseKind::Add => "Add",
            ElementwiseKind::Subtract => "Subtract",
            ElementwiseKind::Multiply => "Multiply",
            ElementwiseKind::Divide => "Divide",
            ElementwiseKind::Average => "Average",
            ElementwiseKind::Maximum => "Maximum",
            ElementwiseKind::Minimum => "Minimum",
            ElementwiseKind::Power => "Power",
        }
    }

    fn infer(&self, inputs: &[&Shape], infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        use ElementwiseKind::{Divide, Power, Subtract};
        let two = matches!(self.kind, Subtract | Divide | Power);
        let [first, rest @ ..] = inputs else {
            return Err(ShapeError::new("expected at least two inputs, found none"));
        };
        if rest.is_empty() || (two && rest.len() != 1) {
            return Err(ShapeError::new(format!(
                "expected {} inputs, found {}",
                if two { "two" } else { "at least two" },
                inputs.len()
            )));
        }
        let mut shape = (*first).clone();
        for other in rest {
            shape = infer.broadcast(&shape, other)?;
        }
        Ok(vec![shape])
    }
}

/// A function of one number that is not an activation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum UnaryKind {
    /// `-x`.
    Negate,
    /// `|x|`.
    Abs,
    /// `ln x`.
    Log,
    /// The square root.
    Sqrt,
    /// `1 / sqrt(x)`.
    ReciprocalSqrt,
    /// `x^2`.
    Square,
    /// `1 / x`.
    Reciprocal,
    /// -1, 0 or 1.
    Sign,
    /// The next integer below.
    Floor,
    /// The next integer above.
    Ceil,
    /// The nearest integer, halves to even.
    Round,
    /// The error function.
    Erf,
    /// The sine.
    Sin,
    /// The cosine.
    Cos,
    /// `min(max(x, min), max)`.
    Clip {
        /// The smallest value.
        min: f64,
        /// The largest value.
        max: f64,
    },
    /// `x > threshold ? 1 : 0`.
    Step {
        /// Where it jumps.
        threshold: f64,
    },
    /// `scale * x + shift`.
    Affine {
        /// Factor.
        scale: f64,
        /// Summand.
        shift: f64,
    },
}

/// A [`UnaryKind`] applied to every element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unary {
    /// Which function.
    pub kind: UnaryKind,
}

impl Operator for Unary {
    fn name(&self) -> &'static str {
        match self.kind {
            UnaryKind::Negate => "Negate",
            UnaryKind::Abs => "Abs",
            UnaryKind::Log => "Log",
            UnaryKind::Sqrt => "Sqrt",
            UnaryKind::ReciprocalSqrt => "ReciprocalSqrt",
            UnaryKind::Square => "Square",
            UnaryKind::Reciprocal => "Reciprocal",
            UnaryKind::Sign => "Sign",
            UnaryKind::Floor => "Floor",
            UnaryKind::Ceil => "Ceil",
            UnaryKind::Round => "Round",
            UnaryKind::Erf => "Erf",
            UnaryKind::Sin => "Sin",
            UnaryKind::Cos => "Cos",
            UnaryKind::Clip { .. } => "Clip",
            UnaryKind::Step { .. } => "Step",
            UnaryKind::Affine { .. } => "Affine",
        }
    }

    fn infer(&self, inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        Ok(vec![one(inputs)?.clone()])
    }
}
