//! Functions of one number as programs: what a value is computed to from another one by operators on single elements.

use caribou_ir::op::{Activation, ElementwiseKind, Op, UnaryKind};
use caribou_ir::{Graph, ValueId};
use std::collections::HashMap;

/// The most operators of a function.
const MOST: usize = 32;

/// One step of a function; arguments are places of earlier results.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// The number that the function is of.
    Argument,
    /// A number.
    Number(f64),
    /// An activation.
    Activation(Activation, usize),
    /// A function of one number.
    Unary(UnaryKind, usize),
    /// A function of several.
    Elementwise(ElementwiseKind, Vec<usize>),
    /// The second where the first is not zero, else the third.
    Choice([usize; 3]),
}

/// A function of one number, as steps of which the last gives its value.
#[derive(Debug, Clone, Default)]
pub(super) struct Function {
    steps: Vec<Step>,
    places: HashMap<ValueId, usize>,
}

impl Function {
    /// A function of `argument` without any step yet.
    pub(super) fn of(argument: ValueId) -> Self {
        Self {
            steps: vec![Step::Argument],
            places: HashMap::from([(argument, 0)]),
        }
    }

    /// How many operators it has.
    pub(super) fn operators(&self) -> usize {
        let operator = |step: &&Step| !matches!(step, Step::Argument | Step::Number(_));
        self.steps.iter().filter(operator).count()
    }

    /// Adds a step, and gives its place.
    pub(super) fn push(&mut self, step: Step) -> usize {
        self.steps.push(step);
        self.steps.len() - 1
    }

    /// The place of a value; `None` where it is not computed of the argument alone, by few operators on single elements.
    pub(super) fn place(&mut self, graph: &Graph, value: ValueId) -> Option<usize> {
        if let Some(&place) = self.places.get(&value) {
            return Some(place);
        }
        if self.steps.len() > MOST {
            return None;
        }
        let node = graph.producer(value)?;
        if let Op::Constant(constant) = &node.op {
            let number = constant
                .value
                .to_f64()
                .ok()
                .filter(|_| constant.value.len() == 1)?;
            return Some(self.push(Step::Number(number[0])));
        }
        if !on_elements(&node.op) {
            return None;
        }
        let inputs: Vec<usize> = node
            .inputs
            .iter()
            .map(|&input| self.place(graph, input))
            .collect::<Option<_>>()?;
        let place = match &node.op {
            Op::Identity(_) => inputs[0],
            Op::Activate(op) => self.push(Step::Activation(op.function, inputs[0])),
            Op::Unary(op) => self.push(Step::Unary(op.kind, inputs[0])),
            Op::Elementwise(op) => self.push(Step::Elementwise(op.kind, inputs)),
            _ => return None,
        };
        self.places.insert(value, place);
        Some(place)
    }

    /// The function's value.
    pub(super) fn at(&self, x: f64) -> f64 {
        let mut results: Vec<f64> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let of = |place: usize| results[place];
            let result = match step {
                Step::Argument => x,
                Step::Number(number) => *number,
                Step::Activation(function, place) => activation(*function, of(*place)),
                Step::Unary(kind, place) => unary(*kind, of(*place)),
                Step::Elementwise(kind, places) => {
                    let mut numbers = places.iter().map(|&place| of(place));
                    let first = numbers.next().unwrap_or(f64::NAN);
                    let result = numbers.fold(first, |a, b| pair(*kind, a, b));
                    match kind {
                        ElementwiseKind::Average => result / places.len() as f64,
                        _ => result,
                    }
                }
                Step::Choice([condition, yes, no]) => of(if of(*condition) != 0.0 { *yes } else { *no }),
            };
            results.push(result);
        }
        results.last().copied().unwrap_or(f64::NAN)
    }
}

/// Whether an operator computes each element of the elements at the same place.
pub(super) fn on_elements(op: &Op) -> bool {
    matches!(
        op,
        Op::Identity(_) | Op::Activate(_) | Op::Unary(_) | Op::Elementwise(_)
    )
}

fn pair(kind: ElementwiseKind, a: f64, b: f64) -> f64 {
    match kind {
        ElementwiseKind::Add | ElementwiseKind::Average => a + b,
        ElementwiseKind::Subtract => a - b,
        ElementwiseKind::Multiply => a * b,
        ElementwiseKind::Divide => a / b,
        ElementwiseKind::Maximum => a.max(b),
        ElementwiseKind::Minimum => a.min(b),
        ElementwiseKind::Power => a.powf(b),
    }
}

fn unary(kind: UnaryKind, x: f64) -> f64 {
    match kind {
        UnaryKind::Negate => -x,
        UnaryKind::Abs => x.abs(),
        UnaryKind::Log => x.ln(),
        UnaryKind::Sqrt => x.sqrt(),
        UnaryKind::ReciprocalSqrt => 1.0 / x.sqrt(),
        UnaryKind::Square => x * x,
        UnaryKind::Reciprocal => 1.0 / x,
        UnaryKind::Sign if x == 0.0 => 0.0,
        UnaryKind::Sign => x.signum(),
        UnaryKind::Floor => x.floor(),
        UnaryKind::Ceil => x.ceil(),
        UnaryKind::Round => x.round_ties_even(),
        UnaryKind::Erf => erf(x),
        UnaryKind::Sin => x.sin(),
        UnaryKind::Cos => x.cos(),
        UnaryKind::Clip { min, max } => x.max(min).min(max),
        UnaryKind::Step { threshold } => f64::from(u8::from(x > threshold)),
        UnaryKind::Affine { scale, shift } => scale * x + shift,
    }
}

/// An activation's value; no number for one that no idiom is made of.
pub(super) fn activation(function: Activation, x: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    match function {
        Activation::Linear => x,
        Activation::Relu => x.max(0.0),
        Activation::BoundedRelu {
            max,
            slope,
            threshold,
        } => match x >= threshold {
            true => max.map_or(x, |max| x.min(max)),
            false => slope * (x - threshold),
        },
        Activation::LeakyRelu { alpha } if x <= 0.0 => alpha * x,
        Activation::Elu { alpha } if x <= 0.0 => alpha * x.exp_m1(),
        Activation::Selu if x <= 0.0 => SELU_SCALE * SELU_ALPHA * x.exp_m1(),
        Activation::Selu => SELU_SCALE * x,
        Activation::LeakyRelu { .. } | Activation::Elu { .. } => x,
        Activation::Sigmoid => sigmoid(x),
        Activation::HardSigmoid { slope, offset } => (slope * x + offset).clamp(0.0, 1.0),
        Activation::Tanh => x.tanh(),
        Activation::HardTanh => x.clamp(-1.0, 1.0),
        Activation::Softplus => softplus(x),
        Activation::Softsign => x / (1.0 + x.abs()),
        Activation::Swish => x * sigmoid(x),
        Activation::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Activation::Mish => x * softplus(x).tanh(),
        Activation::Gelu => 0.5 * x * (1.0 + erf(x * std::f64::consts::FRAC_1_SQRT_2)),
        Activation::GeluTanh => {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x.powi(3));
            0.5 * x * (1.0 + inner.tanh())
        }
        Activation::GeluSigmoid => x * sigmoid(1.702 * x),
        Activation::Exponential => x.exp(),
        Activation::Cube => x.powi(3),
        _ => f64::NAN,
    }
}

/// `lambda` and `alpha` of Klambauer et al. 2017.
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;

/// The error function: its power series near zero, the continued fraction of its complement elsewhere.
fn erf(x: f64) -> f64 {
    let size = x.abs();
    if size < 3.0 {
        let (mut term, mut sum) = (size, size);
        for n in 1..100 {
            term *= -size * size / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        return std::f64::consts::FRAC_2_SQRT_PI * sum * x.signum();
    }
    let fraction = (1..60)
        .rev()
        .fold(size, |below, n| size + f64::from(n) / 2.0 / below);
    let complement = (-size * size).exp() / fraction / std::f64::consts::PI.sqrt();
    (1.0 - complement) * x.signum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_error_function_is_that_of_the_tables() {
        for (x, y) in [
            (0.0, 0.0),
            (0.5, 0.520_499_877_813_046_5),
            (-1.0, -0.842_700_792_949_714_9),
            (2.5, 0.999_593_047_982_555),
            (3.5, 0.999_999_256_901_627_7),
        ] {
            assert!((super::erf(x) - y).abs() < 1e-12, "{x}: {}", super::erf(x));
        }
    }
}
