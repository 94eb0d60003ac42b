//! A body node by node: what each becomes in the flat graph.

use super::body::{Body, Reference};
use super::{Fixed, Flattener, Made, TOO_MANY, order};
use crate::graph::{Node, Output};
use crate::literal;
use crate::schema::attr_value::Value;
use crate::schema::{AttrValue, NodeDef};
use caribou_ir::{Code, Finding, Origin, Severity};
use std::collections::HashMap;
use std::sync::Arc;

/// Two nodes have one name.
const DUPLICATE: Code = Code("T0101");
/// A node reads what is not there.
const MISSING: Code = Code("T0102");
/// Nodes read each other in a circle.
pub(super) const CYCLE: Code = Code("T0103");
/// A constant can't be read.
const CONSTANT: Code = Code("T0104");

/// The edges of a body that lead backwards.
fn is_back_edge(body: &Body<'_>, from: &Reference, to: usize) -> bool {
    let op = |node: usize| body.nodes[node].op.as_str();
    matches!(op(to), "Merge" | "RefMerge")
        && matches!(from, Reference::Node(node, _) if matches!(op(*node), "NextIteration" | "RefNextIteration"))
}

impl Flattener<'_> {
    pub(super) fn cycle(&mut self, body: &Body<'_>, cycle: &[usize]) {
        let names: Vec<&str> = cycle.iter().map(|&node| body.nodes[node].name.as_str()).collect();
        let Some(&first) = cycle.first() else {
            return;
        };
        let shown = match names.len() {
            0..=6 => names.join(", "),
            many => format!("{}, … ({many} nodes)", names[..6].join(", ")),
        };
        self.findings.push(Finding::error(
            CYCLE,
            &origin(&body.nodes[first], ""),
            format!("the graph runs in a circle: {shown}"),
        ));
    }

    /// Takes what `wanted` needs of a body, and gives what that became.
    pub(super) fn walk(
        &mut self,
        body: &Body<'_>,
        wanted: &[Reference],
        arguments: &[Output],
        fixed: &Fixed,
        prefix: &str,
    ) -> Vec<Option<Output>> {
        for &duplicate in &body.duplicates {
            self.findings.push(Finding::error(
                DUPLICATE,
                &origin(&body.nodes[duplicate], prefix),
                "another node has this name",
            ));
        }
        let roots = wanted.iter().filter_map(|reference| match reference {
            Reference::Node(node, slot) if !fixed.contains_key(&(*node, *slot)) => Some(*node),
            _ => None,
        });
        let order = order::needed(body.nodes.len(), roots, |node| {
            reads(body, node, |reference| fixed.contains_key(reference))
        });
        let order = match order {
            Ok(order) => order,
            Err(cycle) => {
                self.cycle(body, &cycle);
                return vec![None; wanted.len()];
            }
        };
        let mut made = vec![Made::Nothing; body.nodes.len()];
        let found = |made: &[Made], reference: &Reference| match reference {
            Reference::Node(node, slot) => match fixed.get(&(*node, *slot)) {
                Some(&output) => Some(output),
                None => made[*node].output(*slot),
            },
            Reference::Argument(argument) => arguments.get(*argument).copied(),
            Reference::Missing(_) => None,
        };
        let mut patches = Vec::new();
        for position in order {
            let node = &body.nodes[position];
            let origin = origin(node, prefix);
            let mut inputs = Vec::new();
            let mut complete = true;
            for reference in &body.inputs[position] {
                match found(&made, reference) {
                    Some(output) => inputs.push(output),
                    None if is_back_edge(body, reference, position) => {
                        patches.push((position, inputs.len(), reference.clone()));
                        inputs.push(Output {
                            node: usize::MAX,
                            slot: 0,
                        });
                    }
                    None => {
                        complete = false;
                        if let Reference::Missing(name) = reference {
                            self.findings.push(Finding::error(
                                MISSING,
                                &origin,
                                format!("it reads {name}, and there is no such node"),
                            ));
                        }
                    }
                }
            }
            if !complete {
                continue;
            }
            if self.flat.nodes.len() >= self.limits.nodes {
                self.too_many();
                return vec![None; wanted.len()];
            }
            let name = Arc::clone(&origin.layer);
            made[position] = self.node(node, inputs, origin, prefix);
            if let (Some((condition, side)), Some(value)) = (body.guard(position), made[position].output(0))
                && let Some(condition) = found(&made, condition)
            {
                made[position] = self.guarded(name, value, condition, side);
            }
        }
        for (position, input, reference) in patches {
            if let (Made::Node(merge), Some(output)) = (&made[position], found(&made, &reference)) {
                self.flat.nodes[*merge].inputs[input] = output;
            }
        }
        wanted.iter().map(|reference| found(&made, reference)).collect()
    }

    pub(super) fn too_many(&mut self) {
        let message = format!(
            "with its functions inlined, the graph has more than {} nodes or calls",
            self.limits.nodes
        );
        self.findings.push(
            Finding::new(Severity::Error, TOO_MANY, None, message)
                .with_help("raise the limit: --limit nodes=NUMBER"),
        );
    }

    /// Takes one node, whose inputs are there.
    fn node(&mut self, node: &NodeDef, inputs: Vec<Output>, origin: Origin, prefix: &str) -> Made {
        if let Some(made) = self.call(node, &inputs, &origin, prefix) {
            return made;
        }
        if let Some(made) = self.variable(node, &inputs, &origin) {
            return made;
        }
        // A placeholder that keeps its default is what that is.
        if let ("PlaceholderWithDefault", [input]) = (node.op.as_str(), &inputs[..]) {
            return Made::Outputs(vec![*input]);
        }
        let literal = match (node.op.as_str(), node.attr.get("value").map(|value| &value.value)) {
            ("Const", Some(Some(Value::Tensor(tensor)))) => {
                match literal::read(tensor, &self.program.map, self.limits) {
                    Ok(literal) => Some(literal),
                    Err(error) => {
                        self.findings
                            .push(Finding::error(CONSTANT, &origin, error.to_string()));
                        return Made::Nothing;
                    }
                }
            }
            ("Const", _) => {
                self.findings
                    .push(Finding::error(CONSTANT, &origin, "it has no value"));
                return Made::Nothing;
            }
            _ => None,
        };
        let attributes = self.substituted(attributes(node));
        Made::Node(self.push(Node {
            attributes,
            literal,
            ..Node::new(origin.layer, origin.kind, inputs)
        }))
    }

    /// A value that is there on one side of a branch alone.
    fn guarded(&mut self, name: Arc<str>, value: Output, condition: Output, side: usize) -> Made {
        let node = self.push(Node::new(name, "Switch", vec![value, condition]));
        Made::Outputs(vec![Output { node, slot: side }])
    }
}

/// What a node of a body reads, without what is fixed.
pub(super) fn reads(body: &Body<'_>, node: usize, fixed: impl Fn(&(usize, usize)) -> bool) -> order::Reads {
    let (mut before, mut later) = (Vec::new(), Vec::new());
    let condition = body.guard(node).map(|(condition, _)| condition);
    for reference in body.inputs[node].iter().chain(condition) {
        if let Reference::Node(from, slot) = reference
            && !fixed(&(*from, *slot))
        {
            match is_back_edge(body, reference, node) {
                true => later.push(*from),
                false => before.push(*from),
            }
        }
    }
    order::Reads { before, later }
}

/// A node as messages name it.
pub(super) fn origin(node: &NodeDef, prefix: &str) -> Origin {
    Origin::new(format!("{prefix}{}", node.name), node.op.as_str())
}

/// What a node says of itself: names with an underscore in front are notes of TensorFlow's own, and a value is a literal.
pub(super) fn attributes(node: &NodeDef) -> HashMap<String, AttrValue> {
    let kept = node
        .attr
        .iter()
        .filter(|(name, value)| !name.starts_with('_') && !matches!(value.value, Some(Value::Tensor(_))));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}
