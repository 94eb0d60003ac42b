//! The seam between a file format and the graph.

use crate::{Findings, Graph, Layout, Limits, Normalizer, Origin, Source, Training, ValueId};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// How sure a reader is that a file is of its format, judged by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// It is not.
    No,
    /// Nothing speaks against it.
    Maybe,
    /// It carries the format's signature.
    Yes,
}

/// What the user asked of a reader.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// What the file may make us allocate.
    pub limits: Limits,
    /// The shapes of the inputs, batch included, for formats that do not store them; `None` where a size is unknown.
    pub input_shapes: Vec<Vec<Option<usize>>>,
    /// The same of inputs by their names, which counts where both are given.
    pub named_shapes: Vec<(String, Vec<Option<usize>>)>,
    /// Whether an architecture without weights is read too, with zeros in their place.
    pub untrained: bool,
    /// Whether what a file says beyond the format, which is passed over with a warning otherwise, is an error.
    pub strict: bool,
    /// Whether a layer that can't be expressed ends the network before it instead of being refused.
    pub cut_unsupported: bool,
    /// Whether what the optimiser remembers is wanted, where the format has it apart from the rest.
    pub training_state: bool,
}

/// A model as it was read.
#[derive(Debug, Clone)]
pub struct Import {
    /// The graph, in the source's axis order at its edges.
    pub graph: Graph,
    /// What there is to say about it, without errors among them.
    pub findings: Findings,
    /// How it was being trained, where the file says so.
    pub training: Option<Training>,
    /// What the first input goes through before, if it is to be written beside the network.
    pub normalizer: Option<Normalizer>,
    /// The format and its version in a few words, such as `Keras 2.15.0 HDF5`.
    pub format: String,
}

/// Why a model could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The operating system would not let us.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is damaged, or not of this format.
    #[error("{path}: {message}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected and what was there, with the place.
        message: String,
        /// What to do.
        help: String,
    },
    /// The file was read, but these layers can't be expressed; all of them, not the first.
    #[error("{path}: {findings}", path = path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// At least one error, each with its layer.
        findings: Findings,
        /// The rest of the model, where the reader could go on behind these layers.
        rest: Option<Box<Rest>>,
    },
    /// This kind of file is known, but not read by this version.
    #[error("{path}: not yet supported: {what}", path = path.display())]
    NotYetSupported {
        /// The file.
        path: PathBuf,
        /// What kind of file it is.
        what: String,
    },
}

/// What could be read of a model that is refused. What the refused layers would have made are inputs of the graph, so that
/// a writer can say what it would refuse of the other layers.
#[derive(Debug, Clone)]
pub struct Rest {
    /// The other layers.
    pub graph: Graph,
    /// Layers behind a refused one whose output the file does not describe: their inputs' shapes are a guess.
    pub assumed: BTreeSet<String>,
}

impl Rest {
    /// What was read of a model that is refused. Whatever nothing reads is made an output, so that it counts.
    pub fn of(mut graph: Graph, assumed: BTreeSet<String>) -> Self {
        let consumers = graph.consumers();
        let ends: Vec<(ValueId, Origin)> = graph
            .nodes()
            .flat_map(|(_, node)| node.outputs.iter().map(|&output| (output, node.origin.clone())))
            .filter(|(output, _)| consumers[output.index()].is_empty())
            .filter(|(output, _)| graph.outputs().iter().all(|port| port.value != *output))
            .collect();
        for (i, (value, origin)) in ends.into_iter().enumerate() {
            graph.output(format!("{} (end {i})", origin.layer), value, Layout::Plain);
        }
        Self { graph, assumed }
    }
}

/// A source format.
pub trait Reader {
    /// The format's name, such as `keras`.
    fn name(&self) -> &'static str;

    /// Whether a second file with the weights ([`Source::weights`]) means anything to the format.
    fn takes_weights(&self) -> bool {
        false
    }

    /// How sure the reader is that `source` is of its format. Looks at the content, reads little, never fails.
    fn probe(&self, source: &Source) -> Confidence;

    /// Reads the model.
    ///
    /// # Errors
    /// When the file can't be read or its layers can't be expressed.
    fn read(&self, source: &Source, options: &ReadOptions) -> Result<Import, ReadError>;
}
