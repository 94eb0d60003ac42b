//! Reads TensorFlow graphs (frozen GraphDef, SavedModel) into the caribou graph.
//!
//! [`file`] reads whatever was named into a [`program`]: nodes, functions, values of variables. [`flatten`] makes it one
//! flat [`graph`] of TensorFlow's operations: inputs and outputs chosen, functions inlined, variables as constants, only
//! what the outputs need. From there on the file's form does not matter: [`build`] makes the graph of it. Nothing in a file
//! is ever executed, and no file but the named ones is opened.

mod build;
mod bundle;
mod choice;
mod file;
mod flatten;
mod fold;
mod graph;
mod idioms;
#[allow(dead_code)]
mod literal;
mod loops;
mod ops;
#[allow(dead_code)]
mod program;
mod schema;

use caribou_ir::{Confidence, Findings, Import, ReadError, ReadOptions, Reader, Source};
pub use choice::{Binding, InputChoice};

/// Reads TensorFlow models.
#[derive(Debug, Clone, Default)]
pub struct TensorflowReader {
    /// What is fed, in this order: nodes or tensors, also within the graph, or inputs of the signature. Where there is
    /// none, the signature tells, or the placeholders that the outputs need.
    pub inputs: Vec<InputChoice>,
    /// What is fetched, in this order: nodes, tensors (`name:1`), or outputs of the signature. Where there is none, the
    /// signature tells, or what no other node reads.
    pub outputs: Vec<String>,
    /// The signature of a SavedModel; `serving_default` where it is not given.
    pub signature: Option<String>,
    /// Values of placeholders that are no inputs.
    pub bind: Vec<Binding>,
}

impl TensorflowReader {
    /// The shape of a tensor within the graph, as what leads to it tells.
    fn shape_within(
        &self,
        program: &program::Program,
        name: &str,
        options: &ReadOptions,
    ) -> Option<Vec<Option<usize>>> {
        let ahead = Self {
            inputs: Vec::new(),
            outputs: vec![name.to_owned()],
            ..self.clone()
        };
        let mut findings = Findings::new();
        let flat = flatten::flatten(program, &ahead, options, &mut findings);
        if findings.has_errors() {
            return None;
        }
        let graph = build::build(&flat).ok()?.graph;
        let shape = graph.shape(graph.outputs().first()?.value);
        Some(shape.dims().iter().map(|dim| dim.fixed()).collect())
    }
}

impl Reader for TensorflowReader {
    fn name(&self) -> &'static str {
        "tensorflow"
    }

    fn takes_weights(&self) -> bool {
        true
    }

    fn probe(&self, source: &Source) -> Confidence {
        file::probe(source)
    }

    fn read(&self, source: &Source, options: &ReadOptions) -> Result<Import, ReadError> {
        let program = file::open(source, self.signature.as_deref(), &options.limits).map_err(|message| {
            ReadError::Format {
                path: source.path().to_path_buf(),
                message,
                help: "expected a graph of TensorFlow (GraphDef) or the directory of a SavedModel".into(),
            }
        })?;
        let mut findings = Findings::new();
        let mut flat = flatten::flatten(&program, self, options, &mut findings);
        for feed in flat.feeds.iter_mut().filter(|feed| feed.within) {
            if feed.shape.is_none() {
                feed.shape = self.shape_within(&program, &feed.name, options);
            }
        }
        let refused = |findings, rest| ReadError::Refused {
            path: source.path().to_path_buf(),
            findings,
            rest,
        };
        // The operations of a graph that is not whole say nothing.
        if findings.has_errors() {
            return Err(refused(findings, None));
        }
        match build::build(&flat) {
            Ok(built) => {
                findings.extend(built.findings);
                Ok(Import {
                    graph: built.graph,
                    findings,
                    training: None,
                    normalizer: None,
                    format: flat.format,
                })
            }
            Err(unreadable) => {
                findings.extend(unreadable.findings);
                Err(refused(findings, Some(unreadable.rest)))
            }
        }
    }
}
