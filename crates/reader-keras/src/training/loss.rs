//! Losses: the function of each output, its weight, and the options that nothing stands for.

use caribou_ir::{Graph, Loss, LossKind};
use serde_json::Value;

/// How far Keras keeps probabilities from zero and one.
const EPSILON: f64 = 1e-7;

const LOSSES: &[(&str, LossKind)] = &[
    ("mse", LossKind::MeanSquaredError),
    ("mean_squared_error", LossKind::MeanSquaredError),
    ("mae", LossKind::MeanAbsoluteError),
    ("mean_absolute_error", LossKind::MeanAbsoluteError),
    ("mape", LossKind::MeanAbsolutePercentageError),
    (
        "mean_absolute_percentage_error",
        LossKind::MeanAbsolutePercentageError,
    ),
    ("msle", LossKind::MeanSquaredLogarithmicError),
    (
        "mean_squared_logarithmic_error",
        LossKind::MeanSquaredLogarithmicError,
    ),
    ("binary_crossentropy", LossKind::BinaryCrossEntropy),
    ("categorical_crossentropy", LossKind::CategoricalCrossEntropy),
    (
        "sparse_categorical_crossentropy",
        LossKind::SparseCategoricalCrossEntropy,
    ),
    ("hinge", LossKind::Hinge),
    ("squared_hinge", LossKind::SquaredHinge),
    ("kld", LossKind::KullbackLeiblerDivergence),
    ("kl_divergence", LossKind::KullbackLeiblerDivergence),
    ("kullback_leibler_divergence", LossKind::KullbackLeiblerDivergence),
    ("poisson", LossKind::Poisson),
    ("cosine_similarity", LossKind::CosineSimilarity),
    ("cosine_proximity", LossKind::CosineSimilarity),
];

/// A loss by name or as a serialised object, and in words what of it will be different.
struct Read {
    kind: LossKind,
    differences: Vec<&'static str>,
}

/// The losses that a training configuration names for the outputs of `graph`. What can't be carried over is told to
/// `lost`.
pub(super) fn read(value: &Value, graph: &Graph, lost: &mut impl FnMut(String)) -> Vec<Loss> {
    let mut losses = Vec::new();
    for key in ["loss", "loss_weights"] {
        // The keys are those of the outputs; one that is none of them is the key of a structure that is not known here.
        let map = value.get(key).and_then(Value::as_object);
        let entries = map
            .filter(|map| !map.contains_key("class_name"))
            .into_iter()
            .flatten();
        for (name, _) in entries.filter(|(_, spec)| !spec.is_null()) {
            let known = |port: &caribou_ir::Port| port.source_name == *name || port.name == *name;
            if !graph.outputs().iter().any(known) {
                lost(format!(
                    "{key}: no output is called {name}, whose entry has no effect"
                ));
            }
        }
    }
    for (output, port) in graph.outputs().iter().enumerate() {
        // A list has one entry an output, an object one entry a name, and anything else is for all.
        let of_output = |value: Option<&Value>| match value {
            Some(Value::Array(list)) => list.get(output).cloned(),
            Some(Value::Object(map)) if !map.contains_key("class_name") => map
                .get(&port.source_name)
                .or_else(|| map.get(&port.name))
                .cloned(),
            other => other.cloned(),
        };
        let weight = of_output(value.get("loss_weights")).and_then(|weight| weight.as_f64());
        let spec = of_output(value.get("loss")).filter(|spec| !spec.is_null());
        match spec.as_ref().map(one) {
            Some(Ok(read)) => {
                losses.push(Loss {
                    output,
                    kind: read.kind,
                    weight: weight.unwrap_or(1.0),
                    features: Vec::new(),
                    clip: EPSILON,
                    summed: false,
                });
                for difference in read.differences {
                    lost(format!("the loss of output {}: {difference}", port.name));
                }
            }
            Some(Err(name)) => lost(format!(
                "the loss {name} of output {} has no counterpart; the usual one takes its place",
                port.name
            )),
            // An output that the others leave without a loss does not count.
            None if value.get("loss").is_some_and(|loss| !loss.is_null()) => losses.push(Loss {
                output,
                kind: LossKind::MeanSquaredError,
                weight: 0.0,
                features: Vec::new(),
                clip: EPSILON,
                summed: false,
            }),
            None => {}
        }
    }
    losses
}

fn one(spec: &Value) -> Result<Read, String> {
    // A function is named by `fn` or by `config` itself; the name that a user gave an object hides its class.
    let paths = ["", "/config/fn", "/config", "/class_name", "/config/name"];
    let names: Vec<&str> = paths
        .iter()
        .filter_map(|path| spec.pointer(path).and_then(Value::as_str))
        .collect();
    let known = names.iter().find_map(|name| {
        let snake = snake_case(name);
        LOSSES.iter().find(|(known, _)| *known == snake)
    });
    let Some(&(_, kind)) = known else {
        return Err(names
            .first()
            .map_or("of an unknown kind".to_owned(), |name| (*name).to_owned()));
    };
    let option = |key: &str| spec.get("config").and_then(|config| config.get(key));
    let mut differences = Vec::new();
    if option("from_logits").and_then(Value::as_bool) == Some(true) {
        differences.push(
            "from_logits: the network gives logits, and DL4J's loss takes them for probabilities; \
             end the model with softmax or sigmoid to train on",
        );
    }
    if option("label_smoothing").and_then(Value::as_f64).unwrap_or(0.0) != 0.0 {
        differences.push("label_smoothing is for whoever makes the labels: DL4J has none");
    }
    if option("axis").and_then(Value::as_i64).unwrap_or(-1) != -1 {
        differences.push("axis: DL4J's loss is taken over the last axis of the source");
    }
    if option("ignore_class").is_some_and(|class| !class.is_null()) {
        differences.push("ignore_class: DL4J's loss counts all classes");
    }
    match option("reduction").and_then(Value::as_str) {
        Some("sum") => differences.push("reduction sum: DL4J takes the mean over the batch"),
        Some("none") => differences.push("reduction none: DL4J takes the mean over the batch"),
        _ => {}
    }
    Ok(Read { kind, differences })
}

/// `KLDivergence` becomes `kl_divergence`.
fn snake_case(name: &str) -> String {
    let characters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (i, &character) in characters.iter().enumerate() {
        let next_lower = characters.get(i + 1).is_some_and(|next| next.is_lowercase());
        let after_lower = i > 0 && characters[i - 1].is_lowercase();
        if character.is_uppercase() && i > 0 && (after_lower || next_lower) && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.extend(character.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_losses_are_found_in_both_spellings() {
        assert_eq!(snake_case("KLDivergence"), "kl_divergence");
        assert_eq!(snake_case("MeanSquaredError"), "mean_squared_error");
        let kind = |spec: Value| one(&spec).map(|read| read.kind);
        assert_eq!(kind("mse".into()), Ok(LossKind::MeanSquaredError));
        let renamed = serde_json::json!({"class_name": "Poisson", "config": {"name": "mine"}});
        assert_eq!(kind(renamed), Ok(LossKind::Poisson));
        let function = serde_json::json!({"class_name": "function", "config": "mae"});
        assert_eq!(kind(function), Ok(LossKind::MeanAbsoluteError));
        assert!(one(&"my_loss".into()).is_err());
    }

    #[test]
    fn a_loss_for_no_output_is_told() {
        let value = serde_json::json!({"loss": {"elsewhere": "mse", "nowhere": null}, "loss_weights": {"elsewhere": 2.0}});
        let mut told = Vec::new();
        read(&value, &Graph::new(), &mut |message| told.push(message));
        assert_eq!(told.len(), 2);
        assert!(
            told.iter().all(|message| message.contains("elsewhere")),
            "{told:?}"
        );
    }

    #[test]
    fn options_that_change_the_loss_are_told() {
        let spec = serde_json::json!({"class_name": "CategoricalCrossentropy",
            "config": {"from_logits": true, "label_smoothing": 0.1, "reduction": "sum", "axis": 1}});
        assert_eq!(one(&spec).map(|read| read.differences.len()), Ok(4));
        let spec = serde_json::json!({"module": "keras.losses", "class_name": "SparseCategoricalCrossentropy",
            "config": {"name": "loss", "reduction": "sum_over_batch_size", "from_logits": false, "ignore_class": 0,
                       "axis": -1, "dtype": {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}}}});
        let read = one(&spec);
        assert_eq!(
            read.as_ref().map(|read| read.kind),
            Ok(LossKind::SparseCategoricalCrossEntropy)
        );
        assert_eq!(read.map(|read| read.differences.len()), Ok(1));
    }
}
