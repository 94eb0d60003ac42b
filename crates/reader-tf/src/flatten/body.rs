//! The nodes of a graph or of a function's body, with their references resolved.

use super::slots;
use crate::schema::{FunctionDef, NodeDef};
use std::collections::HashMap;

/// What an input refers to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Reference {
    /// An output of a node of the body.
    Node(usize, usize),
    /// An argument of the function.
    Argument(usize),
    /// Nothing that is there: what was written.
    Missing(String),
}

/// Nodes with what they read.
pub(super) struct Body<'a> {
    pub(super) nodes: &'a [NodeDef],
    positions: HashMap<&'a str, usize>,
    arguments: HashMap<&'a str, usize>,
    /// Of each node, without control edges.
    pub(super) inputs: Vec<Vec<Reference>>,
    /// Of each node, the nodes that it waits for.
    pub(super) controls: Vec<Vec<usize>>,
    /// Positions of nodes whose name an earlier one has.
    pub(super) duplicates: Vec<usize>,
    function: bool,
    library: &'a Library,
}

/// Functions by name.
pub(super) type Library = HashMap<String, FunctionDef>;

/// The name of a node and what follows it: `name`, `name:1`, `name:output:1`.
pub(super) fn parts(text: &str) -> (&str, Option<&str>, usize) {
    let (head, index) = match text.rsplit_once(':') {
        Some((head, index)) => match index.parse() {
            Ok(index) => (head, index),
            Err(_) => (text, 0),
        },
        None => (text, 0),
    };
    match head.split_once(':') {
        Some((name, output)) => (name, Some(output), index),
        None => (head, None, index),
    }
}

impl<'a> Body<'a> {
    /// The nodes of a graph.
    pub(super) fn graph(nodes: &'a [NodeDef], library: &'a Library) -> Self {
        Self::new(nodes, HashMap::new(), false, library)
    }

    /// The body of a function.
    pub(super) fn function(function: &'a FunctionDef, library: &'a Library) -> Self {
        let arguments = function
            .signature
            .iter()
            .flat_map(|signature| &signature.input_arg)
            .enumerate()
            .map(|(i, argument)| (argument.name.as_str(), i))
            .collect();
        Self::new(&function.node_def, arguments, true, library)
    }

    fn new(
        nodes: &'a [NodeDef],
        arguments: HashMap<&'a str, usize>,
        function: bool,
        library: &'a Library,
    ) -> Self {
        let mut positions = HashMap::with_capacity(nodes.len());
        let mut duplicates = Vec::new();
        for (i, node) in nodes.iter().enumerate() {
            if positions.contains_key(node.name.as_str()) {
                duplicates.push(i);
            } else {
                positions.insert(node.name.as_str(), i);
            }
        }
        let mut body = Self {
            nodes,
            positions,
            arguments,
            inputs: Vec::new(),
            controls: Vec::new(),
            duplicates,
            function,
            library,
        };
        for node in nodes {
            let (mut inputs, mut controls) = (Vec::new(), Vec::new());
            for input in &node.input {
                match input.strip_prefix('^') {
                    Some(name) => controls.extend(body.positions.get(name)),
                    None => inputs.push(body.resolve(input)),
                }
            }
            body.inputs.push(inputs);
            body.controls.push(controls);
        }
        body
    }

    /// The condition on which a constant is there, and which side of a branch it belongs to: it waits for the pivot of that
    /// side, an identity of a switch of the condition by itself.
    pub(super) fn guard(&self, node: usize) -> Option<(&Reference, usize)> {
        if self.nodes[node].op != "Const" {
            return None;
        }
        self.controls[node].iter().find_map(|&pivot| {
            let [Reference::Node(switch, side)] = self.inputs[pivot][..] else {
                return None;
            };
            match (self.nodes[switch].op.as_str(), &self.inputs[switch][..]) {
                ("Switch", [value, condition]) if value == condition => Some((condition, side)),
                _ => None,
            }
        })
    }

    /// What a text such as `name:1` refers to.
    pub(super) fn resolve(&self, text: &str) -> Reference {
        let missing = || Reference::Missing(text.to_owned());
        if let Some(&argument) = self.arguments.get(text) {
            return Reference::Argument(argument);
        }
        let (name, output, index) = parts(text);
        let Some(&position) = self.positions.get(name) else {
            return missing();
        };
        match output {
            None => Reference::Node(position, index),
            Some(output) if self.function => {
                let op = self.nodes[position].op.as_str();
                let slot = match self.library.get(op).and_then(|called| called.signature.as_ref()) {
                    Some(called) => called
                        .output_arg
                        .iter()
                        .position(|argument| argument.name == output),
                    None => slots::slot(op, output, index),
                };
                slot.map_or_else(missing, |slot| Reference::Node(position, slot))
            }
            Some(_) => missing(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, op: &str, input: &[&str]) -> NodeDef {
        NodeDef {
            name: name.into(),
            op: op.into(),
            input: input.iter().map(|&input| input.into()).collect(),
            ..NodeDef::default()
        }
    }

    #[test]
    fn references_are_resolved() {
        let nodes = [
            node("a", "Placeholder", &[]),
            node("b", "Split", &["a", "a:0", "^a"]),
            node("b", "Relu", &["b:3", "c", "b:output:1"]),
        ];
        let library = Library::new();
        let body = Body::graph(&nodes, &library);
        assert_eq!(body.inputs[1], [Reference::Node(0, 0), Reference::Node(0, 0)]);
        assert_eq!(body.controls[1], [0]);
        assert_eq!(body.inputs[2][0], Reference::Node(1, 3));
        assert_eq!(body.inputs[2][1], Reference::Missing("c".into()));
        assert_eq!(body.inputs[2][2], Reference::Missing("b:output:1".into()));
        assert_eq!(body.duplicates, [2]);
    }

    #[test]
    fn a_constant_belongs_to_a_side_of_a_branch() {
        let nodes = [
            node("p", "Placeholder", &[]),
            node("switch", "Switch", &["p", "p"]),
            node("if", "Identity", &["switch:1"]),
            node("rate", "Const", &["^if"]),
            node("while", "Switch", &["p", "switch"]),
            node("body", "Identity", &["while:1"]),
            node("step", "Const", &["^body"]),
        ];
        let library = Library::new();
        let body = Body::graph(&nodes, &library);
        assert_eq!(body.guard(3), Some((&Reference::Node(0, 0), 1)));
        assert_eq!(body.guard(6), None);
        assert_eq!(body.guard(2), None);
    }
}
