//! What the source says about its training, in words.

use caribou_ir::{
    Clipping, Count, Graph, LayerTraining, LearningRate, Normalizer, Regularization, Training, Updater,
};
use caribou_reader_dl4j::is_field;
use std::collections::HashSet;
use std::fmt::Debug;

/// One line: the optimiser with its constants, then the loss of each output.
///
/// Of an archive, what is a field of a layer is not listed beside it.
pub(crate) fn training(training: &Training, graph: &Graph) -> String {
    let mut parts = Vec::new();
    if let Some(updater) = &training.updater {
        parts.push(format!("optimizer {}", optimizer(updater)));
    }
    for loss in &training.losses {
        let output = graph
            .outputs()
            .get(loss.output)
            .map_or("?", |port| port.name.as_str());
        let features: Vec<String> = loss.features.iter().map(f64::to_string).collect();
        let weighted = match features.is_empty() {
            true => String::new(),
            false => format!(" (features weighted {})", features.join(", ")),
        };
        parts.push(format!("loss of {output}: {}{weighted}", words(&loss.kind)));
    }
    if parts.is_empty() {
        parts.push("compiled, without an optimizer or loss that is known".to_owned());
    }
    let mut lines = vec![parts.join("; ")];
    lines.extend(besides(training, graph));
    lines.join("\n")
}

/// A line for each of the rest that is said: what is done to gradients, the steps so far, and what is special to layers.
fn besides(training: &Training, graph: &Graph) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(updater) = &training.updater {
        if updater.weight_decay != 0.0 {
            lines.push(format!(
                "weight decay {}",
                number(&updater.weight_decay.to_string())
            ));
        }
        if let Some(clipping) = updater.clipping {
            lines.push(gradients(clipping));
        }
    }
    if let Some(state) = &training.state {
        let epochs = match state.epochs {
            0 => String::new(),
            epochs => format!(", {epochs} epochs"),
        };
        lines.push(format!("{} steps so far{epochs}", state.iterations));
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
    let own = |updater: &Option<Updater>| {
        let updater = updater.as_ref()?;
        let decay = match updater.weight_decay {
            0.0 => String::new(),
            decay => format!(", weight decay {}", number(&decay.to_string())),
        };
        let clipping = updater
            .clipping
            .map_or_else(String::new, |clipping| format!(", {}", gradients(clipping)));
        Some(format!(" ({}{decay}{clipping})", optimizer(updater)))
    };
    lines.extend(named("optimizers of their own", &|layer| own(&layer.updater)));
    lines.extend(named("optimizers of their biases", &|layer| {
        own(&layer.bias_updater)
    }));
    let layers: HashSet<&str> = graph
        .nodes()
        .filter(|(_, node)| !is_field(&node.origin))
        .map(|(_, node)| &*node.origin.layer)
        .collect();
    let frozen: Vec<&str> = training
        .layers
        .iter()
        .filter(|(name, layer)| layer.frozen && layers.contains(name.as_str()))
        .map(|(name, _)| name.as_str())
        .collect();
    if !frozen.is_empty() {
        lines.push(format!("frozen: {}", frozen.join(", ")));
    }
    let kept = training.layers.iter().filter_map(|(name, layer)| {
        // The dropout that is a field of a layer is told by the name of the layer.
        let own = match layers.contains(name.as_str()) {
            true => name,
            false => name.trim_end_matches("_dropout"),
        };
        Some(format!("{own} ({})", rate(&layer.kept.as_ref()?.values)))
    });
    let kept: Vec<String> = kept.collect();
    if !kept.is_empty() {
        lines.push(format!(
            "dropout that keeps a share by schedule: {}",
            kept.join(", ")
        ));
    }
    lines.extend(named("penalties", &penalty));
    lines.extend(named("constraints", &constraint));
    lines
}

/// What is done to gradients.
fn gradients(clipping: Clipping) -> String {
    let (what, limit) = match clipping {
        Clipping::Value(limit) => ("each element", Some(limit)),
        Clipping::Norm(limit) => ("the norm of each parameter", Some(limit)),
        Clipping::LayerNorm(limit) => ("the norm of each layer", Some(limit)),
        Clipping::Unit => ("each parameter", None),
        Clipping::LayerUnit => ("each layer", None),
    };
    match limit {
        Some(limit) => format!("gradients clipped: {what} to {}", number(&limit.to_string())),
        None => format!("gradients scaled: {what} to a norm of 1"),
    }
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

/// The rule with its constants and its rate.
fn optimizer(updater: &Updater) -> String {
    let counted = match (&updater.learning_rate, updater.counts) {
        (LearningRate::Constant(_), _) | (_, Count::Steps) => "",
        (_, Count::Epochs) => " by epoch",
    };
    let momentum = updater.momentum.as_ref().map_or_else(String::new, |course| {
        format!(", momentum {}", rate(&course.values))
    });
    let rate = rate(&updater.learning_rate);
    format!(
        "{}, learning rate {rate}{counted}{momentum}",
        constants(&updater.kind)
    )
}

/// A constant rate is its number; a schedule is told with its constants.
fn rate(rate: &LearningRate) -> String {
    match rate {
        LearningRate::Constant(rate) => number(&rate.to_string()),
        LearningRate::Piecewise(stairs) => {
            let told: Vec<String> = stairs
                .iter()
                .take(SHOWN)
                .map(|(from, rate)| format!("{from}: {}", number(&rate.to_string())))
                .collect();
            let more = if stairs.len() > SHOWN { ", …" } else { "" };
            format!("piecewise ({}{more})", told.join(", "))
        }
        schedule => constants(schedule).to_lowercase(),
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
