//! What the source says about its training, in words.

use caribou_ir::{Clipping, Graph, LayerTraining, LearningRate, Normalizer, Regularization, Training};
use std::fmt::Debug;

/// One line: the optimiser with its constants, then the loss of each output.
pub(crate) fn training(training: &Training, graph: &Graph) -> String {
    let mut parts = Vec::new();
    if let Some(updater) = &training.updater {
        parts.push(format!(
            "optimizer {}, learning rate {}",
            constants(&updater.kind),
            rate(&updater.learning_rate)
        ));
    }
    for loss in &training.losses {
        let output = graph
            .outputs()
            .get(loss.output)
            .map_or("?", |port| port.name.as_str());
        parts.push(format!("loss of {output}: {}", words(&loss.kind)));
    }
    if parts.is_empty() {
        parts.push("compiled, without an optimizer or loss that is known".to_owned());
    }
    let mut lines = vec![parts.join("; ")];
    lines.extend(besides(training));
    lines.join("\n")
}

/// A line for each of the rest that is said: what is done to gradients, the steps so far, and what is special to layers.
fn besides(training: &Training) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(updater) = &training.updater {
        if updater.weight_decay != 0.0 {
            lines.push(format!(
                "weight decay {}",
                number(&updater.weight_decay.to_string())
            ));
        }
        if let Some(clipping) = updater.clipping {
            let (what, limit) = match clipping {
                Clipping::Value(limit) => ("each element", limit),
                Clipping::Norm(limit) => ("the norm of each parameter", limit),
            };
            lines.push(format!(
                "gradients clipped: {what} to {}",
                number(&limit.to_string())
            ));
        }
    }
    if let Some(state) = &training.state {
        lines.push(format!("{} steps so far", state.iterations));
    }
    let named = |what: &str, wanted: &dyn Fn(&LayerTraining) -> Option<String>| {
        let layers = training.layers.iter();
        let told: Vec<String> = layers
            .filter_map(|(name, layer)| Some(format!("{name}{}", wanted(layer)?)))
            .collect();
        (!told.is_empty()).then(|| format!("{what}: {}", told.join(", ")))
    };
    let penalty = |layer: &LayerTraining| {
        let Regularization { l1, l2 } = layer.regularization;
        (l1 != 0.0 || l2 != 0.0).then(|| format!(" (l1 {l1}, l2 {l2})"))
    };
    let constraint = |layer: &LayerTraining| {
        let constraint = layer.constraint.or(layer.bias_constraint)?;
        Some(format!(" ({})", words(&constraint)))
    };
    lines.extend(named("frozen", &|layer| layer.frozen.then(String::new)));
    lines.extend(named("penalties", &penalty));
    lines.extend(named("constraints", &constraint));
    lines
}

/// One line: what is done to the first input before the network sees it.
pub(crate) fn normalizer(normalizer: &Normalizer) -> String {
    let list = |numbers: &[f32]| {
        let shown: Vec<String> = numbers.iter().take(SHOWN).map(f32::to_string).collect();
        let more = if numbers.len() > SHOWN { ", …" } else { "" };
        format!("{}{more}", shown.join(", "))
    };
    match normalizer {
        Normalizer::Standardize { mean, deviation } => format!(
            "normalizer: standardize {} channels, mean {}; deviation {}",
            mean.len(),
            list(mean),
            list(deviation)
        ),
        Normalizer::MinMax {
            minimum,
            maximum,
            target: [low, high],
        } => format!(
            "normalizer: {} channels, minimum {}; maximum {}; becomes {low} to {high}",
            minimum.len(),
            list(minimum),
            list(maximum)
        ),
        Normalizer::Image { low, high, pixel } => {
            format!("normalizer: image, 0 to {pixel} becomes {low} to {high}")
        }
    }
}

/// Channels whose numbers are shown.
const SHOWN: usize = 4;

/// A constant rate is its number; a schedule is told by its first.
fn rate(rate: &LearningRate) -> String {
    match rate {
        LearningRate::Constant(rate) => number(&rate.to_string()),
        schedule => format!("{} at first, by a schedule", number(&schedule.at(0).to_string())),
    }
}

/// `Adam { beta1: 0.9 }` becomes `Adam (beta1 0.9)`.
fn constants(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    let Some((name, fields)) = text.split_once(" { ") else {
        return text;
    };
    let fields: Vec<String> = fields
        .trim_end_matches(" }")
        .split(", ")
        .map(|field| match field.split_once(": ") {
            Some((key, value)) => format!("{key} {}", number(value)),
            None => field.to_owned(),
        })
        .collect();
    format!("{name} ({})", fields.join(", "))
}

/// A number as it was meant: optimisers keep their constants in 32 bits, and 0.02 is no neater number there.
fn number(text: &str) -> String {
    text.parse::<f32>()
        .map_or_else(|_| text.to_owned(), |value| value.to_string())
}

/// `MeanSquaredError` becomes `mean squared error`.
fn words(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    if text.parse::<f32>().is_ok() {
        return number(&text);
    }
    let mut words = String::new();
    for character in text.chars() {
        if character.is_uppercase() && words.ends_with(|last: char| last.is_lowercase()) {
            words.push(' ');
        }
        words.extend(character.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use caribou_ir::{LossKind, UpdaterKind};

    #[test]
    fn names_and_constants_are_words() {
        assert_eq!(words(&LossKind::MeanSquaredError), "mean squared error");
        assert_eq!(constants(&UpdaterKind::Sgd), "Sgd");
        let momentum = UpdaterKind::Nesterovs { momentum: 0.9 };
        assert_eq!(constants(&momentum), "Nesterovs (momentum 0.9)");
        assert_eq!(words(&0.019_999_999_552_965_164), "0.02");
    }
}
