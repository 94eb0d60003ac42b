//! Loops of recurrent layers: `dynamic_rnn` of TensorFlow 1 and the layers of Keras, each read as one operation
//! ([`RECURRENT`]) with the weights of its cell. What a step computes is compared with the cells that are known
//! ([`cell`]), sums and products in any order; any other loop is refused by its name.

mod affine;
mod cell;
mod frame;
mod lengths;

use crate::graph::{Flat, Node, Output, Recurrence};
use caribou_ir::op::{Direction, Operator, Recurrent};
use caribou_ir::{Code, Finding, Findings};
use cell::Found;
use frame::{Frame, Role, frames};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The operation that stands for a loop: of a sequence, and its first states unless they are zero. Its outputs are those of
/// [`Slot`].
pub(crate) const RECURRENT: &str = "caribou.Recurrent";

/// The outputs of [`RECURRENT`].
pub(crate) struct Slot;

impl Slot {
    /// All outputs in the order in which they were made, time first.
    pub(crate) const TIME_MAJOR: usize = 0;
    /// The state `h` after the last step: the last output.
    pub(crate) const LAST: usize = 1;
    /// The state `c` after the last step.
    pub(crate) const MEMORY: usize = 2;
    /// All outputs in the order in which they were made, examples first.
    pub(crate) const SEQUENCE: usize = 3;
    /// All outputs in the order of the input, examples first.
    pub(crate) const IN_ORDER: usize = 4;
    /// The last output, as the only step of a sequence with time first.
    pub(crate) const LAST_STEP: usize = 5;
    /// How many there are.
    pub(crate) const COUNT: usize = 6;
}

/// A loop that is no recurrent layer.
const LOOP: Code = Code("T0130");

/// Operations of which loops are made.
const PIECES: &[&str] = &["Enter", "Exit", "LoopCond", "NextIteration"];

/// Replaces the loops of `flat` by operations; what can't be replaced is in `findings`.
pub(crate) fn recognise(flat: &mut Flat, findings: &mut Findings) {
    if !flat.nodes.iter().any(|node| PIECES.contains(&&*node.op)) {
        return;
    }
    let mut made: Vec<Node> = Vec::new();
    let mut moved: HashMap<Output, Output> = HashMap::new();
    match frames(flat) {
        Ok(frames) => {
            for frame in &frames {
                let first = flat.nodes.len() + made.len();
                match layer(frame, first) {
                    Ok((nodes, outputs)) => {
                        made.extend(nodes);
                        moved.extend(outputs);
                    }
                    Err(reason) => {
                        let node = &flat.nodes[frame.condition];
                        let name = scope(&node.name);
                        let origin = caribou_ir::Origin::new(name, "While");
                        findings.push(Finding::error(
                            LOOP,
                            &origin,
                            format!("this loop can't be expressed: {reason}"),
                        ));
                    }
                }
            }
        }
        Err(node) => {
            let message = "it belongs to a loop of no known form";
            findings.push(Finding::error(LOOP, &flat.nodes[node].origin(), message));
        }
    }
    if findings.has_errors() {
        return;
    }
    flat.nodes.extend(made);
    flat.redirect(&moved);
    tidy(flat);
}

/// Reports pieces of loops that are left.
pub(crate) fn report(flat: &Flat, findings: &mut Findings) {
    if findings.has_errors() {
        return;
    }
    let mut named = HashSet::new();
    for node in flat.nodes.iter().filter(|node| PIECES.contains(&&*node.op)) {
        let name = scope(&node.name);
        if named.insert(name.clone()) {
            let origin = caribou_ir::Origin::new(name, "While");
            findings.push(Finding::error(LOOP, &origin, "this loop can't be expressed: what it gives is used in another way than a recurrent layer's outputs"));
        }
    }
}

/// The scope of a loop: the layer that it belongs to.
fn scope(name: &str) -> String {
    let parts: Vec<&str> = name.split('/').collect();
    let named = |part: &str, word: &str| {
        part == word || part.strip_prefix(word).is_some_and(|rest| rest.starts_with('_'))
    };
    let end = parts.iter().position(|part| named(part, "while"));
    let mut parts = &parts[..end
        .unwrap_or(parts.len().saturating_sub(1))
        .max(usize::from(end.is_none()))];
    while let [outer @ .., last] = parts
        && ["PartitionedCall", "StatefulPartitionedCall"]
            .iter()
            .any(|call| named(last, call))
    {
        parts = outer;
    }
    match parts.is_empty() {
        true => "while".to_owned(),
        false => parts.join("/"),
    }
}

/// Outputs, each with what is read in its place.
type Moved = Vec<(Output, Output)>;

/// The operations in whose place a loop stands, and what is read in place of its outputs. The first operation's position
/// will be `first`.
fn layer(frame: &Frame<'_>, first: usize) -> Result<(Vec<Node>, Moved), String> {
    let carried = &frame.carried;
    let states: Vec<usize> = (0..carried.len())
        .filter(|&i| carried[i].role == Role::State)
        .collect();
    if states.is_empty() {
        return Err("it remembers nothing from step to step".into());
    }
    // A state that no cell has as its output is the memory of one.
    let mut cells: Vec<Found> = states.iter().filter_map(|&h| frame.cell(h)).collect();
    let claimed: HashSet<usize> = cells
        .iter()
        .flat_map(|cell| cell.states.iter().copied())
        .collect();
    if let Some(&state) = states.iter().find(|state| !claimed.contains(state)) {
        return Err(frame.reason(state).into());
    }
    if claimed.len() != cells.iter().map(|cell| cell.states.len()).sum::<usize>() {
        return Err("a state belongs to two cells".into());
    }
    // Cells that read the outputs of others stand behind them.
    let mut ordered: Vec<Found> = Vec::new();
    let mut sequence = None;
    while !cells.is_empty() {
        let next = cells.iter().position(|cell| match frame.sequence(cell.input) {
            Some(_) => true,
            None => ordered.iter().any(|other| other.output == cell.input),
        });
        let Some(next) = next else {
            return Err(frame.reason(cells[0].states[0]).into());
        };
        let cell = cells.remove(next);
        if let Some(found) = frame.sequence(cell.input)
            && *sequence.get_or_insert(found) != found
        {
            return Err("its cells read several sequences".into());
        }
        ordered.push(cell);
    }
    let sequence = sequence.ok_or("it reads no sequence")?;
    let steps = steps(frame, sequence)?;
    let name = scope(&frame.flat.nodes[frame.condition].name);

    // The sequence as it is fed: examples first, and not reversed, where the graph says so.
    let (forward, backwards) = match frame.reversed(sequence, 0) {
        Some(forward) => (forward, true),
        None => (sequence, false),
    };
    let (x, mut time_major) = match frame.swapped(forward) {
        Some(x) => (x, false),
        None => (forward, true),
    };
    let (x, backwards) = match frame.reversed(x, 1).filter(|_| !time_major) {
        Some(inner) => (inner, !backwards),
        None => (x, backwards),
    };
    let mut input = x;
    let (mut nodes, mut of_state) = (Vec::new(), HashMap::new());
    let mut by_output: HashMap<Output, usize> = HashMap::new();
    let count = ordered.len();
    for (number, cell) in ordered.into_iter().enumerate() {
        if let Some(&before) = by_output.get(&cell.input) {
            (input, time_major) = (
                Output {
                    node: before,
                    slot: Slot::IN_ORDER,
                },
                false,
            );
        } else if number > 0 {
            (input, time_major) = (x, frame.swapped(forward).is_none());
        }
        let position = first + nodes.len();
        let initial: Vec<Output> = cell
            .states
            .iter()
            .map(|&state| frame.at(carried[state].initial))
            .collect();
        let zero = initial.iter().all(|&output| frame.is_zero(output));
        let mut inputs = vec![input];
        if !zero {
            inputs.extend(initial);
        }
        for (i, &state) in cell.states.iter().enumerate() {
            of_state.insert(
                state,
                Output {
                    node: position,
                    slot: Slot::LAST + i,
                },
            );
        }
        by_output.insert(cell.output, position);
        let direction = if backwards {
            Direction::Reverse
        } else {
            Direction::Forward
        };
        let mut op = Recurrent::new(cell.cell, direction);
        op.initial = !zero;
        let kind = op.name();
        nodes.push(Node {
            name: match count {
                1 => format!("{name}/{kind}").into(),
                _ => format!("{name}/cell_{number}/{kind}").into(),
            },
            op: RECURRENT.into(),
            inputs,
            attributes: HashMap::new(),
            literal: None,
            recurrence: Some(Arc::new(Recurrence {
                op,
                time_major,
                steps,
                at_most: frame.at_most(),
            })),
        });
    }
    let mut moved = Vec::new();
    for (i, carried) in carried.iter().enumerate() {
        let exits = exits(frame, carried.switch);
        match carried.role {
            Role::State => moved.extend(
                exits
                    .into_iter()
                    .filter_map(|exit| Some((exit, *of_state.get(&i)?))),
            ),
            Role::Collector { value, last_only } => {
                if exits.is_empty() {
                    continue;
                }
                let &cell = by_output
                    .get(&frame.at(value))
                    .ok_or("what it collects is not the output of a cell")?;
                let slot = if last_only {
                    Slot::LAST_STEP
                } else {
                    Slot::TIME_MAJOR
                };
                for list in lists(frame, &exits) {
                    moved.push((list, Output { node: cell, slot }));
                }
            }
            Role::Invariant | Role::Counter => {}
        }
    }
    Ok((nodes, moved))
}

/// Where what is carried leaves the loop.
fn exits(frame: &Frame<'_>, switch: usize) -> Vec<Output> {
    let leaves = |node: &Node| {
        &*node.op == "Exit"
            && node.inputs.first()
                == Some(&Output {
                    node: switch,
                    slot: 0,
                })
    };
    let nodes = frame.flat.nodes.iter().enumerate();
    nodes
        .filter(|(_, node)| leaves(node))
        .map(|(node, _)| Output { node, slot: 0 })
        .collect()
}

/// Where what was collected becomes one tensor, all of it and in order.
fn lists(frame: &Frame<'_>, exits: &[Output]) -> Vec<Output> {
    let stacks = |node: &Node| match (&*node.op, &node.inputs[..]) {
        ("TensorListStack", [list, _]) => exits.contains(&frame.at(*list)),
        ("TensorArrayGatherV3", [_, indices, flow]) => {
            exits.contains(&frame.at(*flow)) && frame.counts_up(*indices)
        }
        _ => false,
    };
    let nodes = frame.flat.nodes.iter().enumerate();
    nodes
        .filter(|(_, node)| stacks(node))
        .map(|(node, _)| Output { node, slot: 0 })
        .collect()
}

/// The number of steps, where the graph gives it as a constant; an error where it is not that of the sequence.
fn steps(frame: &Frame<'_>, sequence: Output) -> Result<Option<usize>, String> {
    let unknown = || "how many steps it takes is not how many the sequence has".to_owned();
    let bounds = frame
        .bounds()
        .filter(|bounds| !bounds.is_empty())
        .ok_or_else(unknown)?;
    let mut steps = None;
    for bound in bounds {
        let bound = plain(frame, bound);
        if let Some(number) = frame.number(bound) {
            // No bound, as Keras writes it.
            if number >= f64::from(i32::MAX) {
                continue;
            }
            if number < 1.0 || *steps.get_or_insert(number as usize) != number as usize {
                return Err(unknown());
            }
        } else if !is_time_of(frame, bound, sequence) {
            return Err(unknown());
        }
    }
    Ok(steps)
}

/// A bound without what keeps it from being zero: `min(n, max(1, n))`.
fn plain(frame: &Frame<'_>, bound: Output) -> Output {
    if let ("Minimum", [a, b]) = frame.op(bound) {
        for (n, other) in [(*a, *b), (*b, *a)] {
            if let ("Maximum", [c, d]) = frame.op(frame.at(other)) {
                let n = frame.at(n);
                let one = |one: &Output, m: &Output| frame.number(*one) == Some(1.0) && frame.at(*m) == n;
                if one(c, d) || one(d, c) {
                    return n;
                }
                // The longest sequence ends with all of them.
                let longest = |one: &Output, m: &Output| match frame.op(frame.at(*m)) {
                    ("Max", [lengths, _]) => {
                        frame.number(*one) == Some(1.0) && frame.lengths(*lengths).is_some()
                    }
                    _ => false,
                };
                if longest(c, d) || longest(d, c) {
                    return n;
                }
            }
        }
    }
    bound
}

/// Whether a number is the size of the time axis of `sequence`.
fn is_time_of(frame: &Frame<'_>, bound: Output, sequence: Output) -> bool {
    let ("StridedSlice", [shape, begin, end, _]) = frame.op(bound) else {
        return false;
    };
    let ("Shape", [of]) = frame.op(frame.at(*shape)) else {
        return false;
    };
    let (Some(begin), Some(end)) = (frame.integers(*begin), frame.integers(*end)) else {
        return false;
    };
    let shrinks = frame
        .node(bound)
        .and_then(|node| frame::whole(node, "shrink_axis_mask"))
        == Some(1);
    let (&[axis], &[end]) = (&begin[..], &end[..]) else {
        return false;
    };
    let of = frame.at(*of);
    let mut same = vec![sequence];
    same.extend(frame.reversed(sequence, 0));
    let turned: Vec<Output> = same.iter().filter_map(|&output| frame.swapped(output)).collect();
    shrinks && end == axis + 1 && (axis == 0 && same.contains(&of) || axis == 1 && turned.contains(&of))
}

/// Reads what is done to the outputs of a loop from outputs that already are that: exchanged axes, the last step, the order
/// of the input.
fn tidy(flat: &mut Flat) {
    // One change may make the next one possible.
    for _ in 0..4 {
        let mut moved = HashMap::new();
        let view = Frame::outside(flat);
        for (position, node) in flat.nodes.iter().enumerate() {
            let Some(&read) = node.inputs.first() else {
                continue;
            };
            let from = view.at(read);
            if flat
                .nodes
                .get(from.node)
                .is_none_or(|node| &*node.op != RECURRENT)
            {
                continue;
            }
            let this = Output {
                node: position,
                slot: 0,
            };
            let slot = match from.slot {
                Slot::TIME_MAJOR if view.swapped(this).is_some() => Slot::SEQUENCE,
                Slot::TIME_MAJOR | Slot::LAST_STEP if view.is_last(this) => Slot::LAST,
                Slot::SEQUENCE if view.reversed(this, 1).is_some() => Slot::IN_ORDER,
                _ => continue,
            };
            // The order of the input is the order of the outputs reversed only where the loop runs backwards.
            let reverse =
                |recurrence: &Arc<Recurrence>| matches!(recurrence.op.direction, Direction::Reverse);
            if slot == Slot::IN_ORDER && !flat.nodes[from.node].recurrence.as_ref().is_some_and(reverse) {
                continue;
            }
            moved.insert(
                this,
                Output {
                    node: from.node,
                    slot,
                },
            );
        }
        drop(view);
        if moved.is_empty() {
            break;
        }
        let outputs = flat.nodes.iter_mut().flat_map(|node| &mut node.inputs);
        for output in outputs.chain(flat.fetches.iter_mut().map(|fetch| &mut fetch.output)) {
            if let Some(&other) = moved.get(output) {
                *output = other;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn loops_are_named_by_their_layers() {
        let scope = super::scope;
        assert_eq!(scope("rnn/while/LoopCond"), "rnn");
        assert_eq!(
            scope("sequential/lstm/PartitionedCall/while/LoopCond"),
            "sequential/lstm"
        );
        assert_eq!(scope("model/lstm/while_1/LoopCond"), "model/lstm");
        assert_eq!(scope("while/LoopCond"), "while");
    }
}
