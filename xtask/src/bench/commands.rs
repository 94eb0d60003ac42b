//! The commands that make networks smaller, from archive to archive, as ratios to copying the archive.

use super::{megabytes, watched};
use crate::Failure;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use xshell::{Shell, cmd};

/// Runs of each; the fastest counts.
const RUNS: usize = 3;
/// The most that a command may take, in copies of the file, and the most memory, in sizes of the parameters.
const AT_MOST: (f64, f64) = (4.0, 1.2);

const COMMANDS: [(&str, &[&str]); 3] = [
    ("quantize --bits 8", &["quantize", "--bits", "8"]),
    ("prune --sparsity 0.9", &["prune", "--sparsity", "0.9"]),
    (
        "prune --sparsity 0.9 --per-layer",
        &["prune", "--sparsity", "0.9", "--per-layer"],
    ),
];

/// The section of the report.
pub(super) fn run(root: &Path, shell: &Shell, binary: &Path) -> Result<String, Failure> {
    let model = super::conversion::vgg16(root, shell)?;
    let home = root.join("target/bench");
    let [source, copy, output] = ["source.zip", "copy.zip", "smaller.zip"].map(|name| home.join(name));
    if !source.exists() {
        cmd!(shell, "{binary} convert --no-verify -o {source} {model}").run()?;
    }
    let parameters = std::fs::metadata(&source)?.len() as f64;
    let mut copied = Duration::MAX;
    let mut costs = Vec::new();
    for (text, words) in COMMANDS {
        let mut cost = super::Cost::MAX;
        for _ in 0..RUNS {
            for path in [&copy, &output] {
                shell.remove_path(path)?;
            }
            let start = Instant::now();
            cmd!(shell, "cp {source} {copy}").quiet().run()?;
            copied = copied.min(start.elapsed());
            let run = watched(
                Command::new(binary)
                    .args(words)
                    .args(["--no-verify", "--compression", "stored", "-o"])
                    .args([&output, &source]),
            )?;
            cost = cost.least(run);
        }
        costs.push((text, cost));
    }
    let row = |(text, cost): (&str, super::Cost)| {
        let (time, copy) = (cost.time.as_secs_f64(), copied.as_secs_f64());
        let memory = cost.anonymous as f64 * 1024.0 / parameters;
        format!(
            "| `caribou {text}` | {time:.2} s | {:.1} | {memory:.2} |\n",
            time / copy
        )
    };
    let rows: String = costs.into_iter().map(row).collect();
    let (ratio, memory) = AT_MOST;
    Ok(format!(
        "VGG16 as an archive ({}), to a stored archive, `--no-verify`, warm cache, best of {RUNS}; `cp` of the file took {:.2} s.\n\n\
         | command | time | in copies, at most {ratio} | peak anonymous memory, in sizes of the parameters, at most {memory} |\n\
         |---|---|---|---|\n{rows}",
        megabytes(&source)?,
        copied.as_secs_f64(),
    ))
}
