//! What is fed and what is fetched: as the user says, else as the signature says, else as the graph suggests.

use super::body::{Body, Reference, parts};
use super::{guess, stated};
use crate::TensorflowReader;
use crate::program::{Edge, Program};
use caribou_ir::{Code, Finding, Findings, Origin, ReadOptions, Severity};

/// There is no node or tensor of a name.
const NO_SUCH_NODE: Code = Code("T0107");
/// An input that the outputs do not need.
const UNUSED_INPUT: Code = Code("T0109");

/// A tensor that is fed.
#[derive(Debug, Clone)]
pub(super) struct Feeding {
    pub(super) name: String,
    pub(super) node: usize,
    pub(super) slot: usize,
    pub(super) shape: Option<Vec<Option<usize>>>,
    /// Whether the user named it, not a signature or the graph.
    pub(super) named: bool,
}

impl Feeding {
    /// A placeholder that nobody named.
    pub(super) fn unnamed(body: &Body<'_>, node: usize) -> Self {
        Self {
            name: body.nodes[node].name.clone(),
            node,
            slot: 0,
            shape: stated::shape(&body.nodes[node], 0),
            named: false,
        }
    }
}

/// A tensor that is fetched.
#[derive(Debug, Clone)]
pub(super) struct Fetching {
    pub(super) name: String,
    pub(super) node: usize,
    pub(super) slot: usize,
}

/// A tensor within a function, which is looked for when the functions are inlined.
#[derive(Debug, Clone)]
pub(super) struct Within {
    /// Its position among all that are fed or fetched.
    pub(super) place: usize,
    pub(super) name: String,
    pub(super) shape: Option<Vec<Option<usize>>>,
}

impl Within {
    /// The name of its node, and which output of it.
    pub(super) fn tensor(&self) -> (&str, usize) {
        let (name, _, slot) = parts(&self.name);
        (name, slot)
    }
}

/// The edges of a graph.
#[derive(Debug, Default)]
pub(super) struct Ends {
    pub(super) feeds: Vec<Feeding>,
    pub(super) fetches: Vec<Fetching>,
    pub(super) feeds_within: Vec<Within>,
    pub(super) fetches_within: Vec<Within>,
    /// What leads to the tensors within functions that are fetched: all outputs.
    pub(super) roots: Vec<Fetching>,
    /// Whether the inputs are stated: then no other placeholder is one.
    pub(super) stated: bool,
}

/// Chooses both ends. What is wrong is in `findings`.
pub(super) fn choose(
    body: &Body<'_>,
    program: &Program,
    reader: &TensorflowReader,
    options: &ReadOptions,
    findings: &mut Findings,
) -> Ends {
    let mut ends = Ends {
        stated: !reader.inputs.is_empty() || program.signature.is_some(),
        ..Ends::default()
    };
    let (inputs, outputs): (&[Edge], &[Edge]) = match &program.signature {
        Some(signature) => (&signature.inputs, &signature.outputs),
        None => (&[], &[]),
    };
    let named = |edges: &[Edge], name: &str| edges.iter().find(|edge| edge.name == name).cloned();
    let edge = |edges: &[Edge], name: &str, shape: Option<Vec<Option<usize>>>| {
        let found = named(edges, name);
        Edge {
            name: name.strip_suffix(":0").unwrap_or(name).to_owned(),
            tensor: found
                .as_ref()
                .map_or_else(|| name.to_owned(), |edge| edge.tensor.clone()),
            shape: shape.or(found.and_then(|edge| edge.shape)),
        }
    };
    let wanted: Vec<Edge> = match reader.inputs.is_empty() {
        true => inputs.to_vec(),
        false => reader
            .inputs
            .iter()
            .map(|input| edge(inputs, &input.name, input.shape.clone()))
            .collect(),
    };
    for (place, edge) in wanted.into_iter().enumerate() {
        if let Some(within) = within(body, program, place, &edge) {
            ends.feeds_within.push(within);
        } else if let Some((node, slot)) = tensor(body, &edge.tensor, findings) {
            let shape = edge.shape.or_else(|| stated::shape(&body.nodes[node], slot));
            let name = edge.name;
            ends.feeds.push(Feeding {
                name,
                node,
                slot,
                shape,
                named: !reader.inputs.is_empty(),
            });
        }
    }
    let wanted: Vec<Edge> = match reader.outputs.is_empty() {
        true => outputs.to_vec(),
        false => reader
            .outputs
            .iter()
            .map(|name| edge(outputs, name, None))
            .collect(),
    };
    if wanted.is_empty() {
        ends.fetches = guess::outputs(body, &ends.feeds, options.strict, findings);
    }
    for (place, edge) in wanted.into_iter().enumerate() {
        if let Some(within) = within(body, program, place, &edge) {
            ends.fetches_within.push(within);
        } else if let Some((node, slot)) = tensor(body, &edge.tensor, findings) {
            let name = edge.name;
            ends.fetches.push(Fetching { name, node, slot });
        }
    }
    if !ends.fetches_within.is_empty() {
        let mut unsaid = Findings::new();
        ends.roots = match outputs {
            [] => guess::outputs(body, &ends.feeds, false, &mut unsaid),
            _ => outputs
                .iter()
                .filter_map(|edge| {
                    let (node, slot) = tensor(body, &edge.tensor, &mut unsaid)?;
                    let name = edge.name.clone();
                    Some(Fetching { name, node, slot })
                })
                .collect(),
        };
    }
    ends
}

/// A tensor that the graph itself does not have, where it calls functions that may.
fn within(body: &Body<'_>, program: &Program, place: usize, edge: &Edge) -> Option<Within> {
    let missing = matches!(body.resolve(&edge.tensor), Reference::Missing(_));
    (missing && !program.functions.is_empty()).then(|| Within {
        place,
        name: edge.name.clone(),
        shape: edge.shape.clone(),
    })
}

/// The tensor called `name`.
fn tensor(body: &Body<'_>, name: &str, findings: &mut Findings) -> Option<(usize, usize)> {
    match body.resolve(name) {
        Reference::Node(node, slot) => Some((node, slot)),
        _ => {
            findings.push(no_such(name, body.nodes.iter().map(|node| node.name.as_str())));
            None
        }
    }
}

/// What is said of a name that none of the nodes has.
pub(super) fn no_such<'n>(name: &str, nodes: impl Iterator<Item = &'n str>) -> Finding {
    let short = name.rsplit('/').next().unwrap_or(name);
    let short = short.split(':').next().unwrap_or(short);
    let near: Vec<&str> = nodes
        .filter(|other| other.rsplit('/').next() == Some(short) || other.contains(name))
        .take(5)
        .collect();
    let message = format!("the graph has no node {name}");
    let finding = Finding::new(Severity::Error, NO_SUCH_NODE, None, message);
    match near.is_empty() {
        true => finding,
        false => finding.with_help(format!("there are {}", near.join(", "))),
    }
}

/// What is said of an input that nothing needs.
pub(super) fn unused(body: &Body<'_>, feed: &Feeding) -> Finding {
    let node = &body.nodes[feed.node];
    let origin = Origin::new(node.name.as_str(), node.op.as_str());
    Finding::warning(
        UNUSED_INPUT,
        &origin,
        format!("the outputs do not need input {}: it is left out", feed.name),
    )
}
