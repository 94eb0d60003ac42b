//! Parameters that are NaN or infinite: the text format has words for both, and damage makes them.

use super::Layer;
use crate::layers::{self, Support};
use caribou_ir::{Code, Finding, Findings, Place};
use prost_reflect::{DynamicMessage, Value};

/// A parameter that is no number.
const NOT_FINITE: Code = Code("C0109");

/// Fields whose numbers may be infinite, or decide nothing in a trained network.
const FREE: [&str; 2] = ["clip_param.", "_filler."];

/// One such parameter.
#[derive(Debug, Clone)]
pub(crate) struct NotFinite {
    /// The names of the fields that lead to it, with dots between.
    path: String,
    value: f64,
    /// Where its layer stands.
    layer: Place,
}

/// All such parameters of the layers of a network, which stand at `layer` and `layers`.
pub(crate) fn not_finite(net: &DynamicMessage, layer: &[Place], layers: &[Place]) -> Vec<NotFinite> {
    let mut found = Vec::new();
    for (list, places) in [("layer", layer), ("layers", layers)] {
        let Some(all) = net.get_field_by_name(list) else {
            continue;
        };
        let messages = all.as_list().into_iter().flatten();
        for (message, &layer) in messages.zip(places) {
            collect(message, list, layer, &mut found);
        }
    }
    found
}

fn collect(value: &Value, path: &str, layer: Place, found: &mut Vec<NotFinite>) {
    let number = match value {
        Value::Message(message) => {
            for (field, inner) in message.fields() {
                collect(inner, &format!("{path}.{}", field.name()), layer, found);
            }
            return;
        }
        Value::List(all) => {
            all.iter().for_each(|inner| collect(inner, path, layer, found));
            return;
        }
        Value::F32(number) => f64::from(*number),
        Value::F64(number) => *number,
        _ => return,
    };
    if !number.is_finite() && !FREE.iter().any(|free| path.contains(free)) {
        found.push(NotFinite {
            path: path.to_owned(),
            value: number,
            layer,
        });
    }
}

/// Refuses layers that have such parameters, by name.
pub(super) fn report(found: &[NotFinite], net: &[Layer], findings: &mut Findings) {
    for number in found {
        let layer = net.iter().find(|layer| layer.place == number.layer);
        let Some(layer) = layer.filter(|layer| {
            let support = layers::of(&layer.kind).map(|row| row.support);
            !matches!(support, Some(Support::Training(_)))
        }) else {
            continue;
        };
        let message = format!("{} is {}, which is no number", number.path, number.value);
        let help = "give it a number; check that the file arrived whole";
        findings.push(Finding::error(NOT_FINITE, &layer.origin(), message).with_help(help));
    }
}
