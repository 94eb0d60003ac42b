//! The judge of training that goes on: stock DL4J trains a network, `caribou` makes another archive of its archive, and stock
//! DL4J trains both for some more steps on the same batches.

use crate::Failure;
use crate::judge::Judge;
use crate::judged::{Task, command};
use crate::resumptions::{ADAM, Expected, RESUMPTIONS, Resumption};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;

/// Steps of training before the archive is made, and after.
const STEPS: (usize, usize) = (10, 20);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only those whose name matches.
    #[arg(long, default_value = "*")]
    pub(crate) case: String,
}

/// What stock DL4J found. Differences of numbers are empty where they are the same bit by bit.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Found {
    ok: bool,
    error: String,
    /// Steps and epochs of both at the start.
    started: String,
    /// The same at the end.
    counted: String,
    parameters: String,
    state: String,
    /// How many numbers the optimisers of the second remember at the start.
    remembered: usize,
    /// How the state of the second at the start is not that of the first with zeros for pruned parameters.
    pruned: String,
}

pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Failure> {
    let task = Task {
        name: "resume",
        pattern: &options.case,
    };
    task.run(
        root,
        RESUMPTIONS.iter().map(|resumption| (resumption.name, resumption)),
        one,
        |_, _| Ok(Vec::new()),
    )
}

/// Recorded networks: the name of the file, the network, and whether its outputs are recorded too.
const RECORDED: [(&str, &str, bool); 13] = [
    ("autoencoder", "autoencoder", true),
    ("centre_loss", "centre_loss", true),
    ("graves_bidirectional", "graves_bidirectional", true),
    ("layer_norm", "layer_norm", true),
    ("pool_helper", "pool_helper", true),
    ("space_to_depth", "space_to_depth", true),
    ("embedding", "embedding", true),
    ("embedding_sequence", "embedding_sequence", true),
    ("graves_lstm", "graves_lstm", true),
    ("image_as_step", "image_as_step", true),
    ("norm_pooling", "norm_pooling", true),
    ("self_attention", "self_attention", true),
    ("normalized_adam", "normalized", false),
];

/// Has stock DL4J make the committed archives, in testdata/dl4j.
pub(crate) fn record(root: &Path) -> Result<(), Failure> {
    let mut judge = Judge::build(root)?.ok_or("this needs Java and Maven")?;
    let options: Value = serde_json::from_str(ADAM)?;
    for (name, network, outputs) in RECORDED {
        let place = |suffix: &str| root.join(format!("testdata/dl4j/{name}.{suffix}"));
        let mut request =
            json!({ "make": place("zip"), "network": network, "options": options, "steps": STEPS.0 });
        if outputs {
            request["prefix"] = place("").display().to_string().into();
        }
        let made: Found = judge.surgery(&json!({ "resume": request }))?;
        if !made.ok {
            return Err(format!("{name}: {}", made.error).into());
        }
    }
    Ok(())
}

fn one(
    resumption: &Resumption,
    caribou: &Path,
    judge: &mut Judge,
    work: &Path,
) -> Result<Result<String, Vec<String>>, Failure> {
    let text = |name: &str| work.join(name).display().to_string();
    let (first, second) = (text("first.zip"), text("second.zip"));
    let options: Value = serde_json::from_str(resumption.options)?;
    let network = resumption.network;
    let ask = |judge: &mut Judge, request: Value| -> Result<Found, Failure> {
        judge.surgery(&json!({ "resume": request }))
    };
    let made = json!({ "make": first, "network": network, "options": options, "steps": STEPS.0 });
    let made = ask(judge, made)?;
    if !made.ok {
        return Ok(Err(vec![format!("stock DL4J: {}", made.error)]));
    }
    let [name, rest @ ..] = resumption.command else {
        return Err("no command".into());
    };
    let arguments = [&[*name, &first, "-o", &second][..], rest].concat();
    if let Err(complaint) = command(caribou, &arguments)? {
        return Ok(Err(vec![complaint]));
    }
    let compared = json!({ "archives": [first, second], "network": network, "steps": STEPS.1 });
    Ok(verdict(resumption, &ask(judge, compared)?))
}

fn verdict(resumption: &Resumption, found: &Found) -> Result<String, Vec<String>> {
    if !found.ok {
        return Err(vec![found.error.clone()]);
    }
    let mut problems = Vec::new();
    let same = |counts: &str| counts.split_once(" and ").is_some_and(|(a, b)| a == b);
    for (when, counts) in [("start", &found.started), ("end", &found.counted)] {
        if !same(counts) {
            problems.push(format!("steps/epochs at the {when}: {counts}"));
        }
    }
    let mut told = format!(
        "{} numbers remembered, steps/epochs {}",
        found.remembered, found.counted
    );
    match resumption.expected {
        Expected::SameBits => {
            for (what, difference) in [("parameters", &found.parameters), ("state", &found.state)] {
                if !difference.is_empty() {
                    problems.push(format!("{what}: {difference}"));
                }
            }
            told += ", all bits the same after more steps";
        }
        Expected::Near(tolerance) => {
            for (what, difference) in [("parameters", &found.parameters), ("state", &found.state)] {
                let largest = difference.rsplit_once("by at most ");
                let largest = largest.map(|(_, number)| number.parse::<f64>());
                let near = match largest {
                    Some(largest) => largest.is_ok_and(|largest| largest <= tolerance),
                    None => difference.is_empty(),
                };
                if !near {
                    problems.push(format!("{what}: {difference}"));
                }
            }
            told += &format!(", all numbers the same to {tolerance:e} after more steps");
        }
        Expected::Pruned => {
            if !found.pruned.is_empty() {
                problems.push(found.pruned.clone());
            }
            told += ", those of pruned weights are zero";
        }
        Expected::Remembered(count) => {
            if found.remembered != count {
                problems.push(format!(
                    "{} numbers are remembered, not {count}",
                    found.remembered
                ));
            }
        }
    }
    if problems.is_empty() {
        Ok(told)
    } else {
        Err(problems)
    }
}
