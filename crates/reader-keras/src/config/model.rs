//! Sequential and Functional models: their layers and how they are called.

use super::connection::{NodeCall, TensorRef, parse_call, references};
use super::recorded::Recorded;
use super::{Attributes, ConfigError};
use caribou_ir::Limits;
use serde::Deserialize;
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
    /// Whether it is no layer but an operator, such as the `Add` of `x + 1`: Keras 3 lists both side by side.
    pub(crate) operator: bool,
    pub(crate) name: String,
    pub(crate) config: Attributes,
    /// One for each time the layer is called.
    pub(crate) calls: Vec<NodeCall>,
    /// What the file says about the shapes of its inputs.
    pub(crate) recorded: Recorded,
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
    if let Some(depth) = limits.too_deep(text.as_bytes()) {
        return Err(ConfigError::Text(format!(
            "JSON that is nested {depth} deep, the limit (nesting) is {}",
            limits.nesting
        )));
    }
    match json(text) {
        Err(_) if text.contains("Infinity") || text.contains("NaN") => json(&quoted(text)),
        parsed => parsed,
    }
    .map_err(|error| ConfigError::Text(error.to_string()))
}

/// The value of a text whose depth was checked, so that it can't exhaust the stack.
pub(crate) fn json(text: &str) -> Result<Value, serde_json::Error> {
    let mut parser = serde_json::Deserializer::from_str(text);
    parser.disable_recursion_limit();
    let value = Value::deserialize(&mut parser)?;
    parser.end()?;
    Ok(value)
}

/// The text with the numbers that Python writes and JSON has not, `NaN` and `Infinity`, as texts. Whoever reads one of
/// them says that it is no number.
fn quoted(text: &str) -> String {
    let mut made = String::with_capacity(text.len() + 16);
    let (mut rest, mut inside) = (text, false);
    while let Some(letter) = rest.chars().next() {
        let word = ["-Infinity", "Infinity", "NaN"]
            .into_iter()
            .find(|word| !inside && rest.starts_with(word));
        if let Some(word) = word {
            made.extend(["\"", word, "\""]);
            rest = &rest[word.len()..];
            continue;
        }
        let mut length = letter.len_utf8();
        match letter {
            '"' => inside = !inside,
            '\\' if inside => length += rest[length..].chars().next().map_or(0, char::len_utf8),
            _ => {}
        }
        made.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    made
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

/// Parses an entry of `layers`, or the layer that a wrapper holds.
pub(crate) fn parse_layer(value: &Value) -> Result<Layer, ConfigError> {
    let object = value
        .as_object()
        .ok_or_else(|| kind("layers", "objects", value))?;
    let class = object
        .get("class_name")
        .and_then(Value::as_str)
        .ok_or_else(|| missing("class_name"))?;
    let class = foreign(object, class).unwrap_or_else(|| class.to_owned());
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
        Some(Value::Array(calls)) => calls.iter().map(parse_call).collect::<Result<_, _>>()?,
        Some(other) => return Err(kind("inbound_nodes", "a list", other)),
    };
    let operator = is_operator(object, &class, &config);
    Ok(Layer {
        class,
        operator,
        name,
        config: Attributes(config),
        calls,
        recorded: Recorded::of(object),
    })
}

/// Packages whose classes are Keras' own.
const KERAS: [&str; 3] = ["keras", "tf_keras", "tensorflow"];

/// The full name of a class that is none of Keras'. An archive gives it the bare `class_name`, which may be that of a layer of
/// Keras, and says only beside it, by `module` and `registered_name`, whose it is.
fn foreign(layer: &Map<String, Value>, class: &str) -> Option<String> {
    let text = |key| layer.get(key).and_then(Value::as_str);
    let registered = text("registered_name")?;
    let package = text("module").map(|module| module.split('.').next().unwrap_or_default());
    if package.is_some_and(|package| KERAS.contains(&package)) {
        return None;
    }
    Some(if registered.contains('>') {
        registered.to_owned()
    } else {
        format!("Custom>{class}")
    })
}

/// Whether an entry of a Keras 3 model is an operator: `.keras` files name the module, and in `.h5` files only a layer
/// says whether it is trainable.
fn is_operator(object: &Map<String, Value>, class: &str, config: &Map<String, Value>) -> bool {
    if let Some(module) = object.get("module").and_then(Value::as_str) {
        return module.starts_with("keras.src.ops") || module.starts_with("keras.ops");
    }
    let calls = object.get("inbound_nodes").and_then(Value::as_array);
    let keras_3 = calls.is_some_and(|calls| calls.first().is_some_and(Value::is_object));
    keras_3 && class != "InputLayer" && !config.contains_key("trainable")
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
    fn numbers_of_python_alone_are_texts() {
        let text = r#"{"a \" NaN": [NaN, -Infinity, {"b": Infinity}], "c": "Infinity\\"}"#;
        let value = document(text, &Limits::default()).unwrap();
        let expected =
            serde_json::json!({ "a \" NaN": ["NaN", "-Infinity", { "b": "Infinity" }], "c": "Infinity\\" });
        assert_eq!(value, expected);
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
        assert_eq!(model.layers[1].calls[0].extra(), ["scale"]);
        assert_eq!(model.ports.unwrap().outputs[0].layer, "a");
    }

    #[test]
    fn the_limit_of_nesting_is_the_real_one() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        let deep = Limits::default().with_nesting(400);
        assert!(document(&nested(100), &Limits::default()).is_ok());
        assert!(document(&nested(101), &Limits::default()).is_err());
        assert!(document(&nested(400), &deep).is_ok());
        assert!(document(&nested(401), &deep).is_err());
        assert!(document(r#""[[{\"[[""#, &Limits::default().with_nesting(0)).is_ok());
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
