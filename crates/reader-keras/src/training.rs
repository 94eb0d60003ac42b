//! `training_config`: the loss and the optimiser that the model was compiled with.

use caribou_ir::{Code, Finding, Findings, Graph, Loss, LossKind, Severity, Training, Updater, UpdaterKind};
use serde_json::Value;

/// Something of the training configuration that was not carried over.
const LOST: Code = Code("K0301");

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

/// Parses the text of `training_config`. What is not known becomes a warning, never an error: the outputs of the
/// model do not depend on it.
pub(crate) fn parse(text: &str, graph: &Graph, findings: &mut Findings) -> Option<Training> {
    let value: Value = serde_json::from_str(text).ok()?;
    let mut lost = |message: String| findings.push(Finding::new(Severity::Warning, LOST, None, message));
    let updater = updater(&value).map_err(&mut lost).ok().flatten();
    let mut losses = Vec::new();
    for (output, port) in graph.outputs().iter().enumerate() {
        let spec = match value.get("loss") {
            Some(Value::Array(list)) => list.get(output),
            Some(Value::Object(map)) if !map.contains_key("class_name") => map.get(&port.source_name),
            other => other,
        };
        match spec.filter(|spec| !spec.is_null()).map(loss) {
            Some(Ok(kind)) => losses.push(Loss { output, kind }),
            Some(Err(name)) => lost(format!(
                "the loss {name} of output {} has no counterpart",
                port.name
            )),
            None => {}
        }
    }
    Some(Training { updater, losses })
}

/// A loss by name, or as a serialised object.
fn loss(spec: &Value) -> Result<LossKind, String> {
    let name = match spec {
        Value::String(name) => name.clone(),
        other => other
            .pointer("/config/fn")
            .or_else(|| other.pointer("/config/name"))
            .or_else(|| other.get("class_name"))
            .and_then(Value::as_str)
            .unwrap_or("of an unknown kind")
            .to_owned(),
    };
    let snake = snake_case(&name);
    LOSSES
        .iter()
        .find(|(known, _)| *known == snake)
        .map(|&(_, kind)| kind)
        .ok_or(name)
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

fn updater(value: &Value) -> Result<Option<Updater>, String> {
    let Some(optimizer) = value.get("optimizer_config").filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let class = optimizer
        .get("class_name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let class = class.rsplit('>').next().unwrap_or(class);
    let config = optimizer.get("config").unwrap_or(&Value::Null);
    let number = |key: &str, default: f64| config.get(key).and_then(Value::as_f64).unwrap_or(default);
    let rate = config.get("learning_rate").or_else(|| config.get("lr"));
    let learning_rate = match rate {
        Some(rate) => rate.as_f64().ok_or_else(|| {
            format!("the learning-rate schedule of the optimizer {class} was not carried over")
        })?,
        None => 0.001,
    };
    let moments = || {
        (
            number("beta_1", 0.9),
            number("beta_2", 0.999),
            number("epsilon", 1e-7),
        )
    };
    let kind = match class {
        "SGD" if number("momentum", 0.0) > 0.0 => UpdaterKind::Nesterovs {
            momentum: number("momentum", 0.0),
        },
        "SGD" => UpdaterKind::Sgd,
        "Adam" if config.get("amsgrad").and_then(Value::as_bool) == Some(true) => {
            let (beta1, beta2, epsilon) = moments();
            UpdaterKind::AmsGrad {
                beta1,
                beta2,
                epsilon,
            }
        }
        "Adam" => {
            let (beta1, beta2, epsilon) = moments();
            UpdaterKind::Adam {
                beta1,
                beta2,
                epsilon,
            }
        }
        "Adamax" => {
            let (beta1, beta2, epsilon) = moments();
            UpdaterKind::AdaMax {
                beta1,
                beta2,
                epsilon,
            }
        }
        "Nadam" => {
            let (beta1, beta2, epsilon) = moments();
            UpdaterKind::Nadam {
                beta1,
                beta2,
                epsilon,
            }
        }
        "RMSprop" => UpdaterKind::RmsProp {
            decay: number("rho", 0.9),
            epsilon: number("epsilon", 1e-7),
        },
        "Adagrad" => UpdaterKind::AdaGrad {
            epsilon: number("epsilon", 1e-7),
        },
        "Adadelta" => UpdaterKind::AdaDelta {
            rho: number("rho", 0.95),
            epsilon: number("epsilon", 1e-7),
        },
        other => return Err(format!("the optimizer {other} has no counterpart")),
    };
    Ok(Some(Updater { kind, learning_rate }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_losses_are_found_in_both_spellings() {
        assert_eq!(snake_case("KLDivergence"), "kl_divergence");
        assert_eq!(snake_case("MeanSquaredError"), "mean_squared_error");
        assert_eq!(loss(&serde_json::json!("mse")), Ok(LossKind::MeanSquaredError));
        assert!(loss(&serde_json::json!("my_loss")).is_err());
    }
}
