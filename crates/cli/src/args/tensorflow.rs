//! What the user says of a TensorFlow graph that does not tell by itself.

use super::{Arguments, Command, Parts, Target};
use caribou_reader_tf::{Binding, InputChoice};
use clap::Args;

/// Which part of a TensorFlow graph is taken.
#[derive(Args, Default)]
pub(crate) struct GraphParts {
    /// A node or tensor of a TensorFlow graph that is fed, with its shape where the graph does not say it (`x=?x224x224x3`).
    /// Given several times, for the inputs in their order; guessed where it is not given.
    #[arg(id = "graph-inputs", long = "input-node", value_name = "NAME[=SHAPE]")]
    pub(crate) inputs: Vec<InputChoice>,
    /// A node or tensor of a TensorFlow graph that is fetched; guessed where it is not given.
    #[arg(id = "graph-outputs", long = "output-node", value_name = "NAME")]
    pub(crate) outputs: Vec<String>,
    /// The signature of a SavedModel that is taken.
    #[arg(id = "graph-signature", long = "signature", value_name = "NAME")]
    pub(crate) signature: Option<String>,
    /// The value of a placeholder that is no input: a rate of dropout, whether to train. Those of inference are bound by
    /// themselves.
    #[arg(id = "graph-bind", long = "bind", value_name = "NAME=VALUE")]
    pub(crate) bind: Vec<Binding>,
}

impl GraphParts {
    /// The shapes that inputs are said to have, by their names.
    pub(crate) fn shapes(&self) -> Vec<(String, Vec<Option<usize>>)> {
        let shaped = |input: &InputChoice| Some((input.name.clone(), input.shape.clone()?));
        self.inputs.iter().filter_map(shaped).collect()
    }
}

/// The same ends under shorter names, for commands that have no other inputs and outputs.
#[derive(Args, Default)]
pub(crate) struct Ends {
    /// The same as --input-node.
    #[arg(id = "ends-input", long = "input", value_name = "NAME[=SHAPE]")]
    pub(crate) inputs: Vec<InputChoice>,
    /// The same as --output-node.
    #[arg(id = "ends-output", long = "output", value_name = "NAME")]
    pub(crate) outputs: Vec<String>,
}

impl Ends {
    fn move_to(&mut self, parts: &mut Parts) {
        parts.graph.inputs.append(&mut self.inputs);
        parts.graph.outputs.append(&mut self.outputs);
    }
}

impl Target {
    /// Without -o, the archive is what --output names last.
    pub(crate) fn settle(&mut self, parts: &mut Parts) {
        let archive = self.out.take();
        self.output = archive
            .or_else(|| self.ends.outputs.pop().map(Into::into))
            .unwrap_or_default();
        self.ends.move_to(parts);
    }
}

impl Arguments {
    /// Brings options that have two names under one. Every command that has a [`Target`] is among these.
    pub(crate) fn settled(mut self) -> Self {
        match &mut self.command {
            Command::Convert(options) => options.target.settle(&mut options.parts),
            Command::Clip(options) => options.subject.target.settle(&mut options.subject.parts),
            Command::Prune(options) => options.subject.target.settle(&mut options.subject.parts),
            Command::Quantize(options) => options.subject.target.settle(&mut options.subject.parts),
            Command::Transfer(options) => options.convert.target.settle(&mut options.convert.parts),
            Command::Words(words) => words.settle(),
            Command::Simplify(options) => options.subject.target.settle(&mut options.subject.parts),
            Command::Optimize(options) => options.subject.target.settle(&mut options.subject.parts),
            Command::Inspect(options) => options.ends.move_to(&mut options.parts),
            Command::Verify(options) => options.ends.move_to(&mut options.parts),
            _ => {}
        }
        self
    }
}
