//! What the backend of multi-backend Keras, before it was TensorFlow alone, means for the weights.

use crate::config::{Model, parse_nested};
use caribou_ir::{Code, Finding, Findings, Origin};

/// Weights of a backend that stores them otherwise.
const BACKEND: Code = Code("K0605");
/// Deeper than this no model is nested; serde_json has refused deeper texts before.
const MAX_DEPTH: usize = 128;

/// Theano computes true convolutions, which turn the kernel over, where all others correlate: its convolutions are
/// refused.
pub(crate) fn check(model: &Model, backend: Option<&str>, findings: &mut Findings) {
    if backend == Some("theano") {
        refuse(model, findings, 0);
    }
}

fn refuse(model: &Model, findings: &mut Findings, depth: usize) {
    for layer in &model.layers {
        if let (Some(Ok(nested)), true) = (parse_nested(layer), depth < MAX_DEPTH) {
            refuse(&nested, findings, depth + 1);
        } else if layer.class.contains("Conv") || layer.class.starts_with("TimeDistributed") {
            let origin = Origin::new(layer.name.as_str(), layer.class.as_str());
            findings.push(
                Finding::error(BACKEND, &origin, "its kernel was trained with Theano, which turns kernels over")
                    .with_help("load the model in Keras 2 with the TensorFlow backend, which converts it, and save it again"),
            );
        }
    }
}
