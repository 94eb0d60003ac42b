//! What is fed and what is fetched: as the user says, else as the signature says, else as the graph suggests.

use super::body::{Body, Reference, parts};
use super::{sizes, type_of};
use crate::TensorflowReader;
use crate::program::{Edge, Program};
use crate::schema::attr_value::Value;
use crate::schema::{AttrValue, DataType, NodeDef};
use caribou_ir::{Code, Finding, Findings, Origin, ReadOptions, Severity};
use std::collections::{HashMap, HashSet};

/// The outputs were guessed.
const GUESSED_OUTPUTS: Code = Code("T0106");
/// There is no node or tensor of a name.
const NO_SUCH_NODE: Code = Code("T0107");
/// No output can be guessed.
const NO_OUTPUT: Code = Code("T0108");
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
            shape: stated_shape(&body.nodes[node], 0),
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

/// Operations of training, of files and of messages: nothing that they lead to is what a network computes.
const LEFTOVERS: &[&str] = &[
    "Assert",
    "CTCLoss",
    "CTCLossV2",
    "DestroyResourceOp",
    "InTopK",
    "InTopKV2",
    "IsVariableInitialized",
    "L2Loss",
    "LookupTableImportV2",
    "InitializeTableV2",
    "InitializeTableFromTextFileV2",
    "MergeSummary",
    "MergeV2Checkpoints",
    "NoOp",
    "PrintV2",
    "QueueCloseV2",
    "QueueEnqueueManyV2",
    "QueueEnqueueV2",
    "ReportUninitializedVariables",
    "Restore",
    "RestoreSlice",
    "RestoreV2",
    "Save",
    "SaveSlices",
    "SaveV2",
    "ShardedFilename",
    "ShardedFilespec",
    "SoftmaxCrossEntropyWithLogits",
    "SparseSoftmaxCrossEntropyWithLogits",
    "TensorSummary",
    "TensorSummaryV2",
    "VarIsInitializedOp",
    "WriteFile",
];

/// Operations by the beginning of their names.
const LEFTOVER_FAMILIES: &[&str] = &[
    "Apply",
    "ResourceApply",
    "SparseApply",
    "ResourceSparseApply",
    "Assign",
    "Scatter",
    "Write",
];

/// Outermost scopes in which a program for training keeps such things.
const LEFTOVER_SCOPES: &[&str] = &[
    "gradients",
    "save",
    "init",
    "report_uninitialized_variables",
    "train",
];

/// Operations that hold a value, say of one how large it is, or bring one in and out of a loop.
const SOURCES: &[&str] = &[
    "Const",
    "Placeholder",
    "PlaceholderV2",
    "PlaceholderWithDefault",
    "VarHandleOp",
    "Variable",
    "VariableV2",
    "ReadVariableOp",
    "Shape",
    "Size",
    "Rank",
    "Enter",
    "Exit",
    "LoopCond",
    "NextIteration",
    "Switch",
    "TensorArrayV3",
    "TensorListReserve",
];

/// A scope within which TensorFlow keeps what only makes nodes wait for each other.
const CONTROL_SCOPE: &str = "/loop_body_control/";

fn is_leftover(node: &NodeDef) -> bool {
    let op = node.op.as_str();
    let scope = node.name.split('/').next().unwrap_or("");
    // `gradients_1` is the second scope of its name.
    let scope = scope
        .trim_end_matches(|c: char| c.is_ascii_digit())
        .trim_end_matches('_');
    let within = node.name.contains('/') || op == "NoOp";
    LEFTOVERS.contains(&op)
        || LEFTOVER_FAMILIES.iter().any(|family| op.starts_with(family)) && !op.starts_with("ScatterNd")
        || op.ends_with("Summary")
        || op.ends_with("Grad")
        || within && LEFTOVER_SCOPES.contains(&scope) && scope != "train"
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
            let shape = edge.shape.or_else(|| stated_shape(&body.nodes[node], slot));
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
        ends.fetches = guess(body, &ends.feeds, options.strict, findings);
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
            [] => guess(body, &ends.feeds, false, &mut unsaid),
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

/// The shape of a node's output, where the node says it.
pub(super) fn stated_shape(node: &NodeDef, slot: usize) -> Option<Vec<Option<usize>>> {
    let value = |name: &str| node.attr.get(name).and_then(|value| value.value.as_ref());
    if let (true, Some(Value::Shape(shape))) = (super::bind::is_placeholder(&node.op), value("shape")) {
        // Old files leave the shape empty where it is unknown.
        let unknown = shape.dim.is_empty() && !shape.unknown_rank && value("_output_shapes").is_some();
        if !unknown {
            return sizes(shape);
        }
    }
    match value("_output_shapes") {
        Some(Value::List(list)) => list.shape.get(slot).and_then(sizes),
        _ => None,
    }
}

/// The type of a node's output: of a single one, or of an element of the list of types.
pub(super) fn dtype(attributes: &HashMap<String, AttrValue>, slot: usize) -> DataType {
    if let Some(Value::List(list)) = attributes
        .get("Tout")
        .or(attributes.get("T"))
        .and_then(|value| value.value.as_ref())
    {
        let listed = list
            .r#type
            .get(slot)
            .and_then(|&kind| DataType::try_from(kind).ok());
        return listed.unwrap_or(DataType::DtFloat);
    }
    ["dtype", "DstT", "out_type", "output_type", "T"]
        .iter()
        .find_map(|name| type_of(attributes, name))
        .unwrap_or(DataType::DtFloat)
}

/// Whether a node may be an input: a placeholder of arrays, not of a switch or a rate.
fn is_input(node: &NodeDef) -> bool {
    super::bind::is_placeholder(&node.op)
        && crate::literal::dtype(dtype(&node.attr, 0)).is_some_and(|kind| kind != caribou_ir::DType::Bool)
        && stated_shape(node, 0).is_none_or(|shape| !shape.is_empty())
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

/// The outputs of a graph that does not state them: what nothing reads, training and messages aside.
fn guess(body: &Body<'_>, feeds: &[Feeding], strict: bool, findings: &mut Findings) -> Vec<Fetching> {
    let count = body.nodes.len();
    let mut readers = vec![Vec::new(); count];
    for (node, inputs) in body.inputs.iter().enumerate() {
        for input in inputs {
            if let Reference::Node(from, _) = input {
                readers[*from].push(node);
            }
        }
    }
    let reached = |seeds: Vec<usize>| {
        let mut reached = vec![false; count];
        let mut stack = seeds;
        while let Some(node) = stack.pop() {
            if !std::mem::replace(&mut reached[node], true) {
                stack.extend(&readers[node]);
            }
        }
        reached
    };
    let leftover = reached(
        (0..count)
            .filter(|&node| is_leftover(&body.nodes[node]))
            .collect(),
    );
    let fed = reached(match feeds.is_empty() {
        true => (0..count)
            .filter(|&node| is_input(&body.nodes[node]) && !leftover[node])
            .collect(),
        false => feeds.iter().map(|feed| feed.node).collect(),
    });
    let asserted = asserted(body);
    let mut unread: Vec<usize> = (0..count)
        .filter(|&node| {
            fed[node]
                && !leftover[node]
                && !asserted.contains(&node)
                && !SOURCES.contains(&body.nodes[node].op.as_str())
                && !body.nodes[node].name.contains(CONTROL_SCOPE)
                && readers[node].iter().all(|&reader| leftover[reader])
        })
        .collect();
    // What a variable is set to is no output, unless there is no other.
    let is_update = |node: usize| {
        let mut updated = readers[node].iter();
        updated.any(|&reader| body.nodes[reader].op.starts_with("Assign"))
    };
    if !unread.iter().all(|&node| is_update(node)) {
        unread.retain(|&node| !is_update(node));
    }
    // The outputs of a function of TensorFlow 2 that was frozen have plain names, whatever else is left over.
    if body.nodes.iter().any(|node| node.name.ends_with(FROZEN))
        && unread.iter().any(|&node| is_result(&body.nodes[node]))
    {
        unread.retain(|&node| is_result(&body.nodes[node]));
    }
    if unread.is_empty() {
        let message =
            "the graph does not tell its outputs: no node is read by none and reached from an input";
        findings.push(
            Finding::new(Severity::Error, NO_OUTPUT, None, message)
                .with_help("name them: --output NAME, and --input NAME"),
        );
        return Vec::new();
    }
    let mut fetches = Vec::new();
    for node in unread {
        let name = &body.nodes[node].name;
        for slot in 0..slots(&body.nodes[node]) {
            fetches.push(Fetching {
                name: if slot == 0 {
                    name.clone()
                } else {
                    format!("{name}:{slot}")
                },
                node,
                slot,
            });
        }
    }
    let names: Vec<&str> = fetches.iter().map(|fetch| fetch.name.as_str()).collect();
    let message = format!(
        "the graph does not name its outputs: taken {}, which no other node reads",
        names.join(", ")
    );
    let severity = if strict { Severity::Error } else { Severity::Note };
    findings.push(
        Finding::new(severity, GUESSED_OUTPUTS, None, message)
            .with_help("others are chosen by --output NAME"),
    );
    fetches
}

/// The conditions of assertions.
fn asserted(body: &Body<'_>) -> HashSet<usize> {
    let assertions = body
        .nodes
        .iter()
        .zip(&body.inputs)
        .filter(|(node, _)| node.op == "Assert");
    let conditions = assertions.filter_map(|(_, inputs)| match inputs.first() {
        Some(Reference::Node(condition, _)) => Some(*condition),
        _ => None,
    });
    conditions.collect()
}

/// How the constants are called that variables of a function become when it is frozen.
const FROZEN: &str = "ReadVariableOp/resource";

/// Whether a node is called as the outputs of functions are: `Identity`, `Identity_1`.
fn is_result(node: &NodeDef) -> bool {
    let number = node.name.strip_prefix("Identity").and_then(|rest| match rest {
        "" => Some("0"),
        rest => rest.strip_prefix('_'),
    });
    node.op == "Identity" && number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// How many outputs of a node are fetched together.
fn slots(node: &NodeDef) -> usize {
    let value = |name: &str| node.attr.get(name).and_then(|value| value.value.as_ref());
    let count = match node.op.as_str() {
        "Split" | "SplitV" => value("num_split"),
        "Unpack" => value("num"),
        "IdentityN" => value("T"),
        _ => None,
    };
    match count {
        Some(Value::I(count)) => usize::try_from(*count).unwrap_or(1).clamp(1, 1000),
        Some(Value::List(list)) => list.r#type.len().clamp(1, 1000),
        _ => 1,
    }
}
