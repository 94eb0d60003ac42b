//! The embedding layer of a model.

use crate::failure::Failure;
use caribou_ir::{Graph, NodeId, Op, Operator, Tensor};
use std::collections::BTreeSet;
use std::path::Path;

/// An embedding layer: its nodes, one for each time that it is called, and its table.
pub(super) struct Layer {
    pub(super) name: String,
    pub(super) nodes: Vec<NodeId>,
    pub(super) table: Tensor,
}

impl Layer {
    /// The layer called `name`, or the only embedding layer.
    ///
    /// # Errors
    /// When there is none, when there are several and none is named, or when something else uses the same table.
    pub(super) fn find(path: &Path, graph: &Graph, name: Option<&str>) -> Result<Self, Failure> {
        let failed = |message: String| Failure::model(format!("{}: {message}", path.display()));
        let embeddings = || {
            graph.nodes().filter_map(|(id, node)| match &node.op {
                Op::Embedding(op) => Some((id, &*node.origin.layer, &op.table)),
                _ => None,
            })
        };
        let names: BTreeSet<&str> = embeddings().map(|(_, name, _)| name).collect();
        let list = names.iter().copied().collect::<Vec<_>>().join(", ");
        let name = match (name, names.len()) {
            (_, 0) => return Err(failed("it has no embedding layer".into())),
            (Some(name), _) if names.contains(name) => name,
            (Some(name), _) => {
                let other = graph.nodes().find(|(_, node)| &*node.origin.layer == name);
                let what = other.map_or_else(
                    || "there is no such layer".to_owned(),
                    |(_, node)| format!("it is of type {}", node.origin.kind),
                );
                return Err(failed(format!(
                    "{name} is no embedding layer: {what}; there are {list}"
                )));
            }
            (None, 1) => list.as_str(),
            (None, _) => {
                return Err(Failure::Usage(format!(
                    "{}: say which --layer: {list}",
                    path.display()
                )));
            }
        };
        let own: Vec<_> = embeddings().filter(|(_, other, _)| *other == name).collect();
        let Some(&(_, _, table)) = own.first() else {
            return Err(failed(format!("{name} is no embedding layer")));
        };
        let same = |other: &Tensor| other.shares_storage(table) && other.shape() == table.shape();
        if !own.iter().all(|(_, _, other)| same(other)) {
            return Err(failed(format!(
                "{name} has several tables, and words have one row each"
            )));
        }
        Ok(Self {
            name: name.to_owned(),
            nodes: own.iter().map(|(id, ..)| *id).collect(),
            table: table.clone(),
        })
    }

    /// Refuses a table that something else in the network uses too, and would go on using as it was.
    pub(super) fn alone(&self, path: &Path, graph: &Graph) -> Result<(), Failure> {
        for (_, node) in graph.nodes().filter(|(id, _)| !self.nodes.contains(id)) {
            // An archive stores all its parameters as one: other numbers of the same store are not the same numbers.
            let uses = |tensor: &Tensor| {
                let table = &self.table;
                tensor.shares_storage(table) && tensor.len() == table.len() && sorted(tensor) == sorted(table)
            };
            if node.op.parameters().iter().any(|(_, tensor)| uses(tensor)) {
                return Err(Failure::model(format!(
                    "{}: the rows of {} are used by {} too, which would keep the old ones",
                    path.display(),
                    self.name,
                    node.origin
                )));
            }
        }
        Ok(())
    }

    /// Rows and features of the table.
    pub(super) fn shape(&self) -> (usize, usize) {
        match self.table.shape()[..] {
            [rows, features] => (rows, features),
            _ => (0, 0),
        }
    }

    /// All numbers of the table.
    pub(super) fn numbers(&self, path: &Path) -> Result<Vec<f32>, Failure> {
        self.table
            .to_vec()
            .map_err(|error| Failure::model(format!("{}: {}: {error}", path.display(), self.name)))
    }
}

/// The numbers of a tensor in order of their bits, which are those of a transposed view of it too.
fn sorted(tensor: &Tensor) -> Option<Vec<u32>> {
    let mut bits: Vec<u32> = tensor.to_vec().ok()?.into_iter().map(f32::to_bits).collect();
    bits.sort_unstable();
    Some(bits)
}
