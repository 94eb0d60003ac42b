//! Learning-rate schedules, by the number of steps before.

use caribou_ir::LearningRate;
use serde_json::Value;

/// A schedule that nothing stands for.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) message: String,
    /// The rate that it starts with.
    pub(super) initial: f64,
}

/// The schedule that a serialised object describes.
///
/// # Errors
/// When the graph has none like it.
pub(super) fn read(spec: &Value) -> Result<LearningRate, Refused> {
    let class = spec
        .get("class_name")
        .and_then(Value::as_str)
        .unwrap_or("of an unknown kind");
    let plain = class.rsplit('>').next().unwrap_or(class);
    let config = spec.get("config").unwrap_or(&Value::Null);
    let number = |key: &str| config.get(key).and_then(Value::as_f64);
    let flag = |key: &str| config.get(key).and_then(Value::as_bool).unwrap_or(false);
    let initial = number("initial_learning_rate").unwrap_or(1e-3);
    let refuse = |why: &str| Refused {
        message: format!("the learning-rate schedule {class} {why}"),
        initial: numbers(config, "values").first().copied().unwrap_or(initial),
    };
    let missing = || refuse("lacks some of its numbers");
    match plain {
        "ExponentialDecay" | "InverseTimeDecay" => {
            let steps = number("decay_steps")
                .filter(|&steps| steps > 0.0)
                .ok_or_else(missing)?;
            let rate = number("decay_rate").ok_or_else(missing)?;
            match (plain, flag("staircase")) {
                ("ExponentialDecay", false) => Ok(LearningRate::Exponential {
                    initial,
                    gamma: rate.powf(1.0 / steps),
                }),
                ("ExponentialDecay", true) => Ok(LearningRate::Step {
                    initial,
                    decay: rate,
                    steps,
                }),
                (_, false) => Ok(LearningRate::Inverse {
                    initial,
                    gamma: rate / steps,
                    power: 1.0,
                }),
                (_, true) => Err(refuse("with staircase has no counterpart")),
            }
        }
        "PiecewiseConstantDecay" => {
            let (boundaries, values) = (numbers(config, "boundaries"), numbers(config, "values"));
            if values.len() != boundaries.len() + 1 {
                return Err(missing());
            }
            // A boundary is the last step of its rate.
            let from =
                std::iter::once(0).chain(boundaries.iter().map(|&boundary| boundary.floor() as u64 + 1));
            Ok(LearningRate::Piecewise(from.zip(values).collect()))
        }
        "PolynomialDecay" if !flag("cycle") => {
            let end = number("end_learning_rate").unwrap_or(1e-4);
            let power = number("power").unwrap_or(1.0);
            sampled(config, |part| (initial - end) * (1.0 - part).powf(power) + end)
                .ok_or_else(|| refuse("has no counterpart at its length"))
        }
        "CosineDecay" if config.get("warmup_target").is_none_or(Value::is_null) => {
            let alpha = number("alpha").unwrap_or(0.0);
            let cosine = |part: f64| 0.5 * (1.0 + (std::f64::consts::PI * part).cos());
            sampled(config, |part| initial * ((1.0 - alpha) * cosine(part) + alpha))
                .ok_or_else(|| refuse("has no counterpart at its length"))
        }
        _ => Err(refuse("has no counterpart")),
    }
}

/// A decay that ends after few enough steps: a stair for each.
fn sampled(config: &Value, rate: impl Fn(f64) -> f64 + Copy) -> Option<LearningRate> {
    /// More steps than this would make the archive's configuration too large: each layer holds the schedule.
    const MOST: f64 = 500.0;
    let steps = config.get("decay_steps").and_then(Value::as_f64)?;
    let stairs =
        move |steps: f64| (0..=steps.ceil() as u64).map(move |t| (t, rate((t as f64 / steps).min(1.0))));
    (1.0..=MOST)
        .contains(&steps)
        .then(|| LearningRate::Piecewise(stairs(steps).collect()))
}

fn numbers(config: &Value, key: &str) -> Vec<f64> {
    let list = config.get(key).and_then(Value::as_array);
    list.map(|list| list.iter().filter_map(Value::as_f64).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rates(class: &str, config: Value, steps: &[u64]) -> Vec<f64> {
        let rate = read(&json!({"class_name": class, "config": config})).unwrap();
        steps.iter().map(|&t| rate.at(t)).collect()
    }

    #[test]
    fn a_boundary_is_the_last_step_of_its_rate() {
        let config = json!({"boundaries": [2, 4], "values": [1.0, 0.5, 0.25]});
        let found = rates("PiecewiseConstantDecay", config, &[0, 2, 3, 4, 5, 9]);
        assert_eq!(found, [1.0, 1.0, 0.5, 0.5, 0.25, 0.25]);
    }

    #[test]
    fn stairs_and_curves_of_exponentials() {
        let config = |stairs| json!({"initial_learning_rate": 8.0, "decay_steps": 2, "decay_rate": 0.25, "staircase": stairs});
        assert_eq!(
            rates("ExponentialDecay", config(true), &[0, 1, 2, 3, 4]),
            [8.0, 8.0, 2.0, 2.0, 0.5]
        );
        assert_eq!(
            rates("ExponentialDecay", config(false), &[0, 1, 2]),
            [8.0, 4.0, 2.0]
        );
    }

    #[test]
    fn what_has_no_counterpart_keeps_its_first_rate() {
        let config = json!({"initial_learning_rate": 0.3, "decay_steps": 1000});
        let refused = read(&json!({"class_name": "CosineDecay", "config": config})).unwrap_err();
        assert_eq!(refused.initial, 0.3);
        assert!(refused.message.contains("CosineDecay"));
    }
}
