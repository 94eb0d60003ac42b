//! The kernels of optimisation on 100 million floats: against a copy of the same array by all cores, and against NumPy and
//! PyTorch on the same numbers. Others may use the machine: each round runs all of them one after the other, and what
//! counts are the medians of the ratios within rounds.

use crate::Failure;
use crate::fixtures::Environment;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use xshell::{Shell, cmd};

/// Rounds of the kernels and the copy.
const ROUNDS: usize = 21;
/// Rounds with the peers, of which one may take ten seconds.
const PEER_ROUNDS: usize = 5;
const COPY: &str = "memcpy";

struct Row {
    name: &'static str,
    text: &'static str,
    /// The most that it may take, in copies.
    at_most: Option<f64>,
    /// Peers that do the same, and how many times faster it shall be.
    peers: &'static [(&'static str, f64)],
}

const ROWS: [Row; 9] = [
    Row {
        name: "quantize",
        text: "int8 per channel, symmetric",
        at_most: Some(0.8),
        peers: &[("numpy_quantize", 20.0), ("torch_quantize", 20.0)],
    },
    Row {
        name: "affine",
        text: "int8 per channel, affine",
        at_most: Some(0.8),
        peers: &[],
    },
    Row {
        name: "prune_50",
        text: "prune to exactly 50 %",
        at_most: Some(1.6),
        peers: &[("numpy_prune_50", 20.0), ("torch_prune_50", 100.0)],
    },
    Row {
        name: "prune_90",
        text: "prune to exactly 90 %",
        at_most: Some(1.6),
        peers: &[("numpy_prune_90", 20.0), ("torch_prune_90", 100.0)],
    },
    Row {
        name: "prune_50_sparse",
        text: "prune to exactly 50 % what has 90 % zeros",
        at_most: Some(1.6),
        peers: &[],
    },
    Row {
        name: "prune_90_sparse",
        text: "prune to exactly 90 % what has 90 % zeros",
        at_most: Some(1.6),
        peers: &[],
    },
    Row {
        name: "prune_95_sparse",
        text: "prune to exactly 95 % what has 90 % zeros",
        at_most: Some(1.6),
        peers: &[],
    },
    Row {
        name: "abs_max",
        text: "largest magnitude of each channel",
        at_most: None,
        peers: &[],
    },
    Row {
        name: "swap",
        text: "byte order",
        at_most: None,
        peers: &[],
    },
];

/// The section of the report.
pub(super) fn run(root: &Path, shell: &Shell) -> Result<String, Failure> {
    let python = Environment::Torch.python(root)?;
    let weights = root.join("target/bench/weights.f32");
    cmd!(
        shell,
        "cargo build --quiet --release --package caribou-optimize --bench paired"
    )
    .run()?;
    let mut peers = Process::start(
        Command::new(python)
            .arg(root.join("xtask/fixtures/bench/peers.py"))
            .arg(&weights),
    )?;
    let versions = peers.line()?;
    let mut kernels = Process::start(
        Command::new("cargo")
            .args([
                "bench",
                "--quiet",
                "--package",
                "caribou-optimize",
                "--bench",
                "paired",
                "--",
                "--paired",
            ])
            .arg(&weights)
            .current_dir(root),
    )?;
    let mut times = Times::default();
    for _ in 0..ROUNDS {
        for name in std::iter::once(COPY).chain(ROWS.iter().map(|row| row.name)) {
            times.add(name, kernels.seconds(name)?);
        }
    }
    let mut against = Times::default();
    for _ in 0..PEER_ROUNDS {
        for row in &ROWS {
            for (peer, _) in row.peers {
                against.add(peer, peers.seconds(peer)?);
                against.add(row.name, kernels.seconds(row.name)?);
            }
        }
    }
    let mut text = format!(
        "100 million floats in rows of 4096, gaussian; all cores; {ROUNDS} rounds, {PEER_ROUNDS} with the peers ({versions}).\n\
         A round runs all in turn; the scales are computed by each. Ratios are medians over rounds, in brackets those of the fastest runs.\n\n\
         | kernel | fastest | in copies | at most | times faster than NumPy | than PyTorch |\n|---|---|---|---|---|---|\n\
         | copy of the array | {:.1} ms | 1 | | | |\n",
        1e3 * times.fastest(COPY)
    );
    for row in &ROWS {
        let [mut numpy, mut torch] = [String::new(), String::new()];
        for (peer, least) in row.peers {
            let column = if peer.starts_with("numpy") {
                &mut numpy
            } else {
                &mut torch
            };
            let (median, fastest) = against.ratio(peer, row.name);
            *column = format!("{median:.0} ({fastest:.0}), at least {least}");
        }
        let (median, fastest) = times.ratio(row.name, COPY);
        let at_most = row.at_most.map(|most| most.to_string()).unwrap_or_default();
        text += &format!(
            "| {} | {:.1} ms | {median:.2} ({fastest:.2}) | {at_most} | {numpy} | {torch} |\n",
            row.text,
            1e3 * times.fastest(row.name),
        );
    }
    Ok(text)
}

/// The seconds of each, round by round.
#[derive(Default)]
struct Times(BTreeMap<String, Vec<f64>>);

impl Times {
    fn add(&mut self, name: &str, seconds: f64) {
        self.0.entry(name.to_owned()).or_default().push(seconds);
    }

    fn fastest(&self, name: &str) -> f64 {
        self.0
            .get(name)
            .into_iter()
            .flatten()
            .copied()
            .fold(f64::INFINITY, f64::min)
    }

    /// One over the other: the median over rounds, and that of the fastest runs.
    fn ratio(&self, one: &str, other: &str) -> (f64, f64) {
        let runs = |name: &str| self.0.get(name).into_iter().flatten();
        // The other may run more often in a round: the last runs of both are neighbours.
        let mut ratios: Vec<f64> = runs(one)
            .zip(runs(other))
            .map(|(one, other)| one / other)
            .collect();
        ratios.sort_by(f64::total_cmp);
        let median = ratios.get(ratios.len() / 2).copied().unwrap_or(f64::NAN);
        (median, self.fastest(one) / self.fastest(other))
    }
}

/// A program that runs what a line names, and answers with a line.
struct Process {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(command: &mut Command) -> Result<Self, Failure> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take().ok_or("no standard input")?;
        let output = child.stdout.take().ok_or("no standard output")?;
        Ok(Self {
            child,
            input,
            output: BufReader::new(output).lines(),
        })
    }

    fn line(&mut self) -> Result<String, Failure> {
        Ok(self
            .output
            .next()
            .ok_or("a program of the benchmark ended early")??)
    }

    fn seconds(&mut self, name: &str) -> Result<f64, Failure> {
        writeln!(self.input, "{name}")?;
        let line = self.line()?;
        line.parse().map_err(|_| format!("{name}: {line}").into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
