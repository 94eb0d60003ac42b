//! Layers around layers.

use super::{CONFIG, Call, MaskRule, OPTION, Outputs, Support};
use crate::config::{Attributes, Layer, parse_layer};
use caribou_ir::op::{Reshape, Size};
use caribou_ir::{Finding, ValueId};
use serde_json::Value;

/// The layer that a key of a configuration holds.
pub(super) fn inner(call: &Call<'_>, config: &Attributes, key: &str) -> Result<Option<Layer>, Box<Finding>> {
    config.get(key).map(|value| layer(call, key, value)).transpose()
}

/// The layer that a value found under `key` describes.
pub(super) fn layer(call: &Call<'_>, key: &str, value: &Value) -> Result<Layer, Box<Finding>> {
    parse_layer(value).map_err(|error| call.refuse(CONFIG, format!("{key}: {error}")))
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
    let layer = inner(call, call.config, "layer")?.ok_or_else(|| call.refuse(CONFIG, "layer is missing"))?;
    let read = read(call, &layer)?;
    Ok((layer, read))
}

/// The function that reads a layer within another.
fn read(call: &Call<'_>, layer: &Layer) -> Result<Read, Box<Finding>> {
    if let Some(message) = super::unread(layer) {
        return Err(call.refuse(OPTION, format!("{} inside of it: {message}", layer.class)));
    }
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
    Ok(read)
}

/// Layers without weights, one after the other.
pub(super) fn pipeline(call: &mut Call<'_>) -> Outputs {
    let mut value = call.input()?;
    let layers = call.config.get("layers").and_then(Value::as_array);
    let layers = layers.ok_or_else(|| call.refuse(CONFIG, "layers is missing"))?;
    for entry in layers {
        let layer = layer(call, "layers", entry)?;
        let read = read(call, &layer)?;
        if super::has_weights(&layer.class) {
            let message = format!("{} inside of it has weights, which is not supported", layer.class);
            return Err(call.refuse(OPTION, message));
        }
        let outputs = inside(call, &layer, read, value)?;
        value = match outputs[..] {
            [value] => value,
            _ => {
                return Err(call.refuse(
                    OPTION,
                    format!("{} inside of it has several outputs", layer.class),
                ));
            }
        };
    }
    Ok(vec![value])
}

/// A layer applied to every step: directly where it treats all steps alike, else with time folded into the batch.
pub(super) fn time_distributed(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let (layer, read) = readable(call)?;
    let rule = super::find(&layer.class).map(|row| row.mask);
    if matches!(rule, Some(MaskRule::Reads | MaskRule::Uses)) && call.mask.is_some() {
        let message = format!(
            "a mask that {} would read at each step is not supported",
            layer.class
        );
        return Err(call.refuse(OPTION, message));
    }
    call.masked_outputs = 1;
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
    let layer = match inner(call, call.config, "activation") {
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
        mask: call.mask.clone(),
        masked_outputs: 0,
    };
    read(&mut call)
}
