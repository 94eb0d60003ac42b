//! Models that compute in another precision than float32, in which they are carried over.

use crate::config::{Model, parse_nested};
use caribou_ir::{Code, Finding, Findings, Severity};
use serde_json::Value;
use std::collections::BTreeMap;

/// The model computes in another precision.
const PRECISION: Code = Code("K0606");
/// Deeper than this no model is nested; serde_json has refused deeper texts before.
const MAX_DEPTH: usize = 128;

/// Notes the policies of all layers that are not float32.
pub(crate) fn note(model: &Model, findings: &mut Findings) {
    let mut policies = BTreeMap::new();
    count(model, &mut policies, 0);
    for (policy, layers) in policies {
        let message = format!(
            "{layers} layers compute in {policy}: they are carried over in float32, with the stored weights"
        );
        findings.push(Finding::new(Severity::Note, PRECISION, None, message));
    }
}

fn count(model: &Model, policies: &mut BTreeMap<String, usize>, depth: usize) {
    for layer in model.layers.iter().filter(|layer| layer.class != "InputLayer") {
        if let (Some(Ok(nested)), true) = (parse_nested(layer), depth < MAX_DEPTH) {
            count(&nested, policies, depth + 1);
        } else if let Some(policy) = layer.config.get("dtype").and_then(policy)
            && ["16", "64"].iter().any(|bits| policy.ends_with(bits))
            && policy.contains("float")
        {
            *policies.entry(policy.to_owned()).or_default() += 1;
        }
    }
}

/// The name of a policy: a string, or an object that has one.
fn policy(dtype: &Value) -> Option<&str> {
    dtype
        .as_str()
        .or_else(|| dtype.pointer("/config/name").and_then(Value::as_str))
}
