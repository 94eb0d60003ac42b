//! From the flat list of operations to the graph: every operation that a fetched output needs, in an order in which what
//! it reads is there.
//!
//! What can be known when the file is read is computed at once ([`crate::fold`]). Operations that together are one of the
//! graph's operators are read as that ([`crate::idioms`]), at the last of them; what the others were read as falls away,
//! for only what the outputs need is kept ([`prune`]), and so do their problems.

mod names;
mod order;
mod ports;
mod prune;
mod rest;
mod walk;

use crate::fold::Array;
use crate::graph::{Flat, Node, Output};
use crate::idioms;
use crate::literal::Literal;
use crate::ops::{self, Call, Found};
use caribou_ir::{Code, DType, Finding, Findings, Graph, Origin, Rest, ValueId};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// An operation that is not known.
const UNKNOWN_OPERATION: Code = Code("T0301");
/// An operation that reads what nothing makes.
const CONNECTION: Code = Code("T0302");
/// The shape of an input is not in the file.
const INPUT_SHAPE: Code = Code("T0303");
/// What stands behind the outputs of the model.
const OUTPUT: Code = Code("T0305");
/// Operations that were read as one.
const LIFTED: Code = Code("T0306");
/// The model computes in another precision.
const PRECISION: Code = Code("T0307");

/// What an output of an operation is.
#[derive(Debug, Clone)]
pub(crate) enum Held {
    /// A value of the graph, and the type that TensorFlow has for it.
    Value(ValueId, DType),
    /// Known.
    Known(Array),
}

impl Held {
    pub(crate) fn dtype(&self) -> DType {
        match self {
            Self::Value(_, dtype) => *dtype,
            Self::Known(array) => array.dtype(),
        }
    }
}

/// What an operation was read as.
enum Read {
    /// Values of the graph, and arrays.
    Held(Vec<Held>),
    /// Arrays that are the same for each example, as `[1, …]`.
    Repeated(Vec<Array>),
}

/// What [`build`] gives.
pub(crate) struct Built {
    pub(crate) graph: Graph,
    pub(crate) findings: Findings,
}

/// Why there is no graph, and what there is of one.
pub(crate) struct Unreadable {
    pub(crate) findings: Findings,
    pub(crate) rest: Box<Rest>,
}

pub(crate) struct Builder<'f> {
    pub(crate) flat: &'f Flat,
    pub(crate) graph: Graph,
    held: HashMap<Output, Held>,
    /// Outputs that are arrays which are the same for each example, as `[1, …]`.
    repeated: HashMap<Output, Array>,
    /// What each operation was made of: what it reads, or what the idiom reads that ends with it.
    made_of: HashMap<usize, Vec<Output>>,
    /// By operation.
    problems: BTreeMap<usize, Finding>,
    /// What there is to say besides.
    findings: Findings,
    /// How often each output is read, fetches included.
    readers: HashMap<Output, usize>,
    /// The name of the layer that each operation belongs to.
    layers: Vec<std::sync::Arc<str>>,
    /// Values that stand in for those of operations that could not be read, and what was made of them.
    unknown: HashSet<ValueId>,
    /// Layers that were read with inputs of a guessed shape.
    assumed: BTreeSet<String>,
    /// How many inputs of the graph are the model's; those behind stand in for values that could not be read.
    ports: usize,
    /// The number of examples that the file gives, which is read as any number.
    pub(crate) batch: Option<usize>,
    /// What was read from several operations, by the one that it ends with.
    lifted: BTreeMap<usize, &'static str>,
}

/// Builds the graph of `flat`.
///
/// # Errors
/// Everything that could not be read, each with its operation.
pub(crate) fn build(flat: &Flat) -> Result<Built, Box<Unreadable>> {
    let mut builder = Builder {
        flat,
        graph: Graph::new(),
        held: HashMap::new(),
        repeated: HashMap::new(),
        made_of: HashMap::new(),
        problems: BTreeMap::new(),
        findings: Findings::new(),
        readers: order::readers(flat),
        layers: Vec::new(),
        unknown: HashSet::new(),
        assumed: BTreeSet::new(),
        ports: 0,
        batch: None,
        lifted: BTreeMap::new(),
    };
    let order = order::order(flat);
    builder.layers = names::layers(flat, &order.nodes);
    builder.inputs(&order.nodes);
    for &node in &order.nodes {
        builder.node(node);
    }
    builder.finish()
}

impl<'f> Builder<'f> {
    fn finish(mut self) -> Result<Built, Box<Unreadable>> {
        self.outputs();
        let used = self.used();
        for (node, problem) in std::mem::take(&mut self.problems) {
            if used.contains(&node) {
                self.findings.push(problem);
            }
        }
        self.note_lifted(&used);
        if self.findings.has_errors() {
            return Err(Box::new(Unreadable {
                findings: self.findings,
                rest: Box::new(Rest::of(self.graph, self.assumed)),
            }));
        }
        self.note_precision(&used);
        match prune::pruned(&self.graph, self.ports) {
            Ok(graph) => Ok(Built {
                graph,
                findings: self.findings,
            }),
            Err(error) => {
                self.findings.push(Finding::new(
                    caribou_ir::Severity::Error,
                    OUTPUT,
                    None,
                    error.to_string(),
                ));
                Err(Box::new(Unreadable {
                    findings: self.findings,
                    rest: Box::new(Rest::of(self.graph, self.assumed)),
                }))
            }
        }
    }

    /// The operations whose values the outputs are made of.
    fn used(&self) -> BTreeSet<usize> {
        let mut used = BTreeSet::new();
        let mut open: Vec<usize> = self.flat.fetches.iter().map(|fetch| fetch.output.node).collect();
        while let Some(node) = open.pop() {
            if used.insert(node) {
                open.extend(
                    self.made_of
                        .get(&node)
                        .into_iter()
                        .flatten()
                        .map(|output| output.node),
                );
            }
        }
        used
    }

    fn note_lifted(&mut self, used: &BTreeSet<usize>) {
        let mut lists: BTreeMap<&'static str, Vec<&str>> = BTreeMap::new();
        for (node, what) in &self.lifted {
            if used.contains(node) {
                lists.entry(what).or_default().push(&self.layers[*node]);
            }
        }
        for (what, mut names) in lists {
            names.dedup();
            let message = format!(
                "read as {what} from the operations it is composed of: {}",
                names.join(", ")
            );
            self.findings
                .push(Finding::new(caribou_ir::Severity::Note, LIFTED, None, message));
        }
    }

    fn note_precision(&mut self, used: &BTreeSet<usize>) {
        let mut types: BTreeMap<String, usize> = BTreeMap::new();
        for (output, held) in &self.held {
            if let Held::Value(_, dtype @ (DType::F16 | DType::BF16 | DType::F64)) = held
                && used.contains(&output.node)
            {
                *types.entry(dtype.to_string()).or_default() += 1;
            }
        }
        for (name, count) in types {
            let message = format!("{count} values are of type {name}: they are carried over in float32");
            self.findings
                .push(Finding::new(caribou_ir::Severity::Note, PRECISION, None, message));
        }
    }

    /// Reads one operation. Problems are kept, and its outputs are then values that stand in for its own.
    fn node(&mut self, index: usize) {
        let flat = self.flat;
        let node = &flat.nodes[index];
        let output = Output { node: index, slot: 0 };
        if self.held.contains_key(&output) {
            return;
        }
        match &node.literal {
            Some(Literal::Numbers(tensor)) => {
                self.held
                    .insert(output, Held::Known(Array::stored(tensor.clone())));
                return;
            }
            Some(Literal::Strings) => {
                self.fail(
                    index,
                    Finding::error(UNKNOWN_OPERATION, &node.origin(), "texts are not supported"),
                );
                return;
            }
            None => {}
        }
        self.made_of.insert(index, node.inputs.clone());
        let inputs: Option<Vec<Held>> = node
            .inputs
            .iter()
            .map(|input| {
                let each = || self.repeated.get(input).cloned().map(Held::Known);
                self.held.get(input).cloned().or_else(each)
            })
            .collect();
        let Some(inputs) = inputs else {
            let finding = Finding::error(CONNECTION, &node.origin(), "it is part of a loop")
                .with_help("only the loops of recurrent layers are read");
            self.fail(index, finding);
            return;
        };
        let unknown = inputs
            .iter()
            .any(|input| matches!(input, Held::Value(value, _) if self.unknown.contains(value)));
        let nodes = self.graph.nodes().len();
        match self.read(index, node, inputs) {
            Ok(Read::Repeated(arrays)) => {
                let slots = arrays.into_iter().enumerate();
                self.repeated
                    .extend(slots.map(|(slot, array)| (Output { node: index, slot }, array)));
            }
            Ok(Read::Held(outputs)) => {
                if unknown {
                    let layer = self.layers[index].to_string();
                    self.assumed.insert(layer);
                }
                for (slot, held) in outputs.into_iter().enumerate() {
                    if let (Held::Value(value, _), true) = (&held, unknown) {
                        self.unknown.insert(*value);
                    }
                    self.held.insert(Output { node: index, slot }, held);
                }
            }
            Err(finding) => {
                self.graph.truncate(nodes);
                // That it does not fit is the fault of the shape that was guessed.
                if unknown && ops::GUESSED.contains(&finding.code) {
                    self.stand_ins(index);
                } else {
                    self.fail(index, *finding);
                }
            }
        }
    }

    fn read(&mut self, index: usize, node: &'f Node, inputs: Vec<Held>) -> Found<Read> {
        let origin = Origin::new(
            std::sync::Arc::clone(&self.layers[index]),
            std::sync::Arc::clone(&node.op),
        );
        let repeated = node
            .inputs
            .iter()
            .map(|input| self.repeated.contains_key(input))
            .collect();
        let mut call = Call {
            builder: self,
            index,
            node,
            inputs,
            repeated,
            origin,
        };
        if let Some(arrays) = ops::read_repeated(&mut call)? {
            return Ok(Read::Repeated(arrays));
        }
        if let Some(outputs) = idioms::read(&mut call)? {
            return Ok(Read::Held(outputs));
        }
        let outputs = ops::read(&mut call)?;
        idioms::refined(&mut call, outputs).map(Read::Held)
    }

    fn fail(&mut self, index: usize, finding: Finding) {
        self.problems.insert(index, finding);
        self.stand_ins(index);
    }

    /// What an output is, where it was read already.
    pub(crate) fn held(&self, output: Output) -> Option<&Held> {
        self.held.get(&output)
    }

    /// Says what the outputs of an operation are made of, where that is not what it reads.
    pub(crate) fn made_of(&mut self, index: usize, inputs: Vec<Output>) {
        self.made_of.insert(index, inputs);
    }

    /// Notes that the operations up to `index` were read as `what`.
    pub(crate) fn lift(&mut self, index: usize, what: &'static str) {
        self.lifted.insert(index, what);
    }

    /// How often an output is read.
    pub(crate) fn readers(&self, output: Output) -> usize {
        self.readers.get(&output).copied().unwrap_or(0)
    }

    pub(crate) fn layer(&self, index: usize) -> std::sync::Arc<str> {
        std::sync::Arc::clone(&self.layers[index])
    }
}
