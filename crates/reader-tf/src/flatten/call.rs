//! Calls of functions: in their place stand the functions' bodies.

use super::body::{Body, Reference};
use super::{Fixed, Flattener, Made, branch};
use crate::graph::{Node, Output};
use crate::schema::attr_value::Value;
use crate::schema::{AttrValue, NodeDef};
use caribou_ir::{Code, Finding, Origin};
use std::collections::HashMap;
use std::sync::Arc;

/// A function is called that is not there, or wrongly.
const FUNCTION: Code = Code("T0120");
/// A function calls itself.
const RECURSION: Code = Code("T0121");
/// A branch whose condition is not constant.
const BRANCH: Code = Code("T0122");

/// Operations that call the function that their attribute `f` names.
const CALLS: &[&str] = &["PartitionedCall", "StatefulPartitionedCall"];

/// The name of an attribute's function, with what it is called with.
fn function<'n>(node: &'n NodeDef, attribute: &str) -> Option<(&'n str, &'n HashMap<String, AttrValue>)> {
    match node.attr.get(attribute)?.value.as_ref()? {
        Value::Func(function) => Some((function.name.as_str(), &function.attr)),
        _ => None,
    }
}

/// The function of a branch.
fn branch_of<'n>(
    node: &'n NodeDef,
    attribute: &str,
    index: usize,
) -> Option<(&'n str, &'n HashMap<String, AttrValue>)> {
    match node.attr.get(attribute)?.value.as_ref()? {
        Value::List(list) => list
            .func
            .get(index)
            .map(|function| (function.name.as_str(), &function.attr)),
        _ => None,
    }
}

impl Flattener<'_> {
    /// Takes a node that calls a function; `None` when it is another one.
    pub(super) fn call(
        &mut self,
        node: &NodeDef,
        inputs: &[Output],
        origin: &Origin,
        prefix: &str,
    ) -> Option<Made> {
        let op = node.op.as_str();
        if matches!(op, "While" | "StatelessWhile") {
            return Some(self.repeated(node, inputs, origin, prefix));
        }
        let (called, arguments) = if CALLS.contains(&op) {
            (function(node, "f"), inputs)
        } else if self.program.functions.contains_key(op) {
            (Some((op, &node.attr)), inputs)
        } else if matches!(op, "If" | "StatelessIf" | "Case" | "StatelessCase") {
            let (condition, arguments) = inputs.split_first()?;
            let Some(number) = branch::number(&self.flat, *condition) else {
                self.findings.push(
                    Finding::error(BRANCH, origin, "which branch it takes depends on what is fed")
                        .with_help("bind the placeholder that it depends on: --bind NAME=VALUE"),
                );
                return Some(Made::Nothing);
            };
            let called = match (op, number != 0.0) {
                ("If" | "StatelessIf", true) => function(node, "then_branch"),
                ("If" | "StatelessIf", false) => function(node, "else_branch"),
                _ => {
                    let Some(Value::List(list)) =
                        node.attr.get("branches").and_then(|value| value.value.as_ref())
                    else {
                        return Some(Made::Nothing);
                    };
                    // A number of no branch takes the last one.
                    let last = list.func.len().saturating_sub(1);
                    let index = if number >= 0.0 && number <= last as f64 {
                        number as usize
                    } else {
                        last
                    };
                    branch_of(node, "branches", index)
                }
            };
            (called, arguments)
        } else {
            return None;
        };
        let Some((name, attributes)) = called else {
            self.findings.push(Finding::error(
                FUNCTION,
                origin,
                "it does not say which function it calls",
            ));
            return Some(Made::Nothing);
        };
        Some(self.inline(name, attributes, arguments, origin, &scope(prefix, &node.name)))
    }

    /// A loop, in the form that TensorFlow 1 has for it.
    fn repeated(&mut self, node: &NodeDef, inputs: &[Output], origin: &Origin, prefix: &str) -> Made {
        let (Some((condition, condition_attributes)), Some((body, body_attributes))) =
            (function(node, "cond"), function(node, "body"))
        else {
            self.findings.push(Finding::error(
                FUNCTION,
                origin,
                "it does not say which functions it calls",
            ));
            return Made::Nothing;
        };
        let prefix = format!("{}/", scope(prefix, &node.name).trim_end_matches('/'));
        let prefix = if prefix == "/" { String::new() } else { prefix };
        if self.flat.nodes.len() + 5 * inputs.len() > self.limits.nodes {
            self.too_many();
            return Made::Nothing;
        }
        let piece = |this: &mut Self, op: &str, inputs: Vec<Output>| {
            let made = this.push(Node::new(format!("{prefix}{op}"), op, inputs));
            Output { node: made, slot: 0 }
        };
        let absent = Output {
            node: usize::MAX,
            slot: 0,
        };
        let merges: Vec<Output> = inputs
            .iter()
            .map(|&input| {
                let enter = piece(self, "Enter", vec![input]);
                piece(self, "Merge", vec![enter, absent])
            })
            .collect();
        let found = self.inline(condition, condition_attributes, &merges, origin, &prefix);
        let Some(found) = found.output(0) else {
            return Made::Nothing;
        };
        let condition = piece(self, "LoopCond", vec![found]);
        let switches: Vec<Output> = merges
            .iter()
            .map(|&merge| piece(self, "Switch", vec![merge, condition]))
            .collect();
        let arguments: Vec<Output> = switches
            .iter()
            .map(|switch| Output { slot: 1, ..*switch })
            .collect();
        let next = self.inline(body, body_attributes, &arguments, origin, &prefix);
        let mut exits = Vec::new();
        for (i, (&merge, &switch)) in merges.iter().zip(&switches).enumerate() {
            let Some(next) = next.output(i) else {
                self.findings.push(Finding::error(
                    FUNCTION,
                    origin,
                    "its body gives fewer values than it takes",
                ));
                return Made::Nothing;
            };
            let next = piece(self, "NextIteration", vec![next]);
            self.flat.nodes[merge.node].inputs[1] = next;
            exits.push(piece(self, "Exit", vec![switch]));
        }
        Made::Outputs(exits)
    }

    fn inline(
        &mut self,
        name: &str,
        attributes: &HashMap<String, AttrValue>,
        arguments: &[Output],
        origin: &Origin,
        prefix: &str,
    ) -> Made {
        let refuse = |message: String| Finding::error(FUNCTION, origin, message);
        let Some(called) = self.program.functions.get(name) else {
            self.findings
                .push(refuse(format!("it calls {name}, and there is no such function")));
            return Made::Nothing;
        };
        let signature = called.signature.clone().unwrap_or_default();
        if signature.input_arg.len() != arguments.len() {
            let message = format!(
                "function {name} takes {} arguments, {} are given",
                signature.input_arg.len(),
                arguments.len()
            );
            self.findings.push(refuse(message));
            return Made::Nothing;
        }
        if self.calls.iter().any(|call| call == name) {
            let message = format!(
                "function {name} calls itself, by way of {}",
                self.calls.join(", ")
            );
            self.findings.push(Finding::error(RECURSION, origin, message));
            return Made::Nothing;
        }
        if self.calls.len() >= self.limits.nesting {
            let message = format!("calls are nested deeper than {}", self.limits.nesting);
            self.findings.push(refuse(message));
            return Made::Nothing;
        }
        // A call may leave no node behind, and hold many calls.
        self.called += 1;
        if self.called > self.limits.nodes {
            self.too_many();
            return Made::Nothing;
        }
        let body = Body::function(called, &self.program.functions);
        let wanted: Vec<Reference> = signature
            .output_arg
            .iter()
            .map(|output| match called.ret.get(&output.name) {
                Some(text) => body.resolve(text),
                None => Reference::Missing(output.name.clone()),
            })
            .collect();
        for reference in &wanted {
            if let Reference::Missing(text) = reference {
                self.findings.push(refuse(format!(
                    "function {name} returns {text}, and there is no such node"
                )));
            }
        }
        let attributes = self.substituted(attributes.clone());
        let outer = std::mem::replace(&mut self.attributes, attributes);
        self.calls.push(name.to_owned());
        self.assignments(&body, arguments, prefix);
        let outputs = self.walk(&body, &wanted, arguments, &Fixed::new(), prefix);
        self.calls.pop();
        self.attributes = outer;
        match outputs.into_iter().collect::<Option<Vec<Output>>>() {
            Some(outputs) => Made::Outputs(outputs),
            None => Made::Nothing,
        }
    }

    /// Attributes with those of the function's call in place of their names.
    pub(super) fn substituted(
        &self,
        mut attributes: HashMap<String, AttrValue>,
    ) -> HashMap<String, AttrValue> {
        for value in attributes.values_mut() {
            match &mut value.value {
                Some(Value::Placeholder(name)) => {
                    if let Some(given) = self.attributes.get(name.as_str()) {
                        *value = given.clone();
                    }
                }
                Some(Value::Func(function)) if !function.attr.is_empty() => {
                    function.attr = self.substituted(std::mem::take(&mut function.attr));
                }
                _ => {}
            }
        }
        attributes
    }

    /// Notes the variables, among a function's arguments, that its body gives another value.
    fn assignments(&mut self, body: &Body<'_>, arguments: &[Output], prefix: &str) {
        for (node, inputs) in body.nodes.iter().zip(&body.inputs) {
            let changes = node.op.starts_with("Assign") || node.op.starts_with("ResourceScatter");
            if changes
                && let Some(Reference::Argument(argument)) = inputs.first()
                && let Some(&variable) = arguments.get(*argument)
                && let Some(variable) = self.flat.nodes.get(variable.node)
            {
                let origin = super::walk::origin(node, prefix);
                self.assigned.push((Arc::clone(&variable.name), origin));
            }
        }
    }
}

/// The scope of what a call's function holds: the call's own name is left out where it says no more than that it is a call.
fn scope(prefix: &str, name: &str) -> String {
    let (outer, last) = match name.rsplit_once('/') {
        Some((outer, last)) => (Some(outer), last),
        None => (None, name),
    };
    let plain = last
        .trim_end_matches(|c: char| c.is_ascii_digit())
        .trim_end_matches('_');
    match (CALLS.contains(&plain), outer) {
        (true, Some(outer)) => format!("{prefix}{outer}/"),
        (true, None) => prefix.to_owned(),
        (false, _) => format!("{prefix}{name}/"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn scopes_say_what_a_call_is_for() {
        let scope = super::scope;
        assert_eq!(scope("", "StatefulPartitionedCall"), "");
        assert_eq!(scope("a/", "StatefulPartitionedCall_12"), "a/");
        assert_eq!(scope("model/", "dense/PartitionedCall"), "model/dense/");
        assert_eq!(scope("", "map/lstm"), "map/lstm/");
    }
}
