//! How layers are called: `inbound_nodes`, `input_layers` and `output_layers`, in the forms of Keras 1 to 3.
//!
//! Up to Keras 2, a call is `["layer", 0, 0, {"y": ["other", 0, 0], "name": null}]` or a list of such: the first argument
//! is the connection itself, or a list of them, or `["_CONSTANT_VALUE", -1, 2.0, …]`; the others stand behind it by
//! name. Keras 3 writes `{"args": […], "kwargs": {…}}`, in which a value of the model is an object that carries
//! `"keras_history": [layer, call, output]`. Both become a [`NodeCall`].

use super::operand::{Operand, Operands, input, listed_operand, operand};
use super::{ConfigError, attributes::wrong};
use serde_json::{Map, Value};

/// One call of a layer.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeCall {
    /// The values that the layer is called with, in the order in which they are written.
    pub(crate) inputs: Vec<TensorRef>,
    /// All arguments, the inputs among them.
    pub(crate) operands: Operands,
}

/// An output of a call of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TensorRef {
    pub(crate) layer: String,
    pub(crate) call: usize,
    pub(crate) output: usize,
}

impl NodeCall {
    /// The arguments that a layer does not take that is called with its inputs and nothing else, without those that
    /// say nothing about the outputs.
    pub(crate) fn extra(&self) -> Vec<String> {
        let Operands { positional, named } = &self.operands;
        let mut extra = Vec::new();
        for (i, operand) in positional.iter().enumerate() {
            let constant = match operand {
                Operand::Plain(value) => !value.is_null(),
                Operand::List(list) => !list.iter().all(Operand::holds_input),
                Operand::Input(_) => false,
            };
            if constant || (i > 0 && operand.holds_input()) {
                extra.push(format!("argument {}", i + 1));
            }
        }
        let matters = |key: &str, operand: &Operand| match operand {
            Operand::Plain(Value::Null) => false,
            Operand::Plain(Value::Bool(false)) => key != "training",
            _ => key != "name",
        };
        extra.extend(
            named
                .iter()
                .filter(|(key, operand)| matters(key, operand))
                .map(|(key, _)| key.clone()),
        );
        extra
    }
}

/// One entry of `inbound_nodes`.
pub(super) fn parse_call(value: &Value) -> Result<NodeCall, ConfigError> {
    match value {
        Value::Object(object) => with_arguments(object),
        Value::Array(list) => listed(value, list),
        other => Err(wrong("inbound_nodes", "lists or objects", other)),
    }
}

/// The form of Keras 3.
fn with_arguments(object: &Map<String, Value>) -> Result<NodeCall, ConfigError> {
    let mut call = NodeCall::default();
    for value in object.get("args").and_then(Value::as_array).into_iter().flatten() {
        let operand = operand(&mut call.inputs, value)?;
        call.operands.positional.push(operand);
    }
    for (key, value) in object
        .get("kwargs")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let operand = operand(&mut call.inputs, value)?;
        call.operands.named.push((key.clone(), operand));
    }
    Ok(call)
}

/// The form up to Keras 2.
fn listed(value: &Value, list: &[Value]) -> Result<NodeCall, ConfigError> {
    let mut call = NodeCall::default();
    let single = list.first().is_some_and(Value::is_string);
    let entries = if single { std::slice::from_ref(value) } else { list };
    let mut first = Vec::with_capacity(entries.len());
    for entry in entries {
        first.push(match entry.get(0).and_then(Value::as_str) {
            Some("_CONSTANT_VALUE") => Operand::Plain(entry.get(2).cloned().unwrap_or_default()),
            _ => input(&mut call.inputs, reference(entry)?),
        });
    }
    let first = match (single, first.pop()) {
        (true, Some(only)) => only,
        (_, last) => {
            first.extend(last);
            Operand::List(first)
        }
    };
    call.operands.positional.push(first);
    // Every entry of a list repeats the other arguments.
    let named = entries.iter().filter_map(|entry| entry.get(3)?.as_object());
    for (key, value) in named.flatten() {
        if !call.operands.named.iter().any(|(known, _)| known == key) {
            let operand = listed_operand(&mut call.inputs, value, 0)?;
            call.operands.named.push((key.clone(), operand));
        }
    }
    Ok(call)
}

/// `input_layers` or `output_layers`: a reference, or a list or dictionary of such to any depth, in the order in which
/// Keras flattens it.
pub(super) fn references(value: &Value) -> Result<Vec<TensorRef>, ConfigError> {
    let mut all = Vec::new();
    match value {
        Value::Array(list) if list.first().is_some_and(Value::is_string) => all.push(reference(value)?),
        Value::Array(list) => {
            for item in list {
                all.extend(references(item)?);
            }
        }
        Value::Object(object) => {
            let mut entries: Vec<(&String, &Value)> = object.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            for (_, item) in entries {
                all.extend(references(item)?);
            }
        }
        other => return Err(wrong("input_layers or output_layers", "a list", other)),
    }
    Ok(all)
}

pub(super) fn reference(value: &Value) -> Result<TensorRef, ConfigError> {
    let position = |i: usize| {
        value
            .get(i)
            .and_then(Value::as_u64)
            .and_then(|n| usize::try_from(n).ok())
    };
    match (value.get(0).and_then(Value::as_str), position(1), position(2)) {
        (Some(layer), Some(call), Some(output)) => Ok(TensorRef {
            layer: layer.to_owned(),
            call,
            output,
        }),
        _ => Err(wrong("a connection", "[layer, call, output]", value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_of_the_model_are_found_among_the_arguments() {
        let call = parse_call(
            &json!(["x", 0, 0, {"shape": [["s", 0, 1], 20, 3], "y": 2, "pads": [[0, 0], [1, 1]]}]),
        )
        .unwrap();
        assert_eq!(call.inputs.len(), 2);
        assert_eq!((call.inputs[1].layer.as_str(), call.inputs[1].output), ("s", 1));
        let Operands { positional, named } = call.operands;
        assert!(matches!(positional[..], [Operand::Input(0)]));
        assert!(
            matches!(&named[..], [(_, Operand::List(shape)), (_, Operand::Plain(_)), (_, Operand::Plain(_))]
            if matches!(shape[..], [Operand::Input(1), Operand::Plain(_), Operand::Plain(_)]))
        );
    }

    #[test]
    fn a_constant_may_come_first() {
        let call =
            parse_call(&json!(["_CONSTANT_VALUE", -1, 2.0, {"y": ["x", 0, 0], "name": null}])).unwrap();
        assert_eq!(call.inputs.len(), 1);
        assert!(matches!(&call.operands.positional[..], [Operand::Plain(value)] if value == &json!(2.0)));
    }

    fn tensor(layer: &str) -> Value {
        json!({ "class_name": "__keras_tensor__", "config": { "shape": [null, 3], "keras_history": [layer, 0, 0] } })
    }

    #[test]
    fn both_forms_of_a_call_give_the_same() {
        let old = parse_call(&json!([["x", 0, 0, {}], ["y", 0, 0, { "mask": null, "scale": 2 }]])).unwrap();
        let new = parse_call(
            &json!({ "args": [[tensor("x"), tensor("y")]], "kwargs": { "scale": 2, "training": false } }),
        );
        let new = new.unwrap();
        assert_eq!(old.inputs, new.inputs);
        assert_eq!(old.operands.positional, new.operands.positional);
        assert_eq!(
            (old.extra(), new.extra()),
            (vec!["scale".to_owned()], vec!["scale".to_owned()])
        );
    }

    #[test]
    fn constants_by_position_are_kept() {
        let add = parse_call(&json!({ "args": [tensor("x"), 1], "kwargs": {} })).unwrap();
        assert_eq!(
            add.operands.positional,
            [Operand::Input(0), Operand::Plain(json!(1))]
        );
        assert!(!add.extra().is_empty());
        let trained = parse_call(&json!({ "args": [tensor("x")], "kwargs": { "training": true } })).unwrap();
        assert_eq!(trained.extra(), ["training"]);
    }

    #[test]
    fn structures_of_ports_are_flattened_by_key() {
        let names = |value: Value| -> Vec<String> {
            let list = references(&value).unwrap();
            list.into_iter().map(|reference| reference.layer).collect()
        };
        assert_eq!(
            names(json!({ "b": ["y", 0, 0], "a": [["x", 0, 0], ["z", 0, 0]] })),
            ["x", "z", "y"]
        );
        assert_eq!(names(json!(["a", 0, 0])), ["a"]);
        assert!(references(&json!(3)).is_err());
    }
}
