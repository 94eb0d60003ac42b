//! A graph that is run.

use crate::{Array, exec};
use caribou_ir::{Dim, Node, Origin, TensorError, ValidGraph, ValueId};
use std::borrow::Cow;

/// Why a graph could not be run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// More or fewer inputs than the graph has.
    #[error("the model has {expected} inputs, {found} were given")]
    InputCount {
        /// Inputs of the graph.
        expected: usize,
        /// Inputs given.
        found: usize,
    },
    /// An input of another shape.
    #[error("input {port} expects an array of shape {expected}, found {found:?}")]
    InputShape {
        /// The name of the input.
        port: String,
        /// Its shape.
        expected: String,
        /// The shape given.
        found: Vec<usize>,
    },
    /// A parameter could not be read.
    #[error("{origin}: {source}")]
    Tensor {
        /// The layer.
        origin: Origin,
        /// What went wrong.
        source: TensorError,
    },
    /// An operator could not be computed on these values.
    #[error("{origin}: {message}")]
    Operator {
        /// The layer.
        origin: Origin,
        /// What went wrong.
        message: String,
    },
}

/// Runs one graph, any number of times.
#[derive(Debug)]
pub struct Session<'g> {
    graph: &'g ValidGraph,
    /// For each value, how many nodes and outputs read it.
    uses: Vec<usize>,
}

impl<'g> Session<'g> {
    /// A session of the graph.
    pub fn new(graph: &'g ValidGraph) -> Self {
        let mut uses = vec![0; graph.value_count()];
        for port in graph.outputs() {
            uses[port.value.index()] += 1;
        }
        for (_, node) in graph.nodes().rev() {
            if node.outputs.iter().any(|output| uses[output.index()] > 0) {
                node.inputs.iter().for_each(|input| uses[input.index()] += 1);
            }
        }
        Self { graph, uses }
    }

    /// The outputs, in the order of the graph's, for these inputs, in the order of the graph's.
    ///
    /// # Errors
    /// When the inputs do not fit, a parameter can't be read, or an operator can't be computed.
    pub fn run(&self, inputs: &[Array]) -> Result<Vec<Array>, RunError> {
        self.run_observed(inputs, &mut |_, _| {})
    }

    /// The same, showing each node with its outputs as they are made.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_observed(
        &self,
        inputs: &[Array],
        observe: &mut dyn FnMut(&Node, &[Array]),
    ) -> Result<Vec<Array>, RunError> {
        self.check(inputs)?;
        let mut left = self.uses.clone();
        let mut values: Vec<Option<Array>> = vec![None; self.graph.value_count()];
        for (port, input) in self.graph.inputs().iter().zip(inputs) {
            values[port.value.index()] = Some(input.as_standard_layout().into_owned());
        }
        for (_, node) in self.graph.nodes() {
            if node.outputs.iter().all(|output| self.uses[output.index()] == 0) {
                continue;
            }
            node.inputs.iter().for_each(|input| left[input.index()] -= 1);
            // What nothing reads afterwards is the operator's own.
            let is_own = |input: &ValueId| {
                let times = node.inputs.iter().filter(|other| *other == input).count();
                left[input.index()] == 0 && times == 1
            };
            let mut own: Vec<Option<Array>> = node
                .inputs
                .iter()
                .map(|input| is_own(input).then(|| values[input.index()].take())?)
                .collect();
            let arguments: Option<Vec<Cow<'_, Array>>> = node
                .inputs
                .iter()
                .zip(&mut own)
                .map(|(input, own)| match own.take() {
                    Some(own) => Some(Cow::Owned(own)),
                    None => values[input.index()].as_ref().map(Cow::Borrowed),
                })
                .collect();
            let arguments = arguments.ok_or_else(|| RunError::Operator {
                origin: node.origin.clone(),
                message: "a value it reads was not computed".into(),
            })?;
            let outputs = exec::run(&node.op, arguments).map_err(|error| error.at(&node.origin))?;
            observe(node, &outputs);
            for input in &node.inputs {
                if left[input.index()] == 0 {
                    values[input.index()] = None;
                }
            }
            for (&value, output) in node.outputs.iter().zip(outputs) {
                values[value.index()] = Some(output);
            }
        }
        let output = |port: &caribou_ir::Port| {
            values[port.value.index()]
                .clone()
                .ok_or_else(|| RunError::Operator {
                    origin: Origin::new(port.name.as_str(), "output"),
                    message: "it was not computed".into(),
                })
        };
        self.graph.outputs().iter().map(output).collect()
    }

    fn check(&self, inputs: &[Array]) -> Result<(), RunError> {
        let ports = self.graph.inputs();
        if ports.len() != inputs.len() {
            return Err(RunError::InputCount {
                expected: ports.len(),
                found: inputs.len(),
            });
        }
        for (port, input) in ports.iter().zip(inputs) {
            let shape = self.graph.shape(port.value);
            let fits = shape.rank() == input.ndim()
                && shape
                    .dims()
                    .iter()
                    .zip(input.shape())
                    .all(|(dim, &size)| match dim {
                        Dim::Fixed(expected) => *expected == size,
                        Dim::Batch(_) | Dim::Unknown(_) => size > 0,
                    });
            if !fits {
                let (expected, found) = (shape.to_string(), input.shape().to_vec());
                return Err(RunError::InputShape {
                    port: port.name.clone(),
                    expected,
                    found,
                });
            }
        }
        Ok(())
    }
}
