//! From the architecture to the graph: every call of every layer in an order in which its inputs exist.

mod arguments;
mod functional;
mod masks;
mod ports;
mod rest;
mod stepwise;
mod training;

use crate::config::{ConfigError, Layer, Model, NodeCall, parse_nested};
use crate::layers::{self, Call, MaskRule};
use crate::mask::Mask;
use crate::version::Generation;
use crate::weights::{WeightStore, Weights};
use caribou_ir::{Code, Finding, Findings, Graph, LayerTraining, Limits, Origin, Rest, ValueId};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A layer class that is not known.
const UNKNOWN_LAYER: Code = Code("K0101");
/// A connection that leads nowhere.
const CONNECTION: Code = Code("K0102");
/// A layer that reads a mask.
const MASKED: Code = Code("K0103");
/// A model nested too deep, or within itself.
const NESTING: Code = Code("K0104");
/// A call with arguments besides its inputs.
const ARGUMENTS: Code = Code("K0105");
/// The shape of the input is not in the file.
const INPUT_SHAPE: Code = Code("K0106");
/// A layer that is used several times.
const SHARED: Code = Code("K0107");

/// Two layers of one name.
const DUPLICATE: Code = Code("K0108");

/// What a call of a layer gives: values, or nothing when the layer or one before it could not be read.
type Values = Option<Vec<ValueId>>;

pub(crate) struct Builder<'f> {
    pub(crate) graph: Graph,
    pub(crate) findings: Findings,
    /// Values that carry a Keras mask.
    masks: HashMap<ValueId, Mask>,
    /// The weights of all layers so far.
    weights: Vec<Weights>,
    /// What training does to layers, where it is not the usual.
    training: BTreeMap<String, LayerTraining>,
    store: &'f WeightStore<'f>,
    generation: Generation,
    limits: &'f Limits,
    /// Values that stand in for those of layers that could not be read, and what was made of them.
    unknown: HashSet<ValueId>,
    /// Layers that were read with inputs of a guessed shape.
    assumed: BTreeSet<String>,
    /// Whether the model's convolutions read channels-first arrays.
    channels_first: bool,
}

/// The names and weights that the layers of a (nested) model are looked up by.
struct Scope<'w> {
    /// The weights of the outermost layer, when this is a nested model.
    weights: Option<&'w Weights>,
    /// The names of the models around, outermost first.
    names: Vec<String>,
    /// Whether one of them is not trainable.
    frozen: bool,
}

/// What [`build`] gives.
pub(crate) struct Built {
    pub(crate) graph: Graph,
    pub(crate) findings: Findings,
    /// The weights that the layers took theirs from.
    pub(crate) weights: Vec<Weights>,
    /// What training does to layers, where it is not the usual.
    pub(crate) training: BTreeMap<String, LayerTraining>,
}

/// Why there is no graph, and what there is of one.
pub(crate) struct Unreadable {
    pub(crate) findings: Findings,
    pub(crate) rest: Box<Rest>,
}

/// Builds the graph of `model`, with the weights in `store`.
///
/// # Errors
/// Everything that could not be read, each with its layer.
pub(crate) fn build(
    model: &Model,
    store: &WeightStore<'_>,
    generation: Generation,
    limits: &Limits,
) -> Result<Built, Box<Unreadable>> {
    let mut builder = Builder {
        graph: Graph::new(),
        findings: Findings::new(),
        masks: HashMap::new(),
        weights: Vec::new(),
        training: BTreeMap::new(),
        store,
        generation,
        limits,
        unknown: HashSet::new(),
        assumed: BTreeSet::new(),
        channels_first: uses_channels_first(model, 0),
    };
    let outputs = builder.model(
        model,
        None,
        &Scope {
            weights: None,
            names: Vec::new(),
            frozen: false,
        },
    );
    if let Some(outputs) = outputs {
        builder.outputs(model, &outputs);
    }
    if builder.findings.has_errors() {
        Err(Box::new(Unreadable {
            findings: builder.findings,
            rest: Box::new(Rest::of(builder.graph, builder.assumed)),
        }))
    } else {
        Ok(Built {
            graph: builder.graph,
            findings: builder.findings,
            weights: builder.weights,
            training: builder.training,
        })
    }
}

fn uses_channels_first(model: &Model, depth: usize) -> bool {
    model.layers.iter().any(|layer| {
        let nested = || parse_nested(layer).and_then(Result::ok);
        layer.config.text_or("data_format", "") == Ok("channels_first")
            || (depth < 20 && nested().is_some_and(|model| uses_channels_first(&model, depth + 1)))
    })
}

impl Builder<'_> {
    /// The values of the model's outputs. `inputs` are those it is called with; the outermost model has its own.
    fn model(&mut self, model: &Model, inputs: Option<&[ValueId]>, scope: &Scope<'_>) -> Values {
        if scope.names.len() > self.limits.nesting {
            let message = format!("models are nested deeper than {}", self.limits.nesting);
            self.findings.push(Finding::error(
                NESTING,
                &Origin::new(model.name.as_str(), "Model"),
                message,
            ));
            return None;
        }
        let mut names = HashSet::new();
        if let Some(layer) = model.layers.iter().find(|layer| !names.insert(&layer.name)) {
            self.findings.push(Finding::error(
                DUPLICATE,
                &origin(layer),
                "two layers have this name, and nothing tells whose weights are whose",
            ));
            self.classes(model, scope);
            return None;
        }
        if model.ports.is_some() {
            self.functional(model, inputs, scope)
        } else {
            self.sequential(model, inputs, scope)
        }
    }

    fn sequential(&mut self, model: &Model, inputs: Option<&[ValueId]>, scope: &Scope<'_>) -> Values {
        let mut current: Values = inputs.map(<[ValueId]>::to_vec);
        let mut started = inputs.is_some();
        for layer in &model.layers {
            if layer.class == "InputLayer" {
                if inputs.is_none() {
                    current = self.input(layer).map(|value| vec![value]);
                    started = true;
                }
                continue;
            }
            if !started {
                current = self.implied_input(model, layer).map(|value| vec![value]);
                started = true;
            }
            current = self.call(layer, &NodeCall::default(), current.as_deref(), scope);
            // How many outputs a refused layer has is not known; here it is read as if it had one.
            if let Some(values) = &mut current
                && values.first().is_some_and(|value| self.unknown.contains(value))
            {
                values.truncate(1);
            }
        }
        current
    }

    /// One call of a layer. Problems become findings, and the call then gives values that stand in for its own.
    fn call(
        &mut self,
        layer: &Layer,
        call: &NodeCall,
        inputs: Option<&[ValueId]>,
        scope: &Scope<'_>,
    ) -> Values {
        let values = if let Some(nested) = parse_nested(layer) {
            let called = self.called(layer, call, inputs, scope);
            let plain = self.arguments(layer, &called);
            let inputs = self.with_mask(layer, called);
            let values = self.nested(layer, nested, inputs.as_deref(), scope);
            plain.and(self.left(values))
        } else if let Some(model) = stepwise::model_within(layer) {
            let called = self.called(layer, call, inputs, scope);
            let plain = self.arguments(layer, &called);
            plain.and(self.stepwise(layer, model, &called, scope))
        } else {
            match inputs.filter(|inputs| inputs.iter().any(|&input| self.is_unknown(input))) {
                Some(inputs) => self.call_of_unknown(layer, call, inputs, scope),
                None => self.call_of_known(layer, call, inputs, scope),
            }
        };
        values.or_else(|| inputs.map(|inputs| self.stand_ins(layer, inputs)))
    }

    /// One call of a layer that is no model. Nothing is left of one that fails, but its findings.
    fn call_of_known(
        &mut self,
        layer: &Layer,
        call: &NodeCall,
        inputs: Option<&[ValueId]>,
        scope: &Scope<'_>,
    ) -> Values {
        let Some(row) = layers::of(layer) else {
            self.findings.push(
                Finding::error(
                    UNKNOWN_LAYER,
                    &origin(layer),
                    format!("layer class {} is not supported", layer.class),
                )
                .with_help("custom code in a model is never executed; replace the layer by built-in ones"),
            );
            return None;
        };
        if let layers::Support::Refused(why) = row.support {
            self.findings
                .push(Finding::error(UNKNOWN_LAYER, &origin(layer), why));
            return None;
        }
        let layers::Support::Read(read) = row.support else {
            return None;
        };
        if let Some(message) = layers::unread(layer) {
            self.findings
                .push(Finding::error(ARGUMENTS, &origin(layer), message));
            return None;
        }
        let called = self.called(layer, call, inputs, scope);
        let by_default = self.generation == Generation::Three
            && layers::is_called_as_in_training(layer)
            && called.extra == ["training"];
        if !row.arguments && !by_default {
            self.arguments(layer, &called)?;
        }
        let (mask, given) = (called.mask, called.given);
        let inputs = &called.inputs?[..];
        let masked = given || inputs.iter().any(|input| self.masks.contains_key(input));
        if masked && row.mask == MaskRule::Reads {
            self.findings.push(
                Finding::error(MASKED, &origin(layer), "it reads a mask (from mask_zero or Masking), which DL4J handles differently")
                    .with_help("train without mask_zero and Masking, or with inputs that are never masked and masking off"),
            );
            return None;
        }
        let weights = self.own_weights(layer, scope)?;
        let empty = Weights::default();
        let mut scopes: Vec<&str> = scope.names.iter().map(String::as_str).collect();
        scopes.push(&layer.name);
        let mut context = Call {
            graph: &mut self.graph,
            findings: &mut self.findings,
            layer,
            config: &layer.config,
            generation: self.generation,
            operands: &call.operands,
            inputs,
            weights: weights.as_ref().or(scope.weights).unwrap_or(&empty),
            scopes,
            origin: origin(layer),
            mask: mask.clone(),
            masked_outputs: 0,
        };
        let nodes = context.graph.nodes().len();
        let read = read(&mut context);
        let carried = context.masked_outputs;
        self.training(layer, scope);
        self.weights.extend(weights);
        match read {
            Ok(outputs) => {
                let given = mask.filter(|_| given);
                Some(self.mask_outputs(layer, row.mask, inputs, given.as_ref(), outputs, carried))
            }
            Err(finding) => {
                self.graph.truncate(nodes);
                self.findings.push(*finding);
                None
            }
        }
    }

    /// The weights of a layer of the outermost model; `Some(None)` for a layer within another, whose model has them.
    fn own_weights(&mut self, layer: &Layer, scope: &Scope<'_>) -> Option<Option<Weights>> {
        if scope.weights.is_some() {
            return Some(None);
        }
        match self.store.of_layer(layer) {
            Ok(weights) => Some(Some(weights)),
            Err(error) => {
                self.findings
                    .push(Finding::error(layers::WEIGHT, &origin(layer), error.to_string()));
                None
            }
        }
    }

    fn nested(
        &mut self,
        layer: &Layer,
        model: Result<Model, ConfigError>,
        inputs: Option<&[ValueId]>,
        scope: &Scope<'_>,
    ) -> Values {
        let model = match model {
            Ok(model) => model,
            Err(error) => {
                self.findings
                    .push(Finding::error(CONNECTION, &origin(layer), error.to_string()));
                return None;
            }
        };
        let own = self.own_weights(layer, scope)?;
        let mut names = scope.names.clone();
        names.push(layer.name.clone());
        let frozen = scope.frozen || layer.config.flag_or("trainable", true) == Ok(false);
        let inner = Scope {
            weights: scope.weights.or(own.as_ref()),
            names,
            frozen,
        };
        let values = match inputs {
            Some(inputs) => self.model(&model, Some(inputs), &inner),
            None => {
                self.classes(&model, &inner);
                None
            }
        };
        self.weights.extend(own);
        values
    }

    /// The layers of a model that can't be built, by what does not depend on their inputs.
    fn classes(&mut self, model: &Model, scope: &Scope<'_>) {
        let layers = model.layers.iter().filter(|layer| layer.class != "InputLayer");
        for layer in layers {
            self.call(layer, &NodeCall::default(), None, scope);
        }
    }
}

fn origin(layer: &Layer) -> Origin {
    Origin::new(layer.name.as_str(), layer.class.as_str())
}
