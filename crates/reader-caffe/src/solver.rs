//! How a network was being trained: the rule, rate and penalties of a `solver.prototxt`, and the multipliers of layers.

use crate::layers::{self, Support};
use crate::net::{Layer, Net};
use crate::schema::SolverParameter;
use crate::schema::solver_parameter::SolverType;
use caribou_ir::{
    Clipping, Code, Finding, Findings, LayerTraining, LearningRate, Origin, Place, Regularization, Training,
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
    if solver.iter_size() > 1 {
        let message = format!("use batches {} times as large in DL4J", solver.iter_size());
        file.warn(findings, "iter_size", message);
    }
    let updater = Updater {
        learning_rate,
        clipping: clipping(file, net, findings),
        ..Updater::new(kind, 0.0)
    };
    let mut training = Training::default();
    for layer in learning(net) {
        let kernels = multiplier(layer, 0);
        let biases = match is_biased(layer) {
            true => multiplier(layer, 1),
            false => kernels,
        };
        let frozen = kernels == 0.0 && biases == 0.0;
        let own = LayerTraining {
            frozen,
            regularization: penalty(solver, decay(solver, layer, 0)),
            bias_regularization: penalty(solver, decay(solver, layer, 1)),
            updater: updater_of(&updater, kernels).filter(|_| !frozen),
            bias_updater: (biases != kernels)
                .then(|| updater_of(&updater, biases).unwrap_or_else(|| updater.clone())),
            ..LayerTraining::default()
        };
        if layer.kind == "LSTM" && multiplier(layer, 2) != kernels {
            let message =
                "the recurrent kernel learns at the rate of the other kernel, not at its own (lr_mult)";
            findings.push(Finding::warning(NOT_CARRIED, &layer.origin(), message));
        }
        let rated = own.updater.is_some() || own.bias_updater.is_some();
        if rated && matches!(updater.kind, UpdaterKind::AdaDelta { .. }) && !own.frozen {
            let message = "AdaDelta has no learning rate in DL4J: its multiplier (lr_mult) has no effect";
            findings.push(Finding::warning(NOT_CARRIED, &layer.origin(), message));
        }
        if own == LayerTraining::default() {
            continue;
        }
        // What scales a normalisation is part of it in DL4J.
        let normalised = net.layers.iter().find(|other| {
            let writes = |other: &Layer| other.tops.first() == layer.bottoms.first();
            layer.kind == "Scale" && other.kind == "BatchNorm" && writes(other)
        });
        if let Some(norm) = normalised {
            training
                .layers
                .insert(norm.origin().layer.to_string(), own.clone());
        }
        training.layers.insert(layer.origin().layer.to_string(), own);
    }
    training.updater = Some(updater);
    training
}

/// The layers whose parameters learn, those that stay as they are included. The statistics of a normalisation have no rate
/// anyway.
fn learning(net: &Net) -> impl Iterator<Item = &Layer> {
    net.layers.iter().filter(|layer| {
        let support = layers::of(&layer.kind).map(|row| row.support);
        matches!(support, Some(Support::Read(_))) && layer.kind != "BatchNorm"
    })
}

/// Whether the second parameter of a layer is a bias that it has.
fn is_biased(layer: &Layer) -> bool {
    let parameters = &layer.parameters;
    match layer.kind.as_str() {
        "Convolution" | "ConvolutionDepthwise" | "Deconvolution" | "DepthwiseConvolution" => {
            let own = parameters.convolution_param.as_ref();
            own.is_none_or(|own| own.bias_term())
        }
        "InnerProduct" => {
            let own = parameters.inner_product_param.as_ref();
            own.is_none_or(|own| own.bias_term())
        }
        "Embed" => parameters.embed_param.as_ref().is_none_or(|own| own.bias_term()),
        "Scale" => parameters.scale_param.as_ref().is_some_and(|own| own.bias_term()),
        "Bias" | "Normalize" | "PReLU" => false,
        _ => true,
    }
}

/// What the learning rate of parameter `index` of a layer is multiplied by.
fn multiplier(layer: &Layer, index: usize) -> f64 {
    let spec = layer.parameters.param.get(index);
    spec.map_or(1.0, |spec| f64::from(spec.lr_mult()))
}

/// The decay of parameter `index` of a layer.
fn decay(solver: &SolverParameter, layer: &Layer, index: usize) -> f64 {
    let spec = layer.parameters.param.get(index);
    f64::from(solver.weight_decay() * spec.map_or(1.0, |spec| spec.decay_mult()))
}

/// The optimiser of parameters whose rate is multiplied; `None` for that of the network.
fn updater_of(updater: &Updater, multiplier: f64) -> Option<Updater> {
    if multiplier == 1.0 {
        return None;
    }
    // Steps of length zero; what the rule remembers does not matter then.
    let still = Updater {
        clipping: updater.clipping,
        ..Updater::new(UpdaterKind::Sgd, 0.0)
    };
    Some(match multiplier {
        0.0 => still,
        factor => Updater {
            learning_rate: updater.learning_rate.multiplied(factor),
            ..updater.clone()
        },
    })
}

/// What bounds the gradients. Caffe bounds the norm of all of them together, DL4J that of each layer: the same where only one
/// learns, which is one layer in DL4J too.
fn clipping(file: &Solver<'_>, net: &Net, findings: &mut Findings) -> Option<Clipping> {
    let limit = f64::from(file.says.clip_gradients());
    if limit < 0.0 {
        return None;
    }
    let moves = |layer: &Layer| multiplier(layer, 0) != 0.0;
    let biases_move = |layer: &Layer| !is_biased(layer) || multiplier(layer, 1) != 0.0;
    let holds = |layer: &Layer| {
        let groups = layer
            .parameters
            .convolution_param
            .as_ref()
            .map_or(1, |own| own.group());
        match layer.kind.as_str() {
            "InnerProduct" => Some(moves(layer) && biases_move(layer)),
            "Convolution" => Some(groups == 1 && moves(layer) && biases_move(layer)),
            "BN"
            | "Bias"
            | "ConvolutionDepthwise"
            | "Deconvolution"
            | "DepthwiseConvolution"
            | "Embed"
            | "LSTM"
            | "Normalize"
            | "PReLU"
            | "RNN"
            | "Scale" => Some(false),
            _ => None,
        }
    };
    let found: Vec<bool> = learning(net)
        .filter(|layer| moves(layer) || (is_biased(layer) && multiplier(layer, 1) != 0.0))
        .filter_map(holds)
        .collect();
    if found == [true] {
        return Some(Clipping::LayerNorm(limit));
    }
    let message =
        "it bounds the norm of the gradients of all layers together, which DL4J can't: nothing is clipped";
    file.warn(findings, "clip_gradients", message);
    None
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
    let field = if old.is_some() { "solver_type" } else { "type" };
    let (momentum, epsilon) = (f64::from(solver.momentum()), f64::from(solver.delta()));
    match name {
        "Nesterov" => UpdaterKind::Nesterovs { momentum },
        "AdaGrad" => {
            let message = "DL4J's sum of squares starts at delta, and that of Caffe at zero: the first steps are shorter where gradients are as small as the root of delta";
            file.warn(findings, field, message);
            UpdaterKind::AdaGrad { epsilon }
        }
        "RMSProp" => {
            let message = "DL4J adds delta to the mean square, and Caffe to its root, and DL4J's starts at delta: steps are shorter where gradients are as small as the root of delta";
            file.warn(findings, field, message);
            UpdaterKind::RmsProp {
                decay: f64::from(solver.rms_decay()),
                epsilon,
            }
        }
        "AdaDelta" => {
            if rate(solver) != Ok(LearningRate::Constant(1.0)) {
                let message = "AdaDelta has no learning rate in DL4J, whose steps are those of a rate of one";
                file.warn(findings, "base_lr", message);
            }
            UpdaterKind::AdaDelta {
                rho: momentum,
                epsilon,
            }
        }
        "Adam" => UpdaterKind::Adam {
            beta1: momentum,
            beta2: f64::from(solver.momentum2()),
            epsilon,
        },
        other => {
            if other != "SGD" {
                let message = format!("the solver {other} is not known; gradient descent is written");
                file.warn(findings, field, message);
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
