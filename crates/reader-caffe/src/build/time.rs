//! Which inputs have time before examples, and which only say where sequences go on.

use super::{Blob, Builder, INPUT_SHAPE, TIME};
use crate::net::{Layer, Net};
use caribou_ir::op::{Constant, Transpose};
use caribou_ir::{Dim, Finding, Layout, Origin, Shape, Tensor};
use std::collections::{HashMap, HashSet};

/// Types that take sequences with time on axis 0 and examples on axis 1.
const RECURRENT: [&str; 2] = ["LSTM", "RNN"];

/// What recurrent layers ask of inputs, by the names of blobs.
#[derive(Debug, Default)]
pub(super) struct Time {
    /// Those that reach the first bottom of a recurrent layer.
    pub(super) first: HashSet<String>,
    /// Those that are nothing but the second bottom of recurrent layers.
    pub(super) continues: HashSet<String>,
}

impl Time {
    pub(super) fn of(net: &Net) -> Self {
        let mut time = Self::default();
        // From which blobs without a layer before them each blob is made.
        let mut sources: HashMap<&str, HashSet<&str>> = HashMap::new();
        let mut read_otherwise = HashSet::new();
        for layer in &net.layers {
            let recurrent = RECURRENT.contains(&layer.kind.as_str());
            let mut made_of = HashSet::new();
            for (position, bottom) in layer.bottoms.iter().enumerate() {
                let of = sources
                    .entry(bottom)
                    .or_insert_with(|| HashSet::from([bottom.as_str()]));
                match (recurrent, position) {
                    (true, 0) => time.first.extend(of.iter().map(|&name| name.to_owned())),
                    (true, 1) => {
                        time.continues.insert(bottom.clone());
                        continue;
                    }
                    // States have a single step, and what every step sees has none.
                    (true, position) if position + states(layer) >= layer.bottoms.len() => {
                        time.first.extend(of.iter().map(|&name| name.to_owned()));
                        read_otherwise.insert(bottom.as_str());
                        continue;
                    }
                    (true, _) => {
                        read_otherwise.insert(bottom.as_str());
                        continue;
                    }
                    _ => {}
                }
                made_of.extend(of.iter().copied());
                read_otherwise.insert(bottom.as_str());
            }
            for top in layer.tops.iter().filter(|_| !brings_data(layer)) {
                sources.insert(top, made_of.clone());
            }
        }
        time.continues
            .retain(|name| !read_otherwise.contains(name.as_str()));
        time
    }
}

/// How many bottoms of a recurrent layer are states, which are the last ones.
fn states(layer: &Layer) -> usize {
    let parameters = layer.parameters.recurrent_param.as_ref();
    match parameters.is_some_and(|parameters| parameters.expose_hidden()) {
        true if layer.kind == "LSTM" => 2,
        true => 1,
        false => 0,
    }
}

/// Whether the layer reads no blob: its tops are where values come from.
fn brings_data(layer: &Layer) -> bool {
    layer.bottoms.is_empty()
}

impl Builder<'_> {
    /// An input of sequences: examples first, as all inputs of the graph have them, and behind it in Caffe's order.
    pub(super) fn sequence(&mut self, name: &str, dims: Vec<Dim>, origin: &Origin) {
        let message = format!("the input {name} takes examples on its first axis and steps on its second");
        self.findings.push(Finding::note(TIME, origin, message));
        let mut permutation: Vec<usize> = (0..dims.len()).collect();
        permutation.swap(0, 1);
        let layout = match dims.len() {
            3 => Layout::Sequence,
            _ => Layout::Plain,
        };
        let value = self.graph.input(name, Shape::new(dims), layout);
        let state = match self.graph.apply(Transpose { permutation }, &[value], origin) {
            Ok(value) => Blob::Value { value, read: false },
            Err(error) => {
                self.error(INPUT_SHAPE, origin, error.to_string(), "");
                Blob::Failed
            }
        };
        self.blobs.insert(name.to_owned(), state);
    }

    /// An input that only says where sequences go on: they do, from the first step to the last.
    pub(super) fn continues(&mut self, name: &str, origin: &Origin) {
        let message = format!(
            "the input {name} was left out: every sequence is taken to start at its first step and to go on to its last"
        );
        self.findings.push(Finding::note(TIME, origin, message));
        let value = Tensor::filled(&[1], 1.0);
        let made = self.graph.apply(Constant { value }, &[], origin);
        let state = made.map_or(Blob::Failed, |value| Blob::Value { value, read: true });
        self.blobs.insert(name.to_owned(), state);
    }
}
