//! Sequential and Functional models: their layers and how they are called.

use super::operand::{Operands, parse_operator_call};
use super::{Attributes, ConfigError};
use caribou_ir::Limits;
use serde_json::{Map, Value};

/// A model: layers and, when it is functional, how they are connected.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) layers: Vec<Layer>,
    /// `None` for a Sequential model: each layer reads the one before.
    pub(crate) ports: Option<Ports>,
    /// The shape that a Sequential model without an InputLayer was built with.
    pub(crate) build_shape: Option<Vec<Option<usize>>>,
}

/// The inputs and outputs of a functional model.
#[derive(Debug, Clone)]
pub(crate) struct Ports {
    pub(crate) inputs: Vec<TensorRef>,
    pub(crate) outputs: Vec<TensorRef>,
}

/// A layer with its configuration.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub(crate) class: String,
    pub(crate) name: String,
    pub(crate) config: Attributes,
    /// One for each time the layer is called.
    pub(crate) calls: Vec<NodeCall>,
}

/// One call of a layer.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeCall {
    pub(crate) inputs: Vec<TensorRef>,
    /// Arguments besides the inputs that are neither absent nor of no consequence at inference.
    pub(crate) arguments: Vec<String>,
    /// All arguments, where the layer is an operator.
    pub(crate) operands: Operands,
}

/// An output of a call of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TensorRef {
    pub(crate) layer: String,
    pub(crate) call: usize,
    pub(crate) output: usize,
}

/// The JSON of an architecture, within the limits.
pub(crate) fn document(text: &str, limits: &Limits) -> Result<Value, ConfigError> {
    if text.len() > limits.text_bytes {
        return Err(ConfigError::Text(format!(
            "{} bytes of JSON, the limit is {}",
            text.len(),
            limits.text_bytes
        )));
    }
    // serde_json stops at 128 levels by itself, so a hostile text can't exhaust the stack.
    serde_json::from_str(text).map_err(|error| ConfigError::Text(error.to_string()))
}

/// Parses an architecture: `model_config`, or what `model.to_json()` gives.
pub(crate) fn parse_document(value: &Value) -> Result<Model, ConfigError> {
    let class = value
        .get("class_name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let config = value.get("config").ok_or_else(|| missing("config"))?;
    parse_config(&class, config)
}

/// Parses the `config` of a layer that is a model itself; `None` when its class is none of a model.
pub(crate) fn parse_nested(layer: &Layer) -> Option<Result<Model, ConfigError>> {
    matches!(layer.class.as_str(), "Sequential" | "Functional" | "Model")
        .then(|| parse_config(&layer.class, &Value::Object(layer.config.0.clone())))
}

fn parse_config(class: &str, config: &Value) -> Result<Model, ConfigError> {
    // Old Sequential models are a bare list of layers.
    if let Some(layers) = config.as_array() {
        let layers = layers.iter().map(parse_layer).collect::<Result<_, _>>()?;
        return Ok(Model {
            name: "sequential".into(),
            layers,
            ports: None,
            build_shape: None,
        });
    }
    let config = config
        .as_object()
        .ok_or_else(|| kind("config", "an object", config))?;
    let name = config
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or(class)
        .to_owned();
    let list = config.get("layers").ok_or_else(|| missing("layers"))?;
    let list = list.as_array().ok_or_else(|| kind("layers", "a list", list))?;
    let layers: Vec<Layer> = list.iter().map(parse_layer).collect::<Result<_, _>>()?;
    let build_shape = Attributes(config.clone())
        .shape("build_input_shape")
        .unwrap_or_default();
    let ports = match (config.get("input_layers"), config.get("output_layers")) {
        (Some(inputs), Some(outputs)) => Some(Ports {
            inputs: references(inputs)?,
            outputs: references(outputs)?,
        }),
        _ if class == "Sequential" => None,
        _ => {
            return Err(ConfigError::Text(format!(
                "{class} has no input_layers and output_layers"
            )));
        }
    };
    Ok(Model {
        name,
        layers,
        ports,
        build_shape,
    })
}

fn parse_layer(value: &Value) -> Result<Layer, ConfigError> {
    let object = value
        .as_object()
        .ok_or_else(|| kind("layers", "objects", value))?;
    let class = object
        .get("class_name")
        .and_then(Value::as_str)
        .ok_or_else(|| missing("class_name"))?
        .to_owned();
    let config = object.get("config").ok_or_else(|| missing("config"))?;
    // A nested Sequential of the old form has a list for its configuration.
    let config = match config {
        Value::Object(config) => config.clone(),
        Value::Array(_) => Map::from_iter([("layers".to_owned(), config.clone())]),
        other => return Err(kind("config", "an object", other)),
    };
    let name = object
        .get("name")
        .or_else(|| config.get("name"))
        .and_then(Value::as_str)
        .map_or_else(|| class.to_lowercase(), str::to_owned);
    let calls = match object.get("inbound_nodes") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(calls)) => {
            let parse = match class.as_str() {
                "TFOpLambda" | "SlicingOpLambda" | "MultiHeadAttention" | "Attention"
                | "AdditiveAttention" => parse_operator_call,
                _ => parse_call,
            };
            calls.iter().map(parse).collect::<Result<_, _>>()?
        }
        Some(other) => return Err(kind("inbound_nodes", "a list", other)),
    };
    Ok(Layer {
        class,
        name,
        config: Attributes(config),
        calls,
    })
}

/// One entry of `inbound_nodes`: a list of `[layer, call, output, arguments]`, or a single one of them.
fn parse_call(value: &Value) -> Result<NodeCall, ConfigError> {
    let list = value
        .as_array()
        .ok_or_else(|| kind("inbound_nodes", "lists", value))?;
    let mut call = NodeCall::default();
    let mut add = |entry: &Value| -> Result<(), ConfigError> {
        call.inputs.push(reference(entry)?);
        if let Some(arguments) = entry.get(3).and_then(Value::as_object) {
            for (key, value) in arguments {
                let harmless = value.is_null() || key == "training" || key == "name";
                if !harmless && !call.arguments.contains(key) {
                    call.arguments.push(key.clone());
                }
            }
        }
        Ok(())
    };
    if list.first().is_some_and(Value::is_string) {
        add(value)?;
    } else {
        list.iter().try_for_each(&mut add)?;
    }
    Ok(call)
}

/// A list of references, or a single one.
fn references(value: &Value) -> Result<Vec<TensorRef>, ConfigError> {
    match value.as_array() {
        Some(list) if list.first().is_some_and(Value::is_string) => Ok(vec![reference(value)?]),
        Some(list) => list.iter().map(reference).collect(),
        None => Err(kind("input_layers or output_layers", "a list", value)),
    }
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
        _ => Err(kind("a connection", "[layer, call, output]", value)),
    }
}

fn missing(key: &str) -> ConfigError {
    ConfigError::Missing { key: key.to_owned() }
}

fn kind(key: &str, expected: &'static str, found: &Value) -> ConfigError {
    let found: String = found.to_string().chars().take(60).collect();
    ConfigError::Kind {
        key: key.to_owned(),
        expected,
        found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Model, ConfigError> {
        parse_document(&document(text, &Limits::default())?)
    }

    #[test]
    fn a_bare_list_of_layers_is_sequential() {
        let model = parse(r#"{"class_name":"Sequential","config":[{"class_name":"Dense","config":{"name":"d","units":2}}]}"#).unwrap();
        assert!(model.ports.is_none());
        assert_eq!(
            (model.layers[0].name.as_str(), model.layers[0].class.as_str()),
            ("d", "Dense")
        );
    }

    #[test]
    fn connections_keep_their_calls_and_arguments() {
        let model = parse(
            r#"{"class_name":"Functional","config":{"name":"m","layers":[
                {"class_name":"InputLayer","name":"x","config":{},"inbound_nodes":[]},
                {"class_name":"Add","name":"a","config":{},"inbound_nodes":[[["x",0,0,{}],["x",0,0,{"mask":null,"scale":2}]]]}],
                "input_layers":[["x",0,0]],"output_layers":["a",0,0]}}"#,
        )
        .unwrap();
        assert_eq!(model.layers[1].calls[0].inputs.len(), 2);
        assert_eq!(model.layers[1].calls[0].arguments, ["scale"]);
        assert_eq!(model.ports.unwrap().outputs[0].layer, "a");
    }

    #[test]
    fn what_is_no_model_is_an_error() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"class_name":"Functional","config":{"layers":[]}}"#,
            r#"{"class_name":"Sequential","config":{"layers":[3]}}"#,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
    }
}
