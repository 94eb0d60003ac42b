//! A graph of TensorFlow in one form, whatever file it came from: a flat list of nodes without function calls, each
//! reading outputs of others, with what is fed and what is fetched.

use crate::literal::Literal;
use crate::program::KerasLayer;
use crate::schema::AttrValue;
use caribou_ir::Origin;
use caribou_ir::op::Recurrent;
use std::collections::HashMap;
use std::sync::Arc;

/// Operations that pass on what they read.
const PASSING: &[&str] = &[
    "Identity",
    "StopGradient",
    "PreventGradient",
    "CheckNumerics",
    "Snapshot",
    "EnsureShape",
    "IdentityN",
];

/// The operation that gives an array, its input without the first axis of size one, to each example.
pub(crate) const EACH: &str = "caribou.EachExample";

/// An output of a node: what others read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Output {
    /// The position of the node in [`Flat::nodes`].
    pub(crate) node: usize,
    /// Which of its outputs.
    pub(crate) slot: usize,
}

/// One operation.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Its name; within a function that was inlined, behind the names of the calls that lead to it.
    pub(crate) name: Arc<str>,
    /// Its type, such as `Conv2D`.
    pub(crate) op: Arc<str>,
    /// What it reads, control edges left out.
    pub(crate) inputs: Vec<Output>,
    /// Its attributes; the tensor of a `Const`, and that of a variable whose value is known, is in `literal` instead.
    pub(crate) attributes: HashMap<String, AttrValue>,
    /// The value of a constant, or of a variable as it was saved. Where this is set, nothing is read.
    pub(crate) literal: Option<Literal>,
    /// The recurrent layer that a loop was read as ([`crate::loops::RECURRENT`]).
    pub(crate) recurrence: Option<Arc<Recurrence>>,
}

/// A recurrent layer in place of a loop.
#[derive(Debug, Clone)]
pub(crate) struct Recurrence {
    /// The cell, its direction, and whether its first states are inputs.
    pub(crate) op: Recurrent,
    /// Whether time comes first in its input, and examples second.
    pub(crate) time_major: bool,
    /// How many steps the loop takes, where that is a constant: the input must have as many.
    pub(crate) steps: Option<usize>,
    /// How many steps the input may have, where lengths of sequences are bound to a number: then none ends before it.
    pub(crate) at_most: Option<usize>,
}

impl Node {
    /// An operation without attributes.
    pub(crate) fn new(name: impl Into<Arc<str>>, op: impl Into<Arc<str>>, inputs: Vec<Output>) -> Self {
        Self {
            name: name.into(),
            op: op.into(),
            inputs,
            attributes: HashMap::new(),
            literal: None,
            recurrence: None,
        }
    }

    /// Whether it passes on what it reads.
    pub(crate) fn passes_on(&self) -> bool {
        PASSING.contains(&&*self.op)
    }

    /// The node as messages name it.
    pub(crate) fn origin(&self) -> Origin {
        Origin::new(Arc::clone(&self.name), Arc::clone(&self.op))
    }
}

/// What a program feeds: an output of a node (of a placeholder, mostly) that is given from outside.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    /// The name for the user.
    pub(crate) name: String,
    pub(crate) output: Output,
    /// The shape that the user or a signature gives; the node's own counts where this is `None`.
    pub(crate) shape: Option<Vec<Option<usize>>>,
    /// Whether it stands in for a tensor within the graph, and not for a placeholder.
    pub(crate) within: bool,
}

/// What a program fetches.
#[derive(Debug, Clone)]
pub(crate) struct Fetch {
    /// The name for the user.
    pub(crate) name: String,
    pub(crate) output: Output,
}

/// A graph without function calls. Only nodes that a fetched output needs are there, and each node stands behind those
/// that it reads, except for the back edges of loops (into a `Merge`).
#[derive(Debug, Clone, Default)]
pub(crate) struct Flat {
    pub(crate) nodes: Vec<Node>,
    pub(crate) feeds: Vec<Feed>,
    pub(crate) fetches: Vec<Fetch>,
    /// The model that Keras saved, where the file says so.
    pub(crate) keras: Option<KerasLayer>,
    /// The file's format and version in a few words.
    pub(crate) format: String,
}

impl Flat {
    /// Has whatever reads an output, or fetches it, read the one that stands in its place.
    pub(crate) fn redirect(&mut self, moved: &HashMap<Output, Output>) {
        if moved.is_empty() {
            return;
        }
        let through = |output: &mut Output| {
            while let Some(&other) = moved.get(output) {
                *output = other;
            }
        };
        let nodes = self.nodes.iter_mut();
        nodes.flat_map(|node| &mut node.inputs).for_each(through);
        let fetches = self.fetches.iter_mut();
        fetches.map(|fetch| &mut fetch.output).for_each(through);
    }
}
