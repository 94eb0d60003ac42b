//! From what a file says to one flat graph: what is fed and fetched is chosen, what the outputs need is taken in order,
//! calls are replaced by the bodies of their functions.

mod bind;
mod body;
mod branch;
mod call;
mod cut;
mod dropout;
mod ends;
mod feeding;
mod fused;
mod guess;
mod order;
mod prune;
mod slots;
mod stated;
#[cfg(test)]
mod tests;
mod variable;
mod walk;

use crate::TensorflowReader;
use crate::graph::{Feed, Fetch, Flat, Node, Output};
use crate::literal::Literal;
use crate::loops;
use crate::program::Program;
use crate::schema::AttrValue;
use body::{Body, Reference};
pub(crate) use branch::number;
use caribou_ir::{Code, Findings, Limits, Origin, ReadOptions};
pub(crate) use stated::sizes;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// There are too many nodes.
const TOO_MANY: Code = Code("T0105");

/// Makes the flat graph of a program. Whatever is wrong with it is in `findings`; with errors among them the graph is not
/// whole.
pub(crate) fn flatten(
    program: &Program,
    reader: &TensorflowReader,
    options: &ReadOptions,
    findings: &mut Findings,
) -> Flat {
    let body = Body::graph(&program.nodes, &program.functions);
    let ends = ends::choose(&body, program, reader, options, findings);
    let mut flattener = Flattener {
        program,
        reader,
        limits: &options.limits,
        findings,
        flat: Flat {
            format: program.format.clone(),
            keras: program.keras.clone(),
            ..Flat::default()
        },
        names: HashSet::new(),
        calls: Vec::new(),
        called: 0,
        attributes: HashMap::new(),
        assigned: Vec::new(),
        absent: HashMap::new(),
        doubtful: Vec::new(),
    };
    flattener.main(&body, &ends);
    flattener.cut(&ends);
    let Flattener {
        mut flat,
        assigned,
        absent,
        doubtful,
        ..
    } = flattener;
    branch::resolve(&mut flat);
    let mut flat = flat.pruned(findings);
    if fused::expand(&mut flat) {
        flat = flat.pruned(findings);
    }
    if !findings.has_errors() {
        dropout::resolve(&mut flat);
        loops::recognise(&mut flat, findings);
        flat = flat.pruned(findings);
        loops::report(&flat, findings);
    }
    for (name, said) in doubtful {
        if flat.feeds.iter().any(|feed| feed.name == name) {
            findings.extend(said);
        }
    }
    variable::report(&flat, &absent, findings);
    variable::report_changes(&flat, &assigned, findings);
    for (feed, given) in flat.feeds.iter_mut().zip(&options.input_shapes) {
        feed.refine(given);
    }
    flat
}

impl Feed {
    /// Takes sizes from `given`, but for the number of examples, where none are known.
    fn refine(&mut self, given: &[Option<usize>]) {
        let examples = |(axis, &size): (usize, &Option<usize>)| size.filter(|_| axis > 0);
        let given: Vec<Option<usize>> = given.iter().enumerate().map(examples).collect();
        match &mut self.shape {
            None => self.shape = Some(given),
            Some(shape) if shape.len() == given.len() => {
                for (size, given) in shape.iter_mut().zip(given) {
                    *size = size.or(given);
                }
            }
            Some(_) => {}
        }
    }
}

/// A flat graph that is being made.
struct Flattener<'a> {
    program: &'a Program,
    reader: &'a TensorflowReader,
    limits: &'a Limits,
    findings: &'a mut Findings,
    flat: Flat,
    /// The names that nodes have.
    names: HashSet<Arc<str>>,
    /// The functions that are being inlined, outermost first.
    calls: Vec<String>,
    /// How many functions were inlined so far.
    called: usize,
    /// What the attributes of the function are that is being inlined.
    attributes: HashMap<String, AttrValue>,
    /// Variables that are given a value, with the node that does it.
    assigned: Vec<(Arc<str>, Origin)>,
    /// Variables without a value, with the reason.
    absent: HashMap<Arc<str>, String>,
    /// Placeholders that are no inputs, with what is said of them where they are needed in spite of what is fed within.
    doubtful: Vec<(String, Findings)>,
}

/// What a node of a body became.
#[derive(Clone)]
enum Made {
    /// Nothing: it is not needed, or something is wrong with it.
    Nothing,
    /// A node of the flat graph, with the same outputs.
    Node(usize),
    /// Outputs of other nodes.
    Outputs(Vec<Output>),
}

impl Made {
    fn output(&self, slot: usize) -> Option<Output> {
        match self {
            Self::Nothing => None,
            Self::Node(node) => Some(Output { node: *node, slot }),
            Self::Outputs(outputs) => outputs.get(slot).copied(),
        }
    }
}

/// Nodes in whose place something else stands.
type Fixed = HashMap<(usize, usize), Output>;

impl<'a> Flattener<'a> {
    fn main(&mut self, body: &Body<'_>, ends: &ends::Ends) {
        let mut fixed = Fixed::new();
        let mut wanted = Vec::new();
        let placeholders = self.placeholders(body, ends, &mut fixed);
        for fetch in ends.fetches.iter().chain(&ends.roots) {
            wanted.push(Reference::Node(fetch.node, fetch.slot));
        }
        if !placeholders {
            return;
        }
        let outputs = self.walk(body, &wanted, &[], &fixed, "");
        for (fetch, output) in ends.fetches.iter().zip(outputs) {
            if let Some(output) = output {
                self.flat.fetches.push(Fetch {
                    name: fetch.name.clone(),
                    output,
                });
            }
        }
    }

    /// Adds a node under a name of its own.
    fn push(&mut self, mut node: Node) -> usize {
        if self.names.contains(&node.name) {
            let mut number = 1usize;
            node.name = loop {
                let name: Arc<str> = format!("{}_{number}", node.name).into();
                if !self.names.contains(&name) {
                    break name;
                }
                number += 1;
            };
        }
        self.names.insert(Arc::clone(&node.name));
        self.flat.nodes.push(node);
        self.flat.nodes.len() - 1
    }

    /// A node that holds a value.
    fn constant(&mut self, name: &str, literal: Literal) -> usize {
        self.push(Node {
            literal: Some(literal),
            ..Node::new(name, "Const", Vec::new())
        })
    }
}
