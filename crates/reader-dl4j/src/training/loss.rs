//! The losses of the outputs.

use super::{Part, core, lost};
use caribou_ir::{Findings, Loss, LossKind};
use caribou_writer_dl4j::format::{Configuration, Layer, LossFunction, RowVector};

/// The losses of the outputs, as DL4J computes them.
pub(super) fn losses(configuration: &Configuration, parts: &[Part], findings: &mut Findings) -> Vec<Loss> {
    let outputs: Vec<&str> = match configuration {
        Configuration::MultiLayer(_) => parts.last().map(|part| part.name.as_str()).into_iter().collect(),
        Configuration::Graph(network) => network.network_outputs.iter().map(String::as_str).collect(),
    };
    let mut losses = Vec::new();
    for (output, name) in outputs.into_iter().enumerate() {
        let part = parts.iter().find(|part| part.name == name);
        let function = match part.map(|part| core(&part.layer)) {
            Some(Layer::OutputLayer(layer)) => &layer.loss_fn,
            Some(Layer::RnnOutputLayer(layer)) => &layer.loss_fn,
            Some(Layer::LossLayer(layer)) => &layer.loss_fn,
            Some(Layer::RnnLossLayer(layer)) => &layer.loss_fn,
            Some(Layer::CnnLossLayer(layer)) => &layer.loss_fn,
            Some(Layer::Cnn3DLossLayer(layer)) => &layer.loss_fn,
            Some(Layer::CenterLossOutputLayer(layer)) => {
                let message =
                    format!("{name}: the part of its loss that pulls towards centres is not carried over");
                lost(findings, message);
                &layer.loss_fn
            }
            _ => continue,
        };
        let Some((kind, clip, weights)) = kind(function) else {
            lost(
                findings,
                format!("{name}: its loss is not known, and the usual one takes its place"),
            );
            continue;
        };
        let (weight, features) = match weights.map(|row| row.data.as_slice()) {
            None => (1.0, Vec::new()),
            Some([first, rest @ ..]) if rest.iter().all(|weight| weight == first) => (*first, Vec::new()),
            Some(row) => (1.0, row.to_vec()),
        };
        losses.push(Loss {
            output,
            kind,
            weight,
            features,
            clip,
            summed: true,
        });
    }
    losses
}

/// The function of a loss, how it clips probabilities, and its weights.
fn kind(function: &LossFunction) -> Option<(LossKind, f64, Option<&RowVector>)> {
    const CLIP: f64 = 1e-10;
    Some(match function {
        LossFunction::Mse { weights } => (LossKind::MeanSquaredError, CLIP, weights.as_ref()),
        LossFunction::Mae { weights } => (LossKind::MeanAbsoluteError, CLIP, weights.as_ref()),
        LossFunction::Mape { weights } => (LossKind::MeanAbsolutePercentageError, CLIP, weights.as_ref()),
        LossFunction::Msle { weights } => (LossKind::MeanSquaredLogarithmicError, CLIP, weights.as_ref()),
        LossFunction::BinaryXent { clip_eps, weights } => {
            (LossKind::BinaryCrossEntropy, *clip_eps, weights.as_ref())
        }
        LossFunction::Mcxent {
            softmax_clip_eps,
            weights,
        } => (
            LossKind::CategoricalCrossEntropy,
            *softmax_clip_eps,
            weights.as_ref(),
        ),
        LossFunction::SparseMcxent {
            softmax_clip_eps,
            weights,
        } => (
            LossKind::SparseCategoricalCrossEntropy,
            *softmax_clip_eps,
            weights.as_ref(),
        ),
        LossFunction::Hinge => (LossKind::Hinge, CLIP, None),
        LossFunction::SquaredHinge => (LossKind::SquaredHinge, CLIP, None),
        LossFunction::Kld => (LossKind::KullbackLeiblerDivergence, CLIP, None),
        LossFunction::Poisson => (LossKind::Poisson, CLIP, None),
        LossFunction::CosineProximity => (LossKind::CosineSimilarity, CLIP, None),
        LossFunction::Unknown(value) => {
            // The same function under an older name.
            let class = value.get("@class")?.as_str()?;
            let weighted = value.get("weights").is_some_and(|weights| !weights.is_null());
            if !class.ends_with(".LossNegativeLogLikelihood") || weighted {
                return None;
            }
            (LossKind::CategoricalCrossEntropy, CLIP, None)
        }
    })
}
