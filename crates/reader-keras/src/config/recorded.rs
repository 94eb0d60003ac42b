//! The shapes of values that a file writes beside the layers that read them.
//!
//! Every shape follows from the layers themselves. These matter only behind a layer that can't be read.

use super::connection::{TensorRef, reference};
use serde_json::{Map, Value};

/// The sizes of all axes, the batch among them; `None` where one is unknown.
pub(crate) type Sizes = Vec<Option<usize>>;

/// What a layer's entry says about the shapes of its inputs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded {
    /// `build_config`, since Keras 2.12: the inputs of the first call, in order.
    built_on: Vec<Sizes>,
    /// The values among the arguments of Keras 3, each with its shape.
    read: Vec<(TensorRef, Sizes)>,
}

impl Recorded {
    pub(super) fn of(entry: &Map<String, Value>) -> Self {
        let mut recorded = Self::default();
        if let Some(shape) = entry
            .get("build_config")
            .and_then(|build| build.get("input_shape"))
        {
            recorded.built_on = match (sizes(shape), shape.as_array()) {
                (Some(only), _) => vec![only],
                (None, Some(several)) => several.iter().map_while(sizes).collect(),
                (None, None) => Vec::new(),
            };
        }
        if let Some(calls) = entry.get("inbound_nodes") {
            recorded.arguments(calls);
        }
        recorded
    }

    /// Looks for values of the model among arguments. The depth is bounded by that of the JSON.
    fn arguments(&mut self, value: &Value) {
        match value {
            Value::Array(list) => list.iter().for_each(|item| self.arguments(item)),
            Value::Object(object) => {
                let history = object
                    .get("keras_history")
                    .and_then(|history| reference(history).ok());
                match (history, object.get("shape").and_then(sizes)) {
                    (Some(value), Some(shape)) => self.read.push((value, shape)),
                    _ => object.values().for_each(|item| self.arguments(item)),
                }
            }
            _ => {}
        }
    }

    /// The shape of the input at `position`, which is `value` where the connections say so.
    pub(crate) fn input(&self, position: usize, value: Option<&TensorRef>) -> Option<&Sizes> {
        let read = self.read.iter().find(|(read, _)| Some(read) == value);
        read.map(|(_, shape)| shape)
            .or_else(|| self.built_on.get(position))
    }
}

/// `[null, 5, 3]`.
fn sizes(value: &Value) -> Option<Sizes> {
    let size = |item: &Value| match item {
        Value::Null => Some(None),
        item => item
            .as_u64()
            .and_then(|size| u32::try_from(size).ok())
            .map(|size| Some(size as usize)),
    };
    let all = value.as_array()?;
    (!all.is_empty())
        .then(|| all.iter().map(size).collect())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn recorded(value: Value) -> Recorded {
        Recorded::of(value.as_object().unwrap())
    }

    #[test]
    fn shapes_are_found_in_both_places() {
        let one = recorded(json!({ "build_config": { "input_shape": [null, 5] } }));
        assert_eq!(one.input(0, None), Some(&vec![None, Some(5)]));
        let two = recorded(json!({ "build_config": { "input_shape": [[null, 5], [null, null, 2]] } }));
        assert_eq!(two.input(1, None), Some(&vec![None, None, Some(2)]));
        let call = recorded(
            json!({ "inbound_nodes": [{ "args": [{ "class_name": "__keras_tensor__",
            "config": { "shape": [null, 7], "keras_history": ["x", 0, 1] } }], "kwargs": {} }] }),
        );
        let value = TensorRef {
            layer: "x".into(),
            call: 0,
            output: 1,
        };
        assert_eq!(call.input(0, Some(&value)), Some(&vec![None, Some(7)]));
        assert_eq!(call.input(0, None), None);
        assert!(
            recorded(json!({ "build_config": { "input_shape": { "a": 1 } } }))
                .input(0, None)
                .is_none()
        );
    }
}
