//! Keras 1 in the words of Keras 2: class names, keys, and the `Merge` layer, which became one class a mode.
//!
//! What the table does not list is refused with the layer's name. The keys are those of `get_config` in the sources of
//! Keras 1.2.2, and what they became is told by the legacy interfaces of Keras 2.

mod classes;
mod merge;

use caribou_ir::{Code, Finding, Findings, Origin, Severity};
use classes::{CLASSES, COMMON, Rule};
use serde_json::{Map, Value, json};

/// A class of Keras 1 that has no counterpart, or a way to use it.
const CLASS: Code = Code("K0601");
/// A key that no class of Keras 1 has, or a value that can't be carried over.
const KEY: Code = Code("K0602");
/// Something of the layer that matters in training only and was not carried over.
const TRAINING: Code = Code("K0603");

/// Weights whose backend is not known.
const BACKEND: Code = Code("K0604");

/// Whether an architecture is in the words of Keras 1.
pub(crate) fn is_keras1(model: &Value) -> bool {
    if let Some(version) = model.get("keras_version").and_then(Value::as_str) {
        return version.starts_with("1.");
    }
    let words = |class: &str, key: &str| {
        matches!(
            key,
            "nb_filter" | "border_mode" | "dim_ordering" | "inner_activation" | "W_regularizer" | "mode_type"
        ) || (key == "output_dim" && class != "Embedding")
            || (key == "p" && class.ends_with("Dropout"))
    };
    layers(model).iter().any(|layer| {
        let class = layer
            .get("class_name")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let config = layer.get("config");
        config
            .and_then(Value::as_object)
            .is_some_and(|config| config.keys().any(|key| words(class, key)))
    })
}

/// The layers of a model, in either form.
fn layers(model: &Value) -> &[Value] {
    let config = model.get("config").unwrap_or(&Value::Null);
    let list = config.as_array().or_else(|| config.get("layers")?.as_array());
    list.map_or(&[], Vec::as_slice)
}

/// Brings the architecture `model` to the form of Keras 2. Everything that has no counterpart is an error in
/// `findings`, with its layer.
///
/// Keras 1 did not write which backend trained a model, and Theano turns the kernels of its convolutions over: channels-first
/// convolutions, which were Theano's own, get a warning.
pub(crate) fn upgrade(model: &mut Value, findings: &mut Findings) {
    upgrade_model(model, findings, 0);
}

/// Gives the models within a Sequential model their names. Keras 1 did not write them there; the file lists its layers in
/// the same order.
pub(crate) fn name_models(model: &mut Value, layer_names: &[String]) {
    let Some(layers) = model.get_mut("config").and_then(Value::as_array_mut) else {
        return;
    };
    if layers.len() == layer_names.len() {
        for (layer, name) in layers.iter_mut().zip(layer_names) {
            if let (Some(Value::Array(_)), Some(object)) =
                (layer.get("config").cloned(), layer.as_object_mut())
            {
                object.entry("name").or_insert_with(|| json!(name));
            }
        }
    }
}

/// Deeper than this no model is nested; serde_json has refused deeper texts before.
const MAX_DEPTH: usize = 128;

fn upgrade_model(model: &mut Value, findings: &mut Findings, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    merge::unfold(model, findings);
    let list = match model.get_mut("config") {
        Some(Value::Array(list)) => Some(list),
        Some(Value::Object(config)) => config.get_mut("layers").and_then(Value::as_array_mut),
        _ => None,
    };
    for layer in list.into_iter().flatten() {
        upgrade_layer(layer, findings, depth + 1);
    }
}

fn upgrade_layer(layer: &mut Value, findings: &mut Findings, depth: usize) {
    let class = text(layer, "class_name").to_owned();
    if matches!(class.as_str(), "Sequential" | "Model" | "Functional") {
        return upgrade_model(layer, findings, depth);
    }
    let config = layer
        .get("config")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let name = match text(layer, "name") {
        "" => config
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or(&class)
            .to_owned(),
        name => name.to_owned(),
    };
    let origin = Origin::new(name, class.as_str());
    if class == "Merge" {
        return merge::upgrade(layer, &config, &origin, findings);
    }
    let Some((_, new, keys)) = CLASSES.iter().find(|(old, ..)| *old == class) else {
        let message = format!("layer class {class} of Keras 1 is not supported");
        findings.push(Finding::error(CLASS, &origin, message));
        return;
    };
    let mut translated = Translation {
        config: Map::new(),
        origin: &origin,
        findings,
    };
    for (key, value) in &config {
        let rule = std::iter::once(&COMMON)
            .chain(keys.iter())
            .flat_map(|keys| keys.iter())
            .find(|(known, _)| known == key);
        match rule {
            Some(&(_, Rule::Layer)) => {
                let mut inner = value.clone();
                upgrade_layer(&mut inner, translated.findings, depth + 1);
                translated.config.insert(key.clone(), inner);
            }
            Some(&(_, rule)) => translated.apply(key, value, rule),
            None => translated.refuse(key, value),
        }
    }
    let mut config = translated.config;
    let ahead = config.get("data_format").and_then(Value::as_str) == Some("channels_first");
    if ahead && *new == "SeparableConv2D" {
        findings.push(Finding::error(
            CLASS,
            &origin,
            "separable convolutions in th ordering are not supported",
        ));
    } else if ahead && config.contains_key("kernel_size") {
        let message = "files of Keras 1 do not tell which backend trained them, and Theano turns kernels over: \
                       it is taken for one of TensorFlow";
        findings.push(Finding::warning(BACKEND, &origin, message).with_help(
            "compare the outputs with known ones; if they differ, load the model once with its own backend",
        ));
    }
    if let ("ZeroPadding2D", Some([top, bottom, left, right])) = (
        *new,
        config.get("padding").and_then(Value::as_array).map(Vec::as_slice),
    ) {
        let sides = json!([[top, bottom], [left, right]]);
        config.insert("padding".into(), sides);
    }
    if let Some(object) = layer.as_object_mut() {
        object.insert("class_name".into(), json!(new));
        object.insert("config".into(), Value::Object(config));
    }
}

/// A configuration on its way to Keras 2.
struct Translation<'a> {
    config: Map<String, Value>,
    origin: &'a Origin,
    findings: &'a mut Findings,
}

impl Translation<'_> {
    fn apply(&mut self, key: &str, value: &Value, rule: Rule) {
        use Rule::{Drop, Entry, Keep, Layer, Must, Ordering, Penalty, To, Training};
        match rule {
            Keep => self.set(key, value.clone()),
            To(name) => self.set(name, value.clone()),
            Entry(name, at) => {
                let list = self.config.entry(name).or_insert_with(|| json!([]));
                if let Some(list) = list.as_array_mut() {
                    list.resize(list.len().max(at + 1), Value::Null);
                    list[at] = value.clone();
                }
            }
            Ordering => match value.as_str() {
                Some("th") => self.set("data_format", json!("channels_first")),
                Some("tf") => self.set("data_format", json!("channels_last")),
                _ => self.refuse(key, value),
            },
            Penalty(name) => self.penalty(key, name, value),
            Training => {
                if !value.is_null() && value.as_f64() != Some(0.0) {
                    self.lost(key);
                }
            }
            Drop | Layer => {}
            Must(expected) => {
                if value.as_i64() != Some(expected) {
                    self.refuse(key, value);
                }
            }
        }
    }

    fn penalty(&mut self, key: &str, name: &str, value: &Value) {
        let number = |key: &str| value.get(key).and_then(Value::as_f64).unwrap_or(0.0);
        match text(value, "name") {
            "WeightRegularizer" | "L1L2Regularizer" => self.set(
                name,
                json!({ "class_name": "L1L2", "config": { "l1": number("l1"), "l2": number("l2") } }),
            ),
            _ if value.is_null() => {}
            _ => self.lost(key),
        }
    }

    fn set(&mut self, key: &str, value: Value) {
        self.config.insert(key.to_owned(), value);
    }

    fn lost(&mut self, key: &str) {
        let message = format!("{key} matters in training only, and was not carried over");
        self.findings.push(Finding::new(
            Severity::Warning,
            TRAINING,
            Some(self.origin.clone()),
            message,
        ));
    }

    fn refuse(&mut self, key: &str, value: &Value) {
        let brief: String = value.to_string().chars().take(60).collect();
        let message = format!("{key} = {brief} of Keras 1 is not supported");
        self.findings.push(Finding::error(KEY, self.origin, message));
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upgraded(layer: Value) -> (Value, Findings) {
        let mut model = json!({ "class_name": "Sequential", "config": [layer] });
        let mut findings = Findings::new();
        upgrade(&mut model, &mut findings);
        (model["config"][0].clone(), findings)
    }

    #[test]
    fn a_convolution_gets_its_new_words() {
        let (layer, findings) = upgraded(json!({ "class_name": "Convolution2D", "config": {
            "name": "c", "nb_filter": 4, "nb_row": 3, "nb_col": 2, "subsample": [1, 2], "border_mode": "same",
            "dim_ordering": "th", "bias": false, "init": "uniform", "W_regularizer": {"name": "WeightRegularizer", "l1": 0.0, "l2": 0.5},
        }}));
        assert!(!findings.has_errors(), "{findings}");
        assert!(
            findings.iter().all(|finding| finding.code == BACKEND),
            "{findings}"
        );
        assert_eq!(layer["class_name"], "Conv2D");
        assert_eq!(
            layer["config"],
            json!({ "name": "c", "filters": 4, "kernel_size": [3, 2], "strides": [1, 2], "padding": "same",
                "data_format": "channels_first", "use_bias": false,
                "kernel_regularizer": { "class_name": "L1L2", "config": { "l1": 0.0, "l2": 0.5 } } })
        );
    }

    #[test]
    fn what_is_not_known_is_refused_by_name() {
        let refused = [
            json!({ "class_name": "MaxoutDense", "config": { "name": "x" } }),
            json!({ "class_name": "Highway", "config": { "name": "x" } }),
            json!({ "class_name": "Dense", "config": { "name": "x", "output_dim": 3, "novelty": true } }),
            json!({ "class_name": "BatchNormalization", "config": { "name": "x", "mode": 2 } }),
            json!({ "class_name": "Merge", "config": { "name": "x", "mode": "dot" } }),
        ];
        for layer in refused {
            let (_, findings) = upgraded(layer.clone());
            let named = |finding: &Finding| {
                finding
                    .origin
                    .as_ref()
                    .is_some_and(|origin| &*origin.layer == "x")
            };
            assert!(
                findings.has_errors() && findings.iter().all(named),
                "{layer}: {findings}"
            );
        }
    }

    #[test]
    fn versions_are_told_by_their_words() {
        let dense = |key: &str| json!({ "class_name": "Sequential", "config": [{ "class_name": "Dense", "config": { key: 3 } }] });
        assert!(is_keras1(&dense("output_dim")));
        assert!(!is_keras1(&dense("units")));
    }
}
