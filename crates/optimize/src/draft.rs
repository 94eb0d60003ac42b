//! A graph that is being rewritten.

use crate::OptimizeError;
use caribou_ir::{Graph, Node, Rewrite, Shape, ValueId};
use std::collections::HashMap;

/// The nodes of a graph, some of them changed or taken out. Values keep the handles of the graph they come from until
/// [`Draft::build`] makes the new one.
pub(crate) struct Draft<'g> {
    graph: &'g Graph,
    nodes: Vec<Option<Node>>,
    producers: HashMap<ValueId, usize>,
    /// The nodes that read a value, each once.
    consumers: Vec<Vec<usize>>,
    /// The values at the outputs of the graph.
    outputs: Vec<ValueId>,
    pub(crate) rewrites: Vec<Rewrite>,
}

impl<'g> Draft<'g> {
    pub(crate) fn new(graph: &'g Graph) -> Self {
        let mut draft = Self {
            graph,
            nodes: graph.nodes().map(|(_, node)| Some(node.clone())).collect(),
            producers: HashMap::new(),
            consumers: vec![Vec::new(); graph.value_count()],
            outputs: graph.outputs().iter().map(|port| port.value).collect(),
            rewrites: Vec::new(),
        };
        for (id, node) in graph.nodes() {
            for &output in &node.outputs {
                draft.producers.insert(output, id.index());
            }
            for input in &node.inputs {
                let readers = &mut draft.consumers[input.index()];
                if readers.last() != Some(&id.index()) {
                    readers.push(id.index());
                }
            }
        }
        draft
    }

    /// The positions of all nodes, those that were taken out included.
    pub(crate) fn positions(&self) -> std::ops::Range<usize> {
        0..self.nodes.len()
    }

    pub(crate) fn node(&self, position: usize) -> Option<&Node> {
        self.nodes.get(position)?.as_ref()
    }

    pub(crate) fn node_mut(&mut self, position: usize) -> Option<&mut Node> {
        self.nodes.get_mut(position)?.as_mut()
    }

    pub(crate) fn shape(&self, value: ValueId) -> &Shape {
        self.graph.shape(value)
    }

    /// The node that makes a value; `None` for an input.
    pub(crate) fn producer(&self, value: ValueId) -> Option<usize> {
        self.producers.get(&value).copied()
    }

    pub(crate) fn consumers(&self, value: ValueId) -> &[usize] {
        &self.consumers[value.index()]
    }

    pub(crate) fn is_output(&self, value: ValueId) -> bool {
        self.outputs.contains(&value)
    }

    /// The only node that reads a value, if it is seen nowhere else.
    pub(crate) fn sole_consumer(&self, value: ValueId) -> Option<usize> {
        match self.consumers(value) {
            [only] if !self.is_output(value) => Some(*only),
            _ => None,
        }
    }

    /// Whether the value of `input` may stand in for `output`. An output of the graph stays a value of its own, and is not
    /// one of its inputs.
    pub(crate) fn can_stand_in(&self, input: ValueId, output: ValueId) -> bool {
        !self.is_output(output) || (self.producer(input).is_some() && !self.is_output(input))
    }

    /// Takes a node with one output out: whoever read that reads `input` now.
    pub(crate) fn bypass(&mut self, position: usize, input: ValueId) {
        let Some(node) = self.nodes.get_mut(position).and_then(Option::take) else {
            return;
        };
        for value in &node.inputs {
            self.consumers[value.index()].retain(|&reader| reader != position);
        }
        let Some(&output) = node.outputs.first() else {
            return;
        };
        self.producers.remove(&output);
        for reader in std::mem::take(&mut self.consumers[output.index()]) {
            if let Some(node) = self.nodes[reader].as_mut() {
                node.inputs
                    .iter_mut()
                    .filter(|value| **value == output)
                    .for_each(|value| *value = input);
            }
            let readers = &mut self.consumers[input.index()];
            if !readers.contains(&reader) {
                readers.push(reader);
            }
        }
        for value in self.outputs.iter_mut().filter(|value| **value == output) {
            *value = input;
        }
    }

    /// Makes a node read nothing any more: it has become a constant.
    pub(crate) fn disconnect(&mut self, position: usize) {
        let inputs = match self.nodes.get_mut(position) {
            Some(Some(node)) => std::mem::take(&mut node.inputs),
            _ => return,
        };
        for value in inputs {
            self.consumers[value.index()].retain(|&reader| reader != position);
        }
    }

    /// Takes out all nodes that no output depends on.
    pub(crate) fn sweep(&mut self, mut dropped: impl FnMut(&Node) -> Option<Rewrite>) {
        let mut needed = vec![false; self.graph.value_count()];
        for value in &self.outputs {
            needed[value.index()] = true;
        }
        for position in (0..self.nodes.len()).rev() {
            let Some(node) = &self.nodes[position] else {
                continue;
            };
            if node.outputs.iter().any(|value| needed[value.index()]) {
                node.inputs.iter().for_each(|value| needed[value.index()] = true);
            } else {
                self.rewrites.extend(dropped(node));
                self.nodes[position] = None;
            }
        }
    }

    /// The new graph.
    pub(crate) fn build(self) -> Result<(Graph, Vec<Rewrite>), OptimizeError> {
        let (mut graph, mut values) = self.graph.same_inputs();
        for node in self.nodes.into_iter().flatten() {
            graph
                .push_mapped(&node, node.op.clone(), &mut values)
                .map_err(|source| OptimizeError::Shape {
                    origin: node.origin.clone(),
                    source,
                })?;
        }
        for (port, value) in self.graph.outputs().iter().zip(&self.outputs) {
            graph.output_like(port, values[value]);
        }
        Ok((graph, self.rewrites))
    }
}
