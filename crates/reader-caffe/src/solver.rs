//! How a network was being trained: the rule, rate and penalties of a `solver.prototxt`, and the multipliers of layers.

use crate::layers::{self, Support};
use crate::net::Net;
use crate::schema::SolverParameter;
use crate::schema::solver_parameter::SolverType;
use caribou_ir::{
    Code, Finding, Findings, LayerTraining, LearningRate, Regularization, Severity, Training, Updater,
    UpdaterKind,
};

/// Something of the solver that was not carried over.
const NOT_CARRIED: Code = Code("C0501");

/// More stairs than this would make an archive's configuration too large: each layer holds the schedule.
const MOST_STAIRS: i32 = 500;

fn warn(findings: &mut Findings, message: impl Into<String>) {
    findings.push(Finding::new(Severity::Warning, NOT_CARRIED, None, message));
}

/// The training that `solver` describes, of the layers of `net`.
pub(crate) fn training(solver: &SolverParameter, net: &Net, findings: &mut Findings) -> Training {
    let kind = rule(solver, findings);
    let learning_rate = rate(solver).unwrap_or_else(|| {
        warn(
            findings,
            format!(
                "the learning-rate policy {} has no counterpart; the rate it starts with, {}, is written",
                solver.lr_policy(),
                solver.base_lr()
            ),
        );
        LearningRate::Constant(f64::from(solver.base_lr()))
    });
    if solver.clip_gradients() >= 0.0 {
        warn(
            findings,
            "clip_gradients bounds the norm of all gradients together, which DL4J can't",
        );
    }
    if solver.iter_size() > 1 {
        warn(
            findings,
            format!(
                "iter_size: use batches {} times as large in DL4J",
                solver.iter_size()
            ),
        );
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

fn rule(solver: &SolverParameter, findings: &mut Findings) -> UpdaterKind {
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
                warn(
                    findings,
                    format!("the solver {other} is not known; gradient descent is written"),
                );
            }
            match momentum {
                0.0 => UpdaterKind::Sgd,
                momentum => UpdaterKind::Momentum { momentum },
            }
        }
    }
}

/// The schedule of the policy; `None` where nothing stands for it.
fn rate(solver: &SolverParameter) -> Option<LearningRate> {
    let (initial, gamma) = (f64::from(solver.base_lr()), f64::from(solver.gamma()));
    let power = f64::from(solver.power());
    match solver.lr_policy() {
        "fixed" | "" => Some(LearningRate::Constant(initial)),
        "step" if solver.stepsize() > 0 => Some(LearningRate::Step {
            initial,
            decay: gamma,
            steps: f64::from(solver.stepsize()),
        }),
        "exp" => Some(LearningRate::Exponential { initial, gamma }),
        "inv" if power == 1.0 => Some(LearningRate::Inverse { initial, gamma }),
        "multistep" => {
            let stairs = solver.stepvalue.iter().enumerate().map(|(index, &from)| {
                let exponent = i32::try_from(index + 1).unwrap_or(i32::MAX);
                (u64::try_from(from).unwrap_or(0), initial * gamma.powi(exponent))
            });
            Some(LearningRate::Piecewise(
                std::iter::once((0, initial)).chain(stairs).collect(),
            ))
        }
        "inv" => sampled(solver, |t| initial * (1.0 + gamma * t).powf(-power)),
        "poly" => {
            let last = f64::from(solver.max_iter());
            sampled(solver, |t| initial * (1.0 - t / last).powf(power))
        }
        "sigmoid" => {
            let middle = f64::from(solver.stepsize());
            sampled(solver, |t| initial / (1.0 + (-gamma * (t - middle)).exp()))
        }
        _ => None,
    }
}

/// A stair for each of few enough steps.
fn sampled(solver: &SolverParameter, rate: impl Fn(f64) -> f64) -> Option<LearningRate> {
    let steps = solver.max_iter();
    (1..=MOST_STAIRS)
        .contains(&steps)
        .then(|| LearningRate::Piecewise((0..=steps).map(|t| (t as u64, rate(f64::from(t)))).collect()))
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
        assert_eq!(rate(&solver("magic")), None);
    }
}
