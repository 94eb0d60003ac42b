//! From the layers to the graph, in the file's order. A blob is a name that stands for the value last written under it,
//! so that layers in place make new values as all others do.

mod input;
mod loss;
mod output;
mod rest;
mod time;

use crate::layers::{self, Call, Support};
use crate::net::{Layer, Net};
use crate::preprocessing::Preprocessing;
use crate::weights::Weights;
use caribou_ir::{Code, Finding, Findings, Graph, Loss, Normalizer, Origin, ReadOptions, Rest, ValueId};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// A type of layer that is not known, or refused.
const UNKNOWN_LAYER: Code = Code("C0401");
/// A blob that no layer makes, or two layers make.
const CONNECTION: Code = Code("C0402");
/// The shape of an input is not in the file.
const INPUT_SHAPE: Code = Code("C0403");
/// Something that matters in training only was left out.
const LEFT_OUT: Code = Code("C0404");
/// The network was cut before a layer that can't be expressed.
const CUT: Code = Code("C0405");
/// Two layers with weights have one name.
const DUPLICATE: Code = Code("C0406");
/// A loss that training goes on with, or one that it can't go on with.
const LOSS: Code = Code("C0408");
/// Time and examples have other places than in the source.
const TIME: Code = Code("C0407");

/// What a blob stands for.
#[derive(Debug, Clone)]
enum Blob {
    /// A value, and whether a layer has read it.
    Value { value: ValueId, read: bool },
    /// What a data layer gives besides its data: labels, which only losses and measures read.
    Label,
    /// Nothing: it could not be read, which was said, and not even its shape can be guessed.
    Failed,
    /// Nothing: the network was cut before it.
    Cut,
}

/// What [`build`] gives.
pub(crate) struct Built {
    pub(crate) graph: Graph,
    /// What is to be written beside the network.
    pub(crate) normalizer: Option<Normalizer>,
    /// The losses of outputs, where training is to go on.
    pub(crate) losses: Vec<Loss>,
    /// What could be read of it, where it is refused.
    pub(crate) rest: Option<Box<Rest>>,
}

/// Builds the graph of `net`; problems become findings. Losses are carried over where training goes on.
pub(crate) fn build(
    net: &Net,
    weights: &Weights,
    options: &ReadOptions,
    preprocessing: &Preprocessing,
    goes_on: bool,
    findings: &mut Findings,
) -> Built {
    let mut builder = Builder {
        graph: Graph::new(),
        findings,
        net,
        weights,
        options,
        preprocessing,
        normalizer: None,
        blobs: BTreeMap::new(),
        batch: None,
        names: HashSet::new(),
        inputs: 0,
        time: time::Time::of(net),
        unknown: HashSet::new(),
        assumed: BTreeSet::new(),
        losses: goes_on.then(Vec::new),
    };
    builder.net_inputs();
    for layer in &net.layers {
        builder.layer(layer);
    }
    let losses = builder.outputs();
    builder.graph.mark_indices();
    let rest = match builder.findings.has_errors() {
        true => Some(Box::new(Rest::of(builder.graph.clone(), builder.assumed))),
        false => None,
    };
    Built {
        graph: builder.graph,
        normalizer: builder.normalizer,
        losses,
        rest,
    }
}

struct Builder<'a> {
    graph: Graph,
    findings: &'a mut Findings,
    net: &'a Net,
    weights: &'a Weights,
    options: &'a ReadOptions,
    preprocessing: &'a Preprocessing,
    normalizer: Option<Normalizer>,
    blobs: BTreeMap<String, Blob>,
    /// What the file gives as the number of examples.
    batch: Option<usize>,
    /// Names of layers so far.
    names: HashSet<&'a str>,
    /// Inputs so far, those that nobody reads included.
    inputs: usize,
    /// What recurrent layers ask of inputs.
    time: time::Time,
    /// Values whose shapes are a guess, behind a layer that could not be read.
    unknown: HashSet<ValueId>,
    /// The names of the layers that read such values.
    assumed: BTreeSet<String>,
    /// The losses so far, where training is to go on.
    losses: Option<Vec<loss::Pending>>,
}

impl<'a> Builder<'a> {
    fn error(&mut self, code: Code, origin: &Origin, message: impl Into<String>, help: &str) {
        self.findings
            .push(Finding::error(code, origin, message).with_help(help));
    }

    fn layer(&mut self, layer: &'a Layer) {
        let origin = layer.origin();
        let support = layers::of(&layer.kind).map(|row| row.support);
        let repeated = !self.names.insert(&layer.name) && !layer.name.is_empty();
        match support {
            Some(Support::Data) => self.data(layer),
            Some(Support::Training(_)) if self.losses.is_some() && layer.kind.contains("Loss") => {
                self.loss(layer, &origin);
            }
            Some(Support::Training(why)) => {
                let message = format!("it was left out: {why}");
                self.findings.push(Finding::note(LEFT_OUT, &origin, message));
                // What is swallowed is no output, as what a loss reads is.
                for name in layer.bottoms.iter().filter(|_| layer.kind == "Silence") {
                    if let Some(Blob::Value { read, .. }) = self.blobs.get_mut(name) {
                        *read = true;
                    }
                }
            }
            Some(Support::Read(read)) => {
                if repeated && self.weights.count(layer).is_some() {
                    let message = "two layers have this name, and nothing tells whose weights are whose";
                    self.error(DUPLICATE, &origin, message, "give each layer a name of its own");
                }
                self.read(layer, read, &origin);
            }
            Some(Support::Refused(why)) => self.refuse(layer, why, &origin),
            None => {
                let message = format!("layers of type {} are not supported", layer.kind);
                self.refuse(layer, &message, &origin);
            }
        }
    }

    /// A layer that can't be expressed: the network ends before it, if that was asked for.
    fn refuse(&mut self, layer: &Layer, why: &str, origin: &Origin) {
        let state = if self.options.cut_unsupported {
            let message = format!("the network was cut before it: {why}");
            let bottoms = layer.bottoms.join(", ");
            self.findings
                .push(Finding::warning(CUT, origin, message).with_help(format!(
                    "compute {} from {bottoms} outside of DL4J",
                    layer.tops.join(", ")
                )));
            Blob::Cut
        } else {
            self.error(
                UNKNOWN_LAYER,
                origin,
                why,
                "replace the layer, or let the network end before it with --cut-unsupported",
            );
            self.stand_in(layer)
        };
        for top in &layer.tops {
            self.blobs.insert(top.clone(), state.clone());
        }
    }

    /// The values that a layer reads; none, and what its tops stand for, when there is a reason not to compute it.
    fn bottoms(&mut self, layer: &Layer, origin: &Origin) -> Result<Vec<ValueId>, Blob> {
        let mut values = Vec::new();
        let mut states = Vec::new();
        for name in &layer.bottoms {
            match self.blobs.get(name) {
                Some(Blob::Value { value, .. }) => values.push(*value),
                Some(state) => states.push(state.clone()),
                None => {
                    let message =
                        format!("it reads blob {name}, and no layer before it makes one of this name");
                    self.error(
                        CONNECTION,
                        origin,
                        message,
                        "check the names of bottom and top, and the order of the layers",
                    );
                    states.push(Blob::Failed);
                }
            }
        }
        if states.iter().any(|state| matches!(state, Blob::Failed)) {
            return Err(Blob::Failed);
        }
        if states.iter().any(|state| matches!(state, Blob::Cut)) {
            let message = "it was cut off with what it reads";
            self.findings.push(Finding::warning(CUT, origin, message));
            return Err(Blob::Cut);
        }
        match (states.len(), values.len()) {
            (0, _) => Ok(values),
            (_, 0) => Err(Blob::Label),
            _ => {
                let message = "it reads labels, which a network has in training only";
                self.error(CONNECTION, origin, message, "give the network as it is deployed");
                Err(Blob::Failed)
            }
        }
    }

    fn read(&mut self, layer: &'a Layer, read: fn(&mut Call<'_>) -> layers::Tops, origin: &Origin) {
        let inputs = match self.bottoms(layer, origin) {
            Ok(inputs) => inputs,
            Err(state) => {
                let state = match state {
                    Blob::Failed => self.stand_in(layer),
                    state => state,
                };
                for top in &layer.tops {
                    self.blobs.insert(top.clone(), state.clone());
                }
                return;
            }
        };
        let only_reader = layer
            .bottoms
            .iter()
            .map(|bottom| self.is_only_reader(layer, bottom))
            .collect();
        for name in &layer.bottoms {
            if let Some(Blob::Value { read, .. }) = self.blobs.get_mut(name) {
                *read = true;
            }
        }
        let guessed = inputs.iter().any(|input| self.unknown.contains(input));
        let before = self.findings.iter().count();
        let inputs = match guessed {
            true => self.likely(layer, inputs),
            false => inputs,
        };
        let read_tops = layer.tops.iter().map(|top| self.is_read(layer, top)).collect();
        let mut call = Call {
            graph: &mut self.graph,
            findings: self.findings,
            net: self.net,
            layer,
            parameters: &layer.parameters,
            inputs: &inputs,
            weights: self.weights,
            limits: &self.options.limits,
            origin: origin.clone(),
            batch: self.batch.unwrap_or(1),
            read_tops,
            only_reader,
            blobs: 0,
        };
        let tops = match read(&mut call) {
            Ok(tops) => {
                call.check_count();
                Some(tops)
            }
            Err(finding) => {
                self.findings.push(*finding);
                None
            }
        };
        if tops.as_ref().is_some_and(|tops| tops.len() != layer.tops.len()) {
            let message = format!(
                "expected {} tops, found {}",
                tops.as_ref().map_or(0, Vec::len),
                layer.tops.len()
            );
            self.error(CONNECTION, origin, message, "");
        }
        if guessed {
            self.forgive(before);
            self.assumed.insert(layer.name.clone());
            self.unknown.extend(tops.iter().flatten());
        }
        for (index, top) in layer.tops.iter().enumerate() {
            let value = tops.as_ref().and_then(|tops| tops.get(index)).copied();
            self.make(layer, top, value, origin);
        }
    }

    /// Lets the blob `top` stand for a value that `layer` made.
    fn make(&mut self, layer: &Layer, top: &str, value: Option<ValueId>, origin: &Origin) {
        let in_place = layer.bottoms.iter().any(|bottom| bottom == top);
        if self.blobs.contains_key(top) && !in_place {
            let message = format!("it makes blob {top}, and so does a layer before it");
            self.error(
                CONNECTION,
                origin,
                message,
                "if one of them is for training only, give it a rule include { phase: TRAIN }",
            );
        }
        let state = match value {
            Some(value) => Blob::Value { value, read: false },
            None => self.stand_in(layer),
        };
        self.blobs.insert(top.to_owned(), state);
    }

    /// Whether no layer but `layer` reads what the blob `bottom` stands for there.
    fn is_only_reader(&self, layer: &Layer, bottom: &str) -> bool {
        let layers = &self.net.layers;
        let Some(at) = layers.iter().position(|other| std::ptr::eq(other, layer)) else {
            return false;
        };
        let names = |list: &[String]| list.iter().any(|name| name == bottom);
        let made = layers[..at].iter().rposition(|other| names(&other.tops));
        let first = made.map_or(0, |made| made + 1);
        // From there on to the layer that writes the blob anew, which may read it once more.
        for (index, other) in layers.iter().enumerate().skip(first) {
            if index != at && names(&other.bottoms) {
                return false;
            }
            if names(&other.tops) {
                break;
            }
        }
        layer.bottoms.iter().filter(|name| *name == bottom).count() == 1
    }

    /// Whether a layer behind `layer` that is not left out reads the blob `top`, or it is an output.
    fn is_read(&self, layer: &Layer, top: &str) -> bool {
        let behind = self
            .net
            .layers
            .iter()
            .skip_while(|other| !std::ptr::eq(*other, layer))
            .skip(1);
        let mut swallowed = false;
        for other in behind.filter(|other| other.bottoms.iter().any(|bottom| bottom == top)) {
            if !matches!(
                layers::of(&other.kind).map(|row| row.support),
                Some(Support::Training(_))
            ) {
                return true;
            }
            swallowed |= other.kind == "Silence";
        }
        !swallowed
    }
}
