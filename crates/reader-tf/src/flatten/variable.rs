//! Variables as the values that were saved of them.

use super::{Flattener, Made};
use crate::graph::{Flat, Node, Output};
use crate::schema::NodeDef;
use caribou_ir::{Code, Finding, Findings, Origin};
use std::collections::HashSet;
use std::sync::Arc;

/// A variable has no value.
const NO_VALUE: Code = Code("T0114");
/// A variable is changed while the network runs.
const CHANGED: Code = Code("T0115");

/// Operations that make a variable.
const VARIABLES: &[&str] = &["VarHandleOp", "Variable", "VariableV2"];

impl Flattener<'_> {
    /// Takes a node that has to do with variables.
    pub(super) fn variable(&mut self, node: &NodeDef, inputs: &[Output], origin: &Origin) -> Option<Made> {
        match (node.op.as_str(), inputs) {
            (op, _) if VARIABLES.contains(&op) => {
                let value = self.program.variables.get(&node.name);
                match value {
                    Some(Ok(literal)) => Some(Made::Node(self.constant(&origin.layer, literal.clone()))),
                    // Whether it is needed turns out later.
                    _ => None,
                }
            }
            ("ReadVariableOp", [variable]) => Some(Made::Outputs(vec![*variable])),
            ("ResourceGather", [variable, indices]) => {
                let made = self.push(Node {
                    name: origin.layer.clone(),
                    op: "Gather".into(),
                    inputs: vec![*variable, *indices],
                    attributes: self.substituted(super::attributes(node)),
                    literal: None,
                });
                Some(Made::Node(made))
            }
            _ => None,
        }
    }
}

/// Reports variables that the outputs need and that have no value.
pub(super) fn report(flat: &Flat, why: impl Fn(&str) -> Option<String>, findings: &mut Findings) {
    for node in &flat.nodes {
        if VARIABLES.contains(&&*node.op) {
            let message = why(&node.name).unwrap_or_else(|| "the variable has no value".to_owned());
            findings.push(Finding::error(NO_VALUE, &node.origin(), message).with_help(
                "give the checkpoint (--weights model.ckpt.index), or freeze the graph: variables become constants",
            ));
        }
    }
}

/// Reports variables that are read, and changed by the nodes that `assigned` gives with them.
pub(super) fn report_changes(flat: &Flat, assigned: &[(Arc<str>, Origin)], findings: &mut Findings) {
    let read: HashSet<&str> = flat.nodes.iter().map(|node| &*node.name).collect();
    for (_, origin) in assigned.iter().filter(|(variable, _)| read.contains(&**variable)) {
        let message = "it changes a variable that the outputs need: the network remembers what it saw";
        findings.push(
            Finding::error(CHANGED, origin, message)
                .with_help("a network with a memory can't be expressed; make one with stateful=False"),
        );
    }
}
