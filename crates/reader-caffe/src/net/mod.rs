//! A network in one form: a list of layers with names, types, blobs and the parameters of today's `layer`, whatever
//! words its file has, and only those that take part in the phase that was asked for.

mod numbers;
mod split;
mod state;
mod upgrade;

pub(crate) use numbers::{NotFinite, not_finite};
pub(crate) use split::unsplit;
pub(crate) use state::State;

use crate::schema::{LayerParameter, NetParameter, ParamSpec, Phase};
use crate::text::{Parsed, Unknown};
use caribou_ir::{Code, Finding, Findings, Origin, Place, Severity};

/// A field that is not declared.
const UNKNOWN_FIELD: Code = Code("C0101");
/// A layer with rules that contradict each other.
const RULES: Code = Code("C0102");
/// Layers in old and in new words in one file.
const MIXED: Code = Code("C0103");

/// One layer.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) bottoms: Vec<String>,
    pub(crate) tops: Vec<String>,
    pub(crate) parameters: LayerParameter,
    pub(crate) place: Place,
}

impl Layer {
    /// Whether it is the layer of training, whichever of both phases is being read.
    pub(crate) fn is_training(&self) -> bool {
        self.parameters.phase == Some(Phase::Train as i32)
    }

    pub(crate) fn origin(&self) -> Origin {
        let name = if self.name.is_empty() {
            "(unnamed)"
        } else {
            &self.name
        };
        Origin::new(name, self.kind.as_str()).at(self.place)
    }

    /// The name under which the weights of blob `index` are shared, and how.
    pub(crate) fn shared(&self, index: usize) -> Option<&ParamSpec> {
        self.parameters
            .param
            .get(index)
            .filter(|spec| !spec.name().is_empty())
    }
}

/// A network.
#[derive(Debug, Clone)]
pub(crate) struct Net {
    pub(crate) name: String,
    /// Inputs that the file declares outside of its layers: name and shape, empty where it says none.
    pub(crate) inputs: Vec<(String, Vec<i64>)>,
    pub(crate) layers: Vec<Layer>,
    /// Which words the file was written in: 0, 1 or 2 (`layer`).
    pub(crate) version: u8,
}

/// Brings a file into this form, with the layers that `state` takes.
pub(crate) fn normalize(
    parsed: Parsed<NetParameter>,
    state: &State,
    strict: bool,
    findings: &mut Findings,
) -> Net {
    let mut net = parsed.message;
    let mut version = 2;
    let old = std::mem::take(&mut net.layers);
    let mut layers: Vec<Layer> = Vec::new();
    if !old.is_empty() {
        version = if old.iter().any(|layer| layer.layer.is_some()) {
            0
        } else {
            1
        };
        layers = upgrade::layers(old, &parsed.layers, findings);
        if !net.layer.is_empty() {
            let message = "the file has both layer { } and layers { }, and their order is lost";
            findings.push(
                Finding::new(Severity::Error, MIXED, None, message)
                    .with_help("write all of them as layer { type: \"...\" }"),
            );
        }
    }
    let places = parsed
        .layer
        .iter()
        .copied()
        .chain(std::iter::repeat(Place::Offset(0)));
    for (parameters, place) in std::mem::take(&mut net.layer).into_iter().zip(places) {
        layers.push(Layer {
            name: parameters.name().to_owned(),
            kind: parameters.r#type().to_owned(),
            bottoms: parameters.bottom.clone(),
            tops: parameters.top.clone(),
            parameters,
            place,
        });
    }
    let state = state.with(net.state.as_ref());
    layers.retain(|layer| match state.takes(&layer.parameters) {
        Ok(taken) => taken,
        Err(message) => {
            findings.push(Finding::error(RULES, &layer.origin(), message));
            false
        }
    });
    if state.training {
        for layer in &mut layers {
            layer.parameters.phase.get_or_insert(Phase::Train as i32);
        }
    }
    report(&parsed.unknown, &layers, strict, findings);
    numbers::report(&parsed.not_finite, &layers, findings);
    Net {
        name: net.name().to_owned(),
        inputs: inputs(&net),
        layers,
        version,
    }
}

/// The inputs that stand outside of layers, with as much of their shapes as the file says.
fn inputs(net: &NetParameter) -> Vec<(String, Vec<i64>)> {
    let shape = |index: usize| match net.input_shape.get(index) {
        Some(shape) => shape.dim.clone(),
        None => {
            let sizes = net.input_dim.get(index * 4..index * 4 + 4);
            sizes.map_or_else(Vec::new, |sizes| {
                sizes.iter().map(|&size| i64::from(size)).collect()
            })
        }
    };
    net.input
        .iter()
        .enumerate()
        .map(|(index, name)| (name.clone(), shape(index)))
        .collect()
}

/// Says which fields were not read: one finding for each path, with the place of the first.
pub(crate) fn report(unknown: &[Unknown], layers: &[Layer], strict: bool, findings: &mut Findings) {
    let mut seen: Vec<(String, usize, &Unknown)> = Vec::new();
    for field in unknown {
        let taken = |place: Place| layers.iter().any(|layer| layer.place == place);
        if field.layer.is_some_and(|place| !taken(place)) {
            continue;
        }
        let path = field.path();
        match seen.iter_mut().find(|(other, ..)| *other == path) {
            Some((_, count, _)) => *count += 1,
            None => seen.push((path, 1, field)),
        }
    }
    for (path, count, first) in seen {
        let layer = layers.iter().find(|layer| Some(layer.place) == first.layer);
        let (name, kind) = layer.map_or(("(network)", ""), |layer| {
            (layer.name.as_str(), layer.kind.as_str())
        });
        let origin = Origin::new(name, kind).at(first.place);
        let times = if count > 1 {
            format!(" (and {} more)", count - 1)
        } else {
            String::new()
        };
        let message = format!("{path} is no field of Caffe's that is known here; it was passed over{times}");
        let severity = if strict {
            Severity::Error
        } else {
            Severity::Warning
        };
        findings.push(
            Finding::new(severity, UNKNOWN_FIELD, Some(origin), message).with_help(
                "make sure that it does not change what the layer computes; --strict refuses such files",
            ),
        );
    }
}
