//! A `GraphDef` in binary: nodes by name, weights as constants.

use crate::graph::{Feed, Fetch, Flat, Node, Output};
use crate::literal;
use crate::schema::attr_value::Value;
use crate::schema::{GraphDef, NodeDef};
use bytes::Bytes;
use caribou_ir::{Limits, Source};
use memmap2::Mmap;
use prost::Message;
use std::collections::HashMap;
use std::sync::Arc;

/// The bytes of a mapped file as protobuf's decoder takes them: fields of bytes are parts of the map.
struct Mapped(Arc<Mmap>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Reads the graph of a file.
///
/// # Errors
/// When it is no `GraphDef`, or its nodes do not fit together.
pub(crate) fn read(source: &Source, limits: &Limits) -> Result<Flat, String> {
    let bytes = Bytes::from_owner(Mapped(Arc::clone(source.map())));
    let graph = GraphDef::decode(bytes).map_err(|error| error.to_string())?;
    flat(graph.node, source.map(), limits)
}

/// The name of a node and the number of its output: `name`, `name:1`, or `^name` for a control edge (`None`).
fn reference(text: &str) -> Option<(&str, usize)> {
    if text.starts_with('^') {
        return None;
    }
    match text.rsplit_once(':') {
        Some((name, slot)) => match slot.parse() {
            Ok(slot) => Some((name, slot)),
            Err(_) => Some((text, 0)),
        },
        None => Some((text, 0)),
    }
}

fn flat(nodes: Vec<NodeDef>, map: &Arc<Mmap>, limits: &Limits) -> Result<Flat, String> {
    let positions: HashMap<&str, usize> = nodes
        .iter()
        .enumerate()
        .map(|(i, node)| (node.name.as_str(), i))
        .collect();
    let mut flat = Flat {
        format: "TensorFlow frozen graph".into(),
        ..Flat::default()
    };
    let mut read = vec![false; nodes.len()];
    for node in &nodes {
        let mut inputs = Vec::new();
        for (name, slot) in node.input.iter().filter_map(|input| reference(input)) {
            let position = *positions
                .get(name)
                .ok_or_else(|| format!("node {} reads {name}, and there is no such node", node.name))?;
            read[position] = true;
            inputs.push(Output { node: position, slot });
        }
        let mut attributes = node.attr.clone();
        let literal = match (
            node.op.as_str(),
            attributes.remove("value").and_then(|value| value.value),
        ) {
            ("Const", Some(Value::Tensor(tensor))) => Some(
                literal::read(&tensor, map, limits)
                    .map_err(|error| format!("constant {}: {error}", node.name))?,
            ),
            _ => None,
        };
        flat.nodes.push(Node {
            name: node.name.as_str().into(),
            op: node.op.as_str().into(),
            inputs,
            attributes,
            literal,
        });
    }
    for (position, node) in flat.nodes.iter().enumerate() {
        let output = Output {
            node: position,
            slot: 0,
        };
        if &*node.op == "Placeholder" {
            flat.feeds.push(Feed {
                name: node.name.to_string(),
                output,
                shape: None,
            });
        } else if !read[position] && node.literal.is_none() && &*node.op != "NoOp" {
            flat.fetches.push(Fetch {
                name: node.name.to_string(),
                output,
            });
        }
    }
    Ok(flat)
}
