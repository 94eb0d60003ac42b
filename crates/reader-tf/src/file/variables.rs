//! Which tensor of a checkpoint belongs to which variable: as the nodes that restore it say, else by name.

use crate::bundle::{Bundle, Slice};
use crate::literal::Literal;
use crate::schema::attr_value::Value;
use crate::schema::{FunctionDef, NodeDef};
use std::collections::HashMap;

/// Calls within calls that are followed to a node that restores.
const DEPTH: usize = 4;
/// Nodes that are looked at on the way, those of functions for each of their calls.
const NODES: usize = 1_000_000;

/// A tensor of a checkpoint, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    name: String,
    /// Its part, in the words of the node that restores it.
    part: String,
}

/// The values of variables.
#[derive(Debug, Default)]
pub(crate) struct Variables {
    bundle: Option<Bundle>,
    /// By the names of the variables' nodes.
    keys: HashMap<String, Key>,
    /// By the names of the variables themselves, in a checkpoint of objects.
    names: HashMap<String, String>,
    /// Why there is no value.
    absent: Option<&'static str>,
}

impl Variables {
    /// The variables of a graph, with their checkpoint.
    pub(super) fn new(bundle: Bundle, nodes: &[NodeDef], functions: &HashMap<String, FunctionDef>) -> Self {
        let mut keys = HashMap::new();
        let mut search = Search {
            functions,
            nodes: NODES,
            keys: &mut keys,
        };
        search.restored(nodes, &HashMap::new(), &HashMap::new(), DEPTH);
        let names = bundle.names();
        Self {
            bundle: Some(bundle),
            keys,
            names,
            absent: None,
        }
    }

    /// No values, for a reason.
    pub(super) fn absent(why: &'static str) -> Self {
        Self {
            absent: Some(why),
            ..Self::default()
        }
    }

    /// The value of the variable that a node makes.
    ///
    /// # Errors
    /// When it has none, or that can't be read.
    pub(crate) fn value(&self, node: &NodeDef) -> Result<Literal, String> {
        let Some(bundle) = &self.bundle else {
            let why = self
                .absent
                .unwrap_or("the graph holds variables, and no values of theirs");
            return Err(why.to_owned());
        };
        let shared = match node
            .attr
            .get("shared_name")
            .and_then(|value| value.value.as_ref())
        {
            Some(Value::S(name)) => String::from_utf8_lossy(name).into_owned(),
            _ => String::new(),
        };
        let names = [node.name.as_str(), shared.as_str()];
        let whole = |name: &str| Key {
            name: name.to_owned(),
            part: String::new(),
        };
        let mut part = None;
        let key = names
            .iter()
            .find_map(|name| self.keys.get(*name).cloned())
            .or_else(|| {
                names
                    .iter()
                    .find(|name| bundle.contains(name))
                    .map(|name| whole(name))
            })
            .or_else(|| {
                names
                    .iter()
                    .find_map(|name| self.names.get(*name))
                    .map(|name| whole(name))
            })
            .or_else(|| {
                // A variable in parts, of a graph without the nodes that restore it.
                let found = names.iter().find_map(|name| {
                    let (whole, number) = name.rsplit_once("/part_")?;
                    let slice = bundle.part(whole, number.parse().ok()?)?;
                    Some((whole, slice))
                });
                let (name, slice) = found?;
                part = Some(slice);
                Some(whole(name))
            })
            .ok_or("the checkpoint has no value of this variable")?;
        let part = match part {
            Some(part) => Some(part),
            None => Slice::parse(&key.part)?,
        };
        let tensor = bundle.tensor(&key.name, part.as_ref())?;
        if let Some(Value::Shape(shape)) = node.attr.get("shape").and_then(|value| value.value.as_ref())
            && let Some(sizes) = crate::flatten::sizes(shape)
        {
            let found = tensor.shape();
            let fits = sizes.len() == found.len()
                && sizes
                    .iter()
                    .zip(&found)
                    .all(|(size, found)| size.is_none_or(|size| size == *found));
            // A variable whose shape was not stated has an empty one.
            if !fits && !sizes.is_empty() {
                return Err(format!(
                    "the checkpoint has a value of shape {found:?}, and the variable has {sizes:?}"
                ));
            }
        }
        Ok(Literal::Numbers(tensor))
    }
}

/// Constants of strings, by the names of their nodes.
fn strings(nodes: &[NodeDef]) -> HashMap<&str, Vec<String>> {
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    nodes
        .iter()
        .filter(|node| node.op == "Const")
        .filter_map(|node| match node.attr.get("value")?.value.as_ref()? {
            Value::Tensor(tensor) if !tensor.string_val.is_empty() => {
                // Equal strings at the end are stored once.
                let count = tensor
                    .tensor_shape
                    .as_ref()
                    .map_or(1, |shape| shape.dim.first().map_or(1, |dim| dim.size));
                let mut list: Vec<String> = tensor.string_val.iter().map(text).collect();
                let count = usize::try_from(count).unwrap_or(0).min(nodes.len());
                if let Some(last) = list.last().cloned() {
                    list.resize(count.max(list.len()), last);
                }
                Some((node.name.as_str(), list))
            }
            _ => None,
        })
        .collect()
}

/// The name of a node and the number of its output, in either way to write that.
fn parts(text: &str) -> (&str, usize) {
    let mut pieces = text.split(':');
    let name = pieces.next().unwrap_or(text);
    (
        name,
        pieces.next_back().and_then(|slot| slot.parse().ok()).unwrap_or(0),
    )
}

/// The search for nodes that restore variables.
struct Search<'a> {
    functions: &'a HashMap<String, FunctionDef>,
    /// How many nodes may still be looked at.
    nodes: usize,
    keys: &'a mut HashMap<String, Key>,
}

impl Search<'_> {
    /// Finds the nodes that restore variables, and notes what each restores.
    fn restored(
        &mut self,
        nodes: &[NodeDef],
        arguments: &HashMap<&str, String>,
        passed: &HashMap<&str, Vec<String>>,
        depth: usize,
    ) {
        let Some(left) = self.nodes.checked_sub(nodes.len()) else {
            return;
        };
        self.nodes = left;
        let functions = self.functions;
        let positions: HashMap<&str, &NodeDef> =
            nodes.iter().map(|node| (node.name.as_str(), node)).collect();
        let mut strings = strings(nodes);
        strings.extend(passed.iter().map(|(name, list)| (*name, list.clone())));
        // What is passed on unchanged is followed to where it comes from.
        let source = |text: &str| {
            let (mut name, mut slot) = parts(text);
            for _ in 0..8 {
                match positions.get(name) {
                    Some(node) if node.op == "Identity" => {
                        let Some(input) = node.input.first() else { break };
                        (name, slot) = parts(input);
                    }
                    _ => break,
                }
            }
            (name.to_owned(), slot)
        };
        for node in nodes {
            match node.op.as_str() {
                "Assign" | "AssignVariableOp" => {
                    let [variable, value, ..] = &node.input[..] else {
                        continue;
                    };
                    let (value, slot) = source(value);
                    let Some(restore) = positions
                        .get(value.as_str())
                        .filter(|node| node.op == "RestoreV2")
                    else {
                        continue;
                    };
                    let list = |input: usize| {
                        restore
                            .input
                            .get(input)
                            .and_then(|text| strings.get(source(text).0.as_str()))
                    };
                    let Some(name) = list(1).and_then(|names| names.get(slot)) else {
                        continue;
                    };
                    let part = list(2)
                        .and_then(|parts| parts.get(slot))
                        .cloned()
                        .unwrap_or_default();
                    let (variable, _) = source(variable);
                    let variable = arguments.get(variable.as_str()).cloned().unwrap_or(variable);
                    self.keys.insert(
                        variable,
                        Key {
                            name: name.clone(),
                            part,
                        },
                    );
                }
                "PartitionedCall" | "StatefulPartitionedCall" if depth > 0 => {
                    let Some(Value::Func(called)) = node.attr.get("f").and_then(|value| value.value.as_ref())
                    else {
                        continue;
                    };
                    let Some(function) = functions.get(&called.name) else {
                        continue;
                    };
                    // Only a function that restores is worth the way.
                    let restores = |node: &NodeDef| {
                        matches!(
                            node.op.as_str(),
                            "RestoreV2" | "PartitionedCall" | "StatefulPartitionedCall"
                        )
                    };
                    if !function.node_def.iter().any(restores) {
                        continue;
                    }
                    let signature = function
                        .signature
                        .iter()
                        .flat_map(|signature| &signature.input_arg);
                    let inputs = node.input.iter().filter(|input| !input.starts_with('^'));
                    let (mut given, mut texts) = (HashMap::new(), HashMap::new());
                    for (argument, input) in signature.zip(inputs) {
                        let (name, _) = source(input);
                        if let Some(list) = strings.get(name.as_str()) {
                            texts.insert(argument.name.as_str(), list.clone());
                        }
                        let outer = arguments.get(name.as_str()).cloned().unwrap_or(name);
                        given.insert(argument.name.as_str(), outer);
                    }
                    self.restored(&function.node_def, &given, &texts, depth - 1);
                }
                _ => {}
            }
        }
    }
}
