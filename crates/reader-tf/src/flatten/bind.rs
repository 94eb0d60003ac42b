//! Placeholders that nobody has named: inputs, or switches of training that have the value of inference.

use super::body::{Body, Reference};
use super::ends::{self, Ends, Feeding};
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

/// Words in the names of placeholders, and the value that makes training's randomness vanish.
const RATES: &[(&str, f64)] = &[("keep", 1.0), ("drop", 0.0), ("rate", 0.0)];

/// Words in the names of placeholders that switch training on.
const SWITCHES: &[&str] = &["train", "phase", "learning"];

/// Decides about the placeholder at `position`.
pub(super) fn decide(
    body: &Body<'_>,
    position: usize,
    ends: &Ends,
    reader: &TensorflowReader,
    findings: &mut Findings,
) -> Decision {
    let node = &body.nodes[position];
    let origin = Origin::new(node.name.as_str(), node.op.as_str());
    let kind = ends::dtype(node, 0);
    let shape = ends::stated_shape(node, 0);
    let bound = reader
        .bind
        .iter()
        .find(|binding| binding.name.strip_suffix(":0").unwrap_or(&binding.name) == node.name);
    let value = |value: f64| {
        let sizes: Option<Vec<usize>> = shape.clone().unwrap_or_default().into_iter().collect();
        sizes.and_then(|sizes| literal::filled(kind, &sizes, value))
    };
    let refuse = |findings: &mut Findings, message: String, help: String| {
        findings.push(Finding::error(UNBOUND, &origin, message).with_help(help));
        Decision::Unbound
    };
    let name = &node.name;
    if let Some(binding) = bound {
        return match value(binding.value) {
            Some(literal) => Decision::Value(literal),
            None => refuse(
                findings,
                format!(
                    "{} is no value for a placeholder of type {}",
                    binding.value,
                    kind.as_str_name()
                ),
                "bind numbers of a known shape only".into(),
            ),
        };
    }
    let scalar = shape.as_ref().is_some_and(Vec::is_empty);
    let has_default = node.op == "PlaceholderWithDefault";
    let small = scalar || (shape.is_none() && kind == DataType::DtBool);
    if has_default && (small || ends.stated) {
        findings.push(
            Finding::note(DEFAULT, &origin, "it keeps the default that the graph gives it")
                .with_help(format!("--bind {name}=VALUE gives it another")),
        );
        return Decision::Default;
    }
    let last = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let words = name.to_ascii_lowercase();
    let guess = match kind {
        DataType::DtBool
            if small
                && (SWITCHES.iter().any(|word| words.contains(word)) || only_switches(body, position)) =>
        {
            Some(0.0)
        }
        _ if (scalar || shape.is_none()) && is_float(kind) && before_dropout(body, position) => RATES
            .iter()
            .find(|(word, _)| last.contains(word))
            .or_else(|| RATES.iter().find(|(word, _)| words.contains(word)))
            .map(|&(_, value)| value),
        _ => None,
    };
    if let Some((guess, literal)) = guess.and_then(|guess| Some((guess, value(guess)?))) {
        let shown = match (kind, guess) {
            (DataType::DtBool, _) => "false".to_owned(),
            _ => guess.to_string(),
        };
        findings.push(
            Finding::note(
                BOUND,
                &origin,
                format!("it is bound to {shown}, its value outside of training"),
            )
            .with_help(format!("--bind {name}=VALUE binds it otherwise")),
        );
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
    Decision::Feed(Feeding {
        name: name.clone(),
        node: position,
        slot: 0,
        shape,
    })
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
                if !(matches!((op, slot), ("Switch", 1) | ("If" | "StatelessIf", 0))
                    || matches!(op, "LogicalAnd" | "LogicalNot" | "Identity"))
                {
                    return false;
                }
            }
        }
    }
    reads > 0
}
