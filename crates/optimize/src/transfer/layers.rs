//! Layers by name: a layer is all nodes of one origin.

use super::rebuild::needed;
use super::{Surgery, TransferError};
use crate::selection::matches;
use caribou_ir::{Graph, NodeId, Op, ValueId};
use std::collections::HashSet;

/// The layers of a graph, in its order.
pub(super) struct Layers {
    names: Vec<String>,
    nodes: Vec<Vec<NodeId>>,
}

impl Layers {
    pub(super) fn of(graph: &Graph) -> Self {
        let mut layers = Self {
            names: Vec::new(),
            nodes: Vec::new(),
        };
        for (id, node) in graph.nodes() {
            let name = &*node.origin.layer;
            match layers.names.iter().position(|known| known == name) {
                Some(position) => layers.nodes[position].push(id),
                None => {
                    layers.names.push(name.to_owned());
                    layers.nodes.push(vec![id]);
                }
            }
        }
        layers
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The nodes of the layer called `name`.
    pub(super) fn find(&self, name: &str, option: &'static str) -> Result<&[NodeId], TransferError> {
        let position = self.names.iter().position(|known| known == name);
        position
            .map(|position| self.nodes[position].as_slice())
            .ok_or_else(|| self.unknown(name, option))
    }

    /// The layers that a glob matches.
    fn matching(&self, glob: &str, option: &'static str) -> Result<Vec<&str>, TransferError> {
        let found: Vec<&str> = self.names().filter(|name| matches(glob, name)).collect();
        if found.is_empty() {
            return Err(self.unknown(glob, option));
        }
        Ok(found)
    }

    fn unknown(&self, name: &str, option: &'static str) -> TransferError {
        TransferError::Unknown {
            option,
            what: "layer",
            name: name.to_owned(),
            known: self.names.clone(),
        }
    }

    /// The names that `other` does not have.
    pub(super) fn without(&self, other: &Self) -> Vec<String> {
        let missing = self
            .names()
            .filter(|name| !other.names.iter().any(|known| known == name));
        missing.map(str::to_owned).collect()
    }

    /// A name like `wanted` that no layer has.
    pub(super) fn fresh(&self, wanted: &str) -> String {
        let free = |name: &String| !self.names.contains(name);
        let numbered = (1..).map(|n| format!("{wanted}_{n}"));
        std::iter::once(wanted.to_owned())
            .chain(numbered)
            .find(free)
            .unwrap_or_else(|| wanted.to_owned())
    }
}

/// The layers that are to be frozen.
pub(super) fn frozen(
    graph: &Graph,
    layers: &Layers,
    surgery: &Surgery,
) -> Result<HashSet<String>, TransferError> {
    let mut frozen = HashSet::new();
    for name in &surgery.freeze_through {
        let nodes = layers.find(name, "--freeze-through")?;
        let outputs: Vec<ValueId> = nodes
            .iter()
            .flat_map(|&id| graph.node(id).outputs.iter().copied())
            .collect();
        let names = needed(graph, &outputs)
            .into_iter()
            .map(|id| graph.node(id).origin.layer.to_string());
        frozen.extend(names);
    }
    for glob in &surgery.freeze {
        frozen.extend(layers.matching(glob, "--freeze")?.into_iter().map(str::to_owned));
    }
    Ok(frozen)
}

/// The value that a layer gives: the one that other layers read, or the last.
pub(super) fn value_of(
    graph: &Graph,
    nodes: &[NodeId],
    option: &'static str,
) -> Result<ValueId, TransferError> {
    let own: HashSet<NodeId> = nodes.iter().copied().collect();
    let consumers = graph.consumers();
    let seen = |value: &ValueId| {
        graph.outputs().iter().any(|port| port.value == *value)
            || consumers[value.index()]
                .iter()
                .any(|reader| !own.contains(reader))
    };
    let made = || {
        nodes
            .iter()
            .flat_map(|&id| graph.node(id).outputs.iter().copied())
    };
    let read: Vec<ValueId> = made().filter(seen).collect();
    match read.as_slice() {
        [one] => Ok(*one),
        [] => made()
            .last()
            .ok_or_else(|| TransferError::option(option, "the layer makes no value")),
        several => {
            let origin = &graph.node(nodes[0]).origin;
            let message = format!(
                "it gives {} values, and which one is meant is not known",
                several.len()
            );
            Err(TransferError::layer(option, origin, message))
        }
    }
}

/// Whether the operator's parameters learn.
pub(super) fn learns(op: &Op) -> bool {
    use caribou_ir::Operator;
    !matches!(op, Op::Constant(_)) && !op.parameters().is_empty()
}
