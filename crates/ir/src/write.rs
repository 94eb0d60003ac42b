//! The seam between the graph and a target format.

use crate::{Findings, Normalizer, Quantization, Rewrite, TensorError, Training, ValidGraph};
use std::io::{Seek, Write};

/// Where an archive goes: bytes that can be written and gone back to.
pub trait Sink: Write + Seek {}

impl<T: Write + Seek> Sink for T {}

/// What the user asked of a writer.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct WriteOptions {
    /// How the model was being trained: the loss, the optimiser and, to go on from it, its state.
    pub training: Option<Training>,
    /// The largest number of steps of a recurrent layer that may be written as layers of their own, one set a step,
    /// where the target has no such recurrent layer. `None` when none may.
    pub unroll_recurrent: Option<usize>,
    /// What is kept beside the network for its first input.
    pub normalizer: Option<Normalizer>,
    /// What the grid values of quantized parameters stand for; written beside the network.
    pub quantization: Option<Quantization>,
    /// The numbers that parameters become.
    pub precision: Precision,
}

/// The numbers of a written network: its parameters, and what it computes with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// IEEE 754 binary32.
    #[default]
    Single,
    /// IEEE 754 binary16.
    Half,
    /// The upper half of a binary32.
    Bfloat16,
}

/// How one or more layers of the source became layers of the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerReport {
    /// Layers of the source.
    pub source: Vec<String>,
    /// Layers and vertices of the target.
    pub target: Vec<String>,
    /// Whether the function is the same but for the order of floating-point operations.
    pub exact: bool,
    /// What a user should know about it; may be empty.
    pub note: String,
}

/// An input or output of the written network, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortReport {
    /// Its name in the target.
    pub name: String,
    /// The name of the layer or tensor in the source.
    pub source_name: String,
    /// Its shape in the target; `-1` where it is unknown.
    pub shape: Vec<i64>,
    /// How the target's axes follow from those of the graph's port: axis `i` of the target is axis
    /// `permutation[i]` of the graph.
    pub permutation: Vec<usize>,
}

/// What a writer did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The kind of network, in the target's words.
    pub target: String,
    /// The inputs, in the target's order.
    pub inputs: Vec<PortReport>,
    /// The outputs, in the target's order.
    pub outputs: Vec<PortReport>,
    /// How layers became layers.
    pub layers: Vec<LayerReport>,
    /// The rewrites that the target made necessary.
    pub rewrites: Vec<Rewrite>,
    /// Warnings and notes.
    pub findings: Findings,
    /// The number of parameters written.
    pub parameters: u64,
}

/// Why a model could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The target can't express these layers; all of them, not the first.
    #[error("{0}")]
    Refused(Findings),
    /// The operating system would not let us.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A tensor of the source could not be read.
    #[error("{layer}: {source}")]
    Tensor {
        /// The layer it belongs to.
        layer: String,
        /// What went wrong.
        source: TensorError,
    },
}

/// A target format.
pub trait Writer {
    /// Writes the model into `sink`.
    ///
    /// # Errors
    /// When the target can't express the model, or the sink can't be written to.
    fn write(
        &self,
        model: &ValidGraph,
        sink: &mut dyn Sink,
        options: &WriteOptions,
    ) -> Result<Report, WriteError>;
}
