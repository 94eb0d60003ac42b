//! Bidirectional: a recurrent layer in both directions.

use super::recurrent::{Rnn, finish};
use super::wrapper::inner;
use super::{CONFIG, Call, MISFIT, Outputs, config};
use crate::version::Generation;
use caribou_ir::op::{
    Concat, Direction, Elementwise, ElementwiseKind, MaskedStep, Merge, Recurrent, Reverse,
};
use caribou_ir::{Finding, ValueId};

/// How Keras merges two directions; `None` when it gives both.
fn merge(call: &Call<'_>) -> Result<Option<Merge>, Box<Finding>> {
    Ok(match config!(call, text_or("merge_mode", "")) {
        "concat" => Some(Merge::Concat),
        "sum" => Some(Merge::Add),
        "mul" => Some(Merge::Multiply),
        "ave" => Some(Merge::Average),
        "" => None,
        other => {
            return Err(call.refuse(
                CONFIG,
                format!("merge_mode: expected concat, sum, mul or ave, found {other}"),
            ));
        }
    })
}

/// Both directions as the configuration says, the forward one first.
fn directions(call: &mut Call<'_>, features: usize) -> Result<[Rnn; 2], Box<Finding>> {
    let config = call.config;
    let layer = inner(call, config, "layer")?.ok_or_else(|| call.refuse(CONFIG, "layer is missing"))?;
    let custom = inner(call, config, "backward_layer")?;
    // Keras 3 writes the layers with the names that they have in the wrapper.
    let renamed = call.generation == Generation::Two;
    let forward_scope = if renamed {
        format!("forward_{}", layer.name)
    } else {
        layer.name.clone()
    };
    let other = custom.as_ref().unwrap_or(&layer);
    let named = format!("backward_{}", other.name);
    // In Keras 2, a backward layer of its own keeps its name, with or without the prefix, depending on the version.
    let own = !renamed || custom.is_some() && call.weights.shape(&[&named], "kernel").is_none();
    let backward_scope = if own { other.name.clone() } else { named };
    let mut forward = Rnn::read(call, &layer.class, &layer.config, Some(&forward_scope), features)?;
    let mut backward = Rnn::read(call, &other.class, &other.config, Some(&backward_scope), features)?;
    if custom.is_none() {
        backward.backwards = !forward.backwards;
    }
    if forward.backwards == backward.backwards
        || forward.sequences != backward.sequences
        || forward.states != backward.states
    {
        return Err(call.refuse(CONFIG, "the two directions do not fit each other"));
    }
    // Keras sets this itself, whatever the layers say.
    for rnn in [&mut forward, &mut backward] {
        rnn.masked = if rnn.sequences {
            MaskedStep::Zero
        } else {
            MaskedStep::Repeat
        };
    }
    Ok([forward, backward])
}

/// A recurrent layer in both directions. With the last outputs alone, that of the backward direction belongs to the
/// first step.
pub(super) fn bidirectional(call: &mut Call<'_>) -> Outputs {
    let [x, ref initial @ ..] = *call.inputs else {
        return Err(call.refuse(MISFIT, "expected an input"));
    };
    let features = call.size(x, call.rank(x) - 1)?;
    let merge = merge(call)?;
    if config!(call, size_or("num_constants", 0)) > 0 {
        return Err(call.refuse(super::OPTION, "constants of a recurrent layer are not supported"));
    }
    let [mut forward, mut backward] = directions(call, features)?;
    let (sequences, states) = (forward.sequences, forward.states);
    call.masked_outputs = match (sequences, merge) {
        (false, _) => 0,
        (true, Some(_)) => 1,
        (true, None) => 2,
    };
    let masked = call.mask.is_some();
    let plain = sequences && !states && initial.is_empty() && !masked && !forward.backwards;
    if let (true, Some(merge), 1, 1) = (plain, merge, forward.cells.len(), backward.cells.len())
        && let (Some(cell), Some(backward)) = (forward.cells.pop(), backward.cells.pop())
    {
        let op = Recurrent::new(cell, Direction::Bidirectional { backward, merge });
        return Ok(vec![call.apply(op, &[x])?]);
    }
    let (first, second) = initial.split_at(initial.len() / 2);
    let (forwards, backwards) = (forward.backwards, backward.backwards);
    let forward = forward.run(call, x, first)?;
    let backward = backward.run(call, x, second)?;
    let y = finish(call, forward.sequence, sequences, forwards)?;
    let mut y_backward = finish(call, backward.sequence, sequences, backwards)?;
    if sequences {
        y_backward = call.apply(Reverse { axis: 1 }, &[y_backward])?;
    }
    let mut outputs = match merge {
        Some(merge) => vec![merged(call, merge, &[y, y_backward])?],
        None => vec![y, y_backward],
    };
    if states {
        outputs.extend(forward.states.into_iter().chain(backward.states));
    }
    Ok(outputs)
}

fn merged(call: &mut Call<'_>, merge: Merge, pair: &[ValueId]) -> Result<ValueId, Box<Finding>> {
    let kind = match merge {
        Merge::Concat => {
            let axis = call.rank(pair[0]) - 1;
            return call.apply(Concat { axis }, pair);
        }
        Merge::Add => ElementwiseKind::Add,
        Merge::Multiply => ElementwiseKind::Multiply,
        Merge::Average => ElementwiseKind::Average,
    };
    call.apply(Elementwise { kind }, pair)
}
