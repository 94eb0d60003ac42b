//! Variables as the values that were saved of them.

use super::{Flattener, Made};
use crate::graph::{Flat, Node, Output};
use crate::schema::NodeDef;
use caribou_ir::{Code, Finding, Findings, Origin};
use std::collections::{HashMap, HashSet};
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
                match self.program.variables.value(node) {
                    Ok(literal) => Some(Made::Node(self.constant(&origin.layer, literal))),
                    // Whether it is needed turns out later.
                    Err(why) => {
                        self.absent.insert(Arc::clone(&origin.layer), why);
                        None
                    }
                }
            }
            ("ReadVariableOp", [variable]) => Some(Made::Outputs(vec![*variable])),
            ("ResourceGather", [variable, indices]) => {
                let made = self.push(Node {
                    attributes: self.substituted(super::walk::attributes(node)),
                    ..Node::new(origin.layer.clone(), "Gather", vec![*variable, *indices])
                });
                Some(Made::Node(made))
            }
            _ => None,
        }
    }
}

/// Reports variables that the outputs need and that have no value.
pub(super) fn report(flat: &Flat, why: &HashMap<Arc<str>, String>, findings: &mut Findings) {
    for node in &flat.nodes {
        if VARIABLES.contains(&&*node.op) {
            let message = why
                .get(&node.name)
                .map_or("the variable has no value", String::as_str);
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
