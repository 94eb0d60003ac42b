//! From what a file says to one flat graph: what is fed and fetched is chosen, what the outputs need is taken in order,
//! calls are replaced by the bodies of their functions.

mod bind;
mod body;
mod branch;
mod call;
mod cut;
mod dropout;
mod ends;
mod fused;
mod order;
mod slots;
#[cfg(test)]
mod tests;
mod variable;

use crate::TensorflowReader;
use crate::graph::{EACH, Feed, Fetch, Flat, Node, Output};
use crate::literal::{self, Literal};
use crate::loops;
use crate::program::Program;
use crate::schema::attr_value::Value;
use crate::schema::{AttrValue, DataType, NodeDef, TensorShapeProto};
use body::{Body, Reference};
pub(crate) use branch::number;
use caribou_ir::{Code, Finding, Findings, Limits, Origin, ReadOptions, Severity};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Two nodes have one name.
const DUPLICATE: Code = Code("T0101");
/// A node reads what is not there.
const MISSING: Code = Code("T0102");
/// Nodes read each other in a circle.
const CYCLE: Code = Code("T0103");
/// A constant can't be read.
const CONSTANT: Code = Code("T0104");
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

/// The edges of a body that lead backwards.
fn is_back_edge(body: &Body<'_>, from: &Reference, to: usize) -> bool {
    let op = |node: usize| body.nodes[node].op.as_str();
    matches!(op(to), "Merge" | "RefMerge")
        && matches!(from, Reference::Node(node, _) if matches!(op(*node), "NextIteration" | "RefNextIteration"))
}

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

    /// Puts what is fed in front of the graph, in its order, and fixes what stands for it. False when something is wrong.
    fn placeholders(&mut self, body: &Body<'_>, ends: &ends::Ends, fixed: &mut Fixed) -> bool {
        let roots = ends.fetches.iter().chain(&ends.roots);
        let roots = roots.map(|fetch| fetch.node);
        let fed: HashSet<(usize, usize)> = ends.feeds.iter().map(|feed| (feed.node, feed.slot)).collect();
        let reads = |node: usize| reads(body, node, |reference| fed.contains(reference));
        let needed = match order::needed(body.nodes.len(), roots, reads) {
            Ok(needed) => needed,
            Err(cycle) => {
                self.cycle(body, &cycle);
                return false;
            }
        };
        if needed.len() > self.limits.nodes {
            let message = format!(
                "the graph has {} nodes, the limit is {}",
                needed.len(),
                self.limits.nodes
            );
            self.findings.push(
                Finding::new(Severity::Error, TOO_MANY, None, message)
                    .with_help("raise it: --limit nodes=NUMBER"),
            );
            return false;
        }
        let used: HashSet<(usize, usize)> = needed
            .iter()
            .flat_map(|&node| &body.inputs[node])
            .filter_map(|reference| match reference {
                Reference::Node(node, slot) => Some((*node, *slot)),
                _ => None,
            })
            .chain(ends.fetches.iter().map(|fetch| (fetch.node, fetch.slot)))
            .collect();
        let mut sound = true;
        for feed in &ends.feeds {
            if !used.contains(&(feed.node, feed.slot)) {
                self.findings.push(ends::unused(body, feed));
                continue;
            }
            let output = match bind::of_feed(body, feed, self.reader, self.findings) {
                Some(literal) => self.bound(&body.nodes[feed.node], literal),
                None => self.feed(&body.nodes[feed.node], feed),
            };
            fixed.insert((feed.node, feed.slot), output);
        }
        let mut waiting: Vec<usize> = needed
            .into_iter()
            .filter(|&node| bind::is_placeholder(&body.nodes[node].op) && !fixed.contains_key(&(node, 0)))
            .collect();
        waiting.sort_unstable();
        for node in waiting {
            let mut said = Findings::new();
            let decision = bind::decide(body, node, ends, self.reader, &mut said);
            if matches!(decision, bind::Decision::Unbound) && !ends.feeds_within.is_empty() {
                let feed = ends::Feeding::unnamed(body, node);
                let output = self.feed(&body.nodes[node], &feed);
                fixed.insert((node, 0), output);
                self.doubtful.push((feed.name, said));
                continue;
            }
            self.findings.extend(said);
            match decision {
                bind::Decision::Feed(feed) => {
                    let output = self.feed(&body.nodes[node], &feed);
                    fixed.insert((node, 0), output);
                }
                bind::Decision::Value(literal) => {
                    let output = self.bound(&body.nodes[node], literal);
                    fixed.insert((node, 0), output);
                }
                bind::Decision::Default => {}
                bind::Decision::Unbound => sound = false,
            }
        }
        sound
    }

    /// The value that a placeholder has.
    fn bound(&mut self, node: &NodeDef, literal: Literal) -> Output {
        let each = ends::stated_shape(node, 0).is_some_and(|shape| bind::is_open_row(&shape));
        let constant = Output {
            node: self.constant(&node.name, literal),
            slot: 0,
        };
        if !each {
            return constant;
        }
        let each = self.push(Node::new(node.name.as_str(), EACH, vec![constant]));
        Output { node: each, slot: 0 }
    }

    /// A placeholder for what is fed.
    fn feed(&mut self, node: &NodeDef, feed: &ends::Feeding) -> Output {
        let kind = ends::dtype(&node.attr, feed.slot);
        let made = self.push(placeholder(&node.name, kind));
        let output = Output { node: made, slot: 0 };
        self.flat.feeds.push(Feed {
            name: feed.name.clone(),
            output,
            shape: feed.shape.clone(),
            within: !bind::is_placeholder(&node.op),
        });
        output
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

    fn cycle(&mut self, body: &Body<'_>, cycle: &[usize]) {
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
    fn walk(
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

    fn too_many(&mut self) {
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

    /// A node that holds a value.
    fn constant(&mut self, name: &str, literal: Literal) -> usize {
        self.push(Node {
            literal: Some(literal),
            ..Node::new(name, "Const", Vec::new())
        })
    }
}

/// A node for what is fed.
fn placeholder(name: &str, kind: DataType) -> Node {
    let dtype = AttrValue {
        value: Some(Value::Type(kind as i32)),
    };
    Node {
        attributes: HashMap::from([("dtype".to_owned(), dtype)]),
        ..Node::new(name, "Placeholder", Vec::new())
    }
}

/// What a node of a body reads, without what is fixed.
fn reads(body: &Body<'_>, node: usize, fixed: impl Fn(&(usize, usize)) -> bool) -> order::Reads {
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
fn origin(node: &NodeDef, prefix: &str) -> Origin {
    Origin::new(format!("{prefix}{}", node.name), node.op.as_str())
}

/// What a node says of itself: names with an underscore in front are notes of TensorFlow's own, and a value is a literal.
fn attributes(node: &NodeDef) -> HashMap<String, AttrValue> {
    let kept = node
        .attr
        .iter()
        .filter(|(name, value)| !name.starts_with('_') && !matches!(value.value, Some(Value::Tensor(_))));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The sizes of a shape; `None` where even the number of axes is unknown.
pub(crate) fn sizes(shape: &TensorShapeProto) -> Option<Vec<Option<usize>>> {
    let size = |dim: &crate::schema::tensor_shape_proto::Dim| usize::try_from(dim.size).ok();
    (!shape.unknown_rank).then(|| shape.dim.iter().map(size).collect())
}

/// An attribute that is a type.
fn type_of(attributes: &HashMap<String, AttrValue>, name: &str) -> Option<DataType> {
    match attributes.get(name)?.value.as_ref()? {
        Value::Type(kind) => DataType::try_from(*kind).ok(),
        _ => None,
    }
}

impl Flat {
    /// The graph with only what the fetched outputs need, each node behind those that it reads but for loops.
    fn pruned(self, findings: &mut Findings) -> Self {
        let back = |to: &Node, from: usize| {
            &*to.op == "Merge"
                && self
                    .nodes
                    .get(from)
                    .is_some_and(|from| matches!(&*from.op, "NextIteration" | "RefNextIteration"))
        };
        let roots = self.fetches.iter().map(|fetch| fetch.output.node);
        let order = order::needed(self.nodes.len(), roots, |node| {
            let (mut before, mut later) = (Vec::new(), Vec::new());
            for input in &self.nodes[node].inputs {
                match back(&self.nodes[node], input.node) {
                    true => later.push(input.node),
                    false => before.push(input.node),
                }
            }
            order::Reads { before, later }
        });
        let order = match order {
            Ok(order) => order,
            Err(cycle) => {
                let first = cycle.first().and_then(|&node| self.nodes.get(node));
                findings.push(Finding::new(
                    Severity::Error,
                    CYCLE,
                    first.map(Node::origin),
                    "the graph runs in a circle",
                ));
                return self;
            }
        };
        let mut moved = vec![usize::MAX; self.nodes.len()];
        let feeds: Vec<usize> = self.feeds.iter().map(|feed| feed.output.node).collect();
        let kept: HashSet<usize> = order.iter().copied().collect();
        let order: Vec<usize> = feeds
            .iter()
            .copied()
            .filter(|node| kept.contains(node))
            .chain(order.into_iter().filter(|node| !feeds.contains(node)))
            .collect();
        for (to, &from) in order.iter().enumerate() {
            moved[from] = to;
        }
        let at = |output: Output| Output {
            node: moved.get(output.node).copied().unwrap_or(usize::MAX),
            slot: output.slot,
        };
        let mut nodes: Vec<Option<Node>> = self.nodes.into_iter().map(Some).collect();
        let nodes = order
            .iter()
            .filter_map(|&from| nodes.get_mut(from).and_then(Option::take))
            .map(|mut node| {
                node.inputs.iter_mut().for_each(|input| *input = at(*input));
                node
            })
            .collect();
        let feeds = self.feeds.into_iter().map(|feed| Feed {
            output: at(feed.output),
            ..feed
        });
        let fetches = self.fetches.into_iter().map(|fetch| Fetch {
            output: at(fetch.output),
            ..fetch
        });
        Self {
            nodes,
            feeds: feeds.filter(|feed| feed.output.node != usize::MAX).collect(),
            fetches: fetches.collect(),
            keras: self.keras,
            format: self.format,
        }
    }
}
