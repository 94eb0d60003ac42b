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

/// The single number of an output, where it is a constant.
pub(crate) fn number(flat: &Flat, output: Output) -> Option<f64> {
    evaluate(flat, output, &mut { STEPS })
}

fn evaluate(flat: &Flat, output: Output, steps: &mut usize) -> Option<f64> {
    let node = flat.nodes.get(output.node)?;
    *steps = steps.checked_sub(1)?;
    if output.slot != 0 {
        return None;
    }
    if let Some(literal) = &node.literal {
        let Literal::Numbers(tensor) = literal else {
            return None;
        };
        return match tensor.len() {
            1 => tensor.to_vec().ok()?.first().map(|&value| f64::from(value)),
            _ => None,
        };
    }
    let mut input = |i: usize| evaluate(flat, *node.inputs.get(i)?, steps);
    let truth = |value: bool| f64::from(u8::from(value));
    Some(match &*node.op {
        "Identity" | "StopGradient" | "Cast" | "PreventGradient" | "Enter" => input(0)?,
        // As TensorFlow computes it, in single precision.
        "Sub" => f64::from(input(0)? as f32 - input(1)? as f32),
        "LogicalNot" => truth(input(0)? == 0.0),
        "LogicalAnd" => truth(input(0)? != 0.0 && input(1)? != 0.0),
        "LogicalOr" => truth(input(0)? != 0.0 || input(1)? != 0.0),
        "Equal" => truth(input(0)? == input(1)?),
        "NotEqual" => truth(input(0)? != input(1)?),
        "Less" => truth(input(0)? < input(1)?),
        "Greater" => truth(input(0)? > input(1)?),
        "GreaterEqual" => truth(input(0)? >= input(1)?),
        "LessEqual" => truth(input(0)? <= input(1)?),
        _ => return None,
    })
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
