//! Placeholders that nobody has named: inputs, or switches of training that have the value of inference.

use super::body::{Body, Reference};
use super::ends::{Ends, Feeding};
use super::stated;
use crate::TensorflowReader;
use crate::literal::{self, Literal};
use crate::schema::DataType;
use caribou_ir::{Code, Finding, Findings, Origin};
use std::collections::HashSet;

/// A placeholder was given the value of inference.
const BOUND: Code = Code("T0110");
/// A placeholder is neither an input nor has it a value.
const UNBOUND: Code = Code("T0111");
/// A placeholder keeps its default.
const DEFAULT: Code = Code("T0112");
/// The inputs were guessed.
const GUESSED_INPUT: Code = Code("T0113");

/// What becomes of a placeholder.
pub(super) enum Decision {
    /// It is an input.
    Feed(Feeding),
    /// It has this value.
    Value(Literal),
    /// It has the value that the graph gives it.
    Default,
    /// It can be neither; a finding says so.
    Unbound,
}

/// Whether an operation stands for what is fed.
pub(super) fn is_placeholder(op: &str) -> bool {
    matches!(op, "Placeholder" | "PlaceholderV2" | "PlaceholderWithDefault")
}

/// Whether a shape is that of one number for each example.
pub(super) fn is_open_row(shape: &[Option<usize>]) -> bool {
    shape == [None]
}

/// Words in the names of placeholders, and the value that makes training's randomness vanish.
const RATES: &[(&str, f64)] = &[("keep", 1.0), ("drop", 0.0), ("rate", 0.0)];

/// How names begin that say by themselves what the number is for.
const CERTAIN: &[&str] = &[
    "keep_prob",
    "keepprob",
    "keep_rate",
    "dropout",
    "drop_rate",
    "drop_prob",
];

/// Words in the names of placeholders that switch training on.
const SWITCHES: &[&str] = &["train", "phase", "learning"];

/// A placeholder that may have a value.
struct Placeholder<'b> {
    body: &'b Body<'b>,
    position: usize,
    /// The names that it goes by.
    names: [String; 2],
    kind: DataType,
    shape: Option<Vec<Option<usize>>>,
}

impl<'b> Placeholder<'b> {
    fn new(body: &'b Body<'b>, position: usize, name: &str, shape: Option<Vec<Option<usize>>>) -> Self {
        let node = &body.nodes[position];
        Self {
            body,
            position,
            names: [node.name.clone(), name.to_owned()],
            kind: stated::dtype(&node.attr, 0),
            shape,
        }
    }

    fn origin(&self) -> Origin {
        let node = &self.body.nodes[self.position];
        Origin::new(node.name.as_str(), node.op.as_str())
    }

    fn is_scalar(&self) -> bool {
        self.shape.as_ref().is_some_and(Vec::is_empty)
    }

    fn value(&self, value: f64) -> Option<Literal> {
        let shape = self.shape.clone().unwrap_or_default();
        // One number for each example.
        if is_open_row(&shape) {
            return literal::filled(self.kind, &[1], value);
        }
        let sizes: Option<Vec<usize>> = shape.into_iter().collect();
        sizes.and_then(|sizes| literal::filled(self.kind, &sizes, value))
    }

    /// What the user binds it to.
    fn binding<'r>(&self, reader: &'r TensorflowReader) -> Option<&'r crate::Binding> {
        reader.bind.iter().find(|binding| {
            let name = binding.name.strip_suffix(":0").unwrap_or(&binding.name);
            self.names.iter().any(|own| own == name)
        })
    }

    /// The value that the user binds it to; a finding where it can't be that.
    fn bound_to(&self, binding: &crate::Binding, findings: &mut Findings) -> Option<Literal> {
        let literal = self.value(binding.value);
        if literal.is_none() {
            let (value, kind) = (binding.value, self.kind.as_str_name());
            let message = format!("{value} is no value for a placeholder of type {kind}");
            findings.push(
                Finding::error(UNBOUND, &self.origin(), message)
                    .with_help("bind numbers of a known shape only"),
            );
        }
        literal
    }

    /// Its value outside of training, where its name and what reads it tell that it is for training.
    fn outside_of_training(&self, findings: &mut Findings) -> Option<Literal> {
        let single = self.shape.as_ref().is_none_or(Vec::is_empty);
        let names = self.names.each_ref().map(|name| name.to_ascii_lowercase());
        let lasts = names
            .each_ref()
            .map(|name| name.rsplit('/').next().unwrap_or_default());
        let contains = |word: &str| names.iter().any(|name| name.contains(word));
        let of_rate = || {
            RATES
                .iter()
                .find(|(word, _)| lasts.iter().any(|name| name.contains(word)))
                .or_else(|| RATES.iter().find(|(word, _)| contains(word)))
        };
        let certain = || {
            CERTAIN
                .iter()
                .any(|start| lasts.iter().any(|name| name.starts_with(start)))
        };
        let guess = match self.kind {
            _ if !single => None,
            DataType::DtBool => (SWITCHES.iter().any(|word| contains(word))
                || only_switches(self.body, self.position))
            .then_some(0.0),
            kind if is_float(kind) && (certain() || before_dropout(self.body, self.position)) => {
                kept(self.body, self.position).or_else(|| of_rate().map(|&(_, value)| value))
            }
            _ => None,
        }?;
        let literal = self.value(guess)?;
        let shown = match (self.kind, guess) {
            (DataType::DtBool, _) => "false".to_owned(),
            _ => guess.to_string(),
        };
        let message = format!("it is bound to {shown}, its value outside of training");
        let name = &self.body.nodes[self.position].name;
        findings.push(
            Finding::note(BOUND, &self.origin(), message)
                .with_help(format!("--bind {name}=VALUE binds it otherwise")),
        );
        Some(literal)
    }
}

/// The value of what a signature feeds, where it is a switch or a rate of training, or the user binds it. What the user
/// names as an input stays one.
pub(super) fn of_feed(
    body: &Body<'_>,
    feed: &Feeding,
    reader: &TensorflowReader,
    findings: &mut Findings,
) -> Option<Literal> {
    if feed.named || feed.slot != 0 || !is_placeholder(&body.nodes[feed.node].op) {
        return None;
    }
    let placeholder = Placeholder::new(body, feed.node, &feed.name, feed.shape.clone());
    match placeholder.binding(reader) {
        Some(binding) => placeholder.bound_to(binding, findings),
        None => placeholder.outside_of_training(findings),
    }
}

/// Decides about the placeholder at `position`.
pub(super) fn decide(
    body: &Body<'_>,
    position: usize,
    ends: &Ends,
    reader: &TensorflowReader,
    findings: &mut Findings,
) -> Decision {
    let node = &body.nodes[position];
    let shape = stated::shape(node, 0);
    let placeholder = Placeholder::new(body, position, &node.name, shape.clone());
    let origin = placeholder.origin();
    let kind = placeholder.kind;
    let refuse = |findings: &mut Findings, message: String, help: String| {
        findings.push(Finding::error(UNBOUND, &origin, message).with_help(help));
        Decision::Unbound
    };
    let name = &node.name;
    if let Some(binding) = placeholder.binding(reader) {
        let literal = placeholder.bound_to(binding, findings);
        return literal.map_or(Decision::Unbound, Decision::Value);
    }
    let scalar = placeholder.is_scalar();
    let small = scalar || (shape.is_none() && kind == DataType::DtBool);
    let kept = small || ends.stated || passes_another_on(body, position);
    if node.op == "PlaceholderWithDefault" && kept {
        findings.push(
            Finding::note(DEFAULT, &origin, "it keeps the default that the graph gives it")
                .with_help(format!("--bind {name}=VALUE gives it another")),
        );
        return Decision::Default;
    }
    if let Some(literal) = placeholder.outside_of_training(findings) {
        return Decision::Value(literal);
    }
    if ends.stated {
        let message = "the outputs need it, and it is none of the inputs";
        return refuse(
            findings,
            message.into(),
            format!("name it too (--input {name}), or bind it (--bind {name}=VALUE)"),
        );
    }
    if scalar {
        let message = "it is a single number without a default";
        return refuse(
            findings,
            message.into(),
            format!("bind it (--bind {name}=VALUE), or name it as an input (--input {name})"),
        );
    }
    findings.push(
        Finding::note(
            GUESSED_INPUT,
            &origin,
            "it is taken as an input, being a placeholder that the outputs need",
        )
        .with_help("others are chosen by --input NAME"),
    );
    Decision::Feed(Feeding::unnamed(body, position))
}

fn is_float(kind: DataType) -> bool {
    literal::dtype(kind).is_some_and(|dtype| dtype.is_float())
}

/// Nodes that read `position`, up to `depth` nodes away.
fn readers(body: &Body<'_>, position: usize, depth: usize) -> HashSet<usize> {
    let mut found = HashSet::from([position]);
    for _ in 0..depth {
        let reads = |inputs: &Vec<Reference>| {
            let mut inputs = inputs.iter();
            inputs.any(|input| matches!(input, Reference::Node(from, _) if found.contains(from)))
        };
        let next: Vec<usize> = (0..body.nodes.len())
            .filter(|&node| !found.contains(&node) && reads(&body.inputs[node]))
            .collect();
        found.extend(next);
    }
    found
}

/// Whether a number soon meets random ones.
fn before_dropout(body: &Body<'_>, position: usize) -> bool {
    readers(body, position, 4).into_iter().any(|node| {
        body.inputs[node]
            .iter()
            .any(|input| matches!(input, Reference::Node(from, _) if is_random(body, *from, 4)))
    })
}

/// The value at which dropout keeps everything, by what it divides by: the number itself, or one minus it. Names say the
/// one and mean the other.
fn kept(body: &Body<'_>, position: usize) -> Option<f64> {
    let (mut open, mut seen) = (vec![(position, true)], HashSet::new());
    let mut found = None;
    while let Some((from, itself)) = open.pop() {
        if !seen.insert((from, itself)) || seen.len() > 64 {
            continue;
        }
        for (node, inputs) in body.inputs.iter().enumerate() {
            for (slot, input) in inputs.iter().enumerate() {
                if !matches!(input, Reference::Node(other, _) if *other == from) {
                    continue;
                }
                match (body.nodes[node].op.as_str(), slot) {
                    ("RealDiv" | "Div", 1) => {
                        if found.is_some_and(|found| found != itself) {
                            return None;
                        }
                        found = Some(itself);
                    }
                    ("Sub", 1) => open.push((node, !itself)),
                    ("Identity" | "Cast" | "Enter" | "Switch" | "Merge" | "StopGradient", _) => {
                        open.push((node, itself));
                    }
                    _ => {}
                }
            }
        }
    }
    found.map(|itself| if itself { 1.0 } else { 0.0 })
}

/// Whether the default of a placeholder depends on numbers that are fed to another one.
fn passes_another_on(body: &Body<'_>, position: usize) -> bool {
    let (mut open, mut seen) = (vec![position], HashSet::from([position]));
    while let Some(node) = open.pop() {
        for input in &body.inputs[node] {
            if let Reference::Node(from, _) = *input
                && seen.insert(from)
            {
                let node = &body.nodes[from];
                if is_placeholder(&node.op) {
                    return literal::dtype(stated::dtype(&node.attr, 0)).is_some();
                }
                open.push(from);
            }
        }
    }
    false
}

/// Whether a node is a source of random numbers under a few operations.
fn is_random(body: &Body<'_>, node: usize, depth: usize) -> bool {
    let op = body.nodes[node].op.as_str();
    matches!(
        op,
        "RandomUniform" | "StatelessRandomUniform" | "StatelessRandomUniformV2"
    ) || depth > 0
        && matches!(op, "Mul" | "Add" | "AddV2" | "Sub" | "Identity")
        && body.inputs[node]
            .iter()
            .any(|input| matches!(input, Reference::Node(from, _) if is_random(body, *from, depth - 1)))
}

/// Whether a truth value only chooses between branches.
fn only_switches(body: &Body<'_>, position: usize) -> bool {
    let mut reads = 0;
    for (node, inputs) in body.inputs.iter().enumerate() {
        for (slot, input) in inputs.iter().enumerate() {
            if matches!(input, Reference::Node(from, _) if *from == position) {
                let op = body.nodes[node].op.as_str();
                reads += 1;
                // `tf.cond` switches the truth value itself, to know on which side it is.
                if !(matches!((op, slot), ("Switch", 0 | 1) | ("If" | "StatelessIf", 0))
                    || matches!(op, "LogicalAnd" | "LogicalNot" | "Identity"))
                {
                    return false;
                }
            }
        }
    }
    reads > 0
}
