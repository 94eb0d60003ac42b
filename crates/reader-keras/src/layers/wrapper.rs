//! Layers around layers.

use super::recurrent::{self, Options};
use super::{CONFIG, Call, OPTION, Outputs, Support, config};
use crate::config::{Layer, parse_layer};
use crate::version::Generation;
use caribou_ir::op::{
    Cell, Concat, Direction, Elementwise, ElementwiseKind, Merge, Recurrent, Reshape, Size,
};
use caribou_ir::{Finding, ValueId};

/// The layer that a key of the wrapper's configuration holds.
fn inner(call: &Call<'_>, key: &str) -> Result<Option<Layer>, Box<Finding>> {
    let Some(value) = call.config.get(key) else {
        return Ok(None);
    };
    parse_layer(value)
        .map(Some)
        .map_err(|error| call.refuse(CONFIG, format!("{key}: {error}")))
}

/// How Keras merges two directions.
fn merge(call: &Call<'_>) -> Result<Merge, Box<Finding>> {
    Ok(match config!(call, text_or("merge_mode", "")) {
        "concat" => Merge::Concat,
        "sum" => Merge::Add,
        "mul" => Merge::Multiply,
        "ave" => Merge::Average,
        "" => {
            return Err(call.refuse(
                OPTION,
                "merge_mode None, which gives two outputs, is not supported",
            ));
        }
        other => {
            return Err(call.refuse(
                CONFIG,
                format!("merge_mode: expected concat, sum, mul or ave, found {other}"),
            ));
        }
    })
}

/// A recurrent layer in both directions. With the last states alone, that of the backward direction belongs to the
/// first step.
pub(super) fn bidirectional(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let features = call.size(x, call.rank(x) - 1)?;
    let merge = merge(call)?;
    let layer = inner(call, "layer")?.ok_or_else(|| call.refuse(CONFIG, "layer is missing"))?;
    let other = inner(call, "backward_layer")?.unwrap_or_else(|| layer.clone());
    // Keras 3 writes the layers with the names that they have in the wrapper.
    let renamed = call.generation == Generation::Two;
    let forward_scope = if renamed {
        format!("forward_{}", layer.name)
    } else {
        layer.name.clone()
    };
    let named = format!("backward_{}", other.name);
    let custom = call.config.get("backward_layer").is_some();
    // In Keras 2, a backward layer of its own keeps its name, with or without the prefix, depending on the version.
    let own = !renamed
        || custom
            && call
                .weights
                .find(&[&other.name], "kernel", &[usize::MAX])
                .is_err_and(|error| matches!(error, crate::weights::WeightError::Shape { .. }))
            && call.weights.shape(&[&named], "kernel").is_none();
    let backward_scope = if own { other.name.clone() } else { named };
    let (forward, Options { sequences, backwards }) =
        recurrent::cell(call, &layer.class, &layer.config, Some(&forward_scope), features)?;
    let (backward, _) = recurrent::cell(call, &other.class, &other.config, Some(&backward_scope), features)?;
    if backwards {
        return Err(call.refuse(OPTION, "a forward layer that goes backwards is not supported"));
    }
    if sequences {
        let op = Recurrent {
            cell: forward,
            direction: Direction::Bidirectional { backward, merge },
        };
        return Ok(vec![call.apply(op, &[x])?]);
    }
    let last = |call: &mut Call<'_>, cell: Cell, backwards: bool| -> Result<ValueId, Box<Finding>> {
        let y = recurrent::run(call, x, cell, backwards)?;
        recurrent::finish(call, y, false, backwards)
    };
    let pair = [last(call, forward, false)?, last(call, backward, true)?];
    let kind = match merge {
        Merge::Concat => return Ok(vec![call.apply(Concat { axis: 1 }, &pair)?]),
        Merge::Add => ElementwiseKind::Add,
        Merge::Multiply => ElementwiseKind::Multiply,
        Merge::Average => ElementwiseKind::Average,
    };
    Ok(vec![call.apply(Elementwise { kind }, &pair)?])
}

/// Classes that treat every step alike by themselves.
const POINTWISE: &[&str] = &[
    "Dense",
    "Activation",
    "Dropout",
    "ReLU",
    "LeakyReLU",
    "ELU",
    "ThresholdedReLU",
    "GaussianNoise",
];

/// The layer inside of a wrapper, called as the wrapper is.
pub(super) fn wrapped(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let (layer, read) = readable(call)?;
    inside(call, &layer, read, x)
}

/// A function that reads a layer.
type Read = fn(&mut Call<'_>) -> Outputs;

/// The layer inside, and the function that reads it.
fn readable(call: &Call<'_>) -> Result<(Layer, Read), Box<Finding>> {
    let layer = inner(call, "layer")?.ok_or_else(|| call.refuse(CONFIG, "layer is missing"))?;
    let read = match super::find(&layer.class).map(|row| row.support) {
        Some(Support::Read(read)) => read,
        Some(Support::Refused(why)) => {
            return Err(call.refuse(OPTION, format!("{} inside of it: {why}", layer.class)));
        }
        None => {
            return Err(call.refuse(
                OPTION,
                format!("layer class {} inside of it is not supported", layer.class),
            ));
        }
    };
    Ok((layer, read))
}

/// A layer applied to every step: directly where it treats all steps alike, else with time folded into the batch.
pub(super) fn time_distributed(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let (layer, read) = readable(call)?;
    if POINTWISE.contains(&layer.class.as_str()) {
        return inside(call, &layer, read, x);
    }
    let shape = call.shape(x);
    let Some(steps) = shape.size(1) else {
        return Err(call.refuse(
            OPTION,
            format!(
                "the number of steps must be known for {} at each step",
                layer.class
            ),
        ));
    };
    let fold = std::iter::once(Size::Rest)
        .chain((2..shape.rank()).map(Size::Keep))
        .collect();
    let folded = call.apply(Reshape { target: fold }, &[x])?;
    let outputs = inside(call, &layer, read, folded)?;
    let [y] = outputs[..] else {
        return Err(call.refuse(
            OPTION,
            "layers with several outputs at each step are not supported",
        ));
    };
    let rank = call.rank(y);
    let unfold = [Size::Rest, Size::Fixed(steps)]
        .into_iter()
        .chain((1..rank).map(Size::Keep))
        .collect();
    Ok(vec![call.apply(Reshape { target: unfold }, &[y])?])
}

/// Layers that others hold as their activation.
const ACTIVATIONS: &[&str] = &[
    "Activation",
    "ReLU",
    "LeakyReLU",
    "PReLU",
    "ELU",
    "ThresholdedReLU",
    "Softmax",
];

/// The layer under the key `activation` applied to `x`; `None` when a function stands there.
pub(super) fn activation_layer(call: &mut Call<'_>, x: ValueId) -> Option<Outputs> {
    let class = call.config.get("activation")?.get("class_name")?.as_str()?;
    if !ACTIVATIONS.contains(&class) {
        return None;
    }
    let Support::Read(read) = super::find(class)?.support else {
        return None;
    };
    let layer = match inner(call, "activation") {
        Ok(layer) => layer?,
        Err(finding) => return Some(Err(finding)),
    };
    Some(inside(call, &layer, read, x))
}

/// Reads the inner layer with the weights of the wrapper.
fn inside(call: &mut Call<'_>, layer: &Layer, read: fn(&mut Call<'_>) -> Outputs, x: ValueId) -> Outputs {
    let mut call = Call {
        graph: call.graph,
        findings: call.findings,
        layer,
        config: &layer.config,
        generation: call.generation,
        operands: call.operands,
        inputs: &[x],
        weights: call.weights,
        scopes: call.scopes.clone(),
        origin: call.origin.clone(),
    };
    read(&mut call)
}
