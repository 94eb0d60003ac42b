//! How a network was being trained: the rule, rate and penalties of a `solver.prototxt`, and the multipliers of layers.

use crate::layers::{self, Support};
use crate::net::Net;
use crate::schema::SolverParameter;
use crate::schema::solver_parameter::SolverType;
use caribou_ir::{
    Code, Finding, Findings, LayerTraining, LearningRate, Origin, Place, Regularization, Severity, Training,
    Updater, UpdaterKind,
};

/// Something of the solver that was not carried over.
const NOT_CARRIED: Code = Code("C0501");

/// A solver: what it says, and its text, for where it says it.
pub(crate) struct Solver<'a> {
    pub(crate) says: &'a SolverParameter,
    pub(crate) text: &'a [u8],
}

impl Solver<'_> {
    /// Where the field `name` stands first, outside of comments.
    fn place(&self, name: &str) -> Option<Place> {
        let text = String::from_utf8_lossy(self.text);
        let found = text.lines().enumerate().find_map(|(line, text)| {
            let text = text.split('#').next()?;
            let mut words = text.match_indices(name);
            let at = words.find_map(|(at, _)| {
                let whole = !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
                let is_field = text[at + name.len()..].trim_start().starts_with(':');
                (whole && is_field).then_some(at)
            })?;
            Some((line + 1, at + 1))
        });
        let (line, column) = found?;
        Some(Place::Line {
            line: u32::try_from(line).ok()?,
            column: u32::try_from(column).ok()?,
        })
    }

    /// Warns of what the field `name` says.
    fn warn(&self, findings: &mut Findings, name: &str, message: impl Into<String>) {
        let origin = Origin::new("(solver)", name);
        let origin = match self.place(name) {
            Some(place) => origin.at(place),
            None => origin,
        };
        findings.push(Finding::warning(NOT_CARRIED, &origin, message));
    }
}

fn warn(findings: &mut Findings, message: impl Into<String>) {
    findings.push(Finding::new(Severity::Warning, NOT_CARRIED, None, message));
}

/// The training that a solver describes, of the layers of `net`.
pub(crate) fn training(file: &Solver<'_>, net: &Net, findings: &mut Findings) -> Training {
    let solver = file.says;
    let kind = rule(file, findings);
    let learning_rate = rate(solver).unwrap_or_else(|why| {
        let message = format!(
            "the learning-rate policy {} {why}; the rate it starts with, {}, is written",
            solver.lr_policy(),
            solver.base_lr()
        );
        file.warn(findings, "lr_policy", message);
        LearningRate::Constant(f64::from(solver.base_lr()))
    });
    if solver.lr_policy() == "poly" {
        let message = format!(
            "its rate ends at zero with step {} (max_iter): training beyond that has no rate that means anything",
            solver.max_iter()
        );
        let origin = Origin::new("(solver)", "lr_policy");
        findings.push(Finding::note(NOT_CARRIED, &origin, message));
    }
    if solver.clip_gradients() >= 0.0 {
        let message = "it bounds the norm of all gradients together, which DL4J can't: nothing is clipped";
        file.warn(findings, "clip_gradients", message);
    }
    if solver.iter_size() > 1 {
        let message = format!("use batches {} times as large in DL4J", solver.iter_size());
        file.warn(findings, "iter_size", message);
    }
    let updater = Updater {
        learning_rate,
        ..Updater::new(kind, 0.0)
    };
    let mut training = Training {
        updater: Some(updater),
        ..Training::default()
    };
    let mut multiplied = 0usize;
    for layer in &net.layers {
        if !matches!(
            layers::of(&layer.kind).map(|row| row.support),
            Some(Support::Read(_))
        ) {
            continue;
        }
        let spec = |index: usize| layer.parameters.param.get(index).cloned().unwrap_or_default();
        let decay = |index: usize| f64::from(solver.weight_decay() * spec(index).decay_mult());
        let own = LayerTraining {
            // The statistics of a normalisation have no rate anyway.
            frozen: layer.kind != "BatchNorm"
                && !layer.parameters.param.is_empty()
                && layer.parameters.param.iter().all(|spec| spec.lr_mult() == 0.0),
            regularization: penalty(solver, decay(0)),
            bias_regularization: penalty(solver, decay(1)),
            ..LayerTraining::default()
        };
        multiplied += usize::from(
            !own.frozen
                && layer
                    .parameters
                    .param
                    .iter()
                    .any(|spec| spec.lr_mult() != 1.0 && layer.kind != "BatchNorm"),
        );
        if own != LayerTraining::default() {
            training.layers.insert(layer.origin().layer.to_string(), own);
        }
    }
    if multiplied > 0 {
        warn(
            findings,
            format!(
                "the multipliers of the learning rate (lr_mult) of {multiplied} layers were not carried over"
            ),
        );
    }
    training
}

/// Caffe adds `decay * w` to a gradient, which is that of half the square.
fn penalty(solver: &SolverParameter, decay: f64) -> Regularization {
    match solver.regularization_type() {
        "L1" => Regularization { l1: decay, l2: 0.0 },
        _ => Regularization {
            l1: 0.0,
            l2: decay / 2.0,
        },
    }
}

fn rule(file: &Solver<'_>, findings: &mut Findings) -> UpdaterKind {
    let solver = file.says;
    let old = solver
        .solver_type
        .and_then(|kind| SolverType::try_from(kind).ok());
    let name = match old {
        Some(SolverType::Nesterov) => "Nesterov",
        Some(SolverType::Adagrad) => "AdaGrad",
        Some(SolverType::Rmsprop) => "RMSProp",
        Some(SolverType::Adadelta) => "AdaDelta",
        Some(SolverType::Adam) => "Adam",
        Some(SolverType::Sgd) | None => solver.r#type(),
    };
    let (momentum, epsilon) = (f64::from(solver.momentum()), f64::from(solver.delta()));
    match name {
        "Nesterov" => UpdaterKind::Nesterovs { momentum },
        "AdaGrad" => UpdaterKind::AdaGrad { epsilon },
        "RMSProp" => UpdaterKind::RmsProp {
            decay: f64::from(solver.rms_decay()),
            epsilon,
        },
        "AdaDelta" => UpdaterKind::AdaDelta {
            rho: momentum,
            epsilon,
        },
        "Adam" => UpdaterKind::Adam {
            beta1: momentum,
            beta2: f64::from(solver.momentum2()),
            epsilon,
        },
        other => {
            if other != "SGD" {
                let message = format!("the solver {other} is not known; gradient descent is written");
                file.warn(findings, "type", message);
            }
            match momentum {
                0.0 => UpdaterKind::Sgd,
                momentum => UpdaterKind::Momentum { momentum },
            }
        }
    }
}

/// The schedule of the policy, or why there is none.
fn rate(solver: &SolverParameter) -> Result<LearningRate, &'static str> {
    let (initial, gamma) = (f64::from(solver.base_lr()), f64::from(solver.gamma()));
    let power = f64::from(solver.power());
    match solver.lr_policy() {
        "fixed" | "" => Ok(LearningRate::Constant(initial)),
        "step" if solver.stepsize() > 0 => Ok(LearningRate::Step {
            initial,
            decay: gamma,
            steps: f64::from(solver.stepsize()),
        }),
        "step" => Err("needs a stepsize above zero"),
        "exp" => Ok(LearningRate::Exponential { initial, gamma }),
        "inv" => Ok(LearningRate::Inverse {
            initial,
            gamma,
            power,
        }),
        "multistep" => {
            let stairs = solver.stepvalue.iter().enumerate().map(|(index, &from)| {
                let exponent = i32::try_from(index + 1).unwrap_or(i32::MAX);
                (u64::try_from(from).unwrap_or(0), initial * gamma.powi(exponent))
            });
            Ok(LearningRate::Piecewise(
                std::iter::once((0, initial)).chain(stairs).collect(),
            ))
        }
        // initial * (1 - t / max_iter)^power
        "poly" if solver.max_iter() > 0 => Ok(LearningRate::Inverse {
            initial,
            gamma: -1.0 / f64::from(solver.max_iter()),
            power: -power,
        }),
        "poly" => Err("needs a max_iter above zero"),
        "sigmoid" => Ok(LearningRate::Sigmoid {
            initial,
            gamma,
            middle: solver.stepsize(),
        }),
        _ => Err("is not known"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solver(policy: &str) -> SolverParameter {
        SolverParameter {
            base_lr: Some(8.0),
            gamma: Some(0.5),
            power: Some(2.0),
            stepsize: Some(2),
            stepvalue: vec![1, 3],
            max_iter: Some(4),
            lr_policy: Some(policy.to_owned()),
            ..SolverParameter::default()
        }
    }

    #[test]
    fn policies_give_the_rates_of_caffe() {
        for (policy, expected) in [
            ("fixed", [8.0, 8.0, 8.0, 8.0]),
            ("step", [8.0, 8.0, 4.0, 4.0]),
            ("exp", [8.0, 4.0, 2.0, 1.0]),
            ("multistep", [8.0, 4.0, 4.0, 2.0]),
            ("poly", [8.0, 4.5, 2.0, 0.5]),
            ("inv", [8.0, 8.0 / 2.25, 2.0, 8.0 / 6.25]),
            (
                "sigmoid",
                [
                    2.151_531_370_959_961,
                    3.020_325_350_385_163_4,
                    4.0,
                    4.979_674_649_614_837,
                ],
            ),
        ] {
            let rate = rate(&solver(policy)).unwrap();
            let found: Vec<f64> = (0..4).map(|t| rate.at(t)).collect();
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 1e-9,
                    "{policy}: {found} instead of {expected}"
                );
            }
        }
        assert_eq!(rate(&solver("magic")), Err("is not known"));
    }

    #[test]
    fn what_is_not_carried_over_has_its_line() {
        let text = b"# type: \"Magic\"\nsolver_type: SGD\n  type : \"Magic\" lr_policy: 'x'\n";
        let solver = Solver {
            says: &solver("x"),
            text,
        };
        let place = |line, column| Some(Place::Line { line, column });
        assert_eq!(solver.place("type"), place(3, 3));
        assert_eq!(solver.place("lr_policy"), place(3, 18));
        assert_eq!(solver.place("gamma"), None);
    }
}
