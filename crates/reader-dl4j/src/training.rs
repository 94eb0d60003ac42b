//! What an archive says of its training.

use caribou_ir::{
    Clipping, Code, Constraint, Finding, Findings, LayerTraining, LearningRate, Loss, LossKind,
    Regularization, Scheme, Severity, Training, TrainingState, Updater, UpdaterKind,
};
use caribou_writer_dl4j::format::{
    Configuration, Constraint as Forced, Layer, LossFunction, Rate, Regularization as Penalty, RowVector,
    Schedule, ScheduleType, Updater as Class, Vertex,
};

/// What the archive says of its training that is not, or not wholly, carried over.
const LOST: Code = Code("D0308");

/// A layer by the name that it has in the graph.
struct Part {
    name: String,
    layer: Layer,
}

/// How training was going on in DL4J: the optimiser, the losses, and what is special to single layers.
pub(crate) fn training(configuration: &Configuration, findings: &mut Findings) -> Option<Training> {
    let parts = parts(configuration);
    let mut training = Training::default();
    let updaters: Vec<(&Part, &Class)> = parts
        .iter()
        .filter(|part| !part.layer.variables().is_empty())
        .filter_map(|part| Some((part, core(&part.layer).base()?.iupdater.as_ref()?)))
        .collect();
    let still = Class::still();
    let first = updaters
        .iter()
        .map(|(_, class)| *class)
        .find(|class| **class != still)
        .or_else(|| updaters.first().map(|(_, class)| *class))
        .or_else(|| parts.iter().find_map(|part| part.layer.base()?.iupdater.as_ref()));
    training.updater = first.and_then(|class| updater(class, findings));
    let mut others = Vec::new();
    for (part, class) in &updaters {
        if Some(*class) == first {
            continue;
        }
        match **class == still {
            true => training.layers.entry(part.name.clone()).or_default().frozen = true,
            false => others.push(part.name.as_str()),
        }
    }
    if !others.is_empty() {
        lost(
            findings,
            format!(
                "layers with another updater get that of the first: {}",
                others.join(", ")
            ),
        );
    }
    for part in &parts {
        layer(part, &mut training, findings);
    }
    if let Configuration::Graph(network) = configuration {
        for name in network.vertices.keys() {
            if matches!(network.vertex(name), Some(Vertex::Frozen { .. })) {
                freeze(&mut training, name, true);
            }
        }
    }
    training.losses = losses(configuration, &parts, findings);
    let steps = match configuration {
        Configuration::MultiLayer(network) => network.iteration_count,
        Configuration::Graph(network) => network.iteration_count,
    };
    if let Some(steps) = u64::try_from(steps).ok().filter(|&steps| steps > 0) {
        training.state = Some(TrainingState {
            iterations: steps,
            parameters: Vec::new(),
        });
    }
    (!parts.is_empty()).then_some(training)
}

fn lost(findings: &mut Findings, message: String) {
    findings.push(Finding::new(Severity::Warning, LOST, None, message));
}

/// The layers of the network by the names that they have in the graph.
fn parts(configuration: &Configuration) -> Vec<Part> {
    match configuration {
        Configuration::MultiLayer(network) => network
            .confs
            .iter()
            .enumerate()
            .map(|(i, conf)| {
                let name = conf.layer.base().and_then(|base| base.layer_name.clone());
                Part {
                    name: name.unwrap_or_else(|| format!("layer{i}")),
                    layer: conf.layer.clone(),
                }
            })
            .collect(),
        Configuration::Graph(network) => network
            .vertices
            .keys()
            .filter_map(|name| match network.vertex(name) {
                Some(Vertex::Layer { layer_conf, .. }) => Some(Part {
                    name: name.clone(),
                    layer: layer_conf.layer.clone(),
                }),
                _ => None,
            })
            .collect(),
    }
}

/// The layer inside wrappers, which has the options of training.
fn core(layer: &Layer) -> &Layer {
    match layer {
        Layer::FrozenLayer(wrapper) => core(&wrapper.layer),
        Layer::FrozenLayerWithBackprop(wrapper) => core(&wrapper.underlying),
        Layer::TimeDistributed(wrapper) => core(&wrapper.underlying),
        Layer::LastTimeStep(wrapper) => core(&wrapper.underlying),
        Layer::Bidirectional(wrapper) => core(&wrapper.fwd),
        layer => layer,
    }
}

/// Freezes a layer, with what happens in front of it.
fn freeze(training: &mut Training, name: &str, inference: bool) {
    let in_front = ["_preprocessor", "_dropout"].map(|part| format!("{name}{part}"));
    for name in [name.to_owned()].into_iter().chain(in_front) {
        let layer = training.layers.entry(name).or_default();
        layer.frozen = true;
        layer.inference = inference;
    }
}

fn layer(part: &Part, training: &mut Training, findings: &mut Findings) {
    match &part.layer {
        Layer::FrozenLayer(_) => freeze(training, &part.name, true),
        Layer::FrozenLayerWithBackprop(_) => freeze(training, &part.name, false),
        _ => {}
    }
    if part.layer.variables().is_empty() {
        return;
    }
    let Some(base) = core(&part.layer).base() else {
        return;
    };
    let mut own = training.layers.remove(&part.name).unwrap_or_default();
    let mut missing: Vec<String> = Vec::new();
    own.regularization = penalties(&base.regularization, training, &mut missing);
    own.bias_regularization = penalties(&base.regularization_bias, training, &mut missing);
    for class in base.constraints.iter().flatten() {
        match constraint(class) {
            Some((constraint, kernels, biases)) => {
                if kernels {
                    own.constraint = Some(constraint);
                }
                if biases {
                    own.bias_constraint = Some(constraint);
                }
            }
            None => missing.push("a constraint".into()),
        }
    }
    let class = base
        .weight_init_fn
        .as_ref()
        .and_then(|init| init.get("@class")?.as_str());
    own.scheme = match class.and_then(|class| class.rsplit('.').next()) {
        Some("WeightInitRelu") => Scheme::Relu,
        Some("WeightInitConstant") => Scheme::Zero,
        _ => Scheme::Xavier,
    };
    let limit = base.gradient_normalization_threshold.unwrap_or(1.0);
    let clipping = match base.gradient_normalization.as_deref() {
        None | Some("None") => None,
        Some("ClipElementWiseAbsoluteValue") => Some(Clipping::Value(limit)),
        Some("ClipL2PerParamType") => Some(Clipping::Norm(limit)),
        Some(other) => {
            missing.push(format!("gradientNormalization {other}"));
            None
        }
    };
    if let (Some(updater), Some(_)) = (&mut training.updater, clipping) {
        updater.clipping = clipping;
    }
    if !missing.is_empty() {
        lost(
            findings,
            format!("{}: not carried over: {}", part.name, missing.join(", ")),
        );
    }
    if own != LayerTraining::default() {
        training.layers.insert(part.name.clone(), own);
    }
}

/// Penalties of a parameter; a decay of weights belongs to the updater.
fn penalties(list: &[Penalty], training: &mut Training, missing: &mut Vec<String>) -> Regularization {
    let mut own = Regularization::default();
    for penalty in list {
        match penalty {
            Penalty::L1 {
                l1: Schedule::Fixed { value },
            } => own.l1 = *value,
            // The penalty of DL4J is half of the squares.
            Penalty::L2 {
                l2: Schedule::Fixed { value },
            } => own.l2 = value / 2.0,
            Penalty::WeightDecay {
                coeff: Schedule::Fixed { value },
                apply_lr: true,
            } => match &mut training.updater {
                Some(updater) if updater.weight_decay == 0.0 || updater.weight_decay == *value => {
                    updater.weight_decay = *value;
                }
                _ => missing.push("a weight decay of its own".into()),
            },
            _ => missing.push("a penalty".into()),
        }
    }
    own
}

/// A constraint, and whether it is one of kernels and of biases.
fn constraint(class: &Forced) -> Option<(Constraint, bool, bool)> {
    let (constraint, params) = match class {
        Forced::MaxNorm { max_norm, params, .. } => (Constraint::MaxNorm(*max_norm), params),
        Forced::NonNegative { params, .. } => (Constraint::NonNegative, params),
        Forced::UnitNorm { params, .. } => (Constraint::UnitNorm, params),
        Forced::MinMaxNorm {
            min,
            max,
            rate,
            params,
            ..
        } => {
            let (min, max, rate) = (*min, *max, *rate);
            (Constraint::MinMaxNorm { min, max, rate }, params)
        }
        Forced::Unknown(_) => return None,
    };
    let biases = params.iter().any(|name| name == "b");
    let kernels = params.is_empty() || params.iter().any(|name| name != "b");
    Some((constraint, kernels, biases))
}

/// The losses of the outputs, as DL4J computes them.
fn losses(configuration: &Configuration, parts: &[Part], findings: &mut Findings) -> Vec<Loss> {
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
            _ => continue,
        };
        let Some((kind, clip, weights)) = kind(function) else {
            lost(
                findings,
                format!("{name}: its loss is not known, and the usual one takes its place"),
            );
            continue;
        };
        let weight = match weights.map(|row| row.data.as_slice()) {
            None => 1.0,
            Some([first, rest @ ..]) if rest.iter().all(|weight| weight == first) => *first,
            Some(_) => {
                lost(
                    findings,
                    format!("{name}: the weights of its loss are not carried over"),
                );
                1.0
            }
        };
        losses.push(Loss {
            output,
            kind,
            weight,
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

/// The optimiser of a class.
fn updater(class: &Class, findings: &mut Findings) -> Option<Updater> {
    let read = rule(class);
    if read.is_none() {
        lost(
            findings,
            "the updater, or its schedule, is not known: plain gradient descent takes its place".into(),
        );
    }
    read
}

fn rule(class: &Class) -> Option<Updater> {
    let (kind, rate) = match class.clone() {
        Class::Sgd { rate } => (UpdaterKind::Sgd, rate),
        Class::Nesterovs { rate, momentum } => (UpdaterKind::Nesterovs { momentum }, rate),
        Class::Adam {
            rate,
            beta1,
            beta2,
            epsilon,
        } => (
            UpdaterKind::Adam {
                beta1,
                beta2,
                epsilon,
            },
            rate,
        ),
        Class::AmsGrad {
            rate,
            beta1,
            beta2,
            epsilon,
        } => (
            UpdaterKind::AmsGrad {
                beta1,
                beta2,
                epsilon,
            },
            rate,
        ),
        Class::AdaMax {
            rate,
            beta1,
            beta2,
            epsilon,
        } => (
            UpdaterKind::AdaMax {
                beta1,
                beta2,
                epsilon,
            },
            rate,
        ),
        Class::Nadam {
            rate,
            beta1,
            beta2,
            epsilon,
        } => (
            UpdaterKind::Nadam {
                beta1,
                beta2,
                epsilon,
            },
            rate,
        ),
        Class::RmsProp {
            rate,
            rms_decay,
            epsilon,
        } => (
            UpdaterKind::RmsProp {
                decay: rms_decay,
                epsilon,
            },
            rate,
        ),
        Class::AdaGrad { rate, epsilon } => (UpdaterKind::AdaGrad { epsilon }, rate),
        Class::AdaDelta { rho, epsilon } => (UpdaterKind::AdaDelta { rho, epsilon }, Rate::constant(1.0)),
        Class::Unknown(_) => return None,
    };
    Some(Updater {
        learning_rate: learning_rate(&rate)?,
        ..Updater::new(kind, 0.0)
    })
}

/// A rate, or a schedule that counts steps.
fn learning_rate(rate: &Rate) -> Option<LearningRate> {
    const STEPS: ScheduleType = ScheduleType::Iteration;
    match rate.schedule() {
        None => rate.value().map(LearningRate::Constant),
        Some(&Schedule::Fixed { value }) => Some(LearningRate::Constant(value)),
        Some(&Schedule::Exponential {
            schedule_type: STEPS,
            initial_value,
            gamma,
        }) => Some(LearningRate::Exponential {
            initial: initial_value,
            gamma,
        }),
        Some(&Schedule::Step {
            schedule_type: STEPS,
            initial_value,
            decay_rate,
            step,
        }) => Some(LearningRate::Step {
            initial: initial_value,
            decay: decay_rate,
            steps: step,
        }),
        Some(&Schedule::Inverse {
            schedule_type: STEPS,
            initial_value,
            gamma,
            power: 1.0,
        }) => Some(LearningRate::Inverse {
            initial: initial_value,
            gamma,
        }),
        Some(Schedule::Map {
            schedule_type: STEPS,
            values,
        }) => {
            let stairs = values
                .iter()
                .map(|(from, &rate)| Some((from.parse().ok()?, rate)));
            let mut stairs = stairs.collect::<Option<Vec<(u64, f64)>>>()?;
            stairs.sort_by_key(|&(from, _)| from);
            Some(LearningRate::Piecewise(stairs))
        }
        Some(_) => None,
    }
}
