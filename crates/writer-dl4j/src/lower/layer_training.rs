//! What training does to single layers: frozen ones, penalties, weight decay, clipped gradients and constraints.

use super::training::Optimiser;
use super::{Edge, Kind, Placed};
use crate::format::{
    Base, Constraint as Class, FrozenLayer, FrozenLayerWithBackprop, Layer, Regularization as Penalty,
    Schedule, Vertex,
};
use caribou_ir::{
    Clipping, Code, Constraint, Finding, Findings, LayerTraining, Origin, Regularization, Scheme, Severity,
    Training, Updater,
};
use std::collections::HashSet;

/// An option of a layer's training that DL4J has no exact counterpart for.
const LOST: Code = Code("D0113");
/// A layer that is frozen in the source will learn.
const THAWED: Code = Code("D0117");
/// The score counts what the source's loss does not.
const SCORE: Code = Code("D0116");

/// What Keras adds to norms before it divides by them.
const EPSILON: f64 = 1e-7;

/// Gives the layers that learn what training does to them besides the optimiser's rule.
pub(super) fn apply(
    vertices: &mut [Placed],
    training: &Training,
    optimiser: &Optimiser,
    findings: &mut Findings,
) {
    let usual = LayerTraining::default();
    let decay = training
        .updater
        .as_ref()
        .map_or(0.0, |updater| updater.weight_decay);
    if decay != 0.0 {
        let message = "the score of DL4J counts the weight decay, which the loss of the source does not; the steps are the same";
        findings.push(Finding::new(Severity::Note, SCORE, None, message));
    }
    for placed in vertices {
        let own = training.layers.get(&*placed.source).unwrap_or(&usual);
        let Kind::Layer { layer, .. } = &mut placed.kind else {
            continue;
        };
        // What is used and not trained has the same options as the rest, as in DL4J: they are without effect.
        let frozen = own.frozen && !own.inference;
        if placed.parameters.is_empty() || !layer.learns_by(&optimiser.updater) || frozen {
            continue;
        }
        let origin = Origin::new(placed.source.clone(), layer.class());
        let kernels = own.updater.as_ref();
        let biases = own.bias_updater.as_ref().or(kernels);
        let decay_of = |own: Option<&Updater>| {
            own.or(training.updater.as_ref())
                .map_or(0.0, |updater| updater.weight_decay)
        };
        let (decay, bias_decay) = (decay_of(kernels), decay_of(biases));
        let rule = |own: Option<&Updater>| {
            own.map_or_else(
                || optimiser.clone(),
                |updater| Optimiser::of(updater, optimiser.start),
            )
        };
        let (rule, bias_rule) = (rule(kernels), rule(biases));
        let mut lost = Vec::new();
        let is_norm = matches!(layer, Layer::BatchNormalization(_));
        if is_norm && (own.regularization, own.bias_regularization) != Default::default() {
            lost.push("the penalty of its parameters");
        }
        // Stock DL4J takes some of the kernel for the biases of these layers where it treats the two otherwise.
        let mixed = matches!(
            layer,
            Layer::DepthwiseConvolution2D(_) | Layer::SeparableConvolution2D(_)
        );
        let one_rule = is_norm || mixed;
        let has_bias = layer.variables().contains(&"b");
        let penalised = own.regularization != own.bias_regularization;
        if mixed && has_bias && penalised {
            lost.push("the penalty of its biases, another one than that of its kernels,");
        }
        if one_rule && (is_norm || has_bias) && bias_rule.updater != rule.updater {
            lost.push("the optimiser of its biases, another one than that of its kernels,");
        }
        let statistics = matches!(layer, Layer::BatchNormalization(_) | Layer::PReLULayer(_));
        if statistics && decay > 0.0 {
            lost.push("the weight decay of its parameters");
        }
        // Statistics are no parameters that learn.
        let learning = placed.parameters.len()
            - if matches!(layer, Layer::BatchNormalization(_)) {
                2
            } else {
                0
            };
        if placed.parameters[..learning]
            .iter()
            .any(caribou_ir::Tensor::is_filled)
        {
            let message =
                "it has a bias or scale that the source does not have: it is neutral, and will learn";
            findings.push(Finding::note(crate::EXTRA_PARAMETER, &origin, message));
        }
        let mut constraints = Vec::new();
        let epsilon = own.constraint_epsilon.unwrap_or(EPSILON);
        match own
            .constraint
            .map(|constraint| class(constraint, epsilon, layer, "W"))
        {
            Some(Some(class)) => constraints.push(class),
            Some(None) => lost.push("its constraint"),
            None => {}
        }
        constraints.extend(
            own.bias_constraint
                .and_then(|constraint| class(constraint, epsilon, layer, "b")),
        );
        let clipping = kernels
            .or(training.updater.as_ref())
            .and_then(|updater| updater.clipping)
            .map(|clipping| match clipping {
                Clipping::Value(limit) => ("ClipElementWiseAbsoluteValue", limit),
                Clipping::Norm(limit) => ("ClipL2PerParamType", limit),
                Clipping::LayerNorm(limit) => ("ClipL2PerLayer", limit),
                // Without a bound; one is what DL4J has here by default.
                Clipping::Unit => ("RenormalizeL2PerParamType", 1.0),
                Clipping::LayerUnit => ("RenormalizeL2PerLayer", 1.0),
            });
        let scheme = weight_init(own.scheme);
        bases(layer, &mut |base| {
            if base.weight_init_fn.is_some() {
                base.weight_init_fn = Some(scheme.clone());
            }
            base.iupdater = Some(rule.updater.clone());
            base.bias_updater = Some(&bias_rule.updater)
                .filter(|biases| **biases != rule.updater && !one_rule)
                .cloned();
            base.regularization = penalties(own.regularization, decay, &rule);
            base.regularization_bias = match mixed {
                true => base.regularization.clone(),
                false => penalties(own.bias_regularization, bias_decay, &bias_rule),
            };
            base.constraints = Some(constraints.clone()).filter(|list| !list.is_empty());
            base.gradient_normalization = clipping.map(|(name, _)| name.to_owned());
            base.gradient_normalization_threshold = clipping.map(|(_, limit)| limit);
        });
        for what in lost {
            let message = format!("{what} will have no effect when training goes on: DL4J has none here");
            findings.push(Finding::warning(LOST, &origin, message));
        }
    }
}

/// The class of a scheme.
fn weight_init(scheme: Scheme) -> serde_json::Value {
    match scheme {
        Scheme::Xavier => serde_json::json!({ "@class": "org.deeplearning4j.nn.weights.WeightInitXavier" }),
        Scheme::Relu => serde_json::json!({ "@class": "org.deeplearning4j.nn.weights.WeightInitRelu" }),
        Scheme::Zero => {
            serde_json::json!({ "@class": "org.deeplearning4j.nn.weights.WeightInitConstant", "value": 0.0 })
        }
    }
}

/// Calls `change` with the common fields of a layer and of those inside it.
fn bases(layer: &mut Layer, change: &mut impl FnMut(&mut Base)) {
    match layer {
        Layer::Bidirectional(layer) => {
            bases(&mut layer.fwd, change);
            bases(&mut layer.bwd, change);
        }
        Layer::LastTimeStep(layer) => bases(&mut layer.underlying, change),
        Layer::TimeDistributed(layer) => bases(&mut layer.underlying, change),
        _ => {}
    }
    if let Some(base) = layer.base_mut() {
        change(base);
    }
}

fn penalties(own: Regularization, decay: f64, optimiser: &Optimiser) -> Vec<Penalty> {
    let fixed = |value| Schedule::Fixed { value };
    let mut penalties = Vec::new();
    if own.l1 != 0.0 {
        penalties.push(Penalty::L1 { l1: fixed(own.l1) });
    }
    if own.l2 != 0.0 {
        // The penalty of DL4J is half of the squares.
        penalties.push(Penalty::L2 {
            l2: fixed(2.0 * own.l2),
        });
    }
    if decay != 0.0 {
        penalties.push(Penalty::WeightDecay {
            coeff: fixed(decay / optimiser.rate_factor),
            apply_lr: true,
        });
    }
    penalties
}

/// A constraint on the parameter `name` of a layer; `None` where its norm would go over the wrong axes.
fn class(constraint: Constraint, epsilon: f64, layer: &Layer, name: &str) -> Option<Class> {
    let params: Vec<String> = match name {
        "W" => layer.kernels().map(str::to_owned).collect(),
        name => vec![name.to_owned()],
    };
    let dimensions = layer.unit_dimensions();
    Some(match constraint {
        Constraint::NonNegative => Class::NonNegative { epsilon, params },
        Constraint::MaxNorm(max_norm) => Class::MaxNorm {
            max_norm,
            dimensions: dimensions?.to_vec(),
            epsilon,
            params,
        },
        Constraint::UnitNorm => Class::UnitNorm {
            dimensions: dimensions?.to_vec(),
            epsilon,
            params,
        },
        // With another rate, stock DL4J adds the norm where it should add one.
        Constraint::MinMaxNorm { rate, .. } if rate != 1.0 => return None,
        Constraint::MinMaxNorm { min, max, rate } => Class::MinMaxNorm {
            min,
            max,
            rate,
            dimensions: dimensions?.to_vec(),
            epsilon,
            params,
        },
    })
}

/// Wraps the layers that stay as they are. Those at the front of a chain, where nothing in front of them learns, end the
/// way back; others give gradients on.
pub(super) fn freeze(
    vertices: &mut [Placed],
    training: &Training,
    optimiser: &Optimiser,
    (inputs, outputs): (&[Edge], &[Edge]),
    findings: &mut Findings,
) {
    let mut front = crate::archive::is_chain(inputs, outputs, vertices);
    // The vertices that are used and not trained, and in front of which nothing learns.
    let mut still: HashSet<String> = inputs.iter().map(|edge| edge.name.clone()).collect();
    for placed in vertices {
        let own = training.layers.get(&*placed.source);
        let frozen = own.is_some_and(|layer| layer.frozen);
        if own.is_some_and(|layer| layer.inference) && placed.inputs.iter().all(|input| still.contains(input))
        {
            still.insert(placed.name.clone());
            match &mut placed.kind {
                Kind::Layer { layer, .. } => {
                    let inner = layer.base();
                    let base = Base {
                        gradient_normalization: inner.and_then(|base| base.gradient_normalization.clone()),
                        gradient_normalization_threshold: inner
                            .and_then(|base| base.gradient_normalization_threshold),
                        ..Base::plain(&placed.name, &optimiser.updater)
                    };
                    *layer = FrozenLayer {
                        layer: Box::new(layer.clone()),
                        base,
                    }
                    .into();
                }
                Kind::Vertex(vertex) => {
                    *vertex = Vertex::Frozen {
                        underlying: Box::new(vertex.clone()),
                    };
                }
            }
            continue;
        }
        if placed.parameters.is_empty() {
            continue;
        }
        if !frozen {
            front = false;
            continue;
        }
        let Kind::Layer { layer, .. } = &mut placed.kind else {
            continue;
        };
        if !front && matches!(layer, Layer::BatchNormalization(_)) {
            let origin = Origin::new(placed.source.clone(), layer.class());
            let message = "it is frozen behind layers that learn: stock DL4J can't train through a frozen batch normalisation, and it will learn";
            findings.push(Finding::warning(THAWED, &origin, message).with_help(
                "freeze the layers in front of it too, or train with batches whose statistics are alike",
            ));
            continue;
        }
        let outer = Base::plain(&placed.name, &optimiser.updater);
        let inner = Box::new(layer.clone());
        *layer = match front {
            true => FrozenLayer {
                layer: inner,
                base: outer,
            }
            .into(),
            false => FrozenLayerWithBackprop {
                underlying: inner,
                base: outer,
            }
            .into(),
        };
    }
}
