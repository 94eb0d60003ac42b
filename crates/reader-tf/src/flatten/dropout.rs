//! Dropout that drops nothing within loops, where only what a cell is made of is read: what it keeps stands in its place.
//! Outside of loops it is told among the other operations.

use super::branch::number;
use crate::graph::{Flat, Node, Output};

/// Operations between random numbers and what is made of them.
const STEPS: usize = 8;

/// Makes of every dropout that drops nothing an identity, where the graph has a loop.
pub(super) fn resolve(flat: &mut Flat) {
    if !flat.nodes.iter().any(|node| &*node.op == "LoopCond") {
        return;
    }
    let kept: Vec<(usize, Output)> = (0..flat.nodes.len())
        .filter_map(|position| Some((position, kept(flat, &flat.nodes[position])?)))
        .collect();
    for (position, output) in kept {
        let node = &mut flat.nodes[position];
        node.op = "Identity".into();
        node.inputs = vec![output];
    }
}

/// The operation that makes an output, and what it reads.
fn made(flat: &Flat, output: Output) -> (&str, &[Output]) {
    let node = flat.nodes.get(output.node);
    node.map_or(("", &[]), |node| (&*node.op, &node.inputs[..]))
}

/// What such a dropout keeps, which is all of it.
fn kept(flat: &Flat, node: &Node) -> Option<Output> {
    let (scaled, shape) = match (&*node.op, &node.inputs[..]) {
        ("Select" | "SelectV2", &[mask, x, _]) => (x, all(flat, mask, STEPS)?),
        ("Mul", &[a, b]) => match all(flat, b, STEPS) {
            Some(shape) => (a, shape),
            None => (b, all(flat, a, STEPS)?),
        },
        _ => return None,
    };
    // What is left is scaled up for what was dropped: by one.
    let is_one = |output: Output| number(flat, output) == Some(1.0);
    let x = match made(flat, scaled) {
        ("RealDiv" | "Div" | "Mul", &[x, one]) if is_one(one) => x,
        ("Mul", &[one, x]) if is_one(one) => x,
        _ => scaled,
    };
    // The mask has the shape of what it is laid on.
    match made(flat, shape) {
        ("Shape", &[of]) if of == x || of == scaled => Some(x),
        _ => None,
    }
}

/// The shape of a mask of dropout that is one everywhere, whatever the random numbers are.
fn all(flat: &Flat, mask: Output, steps: usize) -> Option<Output> {
    let steps = steps.checked_sub(1)?;
    match made(flat, mask) {
        ("Cast" | "Identity", &[mask]) => all(flat, mask, steps),
        ("GreaterEqual", &[random, rate]) => {
            let (low, shape) = uniform(flat, random, steps)?;
            (number(flat, rate)? <= low).then_some(shape)
        }
        // From one on, and less than two.
        ("Floor", &[random]) => {
            let (low, shape) = uniform(flat, random, steps)?;
            (low == 1.0).then_some(shape)
        }
        _ => None,
    }
}

/// What uniform random numbers start from, zero or one, and their shape: they end before the next whole number.
fn uniform(flat: &Flat, output: Output, steps: usize) -> Option<(f64, Output)> {
    let steps = steps.checked_sub(1)?;
    let (added, of) = match made(flat, output) {
        ("RandomUniform", &[shape, ..]) => return Some((0.0, shape)),
        ("Identity", &[x]) => (0.0, x),
        ("Add" | "AddV2", &[a, b]) => match (number(flat, a), number(flat, b)) {
            (Some(number), None) => (number, b),
            (None, Some(number)) => (number, a),
            _ => return None,
        },
        ("Mul", &[x, one]) if number(flat, one) == Some(1.0) => (0.0, x),
        _ => return None,
    };
    let (low, shape) = uniform(flat, of, steps)?;
    let low = low + added;
    [0.0, 1.0].contains(&low).then_some((low, shape))
}
