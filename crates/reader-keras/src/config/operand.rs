//! The arguments of an operator's call: values of the model among plain numbers, in any nesting.
//!
//! Keras 2 writes `["layer", 0, 0, {"y": ["other", 0, 0], "name": null}]`: the first argument is the connection itself,
//! or a list of them, or `["_CONSTANT_VALUE", -1, 2.0, …]`; the others stand behind it by name.

use super::model::{NodeCall, TensorRef, reference};
use super::{ConfigError, attributes::wrong};
use serde_json::Value;

/// One argument.
#[derive(Debug, Clone)]
pub(crate) enum Operand {
    /// The input of the call at this position.
    Input(usize),
    /// Anything that is no value of the model.
    Plain(Value),
    /// A list with values of the model in it.
    List(Vec<Operand>),
}

/// The arguments of a call: those by position, then those by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Operands {
    pub(crate) positional: Vec<Operand>,
    pub(crate) named: Vec<(String, Operand)>,
}

/// Parses one entry of `inbound_nodes` of an operator.
pub(crate) fn parse_operator_call(value: &Value) -> Result<NodeCall, ConfigError> {
    let list = value
        .as_array()
        .ok_or_else(|| wrong("inbound_nodes", "lists", value))?;
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
    let named = entries.first().and_then(|entry| entry.get(3)?.as_object());
    for (key, value) in named.into_iter().flatten() {
        let operand = operand(&mut call.inputs, value, 0)?;
        call.operands.named.push((key.clone(), operand));
    }
    Ok(call)
}

fn input(inputs: &mut Vec<TensorRef>, reference: TensorRef) -> Operand {
    inputs.push(reference);
    Operand::Input(inputs.len() - 1)
}

fn operand(inputs: &mut Vec<TensorRef>, value: &Value, depth: usize) -> Result<Operand, ConfigError> {
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
        .map(|item| operand(inputs, item, depth + 1))
        .collect::<Result<_, _>>()?;
    Ok(match items.iter().all(|item| matches!(item, Operand::Plain(_))) {
        true => Operand::Plain(value.clone()),
        false => Operand::List(items),
    })
}

fn is_reference(list: &[Value]) -> bool {
    matches!(list, [Value::String(_), Value::Number(call), Value::Number(output), ..]
        if list.len() <= 4 && call.is_u64() && output.is_u64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_of_the_model_are_found_among_the_arguments() {
        let call = parse_operator_call(
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
            parse_operator_call(&json!(["_CONSTANT_VALUE", -1, 2.0, {"y": ["x", 0, 0], "name": null}]))
                .unwrap();
        assert_eq!(call.inputs.len(), 1);
        assert!(matches!(&call.operands.positional[..], [Operand::Plain(value)] if value == &json!(2.0)));
    }
}
