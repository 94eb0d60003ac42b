//! A graph that is made anew from parts of another.

use super::TransferError;
use caribou_ir::{Graph, Node, NodeId, Op, Origin, Port, Producer, ValueId};
use std::collections::{HashMap, HashSet};

/// A graph in the making.
pub(super) struct Rebuild<'g> {
    old: &'g Graph,
    pub(super) new: Graph,
    values: HashMap<ValueId, ValueId>,
}

impl<'g> Rebuild<'g> {
    /// The inputs of `old`, and nothing else yet.
    pub(super) fn of(old: &'g Graph) -> Self {
        let (new, values) = old.same_inputs();
        Self { old, new, values }
    }

    /// The nodes that these values depend on.
    pub(super) fn with_nodes_of(old: &'g Graph, values: &[ValueId]) -> Result<Self, TransferError> {
        let needed = needed(old, values);
        let mut rebuild = Self::of(old);
        for (id, node) in old.nodes() {
            if needed.contains(&id) {
                rebuild.copy(node)?;
            }
        }
        Ok(rebuild)
    }

    pub(super) fn copy(&mut self, node: &Node) -> Result<(), TransferError> {
        self.copy_as(node, node.op.clone())
    }

    /// The node with another operator.
    pub(super) fn copy_as(&mut self, node: &Node, op: Op) -> Result<(), TransferError> {
        self.new
            .push_mapped(node, op, &mut self.values)
            .map_err(TransferError::misfit(&node.origin))
    }

    pub(super) fn apply(
        &mut self,
        op: impl Into<Op>,
        x: ValueId,
        origin: &Origin,
    ) -> Result<ValueId, TransferError> {
        self.new
            .apply(op, &[x], origin)
            .map_err(TransferError::misfit(origin))
    }

    /// What a value of the old graph has become.
    pub(super) fn value(&self, old: ValueId) -> ValueId {
        self.values[&old]
    }

    /// The graph with the outputs of the old one, but for those that have others.
    pub(super) fn finish(mut self, replaced: &[(usize, Port)]) -> Graph {
        for (i, port) in self.old.outputs().iter().enumerate() {
            match replaced.iter().find(|(position, _)| *position == i) {
                Some((_, port)) => self.new.output_like(port, port.value),
                None => self.new.output_like(port, self.values[&port.value]),
            }
        }
        self.new
    }
}

/// The nodes that values depend on.
pub(super) fn needed(graph: &Graph, values: &[ValueId]) -> HashSet<NodeId> {
    let mut needed = HashSet::new();
    let mut open = values.to_vec();
    while let Some(value) = open.pop() {
        if let Producer::Node(id, _) = graph.value(value).producer
            && needed.insert(id)
        {
            open.extend(&graph.node(id).inputs);
        }
    }
    needed
}

/// Whether every input is still read. A network that ignores an input is hardly what was meant.
pub(super) fn all_inputs_read(graph: &Graph) -> Result<(), TransferError> {
    let consumers = graph.consumers();
    let unread = graph
        .inputs()
        .iter()
        .find(|port| consumers[port.value.index()].is_empty());
    match unread {
        Some(port) => Err(TransferError::option(
            "--remove-after",
            format!("nothing that is left reads the input {}", port.name),
        )),
        None => Ok(()),
    }
}
