//! The arguments of a call: values of the model among plain numbers, in any nesting.

use super::ConfigError;
use super::attributes::wrong;
use super::connection::{TensorRef, reference};
use serde_json::Value;

/// One argument.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operand {
    /// The input of the call at this position.
    Input(usize),
    /// Anything that is no value of the model. Keras 3 writes some of it as objects:
    /// `{"class_name": "__slice__", "config": {"start": …, "stop": …, "step": …}}`, `{"class_name": "__ellipsis__"}`,
    /// `{"class_name": "__numpy__" or "__tensor__", "config": {"value": …, "dtype": …}}`.
    Plain(Value),
    /// A list with values of the model in it, or a dictionary in the order in which Keras flattens it: by key.
    List(Vec<Operand>),
}

impl Operand {
    pub(super) fn holds_input(&self) -> bool {
        !matches!(self, Self::Plain(_))
    }
}

/// The arguments of a call: those by position, then those by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Operands {
    pub(crate) positional: Vec<Operand>,
    pub(crate) named: Vec<(String, Operand)>,
}

/// Adds a value of the model to those that the call reads.
pub(super) fn input(inputs: &mut Vec<TensorRef>, reference: TensorRef) -> Operand {
    inputs.push(reference);
    Operand::Input(inputs.len() - 1)
}

/// An argument as Keras 2 writes it: a value of the model is `[layer, call, output]`.
pub(super) fn listed_operand(
    inputs: &mut Vec<TensorRef>,
    value: &Value,
    depth: usize,
) -> Result<Operand, ConfigError> {
    let Some(list) = value.as_array() else {
        return Ok(Operand::Plain(value.clone()));
    };
    if is_reference(list) {
        return Ok(input(inputs, reference(value)?));
    }
    // References stand in lists, or in lists of lists at most; deeper ones are the elements of an array.
    if depth > 2 || !list.iter().any(Value::is_array) {
        return Ok(Operand::Plain(value.clone()));
    }
    let items: Vec<Operand> = list
        .iter()
        .map(|item| listed_operand(inputs, item, depth + 1))
        .collect::<Result<_, _>>()?;
    Ok(match items.iter().all(|item| matches!(item, Operand::Plain(_))) {
        true => Operand::Plain(value.clone()),
        false => Operand::List(items),
    })
}

/// An argument as Keras 3 writes it: a value of the model is a `__keras_tensor__`.
pub(super) fn operand(inputs: &mut Vec<TensorRef>, value: &Value) -> Result<Operand, ConfigError> {
    let items: Vec<&Value> = match value {
        Value::Array(list) => list.iter().collect(),
        Value::Object(object) => match object.get("class_name").and_then(Value::as_str) {
            Some("__keras_tensor__") => {
                let history = value.pointer("/config/keras_history");
                let history = history.ok_or_else(|| wrong("inbound_nodes", "a keras_history", value))?;
                return Ok(input(inputs, reference(history)?));
            }
            Some(_) => Vec::new(),
            None => {
                let mut entries: Vec<(&String, &Value)> = object.iter().collect();
                entries.sort_by_key(|(key, _)| key.as_str());
                entries.into_iter().map(|(_, value)| value).collect()
            }
        },
        _ => Vec::new(),
    };
    let items: Vec<Operand> = items
        .into_iter()
        .map(|item| operand(inputs, item))
        .collect::<Result<_, _>>()?;
    Ok(match items.iter().any(Operand::holds_input) {
        true => Operand::List(items),
        false => Operand::Plain(value.clone()),
    })
}

fn is_reference(list: &[Value]) -> bool {
    matches!(list, [Value::String(_), Value::Number(call), Value::Number(output), ..]
        if list.len() <= 4 && call.is_u64() && output.is_u64())
}
