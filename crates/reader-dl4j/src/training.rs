//! What an archive says of its training.

mod loss;
pub(crate) mod state;
mod updater;

pub(crate) use updater::scheduled as course;

use caribou_ir::{
    Clipping, Code, Constraint, Finding, Findings, LayerTraining, Regularization, Scheme, Severity, Training,
    TrainingState, Updater,
};
use caribou_writer_dl4j::format::{
    Configuration, Constraint as Forced, Dropout, Layer, Regularization as Penalty, Schedule,
    Updater as Class, Vertex,
};
use std::collections::BTreeMap;

/// What the archive says of its training that is not, or not wholly, carried over.
const LOST: Code = Code("D0308");

/// A layer by the name that it has in the graph.
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) layer: Layer,
    /// Whether its gradients are divided by the number of examples.
    mini_batch: bool,
}

impl Part {
    /// Whether it has parameters.
    fn learns(&self) -> bool {
        !self.layer.variables().is_empty()
    }

    fn is_frozen(&self) -> bool {
        matches!(
            self.layer,
            Layer::FrozenLayer(_) | Layer::FrozenLayerWithBackprop(_)
        )
    }
}

/// How training was going on in DL4J: the optimiser, the losses, and what is special to single layers; without what the
/// optimiser remembers.
pub(crate) fn training(configuration: &Configuration, findings: &mut Findings) -> Option<Training> {
    let parts = parts(configuration);
    let mut training = Training::default();
    let mut own = BTreeMap::new();
    for (i, part) in parts.iter().enumerate().filter(|(_, part)| part.learns()) {
        own.insert(i, optimisers(part, findings));
    }
    let still = Some(Class::still());
    let moves = |i: &usize| {
        core(&parts[*i].layer)
            .base()
            .is_some_and(|base| base.iupdater != still)
    };
    let mut known = own
        .iter()
        .filter_map(|(i, (kernels, _))| Some((i, kernels.as_ref()?)));
    training.updater = known
        .clone()
        .find(|(i, _)| moves(i) && !parts[**i].is_frozen())
        .or_else(|| known.clone().find(|(i, _)| moves(i)))
        .or_else(|| known.next())
        .map(|(_, updater)| updater.clone())
        .or_else(|| {
            let mut classes = parts
                .iter()
                .filter_map(|part| part.layer.base()?.iupdater.as_ref());
            classes.find_map(updater::rule)
        });
    if training.updater.is_none() && !own.is_empty() {
        let message = "no updater, or schedule, is known: plain gradient descent takes its place";
        lost(findings, message.into());
    }
    for (i, part) in parts.iter().enumerate() {
        layer(part, &mut training, findings);
        let Some((kernels, biases)) = own.remove(&i) else {
            continue;
        };
        let network = training.updater.clone();
        let layer = training.layers.entry(part.name.clone()).or_default();
        if !moves(&i) {
            layer.frozen = true;
            continue;
        }
        layer.updater = kernels.filter(|kernels| Some(kernels) != network.as_ref());
        let kernels = layer.updater.as_ref().or(network.as_ref());
        layer.bias_updater = biases.filter(|biases| Some(biases) != kernels);
        if *layer == LayerTraining::default() {
            training.layers.remove(&part.name);
        }
    }
    if let Configuration::Graph(network) = configuration {
        for name in network.vertices.keys() {
            if matches!(network.vertex(name), Some(Vertex::Frozen { .. })) {
                freeze(&mut training, name, true);
            }
        }
    }
    for part in &parts {
        dropout(part, &mut training, findings);
    }
    training.losses = loss::losses(configuration, &parts, findings);
    let (steps, epochs) = configuration.counts();
    if steps > 0 || epochs > 0 {
        training.state = Some(TrainingState {
            iterations: steps,
            epochs,
            parameters: Vec::new(),
        });
    }
    besides(configuration, &parts, findings);
    (!parts.is_empty()).then_some(training)
}

/// The optimisers of the kernels and of the biases of a layer, with the decay of weights and what is done to gradients.
fn optimisers(part: &Part, findings: &mut Findings) -> (Option<Updater>, Option<Updater>) {
    let Some(base) = core(&part.layer).base() else {
        return (None, None);
    };
    let class = match core(&part.layer) {
        Layer::SelfAttentionLayer(layer) => layer.updater.as_ref(),
        _ => base.iupdater.as_ref(),
    };
    let Some(class) = class else {
        return (None, None);
    };
    let limit = base.gradient_normalization_threshold.unwrap_or(1.0);
    let clipping = match base.gradient_normalization.as_deref() {
        None | Some("None") => None,
        Some("ClipElementWiseAbsoluteValue") => Some(Clipping::Value(limit)),
        Some("ClipL2PerParamType") => Some(Clipping::Norm(limit)),
        Some("ClipL2PerLayer") => Some(Clipping::LayerNorm(limit)),
        Some("RenormalizeL2PerParamType") => Some(Clipping::Unit),
        Some("RenormalizeL2PerLayer") => Some(Clipping::LayerUnit),
        Some(other) => {
            lost(
                findings,
                format!("{}: not carried over: gradientNormalization {other}", part.name),
            );
            None
        }
    };
    let mut whole = |class: &Class, penalties: &[Penalty]| {
        let Some(rule) = updater::rule(class) else {
            lost(
                findings,
                format!(
                    "{}: its updater, or the schedule of that, is not known, and that of the network takes its place",
                    part.name
                ),
            );
            return None;
        };
        // DL4J's builder writes it twice, and takes it twice.
        let decays = penalties.iter().filter_map(|penalty| match penalty {
            Penalty::WeightDecay {
                coeff: Schedule::Fixed { value },
                apply_lr: true,
            } => Some(*value),
            _ => None,
        });
        Some(Updater {
            weight_decay: decays.sum(),
            clipping,
            ..rule
        })
    };
    let kernels = whole(class, &base.regularization);
    let biased = part
        .layer
        .stored_variables()
        .iter()
        .any(|name| name.ends_with('b'));
    let class = base.bias_updater.as_ref().unwrap_or(class);
    let biases = if biased {
        whole(class, &base.regularization_bias)
    } else {
        None
    };
    (kernels, biases)
}

/// What has no place among the layers.
fn besides(configuration: &Configuration, parts: &[Part], findings: &mut Findings) {
    let backpropagation = match configuration {
        Configuration::MultiLayer(network) => &network.backprop_type,
        Configuration::Graph(network) => &network.backprop_type,
    };
    if backpropagation != "Standard" {
        let message =
            format!("not carried over: backpropType {backpropagation}; training goes through all steps");
        lost(findings, message);
    }
    let unlike = |what: &str, has: &dyn Fn(&Part) -> bool| {
        let named: Vec<&str> = parts
            .iter()
            .filter(|part| part.learns() && has(part))
            .map(|part| part.name.as_str())
            .collect();
        (!named.is_empty()).then(|| format!("not carried over: {what} of {}", named.join(", ")))
    };
    let whole = unlike(
        "miniBatch false (gradients are divided by the number of examples)",
        &|part| !part.mini_batch,
    );
    let noise = unlike("weightNoise", &|part| {
        core(&part.layer)
            .base()
            .is_some_and(|base| base.weight_noise.is_some())
    });
    let biased = |part: &Part| match &part.layer {
        Layer::EmbeddingLayer(layer) => layer.has_bias,
        Layer::EmbeddingSequenceLayer(layer) => layer.has_bias,
        _ => false,
    };
    let biases = unlike("that the bias, a constant from here on, learns:", &biased);
    whole
        .into_iter()
        .chain(noise)
        .chain(biases)
        .for_each(|message| lost(findings, message));
}

fn lost(findings: &mut Findings, message: String) {
    findings.push(Finding::new(Severity::Warning, LOST, None, message));
}

/// The layers of the network by the names that they have in the graph, in the order of their parameters.
pub(crate) fn parts(configuration: &Configuration) -> Vec<Part> {
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
                    mini_batch: conf.mini_batch,
                }
            })
            .collect(),
        Configuration::Graph(network) => network
            .order()
            .unwrap_or_default()
            .into_iter()
            .filter_map(|name| match network.vertex(&name) {
                Some(Vertex::Layer { layer_conf, .. }) => Some(Part {
                    name,
                    layer: layer_conf.layer,
                    mini_batch: layer_conf.mini_batch,
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
    own.regularization = penalties(&base.regularization, &mut missing);
    own.bias_regularization = penalties(&base.regularization_bias, &mut missing);
    for class in base.constraints.iter().flatten() {
        let Some(Constrained {
            constraint,
            epsilon,
            kernels,
            biases,
        }) = constraint(class, core(&part.layer))
        else {
            missing.push("a constraint".into());
            continue;
        };
        // There is room for one of each.
        let twice = (kernels && own.constraint.is_some())
            || (biases && own.bias_constraint.is_some())
            || own.constraint_epsilon.is_some_and(|other| other != epsilon);
        if twice {
            missing.push("one more constraint".into());
            continue;
        }
        own.constraint_epsilon = Some(epsilon);
        own.constraint = own.constraint.or(Some(constraint).filter(|_| kernels));
        own.bias_constraint = own.bias_constraint.or(Some(constraint).filter(|_| biases));
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

/// The course of a dropout whose share changes.
fn dropout(part: &Part, training: &mut Training, findings: &mut Findings) {
    let layer = core(&part.layer);
    let course = match layer.base().and_then(|base| base.idropout.as_ref()) {
        Some(Dropout::Dropout {
            schedule: Some(schedule),
            ..
        }) => course(schedule),
        Some(Dropout::Dropout { p: None, .. } | Dropout::Unknown(_)) => None,
        _ => return,
    };
    let Some(course) = course else {
        let message = format!(
            "{}: not carried over: its dropout, or noise, or the schedule of that, which is not known",
            part.name
        );
        return lost(findings, message);
    };
    let name = match layer {
        Layer::DropoutLayer(_) => part.name.clone(),
        _ => format!("{}_dropout", part.name),
    };
    training.layers.entry(name).or_default().kept = Some(course);
}

/// Penalties of a parameter; a decay of weights belongs to the updater.
fn penalties(list: &[Penalty], missing: &mut Vec<String>) -> Regularization {
    let mut own = Regularization::default();
    for penalty in list {
        match penalty {
            Penalty::L1 {
                l1: Schedule::Fixed { value },
            } => own.l1 += *value,
            // The penalty of DL4J is half of the squares.
            Penalty::L2 {
                l2: Schedule::Fixed { value },
            } => own.l2 += value / 2.0,
            Penalty::WeightDecay {
                coeff: Schedule::Fixed { .. },
                apply_lr: true,
            } => {}
            _ => missing.push("a penalty".into()),
        }
    }
    own
}

/// A constraint, and what it is on.
struct Constrained {
    constraint: Constraint,
    epsilon: f64,
    kernels: bool,
    biases: bool,
}

/// A constraint of all kernels, of the biases, or both, whose norms are those of units; `None` for another.
fn constraint(class: &Forced, layer: &Layer) -> Option<Constrained> {
    let (constraint, dimensions, epsilon, params) = match class {
        Forced::MaxNorm {
            max_norm,
            dimensions,
            epsilon,
            params,
        } => (Constraint::MaxNorm(*max_norm), Some(dimensions), epsilon, params),
        Forced::NonNegative { epsilon, params } => (Constraint::NonNegative, None, epsilon, params),
        Forced::UnitNorm {
            dimensions,
            epsilon,
            params,
        } => (Constraint::UnitNorm, Some(dimensions), epsilon, params),
        Forced::MinMaxNorm {
            min,
            max,
            rate,
            dimensions,
            epsilon,
            params,
        } => {
            let (min, max, rate) = (*min, *max, *rate);
            (
                Constraint::MinMaxNorm { min, max, rate },
                Some(dimensions),
                epsilon,
                params,
            )
        }
        Forced::Unknown(_) => return None,
    };
    let has = |name: &str| params.iter().any(|other| other == name);
    let biases = has("b");
    let kernels = layer.kernels().any(has) || params.is_empty();
    let all = layer.kernels().all(has) || params.is_empty();
    let by_unit = dimensions.is_none_or(|found| layer.unit_dimensions() == Some(found.as_slice()));
    (kernels <= all && by_unit).then_some(Constrained {
        constraint,
        epsilon: *epsilon,
        kernels,
        biases,
    })
}
