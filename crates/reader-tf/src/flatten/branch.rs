//! Branches whose condition is known: the side that is taken stands in their place.

use crate::graph::{Flat, Node, Output};
use crate::literal::Literal;
use crate::schema::attr_value::Value;
use std::collections::HashMap;

/// Steps from a condition to the constants that it is made of, all of them together.
const STEPS: usize = 200;

/// The truth value of an output, where it follows from constants.
pub(super) fn truth(flat: &Flat, output: Output) -> Option<bool> {
    number(flat, output).map(|number| number != 0.0)
}

/// The single number of an output, where it follows from constants and from the shapes of inputs.
pub(crate) fn number(flat: &Flat, output: Output) -> Option<f64> {
    match evaluate(flat, output, &mut { STEPS })?[..] {
        [number] => number,
        _ => None,
    }
}

/// The numbers of an output, those that are known; one number stands for an array of any shape with one element.
fn evaluate(flat: &Flat, output: Output, steps: &mut usize) -> Option<Vec<Option<f64>>> {
    let node = flat.nodes.get(output.node)?;
    *steps = steps.checked_sub(1)?;
    if output.slot != 0 {
        return None;
    }
    if let Some(literal) = &node.literal {
        let Literal::Numbers(tensor) = literal else {
            return None;
        };
        let few = tensor.len() == 1 || tensor.rank() == 1 && tensor.len() <= MOST;
        let values = few.then(|| tensor.to_vec().ok())??;
        return Some(values.iter().map(|&value| Some(f64::from(value))).collect());
    }
    let mut input = |i: usize| evaluate(flat, *node.inputs.get(i)?, steps);
    if let Some(&(_, function)) = PAIRS.iter().find(|(op, _)| *op == &*node.op) {
        let (a, b) = (input(0)?, input(1)?);
        let count = a.len().max(b.len());
        let at = |list: &[Option<f64>], i: usize| match list {
            [number] => Some(*number),
            list => list.get(i).copied(),
        };
        let pair = |i: usize| Some(at(&a, i)?.zip(at(&b, i)?).map(|(a, b)| function(a, b)));
        return (0..count).map(pair).collect();
    }
    Some(match &*node.op {
        "Identity" | "StopGradient" | "Cast" | "PreventGradient" | "Enter" => input(0)?,
        "LogicalNot" => {
            let not = |value: Option<f64>| value.map(|value| truth_of(value == 0.0));
            input(0)?.into_iter().map(not).collect()
        }
        // One side may be enough.
        "LogicalAnd" | "LogicalOr" => {
            let decisive = &*node.op == "LogicalOr";
            let sides = [0, 1].map(|i| match input(i)?[..] {
                [side] => side.map(|side| side != 0.0),
                _ => None,
            });
            let known = match sides {
                _ if sides.contains(&Some(decisive)) => Some(decisive),
                [Some(_), Some(_)] => Some(!decisive),
                _ => None,
            };
            vec![known.map(truth_of)]
        }
        "Pack" => {
            let one = |i: usize| match input(i)?[..] {
                [number] => Some(number),
                _ => None,
            };
            (0..node.inputs.len()).map(one).collect::<Option<_>>()?
        }
        "All" => {
            let axes = &flat.nodes.get(node.inputs.get(1)?.node)?.literal;
            if matches!(axes, Some(Literal::Numbers(axes)) if axes.is_empty()) {
                return None;
            }
            let all: Option<Vec<f64>> = input(0)?.into_iter().collect();
            vec![all.map(|all| truth_of(all.iter().all(|&value| value != 0.0)))]
        }
        "StridedSlice" => {
            let list = input(0)?;
            let [Some(from), Some(to), Some(1.0)] =
                [input(1)?, input(2)?, input(3)?].map(|list| match list[..] {
                    [number] => number,
                    _ => None,
                })
            else {
                return None;
            };
            let masked = |name: &str| {
                let mask = node.attributes.get(name).and_then(|value| value.value.as_ref());
                matches!(mask, Some(Value::I(mask)) if *mask != 0)
            };
            let place = |at: f64| (if at < 0.0 { at + list.len() as f64 } else { at }) as usize;
            let from = if masked("begin_mask") { 0 } else { place(from) };
            let to = if masked("end_mask") { list.len() } else { place(to) };
            match masked("shrink_axis_mask") {
                true => vec![*list.get(from)?],
                false => list.get(from..to.min(list.len()))?.to_vec(),
            }
        }
        "Shape" => {
            let source = passed(flat, *node.inputs.first()?);
            let feed = flat.feeds.iter().find(|feed| feed.output == source)?;
            let sizes = feed.shape.as_ref()?.iter();
            // The number of examples is whatever is fed.
            let known =
                |(axis, size): (usize, &Option<usize>)| size.filter(|_| axis > 0).map(|size| size as f64);
            sizes.enumerate().map(known).collect()
        }
        _ => return None,
    })
}

/// The most numbers of an array that a condition is made of.
const MOST: usize = 16;

/// The name of an operation, and what it gives for two numbers.
type Pair = (&'static str, fn(f64, f64) -> f64);

const PAIRS: &[Pair] = &[
    // As TensorFlow computes it, in single precision.
    ("Sub", |a, b| f64::from(a as f32 - b as f32)),
    ("Equal", |a, b| truth_of(a == b)),
    ("NotEqual", |a, b| truth_of(a != b)),
    ("Less", |a, b| truth_of(a < b)),
    ("Greater", |a, b| truth_of(a > b)),
    ("GreaterEqual", |a, b| truth_of(a >= b)),
    ("LessEqual", |a, b| truth_of(a <= b)),
];

fn truth_of(value: bool) -> f64 {
    f64::from(u8::from(value))
}

/// The value behind operations that change its elements only.
fn passed(flat: &Flat, mut output: Output) -> Output {
    for _ in 0..flat.nodes.len() {
        let Some(node) = flat.nodes.get(output.node).filter(|node| node.literal.is_none()) else {
            break;
        };
        let number = |input: &&Output| {
            let literal = flat.nodes.get(input.node).and_then(|node| node.literal.as_ref());
            matches!(literal, Some(Literal::Numbers(tensor)) if tensor.rank() == 0)
        };
        let next = match &*node.op {
            "Identity" | "StopGradient" | "Cast" | "Relu" | "Sigmoid" | "Tanh" => node.inputs.first(),
            "Mul" | "Add" | "AddV2" | "Sub" | "RealDiv" if node.inputs.iter().any(|input| number(&input)) => {
                node.inputs.iter().find(|input| !number(input))
            }
            _ => None,
        };
        match next {
            Some(&next) => output = next,
            None => break,
        }
    }
    output
}

/// Whether a node passes what it reads to one of several outputs.
fn chooses(node: &Node) -> bool {
    matches!(&*node.op, "Switch" | "_SwitchN")
}

/// The output that such a node passes on, where that is known.
fn side(flat: &Flat, node: &Node) -> Option<usize> {
    let condition = *node.inputs.get(1)?;
    if &*node.op == "Switch" {
        return truth(flat, condition).map(usize::from);
    }
    let last = match node.attributes.get("num_outs")?.value {
        Some(Value::I(count)) => usize::try_from(count).ok()?.checked_sub(1)?,
        _ => return None,
    };
    let number = number(flat, condition)?;
    // A number of no side takes the last one.
    Some(match number >= 0.0 && number <= last as f64 {
        true => number as usize,
        false => last,
    })
}

/// Takes the live side of every `Switch` whose condition is known: what reads a dead output is dead, and a `Merge` with one
/// live input is that input.
pub(super) fn resolve(flat: &mut Flat) {
    if !flat.nodes.iter().any(chooses) {
        return;
    }
    let mut dead = vec![false; flat.nodes.len()];
    // Nodes stand behind what they read but for loops, whose back edges lead to merges with a live first input.
    for position in 0..flat.nodes.len() {
        let node = &flat.nodes[position];
        let gone: Vec<bool> = node
            .inputs
            .iter()
            .map(|input| dead.get(input.node).is_some_and(|&dead| dead) || is_dead_side(flat, *input))
            .collect();
        if &*node.op == "Merge" {
            let live: Vec<Output> = node
                .inputs
                .iter()
                .zip(&gone)
                .filter(|(_, gone)| !**gone)
                .map(|(&input, _)| input)
                .collect();
            if let ([live], true) = (&live[..], gone.len() > 1) {
                let node = &mut flat.nodes[position];
                node.op = "Identity".into();
                node.inputs = vec![*live];
            } else {
                dead[position] = live.is_empty();
            }
        } else {
            dead[position] = gone.contains(&true);
        }
    }
    // What reads the live side, the second output perhaps, reads the value itself.
    let taken: HashMap<usize, Output> = flat
        .nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| chooses(node))
        .filter_map(|(position, node)| side(flat, node).map(|_| (position, node.inputs[0])))
        .collect();
    let through = |mut output: Output| {
        for _ in 0..=taken.len() {
            match taken.get(&output.node) {
                Some(&value) => output = value,
                None => break,
            }
        }
        output
    };
    let inputs = flat.nodes.iter_mut().flat_map(|node| &mut node.inputs);
    for output in inputs.chain(flat.fetches.iter_mut().map(|fetch| &mut fetch.output)) {
        *output = through(*output);
    }
}

/// Whether an output is that of a `Switch` whose condition chooses the other one.
fn is_dead_side(flat: &Flat, output: Output) -> bool {
    let Some(node) = flat.nodes.get(output.node).filter(|node| chooses(node)) else {
        return false;
    };
    side(flat, node).is_some_and(|side| side != output.slot)
}
