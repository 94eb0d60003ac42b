//! The arguments of an operator by name.

use super::super::{Call, OPTION};
use crate::config::Operand;
use caribou_ir::op::Op;
use caribou_ir::{Finding, Tensor, ValueId};
use serde_json::Value;

type Found<T> = Result<T, Box<Finding>>;

/// Arguments that matter in no network: the operator's name, checks, and what is done with gradients or devices.
const IGNORED: &[&str] = &[
    "name",
    "validate_indices",
    "conjugate",
    "use_cudnn_on_gpu",
    "parallel_iterations",
];

/// The arguments of a call, each under its parameter's name.
pub(super) struct Arguments<'a> {
    list: Vec<(&'a str, &'a Operand)>,
}

/// A number, an array of them, or a value of the model.
#[derive(Clone)]
pub(in super::super) enum Number {
    Value(ValueId),
    /// What is not a number is a size that is unknown.
    Known(Tensor),
}

impl<'a> Arguments<'a> {
    pub(super) fn new(call: &Call<'a>, parameters: &'static [&'static str]) -> Found<Self> {
        let operands = call.operands;
        let mut list: Vec<(&str, &Operand)> = parameters.iter().copied().zip(&operands.positional).collect();
        if operands.positional.len() > parameters.len() {
            return Err(call.refuse(OPTION, "it is called with more arguments than are known"));
        }
        for (name, operand) in &operands.named {
            let null = matches!(operand, Operand::Plain(Value::Null));
            if parameters.contains(&name.as_str()) {
                list.push((name, operand));
            } else if !null && !IGNORED.contains(&name.as_str()) {
                return Err(call.refuse(
                    OPTION,
                    format!("it is called with an argument that is not supported: {name}"),
                ));
            }
        }
        list.retain(|(_, operand)| !matches!(operand, Operand::Plain(Value::Null)));
        Ok(Self { list })
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Operand> {
        self.list
            .iter()
            .find(|(other, _)| *other == name)
            .map(|(_, operand)| *operand)
    }

    fn require(&self, call: &Call<'_>, name: &str) -> Found<&'a Operand> {
        self.get(name)
            .ok_or_else(|| call.refuse(OPTION, format!("its argument {name} is missing")))
    }

    /// An argument that is a value of the model.
    pub(super) fn value(&self, call: &Call<'_>, name: &str) -> Found<ValueId> {
        match self.require(call, name)? {
            Operand::Input(i) if known(call, call.inputs[*i]).is_none() => Ok(call.inputs[*i]),
            _ => Err(call.refuse(OPTION, format!("its argument {name} is no value of the model"))),
        }
    }

    /// An argument that may be anything with numbers.
    pub(super) fn number(&self, call: &Call<'_>, name: &str) -> Found<Number> {
        number(call, name, self.require(call, name)?)
    }

    /// An argument that is known when the file is read.
    pub(super) fn known(&self, call: &Call<'_>, name: &str) -> Found<Tensor> {
        match self.number(call, name)? {
            Number::Known(tensor) => Ok(tensor),
            Number::Value(_) => Err(varies(call, name)),
        }
    }

    /// The items of an argument that is a list.
    pub(super) fn items(&self, call: &Call<'_>, name: &str) -> Found<Vec<Number>> {
        match self.require(call, name)? {
            Operand::List(items) => items.iter().map(|item| number(call, name, item)).collect(),
            Operand::Plain(Value::Array(items)) => items
                .iter()
                .map(|item| number(call, name, &Operand::Plain(item.clone())))
                .collect(),
            only @ Operand::Input(_) => Ok(vec![number(call, name, only)?]),
            Operand::Plain(_) => Err(call.refuse(OPTION, format!("its argument {name} is no list"))),
        }
    }

    /// One real number.
    pub(super) fn real_or(&self, call: &Call<'_>, name: &str, default: f64) -> Found<f64> {
        if self.get(name).is_none() {
            return Ok(default);
        }
        match self.known(call, name)?.to_vec() {
            Ok(values) if values.len() == 1 && values[0].is_finite() => Ok(f64::from(values[0])),
            _ => Err(call.refuse(OPTION, format!("its argument {name} is not one number"))),
        }
    }

    /// Integers; those of unknown sizes are absent.
    pub(super) fn sizes(&self, call: &Call<'_>, name: &str) -> Found<Vec<Option<i64>>> {
        let operand = self.require(call, name)?;
        let parts = match operand {
            Operand::List(items) => items
                .iter()
                .map(|item| number(call, name, item))
                .collect::<Found<Vec<_>>>()?,
            other => vec![number(call, name, other)?],
        };
        let mut sizes = Vec::new();
        for part in parts {
            let Number::Known(tensor) = part else {
                return Err(varies(call, name));
            };
            for value in tensor
                .to_vec()
                .map_err(|error| call.refuse(OPTION, error.to_string()))?
            {
                sizes.push(match value {
                    value if value.is_nan() => None,
                    value if value.fract() == 0.0 && value.abs() < 1e7 => Some(value as i64),
                    value => {
                        return Err(call.refuse(
                            OPTION,
                            format!("its argument {name} has {value}, which is no size"),
                        ));
                    }
                });
            }
        }
        Ok(sizes)
    }

    /// Integers that are all known.
    pub(super) fn integers(&self, call: &Call<'_>, name: &str) -> Found<Vec<i64>> {
        self.sizes(call, name)?
            .into_iter()
            .collect::<Option<_>>()
            .ok_or_else(|| varies(call, name))
    }

    /// One integer.
    pub(super) fn integer_or(&self, call: &Call<'_>, name: &str, default: i64) -> Found<i64> {
        if self.get(name).is_none() {
            return Ok(default);
        }
        match self.integers(call, name)?[..] {
            [only] => Ok(only),
            _ => Err(call.refuse(OPTION, format!("its argument {name} is not one number"))),
        }
    }

    pub(super) fn flag(&self, call: &Call<'_>, name: &str) -> Found<bool> {
        match self.get(name) {
            None => Ok(false),
            Some(Operand::Plain(Value::Bool(flag))) => Ok(*flag),
            Some(_) => Err(call.refuse(OPTION, format!("its argument {name} is neither true nor false"))),
        }
    }

    pub(super) fn text_or(&self, call: &Call<'_>, name: &str, default: &'a str) -> Found<&'a str> {
        match self.get(name) {
            None => Ok(default),
            Some(Operand::Plain(Value::String(text))) => Ok(text),
            Some(_) => Err(call.refuse(OPTION, format!("its argument {name} is no text"))),
        }
    }
}

fn varies(call: &Call<'_>, name: &str) -> Box<Finding> {
    call.refuse(
        OPTION,
        format!("its argument {name} depends on the input or on a size that is unknown"),
    )
}

pub(super) fn number(call: &Call<'_>, name: &str, operand: &Operand) -> Found<Number> {
    match operand {
        Operand::Input(i) => Ok(match known(call, call.inputs[*i]) {
            Some(tensor) => Number::Known(tensor),
            None => Number::Value(call.inputs[*i]),
        }),
        Operand::Plain(value) => array(elements(value))
            .map(Number::Known)
            .ok_or_else(|| call.refuse(OPTION, format!("its argument {name} is no number"))),
        Operand::List(_) => Err(call.refuse(OPTION, format!("its argument {name} is a list of values"))),
    }
}

/// A constant of the graph.
pub(super) fn known(call: &Call<'_>, value: ValueId) -> Option<Tensor> {
    match call.graph.producer(value).map(|node| &node.op) {
        Some(Op::Constant(constant)) => Some(constant.value.clone()),
        _ => None,
    }
}

/// The elements of an array, which Keras 3 writes as an object.
fn elements(value: &Value) -> &Value {
    match value.get("class_name").and_then(Value::as_str) {
        Some("__tensor__" | "__numpy__") => value.pointer("/config/value").unwrap_or(value),
        _ => value,
    }
}

/// A number or nested lists of them.
pub(in super::super) fn array(value: &Value) -> Option<Tensor> {
    fn walk(value: &Value, depth: usize, shape: &mut Vec<usize>, values: &mut Vec<f32>) -> Option<()> {
        match value {
            Value::Array(items) => {
                match shape.get(depth) {
                    None if values.is_empty() => shape.push(items.len()),
                    Some(&size) if size == items.len() => {}
                    _ => return None,
                }
                items
                    .iter()
                    .try_for_each(|item| walk(item, depth + 1, shape, values))
            }
            _ if depth != shape.len() => None,
            Value::Bool(flag) => {
                values.push(f32::from(u8::from(*flag)));
                Some(())
            }
            other => {
                values.push(other.as_f64()? as f32);
                Some(())
            }
        }
    }
    let (mut shape, mut values) = (Vec::new(), Vec::new());
    walk(value, 0, &mut shape, &mut values)?;
    Tensor::from_f32(&shape, &values).ok()
}

#[cfg(test)]
mod tests {
    use super::array;
    use serde_json::json;

    #[test]
    fn arrays_must_be_rectangular() {
        let tensor = array(&json!([[1, 2.5, 3], [4, 5, 6]])).unwrap();
        assert_eq!((tensor.shape(), tensor.to_vec().unwrap()[1]), (vec![2, 3], 2.5));
        assert!(array(&json!(3)).unwrap().shape().is_empty());
        assert!(array(&json!([[1, 2], [3]])).is_none());
        assert!(array(&json!([1, [2]])).is_none());
        assert!(array(&json!("text")).is_none());
    }
}
