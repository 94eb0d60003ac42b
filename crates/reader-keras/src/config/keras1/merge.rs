//! The `Merge` layer of Keras 1: one class a mode since, and in a Sequential model the place where branches meet.

use super::{CLASS, text};
use caribou_ir::{Finding, Findings, Origin};
use serde_json::{Map, Value, json};

/// The modes and what they became. `dot` and `cos` have rules of their own about axes.
const MODES: &[(&str, &str)] = &[
    ("sum", "Add"),
    ("mul", "Multiply"),
    ("ave", "Average"),
    ("max", "Maximum"),
    ("concat", "Concatenate"),
];

/// Brings a `Merge` layer to the class of its mode.
pub(super) fn upgrade(
    layer: &mut Value,
    config: &Map<String, Value>,
    origin: &Origin,
    findings: &mut Findings,
) {
    let word = |key: &str| config.get(key).and_then(Value::as_str).unwrap_or("raw");
    let mode = config.get("mode").and_then(Value::as_str).unwrap_or_default();
    let raw = ["mode_type", "output_shape_type", "output_mask_type"]
        .iter()
        .all(|key| word(key) == "raw");
    let class = MODES.iter().find(|(old, _)| *old == mode).filter(|_| raw);
    let Some((_, class)) = class else {
        let message = match raw {
            true => format!("the Merge mode {mode:?} of Keras 1 is not supported"),
            false => "its Merge mode is Python code, which is never executed".to_owned(),
        };
        return findings.push(Finding::error(CLASS, origin, message));
    };
    let mut new = Map::from_iter([("name".to_owned(), json!(&*origin.layer))]);
    if *class == "Concatenate" {
        new.insert(
            "axis".into(),
            config.get("concat_axis").cloned().unwrap_or(json!(-1)),
        );
    }
    if let Some(object) = layer.as_object_mut() {
        object.insert("class_name".into(), json!(class));
        object.insert("config".into(), Value::Object(new));
    }
}

/// A Sequential model that begins with a `Merge` of other models becomes a functional one: each branch a chain behind
/// an input of its own. Its weights are stored layer by layer already.
pub(super) fn unfold(model: &mut Value, findings: &mut Findings) {
    let branches = |model: &Value| -> Option<Vec<Value>> {
        let first = model.get("config")?.as_array()?.first()?;
        let merges = text(first, "class_name") == "Merge";
        merges.then(|| first.get("config")?.get("layers")?.as_array().cloned())?
    };
    if text(model, "class_name") != "Sequential" || branches(model).is_none() {
        return;
    }
    let mut graph = Graph::default();
    match graph.chain(model, 0) {
        Some(output) => {
            let config = json!({
                "name": "model", "layers": graph.layers, "input_layers": graph.inputs, "output_layers": [output],
            });
            if let Some(object) = model.as_object_mut() {
                object.insert("class_name".into(), json!("Model"));
                object.insert("config".into(), config);
            }
        }
        None => {
            let message =
                "the models that it merges share layers, or do not begin with the shape of an input";
            findings.push(Finding::error(CLASS, &Origin::new("merge", "Merge"), message));
        }
    }
}

/// A functional model in the making.
#[derive(Default)]
struct Graph {
    layers: Vec<Value>,
    inputs: Vec<Value>,
}

/// Models that merge models that merge models: no real one goes as deep.
const MAX_DEPTH: usize = 20;

impl Graph {
    /// Adds a Sequential model and gives its output.
    fn chain(&mut self, model: &Value, depth: usize) -> Option<Value> {
        let list = model.get("config")?.as_array()?;
        let mut current: Option<Value> = None;
        for layer in list {
            let mut layer = layer.clone();
            let sources: Vec<Value> = match (&current, text(&layer, "class_name")) {
                (Some(current), _) => vec![current.clone()],
                (None, "Merge") => {
                    let config = layer.get_mut("config")?.as_object_mut()?;
                    let branches = config.remove("layers")?;
                    if depth > MAX_DEPTH {
                        return None;
                    }
                    branches
                        .as_array()?
                        .iter()
                        .map(|branch| self.chain(branch, depth + 1))
                        .collect::<Option<_>>()?
                }
                (None, _) => vec![self.input(&layer)?],
            };
            current = Some(self.add(layer, sources)?);
        }
        current
    }

    /// The input that the first layer of a chain describes.
    fn input(&mut self, first: &Value) -> Option<Value> {
        let config = first.get("config")?;
        let shape = config.get("batch_input_shape")?;
        let name = format!("{}_input", text(config, "name"));
        let layer = json!({
            "class_name": "InputLayer", "name": name, "inbound_nodes": [],
            "config": { "name": name, "batch_input_shape": shape, "sparse": false },
        });
        self.layers.push(layer);
        let reference = json!([name, 0, 0]);
        self.inputs.push(reference.clone());
        Some(reference)
    }

    fn add(&mut self, mut layer: Value, sources: Vec<Value>) -> Option<Value> {
        let name = match layer.get("config").and_then(|config| config.get("name")) {
            Some(name) => name.as_str()?.to_owned(),
            None => format!("merge_{}", self.layers.len()),
        };
        let taken = self.layers.iter().any(|other| text(other, "name") == name);
        if taken {
            return None;
        }
        let object = layer.as_object_mut()?;
        object.insert("name".into(), json!(name));
        object.insert("inbound_nodes".into(), json!([sources]));
        self.layers.push(layer);
        Some(json!([name, 0, 0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_of_a_sequential_model_become_a_graph() {
        let branch = |name: &str| {
            json!({ "class_name": "Sequential", "config": [
                { "class_name": "Dense", "config": { "name": name, "batch_input_shape": [null, 4], "output_dim": 3 } },
            ]})
        };
        let mut model = json!({ "class_name": "Sequential", "config": [
            { "class_name": "Merge", "config": { "name": "m", "mode": "sum", "layers": [branch("a"), branch("b")] } },
            { "class_name": "Activation", "config": { "name": "r", "activation": "relu" } },
        ]});
        let mut findings = Findings::new();
        unfold(&mut model, &mut findings);
        assert!(findings.is_empty());
        assert_eq!(
            model["config"]["input_layers"],
            json!([["a_input", 0, 0], ["b_input", 0, 0]])
        );
        assert_eq!(model["config"]["output_layers"], json!([["r", 0, 0]]));
        assert_eq!(model["config"]["layers"].as_array().unwrap().len(), 6);
        let same = json!({ "class_name": "Sequential", "config": [
            { "class_name": "Merge", "config": { "name": "m", "mode": "sum", "layers": [branch("a"), branch("a")] } },
        ]});
        let mut model = same;
        unfold(&mut model, &mut findings);
        assert!(findings.has_errors());
    }
}
