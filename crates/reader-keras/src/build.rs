//! From the architecture to the graph: every call of every layer in an order in which its inputs exist.

use crate::config::{Layer, Model, NodeCall, TensorRef, parse_nested};
use crate::layers::{self, Call, MaskRule};
use crate::weights::{WeightStore, Weights};
use caribou_ir::op::{Identity, Op};
use caribou_ir::{Code, Dim, Finding, Findings, Graph, Layout, Limits, Origin, Shape, ValueId};
use std::collections::{HashMap, HashSet};

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

/// What a call of a layer gives: values, or nothing when the layer or one before it could not be read.
type Values = Option<Vec<ValueId>>;

pub(crate) struct Builder<'f> {
    pub(crate) graph: Graph,
    pub(crate) findings: Findings,
    /// Values that carry a Keras mask.
    masked: HashSet<ValueId>,
    /// The weights of all layers so far.
    weights: Vec<Weights>,
    store: &'f WeightStore<'f>,
    limits: &'f Limits,
    /// Whether the model's convolutions read channels-first arrays.
    channels_first: bool,
}

/// The names and weights that the layers of a (nested) model are looked up by.
struct Scope<'w> {
    /// The weights of the outermost layer, when this is a nested model.
    weights: Option<&'w Weights>,
    /// The names of the models around, outermost first.
    names: Vec<String>,
}

/// What [`build`] gives.
pub(crate) struct Built {
    pub(crate) graph: Graph,
    pub(crate) findings: Findings,
    /// The weights that the layers took theirs from.
    pub(crate) weights: Vec<Weights>,
}

/// Builds the graph of `model`, with the weights of `store`.
///
/// # Errors
/// Everything that could not be read, each with its layer.
pub(crate) fn build(model: &Model, store: &WeightStore<'_>, limits: &Limits) -> Result<Built, Findings> {
    let mut builder = Builder {
        graph: Graph::new(),
        findings: Findings::new(),
        masked: HashSet::new(),
        weights: Vec::new(),
        store,
        limits,
        channels_first: uses_channels_first(model, 0),
    };
    let outputs = builder.model(
        model,
        None,
        &Scope {
            weights: None,
            names: Vec::new(),
        },
    );
    if let Some(outputs) = outputs {
        builder.outputs(model, &outputs);
    }
    if builder.findings.has_errors() {
        Err(builder.findings)
    } else {
        Ok(Built {
            graph: builder.graph,
            findings: builder.findings,
            weights: builder.weights,
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
        }
        current
    }

    /// The input of a Sequential model that has no InputLayer: its first layer, or the model, tells the shape.
    fn implied_input(&mut self, model: &Model, first: &Layer) -> Option<ValueId> {
        let nested = parse_nested(first).and_then(Result::ok);
        let shape = first
            .config
            .shape("batch_input_shape")
            .ok()
            .flatten()
            .or_else(|| model.build_shape.clone())
            .or_else(|| {
                let inner = nested?;
                let own = inner
                    .layers
                    .first()?
                    .config
                    .shape("batch_input_shape")
                    .ok()
                    .flatten();
                own.or(inner.build_shape)
            });
        let Some(shape) = shape else {
            self.findings.push(
                Finding::error(
                    INPUT_SHAPE,
                    &origin(first),
                    "the shape of the model's input is not in the file",
                )
                .with_help("call the model once, or model.build(input_shape), before saving it"),
            );
            return None;
        };
        Some(self.add_input(&format!("{}_input", first.name), &shape))
    }

    fn input(&mut self, layer: &Layer) -> Option<ValueId> {
        let shape = ["batch_input_shape", "batch_shape"]
            .iter()
            .find_map(|key| layer.config.shape(key).ok().flatten());
        let ragged = layer.config.flag_or("ragged", false).unwrap_or(true)
            || layer.config.flag_or("sparse", false).unwrap_or(true);
        match shape {
            Some(shape) if !ragged => Some(self.add_input(&layer.name, &shape)),
            _ => {
                let message = if ragged {
                    "ragged and sparse inputs are not supported"
                } else {
                    "the input's shape is not in the file"
                };
                self.findings
                    .push(Finding::error(INPUT_SHAPE, &origin(layer), message));
                None
            }
        }
    }

    fn add_input(&mut self, name: &str, shape: &[Option<usize>]) -> ValueId {
        let mut dims = vec![Dim::BATCH];
        for size in shape.iter().skip(1) {
            dims.push(size.map_or_else(|| self.graph.unknown(), Dim::Fixed));
        }
        let layout = self.layout(dims.len());
        self.graph.input(name, Shape::new(dims), layout)
    }

    fn layout(&self, rank: usize) -> Layout {
        match rank {
            3 => Layout::Sequence,
            4 | 5 if self.channels_first => Layout::ChannelsFirst,
            4 | 5 => Layout::ChannelsLast,
            _ => Layout::Plain,
        }
    }

    fn functional(&mut self, model: &Model, inputs: Option<&[ValueId]>, scope: &Scope<'_>) -> Values {
        let ports = model.ports.as_ref()?;
        let mut values: HashMap<TensorRef, Option<ValueId>> = HashMap::new();
        for (i, port) in ports.inputs.iter().enumerate() {
            let value = match inputs {
                Some(inputs) => inputs.get(i).copied(),
                None => match model.layers.iter().find(|layer| layer.name == port.layer) {
                    Some(layer) => self.input(layer),
                    None => self.unconnected(model, port),
                },
            };
            values.insert(port.clone(), value);
        }
        let mut pending: Vec<(&Layer, usize)> = model
            .layers
            .iter()
            .flat_map(|layer| (0..layer.calls.len()).map(move |call| (layer, call)))
            .collect();
        pending.retain(|(layer, _)| layer.class != "InputLayer");
        while !pending.is_empty() {
            let before = pending.len();
            pending.retain(|&(layer, index)| {
                let call = &layer.calls[index];
                if !call.inputs.iter().all(|input| values.contains_key(input)) {
                    return true;
                }
                let inputs: Option<Vec<ValueId>> = call.inputs.iter().map(|input| values[input]).collect();
                let outputs = self.call(layer, call, inputs.as_deref(), scope);
                if layer.calls.len() > 1 && index == 1 {
                    self.note_shared(layer);
                }
                let count = outputs.as_ref().map_or(0, Vec::len);
                for output in 0..count.max(8) {
                    let value = outputs.as_ref().and_then(|outputs| outputs.get(output).copied());
                    let reference = TensorRef {
                        layer: layer.name.clone(),
                        call: index + first_call(model, layer),
                        output,
                    };
                    // An output that the layer did not give is only missed when somebody reads it.
                    if value.is_some() || outputs.is_none() {
                        values.insert(reference, value);
                    }
                }
                false
            });
            if pending.len() == before {
                for (layer, _) in pending {
                    let message =
                        "its inputs come from nowhere, from an unused state, or from the layer itself";
                    self.findings
                        .push(Finding::error(CONNECTION, &origin(layer), message));
                }
                return None;
            }
        }
        let outputs: Vec<Option<ValueId>> = ports
            .outputs
            .iter()
            .map(|port| {
                values
                    .get(port)
                    .copied()
                    .unwrap_or_else(|| self.unconnected(model, port))
            })
            .collect();
        outputs.into_iter().collect()
    }

    fn unconnected(&mut self, model: &Model, port: &TensorRef) -> Option<ValueId> {
        let message = format!(
            "the model names {} as an input or output, and there is no such layer or state",
            port.layer
        );
        self.findings.push(Finding::error(
            CONNECTION,
            &Origin::new(model.name.as_str(), "Model"),
            message,
        ));
        None
    }

    fn note_shared(&mut self, layer: &Layer) {
        if !layer.config.0.is_empty() && layers::has_weights(&layer.class) {
            let message = format!(
                "it is used {} times: each use gets a copy of its weights",
                layer.calls.len()
            );
            self.findings.push(
                Finding::note(SHARED, &origin(layer), message)
                    .with_help("the copies are no longer tied when training goes on"),
            );
        }
    }

    /// One call of a layer. Problems become findings, and the call then gives nothing.
    fn call(
        &mut self,
        layer: &Layer,
        call: &NodeCall,
        inputs: Option<&[ValueId]>,
        scope: &Scope<'_>,
    ) -> Values {
        if let Some(nested) = parse_nested(layer) {
            return self.nested(layer, nested, inputs, scope);
        }
        let Some(row) = layers::find(&layer.class) else {
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
        let inputs = inputs?;
        if !call.arguments.is_empty() {
            let message = format!(
                "it is called with arguments that are not supported: {}",
                call.arguments.join(", ")
            );
            self.findings
                .push(Finding::error(ARGUMENTS, &origin(layer), message));
            return None;
        }
        let masked = inputs.iter().any(|input| self.masked.contains(input));
        if masked && row.mask == MaskRule::Reads {
            self.findings.push(
                Finding::error(MASKED, &origin(layer), "it reads a mask (from mask_zero or Masking), which DL4J handles differently")
                    .with_help("train without mask_zero and Masking, or with inputs that are never masked and masking off"),
            );
            return None;
        }
        let weights = match scope.weights {
            Some(_) => None,
            None => match self.store.of_layer(layer) {
                Ok(weights) => Some(weights),
                Err(error) => {
                    self.findings
                        .push(Finding::error(layers::WEIGHT, &origin(layer), error.to_string()));
                    return None;
                }
            },
        };
        let empty = Weights::default();
        let mut scopes: Vec<&str> = scope.names.iter().skip(1).map(String::as_str).collect();
        scopes.push(&layer.name);
        let mut context = Call {
            graph: &mut self.graph,
            findings: &mut self.findings,
            layer,
            config: &layer.config,
            operands: &call.operands,
            inputs,
            weights: weights.as_ref().or(scope.weights).unwrap_or(&empty),
            scopes,
            origin: origin(layer),
        };
        let read = read(&mut context);
        self.weights.extend(weights);
        match read {
            Ok(outputs) => {
                if (masked && row.mask == MaskRule::Passes)
                    || (row.mask != MaskRule::Reads && makes_mask(layer))
                {
                    self.masked.extend(&outputs);
                }
                Some(outputs)
            }
            Err(finding) => {
                self.findings.push(*finding);
                None
            }
        }
    }

    fn nested(
        &mut self,
        layer: &Layer,
        model: Result<Model, crate::config::ConfigError>,
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
        let own = match scope.weights {
            Some(_) => None,
            None => match self.store.of_layer(layer) {
                Ok(weights) => Some(weights),
                Err(error) => {
                    self.findings
                        .push(Finding::error(layers::WEIGHT, &origin(layer), error.to_string()));
                    return None;
                }
            },
        };
        let mut names = scope.names.clone();
        names.push(layer.name.clone());
        // Without inputs the layers can't be built, but their classes are still looked at: all findings at once.
        let Some(inputs) = inputs else {
            for layer in &model.layers {
                if layer.class != "InputLayer" {
                    self.call(
                        layer,
                        &NodeCall::default(),
                        None,
                        &Scope {
                            weights: scope.weights.or(own.as_ref()),
                            names: names.clone(),
                        },
                    );
                }
            }
            return None;
        };
        let values = self.model(
            &model,
            Some(inputs),
            &Scope {
                weights: scope.weights.or(own.as_ref()),
                names,
            },
        );
        self.weights.extend(own);
        values
    }

    fn outputs(&mut self, model: &Model, values: &[ValueId]) {
        let mut used = HashMap::new();
        for (i, &value) in values.iter().enumerate() {
            let name = match &model.ports {
                Some(ports) => ports.outputs[i].layer.clone(),
                None => model
                    .layers
                    .last()
                    .map_or_else(|| "output".to_owned(), |layer| layer.name.clone()),
            };
            let count: &mut usize = used.entry(name.clone()).or_default();
            let port = if *count == 0 {
                name.clone()
            } else {
                format!("{name}_{count}")
            };
            *count += 1;
            let layout = self.layout(self.graph.shape(value).rank());
            self.graph.output(port, value, layout);
            if let Some(port) = self.graph.outputs_mut().last_mut() {
                port.source_name = name;
            }
        }
        self.mark_indices();
    }

    /// Inputs that an embedding reads hold indices: whoever makes inputs up must keep to its vocabulary.
    fn mark_indices(&mut self) {
        let mut bounds: HashMap<ValueId, usize> = HashMap::new();
        for (_, node) in self.graph.nodes().rev() {
            let through = matches!(
                node.op,
                Op::Identity(Identity) | Op::Noise(_) | Op::Reshape(_) | Op::Transpose(_)
            );
            let bound = match &node.op {
                Op::Embedding(op) => op.table.shape().first().copied(),
                _ if through => node
                    .outputs
                    .iter()
                    .filter_map(|output| bounds.get(output))
                    .min()
                    .copied(),
                _ => None,
            };
            for &input in &node.inputs {
                if let Some(bound) = bound {
                    let entry = bounds.entry(input).or_insert(bound);
                    *entry = (*entry).min(bound);
                }
            }
        }
        for port in self.graph.inputs_mut() {
            port.index_bound = bounds.get(&port.value).copied();
        }
    }
}

/// The number of the first call of a layer: a nested model that was built on inputs of its own has used up number
/// zero for that, and only the connections tell.
fn first_call(model: &Model, layer: &Layer) -> usize {
    let calls = model
        .layers
        .iter()
        .flat_map(|other| &other.calls)
        .flat_map(|call| &call.inputs);
    let ports = model
        .ports
        .iter()
        .flat_map(|ports| ports.inputs.iter().chain(&ports.outputs));
    let last = calls
        .chain(ports)
        .filter(|input| input.layer == layer.name)
        .map(|input| input.call)
        .max();
    usize::from(parse_nested(layer).is_some() && last >= Some(layer.calls.len()))
}

fn makes_mask(layer: &Layer) -> bool {
    layer.class == "Masking" || layer.config.flag_or("mask_zero", false) == Ok(true)
}

fn origin(layer: &Layer) -> Origin {
    Origin::new(layer.name.as_str(), layer.class.as_str())
}
