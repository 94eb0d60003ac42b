//! What training does to the parameters of one layer: `trainable`, regularizers and constraints.

use crate::config::Attributes;
use caribou_ir::{Constraint, LayerTraining, Regularization};
use serde_json::Value;

/// The keys of the kernels of a layer: what they ask for must be the same, where there are several.
const KERNELS: &[&str] = &["kernel", "recurrent", "depthwise", "pointwise", "embeddings"];
/// Parameters that DL4J neither regularises nor constrains.
const OTHERS: &[&str] = &["gamma", "beta", "alpha", "activity"];

/// What the configuration of a layer says about its training, and in words what of it gets lost.
pub(crate) fn read(config: &Attributes, frozen: bool) -> (LayerTraining, Vec<String>) {
    let mut lost = Vec::new();
    let get = |key: String| config.get(&key).filter(|value| !value.is_null());
    let mut training = LayerTraining {
        frozen: frozen || config.flag_or("trainable", true) == Ok(false),
        ..LayerTraining::default()
    };
    let has = |kernel: &str| config.0.contains_key(&format!("{kernel}_regularizer"));
    let kernels: Vec<&str> = KERNELS.iter().copied().filter(|kernel| has(kernel)).collect();
    let mut all = kernels
        .iter()
        .map(|kernel| regularization(get(format!("{kernel}_regularizer"))));
    match all.next() {
        Some(Ok(first)) if all.all(|other| other.as_ref() == Ok(&first)) => training.regularization = first,
        Some(_) => lost.push("its kernel regularizers".to_owned()),
        None => {}
    }
    let axes = |value: &Value| value.pointer("/config/axis").cloned();
    let mut all = kernels.iter().map(|kernel| get(format!("{kernel}_constraint")));
    match all.next() {
        Some(first) if all.all(|other| other == first) => {
            match first.map(|value| (constraint(value), axes(value))) {
                None => {}
                Some((Ok(Constraint::NonNegative), _)) => training.constraint = Some(Constraint::NonNegative),
                Some((Ok(constraint), axis)) if per_unit(kernels[0], config, axis.as_ref()) => {
                    training.constraint = Some(constraint);
                }
                Some((Ok(_), _)) => {
                    lost.push("the axis of its kernel constraint, and so the constraint".to_owned())
                }
                Some((Err(what), _)) => lost.push(what),
            }
        }
        Some(_) => lost.push("its kernel constraints, of which only some are there,".to_owned()),
        None => {}
    }
    match regularization(get("bias_regularizer".into())) {
        Ok(bias) => training.bias_regularization = bias,
        Err(what) => lost.push(what),
    }
    match get("bias_constraint".into()).map(constraint) {
        None => {}
        Some(Ok(Constraint::NonNegative)) => training.bias_constraint = Some(Constraint::NonNegative),
        Some(Ok(_)) => lost.push("its bias constraint".to_owned()),
        Some(Err(what)) => lost.push(what),
    }
    for parameter in OTHERS {
        for what in ["regularizer", "constraint"] {
            let key = format!("{parameter}_{what}");
            if get(key.clone()).is_some() {
                lost.push(format!("its {key}"));
            }
        }
    }
    (training, lost)
}

/// The configuration of the layer inside a wrapper.
pub(crate) fn wrapped(config: &Attributes) -> Option<Attributes> {
    let inner = config.get("layer")?.get("config")?.as_object()?;
    Some(Attributes(inner.clone()))
}

/// Whether the norm of a constraint goes over what leads into one unit or filter: the only one that DL4J is given.
fn per_unit(kernel: &str, config: &Attributes, axis: Option<&Value>) -> bool {
    let axes: Vec<u64> = match axis {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_u64).collect(),
        Some(value) => value.as_u64().into_iter().collect(),
        None => vec![0],
    };
    match config.get("kernel_size").and_then(Value::as_array).map(Vec::len) {
        _ if kernel != "kernel" => false,
        None => axes == [0],
        Some(2) => axes == [0, 1, 2],
        Some(_) => false,
    }
}

fn class(value: &Value) -> &str {
    let name = match value {
        Value::String(name) => name,
        other => other
            .get("class_name")
            .and_then(Value::as_str)
            .unwrap_or_default(),
    };
    name.rsplit('>').next().unwrap_or(name)
}

fn regularization(value: Option<&Value>) -> Result<Regularization, String> {
    let Some(value) = value else {
        return Ok(Regularization::default());
    };
    let number = |key: &str, default: f64| {
        let found = value.get("config").and_then(|config| config.get(key));
        found.and_then(Value::as_f64).unwrap_or(default)
    };
    let class = class(value).to_lowercase();
    // A name alone stands for the defaults; an object has both factors, or the one of its class.
    let (l1, l2) = match (&*class, value.is_string()) {
        ("l1", true) => (0.01, 0.0),
        ("l2", true) => (0.0, 0.01),
        ("l1l2" | "l1_l2", true) => (0.01, 0.01),
        ("l1" | "l2" | "l1l2" | "l1_l2", false) => (number("l1", 0.0), number("l2", 0.0)),
        _ => return Err(format!("the regularizer {class}")),
    };
    Ok(Regularization { l1, l2 })
}

fn constraint(value: &Value) -> Result<Constraint, String> {
    let number = |key: &str, default: f64| {
        let found = value.get("config").and_then(|config| config.get(key));
        found.and_then(Value::as_f64).unwrap_or(default)
    };
    match &*class(value).to_lowercase().replace('_', "") {
        "maxnorm" => Ok(Constraint::MaxNorm(number("max_value", number("m", 2.0)))),
        "nonneg" => Ok(Constraint::NonNegative),
        "unitnorm" => Ok(Constraint::UnitNorm),
        "minmaxnorm" => Ok(Constraint::MinMaxNorm {
            min: number("min_value", 0.0),
            max: number("max_value", 1.0),
            rate: number("rate", 1.0),
        }),
        other => Err(format!("the constraint {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn attributes(value: Value) -> Attributes {
        match value {
            Value::Object(map) => Attributes(map),
            _ => Attributes(serde_json::Map::new()),
        }
    }

    #[test]
    fn kernels_that_are_treated_alike_are_carried_over() {
        let l2 = json!({"class_name": "L2", "config": {"l2": 0.5}});
        let same = attributes(json!({"kernel_regularizer": l2, "recurrent_regularizer": l2}));
        let (training, lost) = read(&same, false);
        assert_eq!(training.regularization, Regularization { l1: 0.0, l2: 0.5 });
        assert!(lost.is_empty());
        let (_, lost) = read(
            &attributes(json!({"kernel_regularizer": l2, "recurrent_regularizer": null})),
            false,
        );
        assert_eq!(lost.len(), 1);
    }

    #[test]
    fn a_norm_over_other_axes_is_told() {
        let max = |axis: Value| json!({"class_name": "MaxNorm", "config": {"max_value": 2, "axis": axis}});
        let config = |axis| attributes(json!({"kernel_regularizer": null, "kernel_constraint": max(axis)}));
        assert_eq!(
            read(&config(json!(0)), false).0.constraint,
            Some(Constraint::MaxNorm(2.0))
        );
        let (training, lost) = read(&config(json!(1)), false);
        assert_eq!((training.constraint, lost.len()), (None, 1));
    }

    #[test]
    fn what_dl4j_has_no_field_for_is_told() {
        let config = attributes(json!({"trainable": false, "activity_regularizer": "l2"}));
        let (training, lost) = read(&config, false);
        assert!(training.frozen);
        assert_eq!(lost, ["its activity_regularizer"]);
    }
}
