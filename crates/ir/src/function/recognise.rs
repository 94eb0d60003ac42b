//! Activations told from arithmetic: the one that has the same values over the whole range of numbers.

use super::{Function, Step};
use crate::op::{Activation, UnaryKind};

/// The largest difference of values, relative to them or to one.
const NEAR: f64 = 1e-6;

/// The activations that have no parameters.
const PLAIN: &[Activation] = &[
    Activation::Relu,
    Activation::Selu,
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::HardTanh,
    Activation::Softplus,
    Activation::Softsign,
];

/// Others, which are told from the function's values where it is one of them of a multiple of its argument too, for they are
/// nearly the identity for large numbers, and no simpler one will do.
const NEARLY_IDENTITY: &[Activation] = &[
    Activation::Swish,
    Activation::HardSwish,
    Activation::Mish,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::GeluSigmoid,
];

impl Function {
    /// The activation that has the values of the function, where there is one: GELU, swish, hard sigmoid and others, in
    /// whatever way they are written. A constant that is given to seven digits is as good as the exact one.
    pub fn recognised(&self) -> Option<Activation> {
        let at = |x: f64| self.at(x);
        // A function that none of them is like is told from them by its values near zero.
        let plain = PLAIN.iter().chain(NEARLY_IDENTITY).copied();
        let candidates = plain.chain(with_parameters(at));
        candidates.into_iter().find(|candidate| same(at, candidate))
    }

    /// An activation of `scale * x + shift` that has the values of the function, with these two numbers. What scales and shifts
    /// a value in front of an activation that is written as arithmetic may have become part of each of its steps.
    pub fn recognised_of_affine(&self) -> Option<(Activation, [f64; 2])> {
        let scale = rounded((self.at(2e4) - self.at(1e4)) / 1e4);
        if !scale.is_finite() || scale <= 0.0 {
            return None;
        }
        let shifted = self.steps.iter().filter_map(|step| match step {
            Step::Unary(UnaryKind::Affine { scale: own, shift }, 0) => Some(rounded(shift / own * scale)),
            _ => None,
        });
        std::iter::once(0.0).chain(shifted).find_map(|shift| {
            let at = |x: f64| self.at((x - shift) / scale);
            let found = NEARLY_IDENTITY.iter().find(|candidate| same(at, candidate))?;
            Some((*found, [scale, shift]))
        })
    }
}

/// Whether a function has the values of an activation.
fn same(at: impl Fn(f64) -> f64, candidate: &Activation) -> bool {
    numbers().all(|x| {
        let (found, expected) = (at(x), candidate.at(x));
        // Where an exponential leaves the range of numbers, the program's way gives none.
        let beyond = x.abs() > 80.0 && !found.is_finite();
        beyond || (found - expected).abs() <= NEAR * expected.abs().max(1.0)
    })
}

/// Activations whose parameters are those that the function has, if it is one of them.
fn with_parameters(at: impl Fn(f64) -> f64) -> Vec<Activation> {
    let (zero, one, minus) = (at(0.0), at(1.0), at(-1.0));
    let mut found = Vec::new();
    if zero == 0.0 && (one - 1.0).abs() < NEAR {
        let max = at(1e4);
        if max < 1e4 && minus == 0.0 {
            found.push(Activation::BoundedRelu {
                max: Some(rounded(max)),
                slope: 0.0,
                threshold: 0.0,
            });
        }
        if minus < 0.0 {
            found.push(Activation::LeakyRelu {
                alpha: rounded(-minus),
            });
            found.push(Activation::Elu {
                alpha: rounded(minus / (-1f64).exp_m1()),
            });
        }
    }
    let slope = (at(1e-3) - at(-1e-3)) / 2e-3;
    if zero > 0.0 && zero < 1.0 && slope > 0.0 {
        let (slope, offset) = (rounded(slope), rounded(zero));
        found.push(Activation::HardSigmoid { slope, offset });
    }
    found
}

/// A parameter that was found from values, as the number of single precision that the program wrote.
fn rounded(number: f64) -> f64 {
    let decimal = (number * 1e6).round() / 1e6;
    if (number - decimal).abs() <= 1e-7 * number.abs() {
        decimal
    } else {
        number
    }
}

/// The numbers at which functions are compared: closely around zero, farther apart up to a million, none of them round.
fn numbers() -> impl Iterator<Item = f64> {
    let coarse = [0.3, -0.7, 2.3, -2.9, 0.0].into_iter();
    let fine = (0..800).map(|i| (f64::from(i) - 400.0) * 0.050_123 + 0.011);
    let far = (0..60).map(|i| 20.0 * 1.2f64.powi(i));
    coarse.chain(fine).chain(far.clone()).chain(far.map(|x| -x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Graph;
    use crate::op::ElementwiseKind as Kind;

    fn of(steps: impl Fn(&mut Function)) -> Option<Activation> {
        let mut graph = Graph::new();
        let x = graph.input(
            "x",
            crate::Shape::new([crate::Dim::Fixed(1)]),
            crate::Layout::Plain,
        );
        let mut function = Function::of(x);
        steps(&mut function);
        function.recognised()
    }

    fn affine(scale: f64, shift: f64) -> UnaryKind {
        UnaryKind::Affine { scale, shift }
    }

    #[test]
    fn parameters_are_those_of_the_program() {
        let found = of(|f| {
            let x = f.push(Step::Unary(affine(f64::from(0.2f32), 0.5), 0));
            f.push(Step::Unary(UnaryKind::Clip { min: 0.0, max: 1.0 }, x));
        });
        let expected = Activation::HardSigmoid {
            slope: 0.2,
            offset: 0.5,
        };
        assert_eq!(found, Some(expected));
    }

    #[test]
    fn what_is_almost_an_activation_is_none() {
        // A swish that is bounded far from zero, and one with another factor.
        let bounded = of(|f| {
            let y = f.push(Step::Activation(Activation::Swish, 0));
            f.push(Step::Unary(UnaryKind::Clip { min: -1.0, max: 5e5 }, y));
        });
        assert_eq!(bounded, None);
        let scaled = of(|f| {
            let y = f.push(Step::Unary(affine(1.01, 0.0), 0));
            let y = f.push(Step::Activation(Activation::Sigmoid, y));
            f.push(Step::Elementwise(Kind::Multiply, vec![0, y]));
        });
        assert_eq!(scaled, None);
    }

    #[test]
    fn an_activation_of_a_multiple_is_found() {
        let mut graph = Graph::new();
        let shape = crate::Shape::new([crate::Dim::Fixed(1)]);
        let x = graph.input("x", shape, crate::Layout::Plain);
        // swish(8 x - 2), of which neither 8 x - 2 nor its half is a step.
        let mut function = Function::of(x);
        let half = function.push(Step::Unary(affine(4.0, -1.0), 0));
        let whole = function.push(Step::Unary(affine(8.0, -2.0), 0));
        let whole = function.push(Step::Activation(Activation::Sigmoid, whole));
        let product = function.push(Step::Elementwise(Kind::Multiply, vec![half, whole]));
        function.push(Step::Unary(affine(2.0, 0.0), product));
        assert_eq!(function.recognised(), None);
        assert_eq!(
            function.recognised_of_affine(),
            Some((Activation::Swish, [8.0, -2.0]))
        );
    }
}
