//! The outputs of a graph that does not name them.

use super::body::{Body, Reference};
use super::ends::{Feeding, Fetching};
use super::{bind, stated};
use crate::schema::NodeDef;
use crate::schema::attr_value::Value;
use caribou_ir::{Code, Finding, Findings, Severity};
use std::collections::HashSet;

/// The outputs were guessed.
const GUESSED_OUTPUTS: Code = Code("T0106");
/// No output can be guessed.
const NO_OUTPUT: Code = Code("T0108");

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

/// Whether a node may be an input: a placeholder of arrays, not of a switch or a rate.
fn is_input(node: &NodeDef) -> bool {
    bind::is_placeholder(&node.op)
        && crate::literal::dtype(stated::dtype(&node.attr, 0))
            .is_some_and(|kind| kind != caribou_ir::DType::Bool)
        && stated::shape(node, 0).is_none_or(|shape| !shape.is_empty())
}

/// The outputs of a graph that does not state them: what nothing reads, training and messages aside.
pub(super) fn outputs(
    body: &Body<'_>,
    feeds: &[Feeding],
    strict: bool,
    findings: &mut Findings,
) -> Vec<Fetching> {
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
                && !is_pivot(body, node)
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
        && unread.iter().any(|&node| result(&body.nodes[node]).is_some())
    {
        unread.retain(|&node| result(&body.nodes[node]).is_some());
    }
    // Where the outputs of a function are all that is left, their order is that of the function, not that of the nodes.
    if unread.iter().all(|&node| result(&body.nodes[node]).is_some()) {
        unread.sort_by_key(|&node| result(&body.nodes[node]));
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

/// Whether a node only says which side of a branch is taken: it passes on a condition that is switched by itself.
fn is_pivot(body: &Body<'_>, node: usize) -> bool {
    let (true, Some(Reference::Node(switch, _))) =
        (body.nodes[node].op == "Identity", body.inputs[node].first())
    else {
        return false;
    };
    match &body.inputs[*switch][..] {
        [Reference::Node(value, _), Reference::Node(condition, _)] => {
            body.nodes[*switch].op == "Switch" && value == condition
        }
        _ => false,
    }
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

/// Which output of a function a node is called after: `Identity`, `Identity_1`.
fn result(node: &NodeDef) -> Option<usize> {
    let number = match node.name.strip_prefix("Identity")? {
        "" => "0",
        rest => rest.strip_prefix('_')?,
    };
    let digits = node.op == "Identity" && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|_| digits)
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
