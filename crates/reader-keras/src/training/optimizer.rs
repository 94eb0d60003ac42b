//! Optimizers: the rule, its constants, and what goes with every rule.

use super::schedule;
use caribou_ir::{Clipping, LearningRate, Updater, UpdaterKind};
use serde_json::{Map, Value};

/// An optimizer, and in words what of it will be different.
#[derive(Debug, PartialEq)]
pub(super) struct Read {
    pub(super) updater: Updater,
    pub(super) extra: Extra,
    pub(super) differences: Vec<String>,
}

/// What an optimizer remembers besides the vectors of its rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Extra {
    /// A moving average of each parameter.
    pub(crate) average: bool,
    /// How many gradients are accumulated for one step, if that is more than one.
    pub(crate) accumulation_steps: u64,
}

impl Extra {
    /// How many vectors of each parameter.
    pub(super) fn vectors(&self) -> usize {
        usize::from(self.average) + usize::from(self.accumulation_steps > 1)
    }
}

/// The configuration of an optimizer.
struct Config<'v>(Option<&'v Map<String, Value>>);

impl Config<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.0?.get(key).filter(|value| !value.is_null())
    }

    fn number(&self, key: &str, default: f64) -> f64 {
        self.get(key).and_then(Value::as_f64).unwrap_or(default)
    }

    fn flag(&self, key: &str) -> bool {
        self.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    fn moments(&self) -> (f64, f64, f64) {
        (
            self.number("beta_1", 0.9),
            self.number("beta_2", 0.999),
            self.number("epsilon", 1e-7),
        )
    }
}

/// A rule, or why there is none.
type Rule = Result<UpdaterKind, &'static str>;

/// One class: its name, its default learning rate, its rule, and how DL4J's rule of this name differs, if it does.
struct Row {
    class: &'static str,
    rate: f64,
    rule: fn(&Config<'_>) -> Rule,
    difference: Option<&'static str>,
}

const fn row(
    class: &'static str,
    rate: f64,
    rule: fn(&Config<'_>) -> Rule,
    difference: Option<&'static str>,
) -> Row {
    Row {
        class,
        rate,
        rule,
        difference,
    }
}

const TABLE: &[Row] = &[
    row("SGD", 0.01, sgd, None),
    row("Adam", 1e-3, adam, None),
    row("AdamW", 1e-3, adam, None),
    row(
        "Adamax",
        1e-3,
        adamax,
        Some(
            "DL4J adds no epsilon to the norm: parameters whose gradients are as small as epsilon move faster",
        ),
    ),
    row(
        "Nadam",
        1e-3,
        nadam,
        Some(
            "Keras warms its momentum up and corrects the bias of the second moment, DL4J does neither: the first thousand steps differ",
        ),
    ),
    row(
        "RMSprop",
        1e-3,
        rmsprop,
        Some(
            "Keras adds epsilon inside the root, DL4J outside: parameters whose gradients are below the root of epsilon move faster",
        ),
    ),
    row(
        "Adagrad",
        1e-3,
        adagrad,
        Some(
            "Keras starts its sum of squares at initial_accumulator_value, DL4J at epsilon, unless training goes on from a state",
        ),
    ),
    row("Adadelta", 1e-3, adadelta, None),
];

fn sgd(config: &Config<'_>) -> Rule {
    let momentum = config.number("momentum", 0.0);
    Ok(match (momentum > 0.0, config.flag("nesterov")) {
        (false, _) => UpdaterKind::Sgd,
        (true, false) => UpdaterKind::Momentum { momentum },
        (true, true) => UpdaterKind::Nesterovs { momentum },
    })
}

fn adam(config: &Config<'_>) -> Rule {
    let (beta1, beta2, epsilon) = config.moments();
    Ok(if config.flag("amsgrad") {
        UpdaterKind::AmsGrad {
            beta1,
            beta2,
            epsilon,
        }
    } else {
        UpdaterKind::Adam {
            beta1,
            beta2,
            epsilon,
        }
    })
}

fn adamax(config: &Config<'_>) -> Rule {
    let (beta1, beta2, epsilon) = config.moments();
    Ok(UpdaterKind::AdaMax {
        beta1,
        beta2,
        epsilon,
    })
}

fn nadam(config: &Config<'_>) -> Rule {
    let (beta1, beta2, epsilon) = config.moments();
    Ok(UpdaterKind::Nadam {
        beta1,
        beta2,
        epsilon,
    })
}

fn rmsprop(config: &Config<'_>) -> Rule {
    if config.number("momentum", 0.0) > 0.0 {
        return Err("RMSprop with momentum has no counterpart");
    }
    if config.flag("centered") {
        return Err("centered RMSprop has no counterpart");
    }
    Ok(UpdaterKind::RmsProp {
        decay: config.number("rho", 0.9),
        epsilon: config.number("epsilon", 1e-7),
    })
}

fn adagrad(config: &Config<'_>) -> Rule {
    Ok(UpdaterKind::AdaGrad {
        epsilon: config.number("epsilon", 1e-7),
    })
}

fn adadelta(config: &Config<'_>) -> Rule {
    Ok(UpdaterKind::AdaDelta {
        rho: config.number("rho", 0.95),
        epsilon: config.number("epsilon", 1e-7),
    })
}

/// The optimizer that `spec`, its name or a serialised object, describes.
///
/// # Errors
/// In words, when nothing in the graph stands for it.
pub(super) fn read(spec: &Value) -> Result<Read, String> {
    let class = match spec {
        Value::String(name) => name.as_str(),
        other => other
            .get("class_name")
            .and_then(Value::as_str)
            .unwrap_or("of an unknown kind"),
    };
    // Keras 2.11 and later writes its own classes under a prefix; other prefixes are other packages.
    let plain = class.strip_prefix("Custom>").unwrap_or(class);
    let config = Config(spec.get("config").and_then(Value::as_object));
    if plain == "LossScaleOptimizer" {
        let inner = ["inner_optimizer", "optimizer"]
            .iter()
            .find_map(|key| config.get(key));
        let mut read = read(inner.ok_or("the LossScaleOptimizer has no optimizer inside")?)?;
        let message = "the loss scale of the LossScaleOptimizer was not carried over: DL4J trains in float32";
        read.differences.push(message.into());
        return Ok(read);
    }
    let row = TABLE.iter().find(|row| row.class.eq_ignore_ascii_case(plain));
    let row = row.ok_or_else(|| format!("the optimizer {class} has no counterpart"))?;
    let kind = (row.rule)(&config)?;
    let mut differences: Vec<String> = Vec::new();
    differences.extend(row.difference.map(|difference| format!("{plain}: {difference}")));
    let iterations = config.number("iterations", 0.0);
    let rate = config.get("learning_rate").or_else(|| config.get("lr"));
    let learning_rate = match rate.map(|rate| (rate, rate.as_f64())) {
        None => LearningRate::Constant(row.rate),
        Some((_, Some(rate))) => match config.number("decay", 0.0) {
            decay if decay > 0.0 => LearningRate::Inverse {
                initial: rate,
                gamma: decay,
                power: 1.0,
            },
            _ => LearningRate::Constant(rate),
        },
        Some((schedule, None)) => match schedule::read(schedule) {
            Ok(rate) => rate,
            Err(refused) => {
                differences.push(format!(
                    "{}; its first rate, {}, is kept throughout",
                    refused.message, refused.initial
                ));
                LearningRate::Constant(refused.initial)
            }
        },
    };
    if let UpdaterKind::AdaDelta { .. } = kind
        && learning_rate.at(iterations as u64) != 1.0
    {
        differences.push("Adadelta: DL4J has no learning rate for it, which is that of rate one".into());
    }
    let weight_decay = config.number("weight_decay", if plain == "AdamW" { 0.004 } else { 0.0 });
    let clipping = match (config.get("clipnorm"), config.get("clipvalue")) {
        (Some(norm), _) => norm.as_f64().map(Clipping::Norm),
        (None, Some(value)) => value.as_f64().map(Clipping::Value),
        (None, None) => None,
    };
    for (key, what) in [
        (
            "global_clipnorm",
            "global_clipnorm: DL4J has no norm over all layers",
        ),
        ("gradient_accumulation_steps", "gradient_accumulation_steps"),
    ] {
        if config.get(key).is_some() {
            differences.push(format!("{what} was not carried over"));
        }
    }
    if config.flag("use_ema") {
        differences.push("use_ema: the moving average of the weights was not carried over".into());
    }
    Ok(Read {
        updater: Updater {
            learning_rate,
            weight_decay,
            clipping,
            ..Updater::new(kind, 0.0)
        },
        extra: Extra {
            average: config.flag("use_ema"),
            accumulation_steps: config
                .get("gradient_accumulation_steps")
                .and_then(Value::as_u64)
                .unwrap_or_default(),
        },
        differences,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn momentum_is_nesterov_only_where_it_says_so() {
        let spec = |nesterov: bool| {
            json!({"class_name": "Custom>SGD",
                   "config": {"learning_rate": 0.1, "momentum": 0.9, "nesterov": nesterov}})
        };
        let kind = |nesterov| read(&spec(nesterov)).unwrap().updater.kind;
        assert_eq!(kind(false), UpdaterKind::Momentum { momentum: 0.9 });
        assert_eq!(kind(true), UpdaterKind::Nesterovs { momentum: 0.9 });
    }

    #[test]
    fn what_has_no_counterpart_is_named() {
        for (spec, word) in [
            (json!({"class_name": "Lion", "config": {}}), "Lion"),
            (json!({"class_name": "Custom>Ftrl", "config": {}}), "Ftrl"),
            (
                json!({"class_name": "Addons>AdamW", "config": {}}),
                "Addons>AdamW",
            ),
            (
                json!({"class_name": "RMSprop", "config": {"centered": true}}),
                "centered",
            ),
            (json!(7), "unknown"),
        ] {
            let error = read(&spec).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn a_name_alone_stands_for_the_defaults() {
        let read = read(&json!("adam")).unwrap();
        assert_eq!(read.updater.learning_rate, LearningRate::Constant(1e-3));
        assert!(read.differences.is_empty());
    }

    #[test]
    fn the_decay_of_old_optimizers_is_a_schedule() {
        let spec = json!({"class_name": "SGD", "config": {"lr": 0.5, "decay": 0.25}});
        let rate = read(&spec).unwrap().updater.learning_rate;
        assert_eq!([rate.at(0), rate.at(4)], [0.5, 0.25]);
    }
}
