//! Functions of one number as programs: what a value is computed to from another one by operators on single elements.

mod recognise;

use crate::op::{Activation, ElementwiseKind, Op, UnaryKind};
use crate::{Graph, ValueId};
use std::collections::HashMap;

/// The most operators of a function.
const MOST: usize = 32;

/// The most values that a function is tried to be of.
const ARGUMENTS: usize = 24;

/// One step of a function; arguments are places of earlier results.
#[derive(Debug, Clone)]
pub enum Step {
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
pub struct Function {
    steps: Vec<Step>,
    places: HashMap<ValueId, usize>,
}

impl Function {
    /// A function of `argument` without any step yet.
    pub fn of(argument: ValueId) -> Self {
        Self {
            steps: vec![Step::Argument],
            places: HashMap::from([(argument, 0)]),
        }
    }

    /// How many operators it has.
    pub fn operators(&self) -> usize {
        let operator = |step: &&Step| !matches!(step, Step::Argument | Step::Number(_));
        self.steps.iter().filter(operator).count()
    }

    /// Adds a step, and gives its place.
    pub fn push(&mut self, step: Step) -> usize {
        self.steps.push(step);
        self.steps.len() - 1
    }

    /// The place of a value; `None` where it is not computed of the argument alone, by few operators on single elements.
    pub fn place(&mut self, graph: &Graph, value: ValueId) -> Option<usize> {
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
    pub fn at(&self, x: f64) -> f64 {
        let mut results: Vec<f64> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let of = |place: usize| results[place];
            let result = match step {
                Step::Argument => x,
                Step::Number(number) => *number,
                Step::Activation(function, place) => function.at(of(*place)),
                Step::Unary(kind, place) => kind.at(of(*place)),
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
pub fn on_elements(op: &Op) -> bool {
    matches!(
        op,
        Op::Identity(_) | Op::Activate(_) | Op::Unary(_) | Op::Elementwise(_)
    )
}

/// The values that what is computed of `from` may be a function of, the farthest first.
pub fn arguments(graph: &Graph, from: impl IntoIterator<Item = ValueId>) -> Vec<ValueId> {
    let mut found: Vec<ValueId> = Vec::new();
    let mut open: Vec<ValueId> = from.into_iter().collect();
    let mut next = 0;
    while let Some(&at) = open.get(next) {
        next += 1;
        if found.contains(&at) {
            continue;
        }
        if found.len() == ARGUMENTS {
            break;
        }
        found.push(at);
        if let Some(node) = graph.producer(at).filter(|node| on_elements(&node.op)) {
            open.extend(&node.inputs);
        }
    }
    found.reverse();
    found
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
