//! Benchmarks, written to `docs/benchmarks.md`: conversions against copies of their files, kernels against copies of
//! memory and against what NumPy and PyTorch offer. Ratios are taken within one run, between neighbours in time.

mod commands;
mod compression;
mod conversion;
mod kernels;
mod words;

use crate::Failure;
use clap::{Args, ValueEnum};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use xshell::{Shell, cmd};

#[derive(Args)]
pub(crate) struct Options {
    /// Measure these parts only, and leave the other sections of the report as they are.
    #[arg(long, value_delimiter = ',', value_enum)]
    part: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// A conversion, and a run of the runtime.
    Conversion,
    /// The kernels of optimisation.
    Kernels,
    /// The commands that make networks smaller.
    Commands,
    /// What pruned and quantized weights take on disk.
    Compression,
    /// Reading word vectors, against gensim.
    Words,
}

impl Part {
    fn title(self) -> &'static str {
        match self {
            Self::Conversion => "Conversion and running",
            Self::Kernels => "Kernels",
            Self::Commands => "Making smaller",
            Self::Compression => "Bytes on disk",
            Self::Words => "Word vectors",
        }
    }
}

pub(crate) fn run(root: &Path, options: &Options) -> Result<(), Failure> {
    let shell = Shell::new()?;
    shell.change_dir(root);
    shell.create_dir("target/bench")?;
    let report = root.join("docs/benchmarks.md");
    let mut sections = sections(&shell.read_file(&report).unwrap_or_default());
    for part in Part::value_variants() {
        if !options.part.is_empty() && !options.part.contains(part) {
            continue;
        }
        let text = match part {
            Part::Conversion => conversion::run(root, &shell, &command(root, &shell)?)?,
            Part::Kernels => kernels::run(root, &shell)?,
            Part::Commands => commands::run(root, &shell, &command(root, &shell)?)?,
            Part::Compression => compression::run(root)?,
            Part::Words => words::run(root, &shell, &command(root, &shell)?)?,
        };
        let text = format!("On {}.\n\n{text}", machine());
        println!("{text}");
        match sections.iter_mut().find(|(title, _)| title == part.title()) {
            Some(section) => section.1 = text,
            None => sections.push((part.title().to_owned(), text)),
        }
    }
    let mut text = "# Benchmarks\n\nWritten by `cargo xtask bench`.\n".to_owned();
    for (title, body) in sections {
        text += &format!("\n## {title}\n\n{}\n", body.trim());
    }
    shell.write_file(report, text)?;
    Ok(())
}

/// The sections of a report, each with its title.
fn sections(report: &str) -> Vec<(String, String)> {
    let sections = report.split("\n## ").skip(1);
    sections
        .filter_map(|section| section.split_once('\n'))
        .map(|(title, text)| (title.to_owned(), text.trim().to_owned()))
        .collect()
}

/// The command, built for speed.
fn command(root: &Path, shell: &Shell) -> Result<std::path::PathBuf, Failure> {
    cmd!(shell, "cargo build --quiet --release --package caribou-cli").run()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    Ok(target.join("release/caribou"))
}

fn megabytes(path: &Path) -> Result<String, Failure> {
    Ok(format!("{:.0} MB", std::fs::metadata(path)?.len() as f64 / 1e6))
}

/// What a run cost.
#[derive(Clone, Copy)]
struct Cost {
    time: Duration,
    /// The largest anonymous memory seen, in KiB.
    anonymous: u64,
    /// The largest memory, the mapped files in it, in KiB.
    peak: u64,
}

impl Cost {
    const MAX: Self = Self {
        time: Duration::MAX,
        anonymous: u64::MAX,
        peak: u64::MAX,
    };

    /// The least of each.
    fn least(self, other: Self) -> Self {
        Self {
            time: self.time.min(other.time),
            anonymous: self.anonymous.min(other.anonymous),
            peak: self.peak.min(other.peak),
        }
    }
}

/// Runs a command, and watches it.
fn watched(command: &mut Command) -> Result<Cost, Failure> {
    let start = Instant::now();
    let mut child = command.stdout(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let (mut anonymous, mut peak) = (0, 0);
    let code = loop {
        if let Some(code) = child.try_wait()? {
            break code;
        }
        anonymous = anonymous.max(kibibytes(&status, "RssAnon:"));
        peak = peak.max(kibibytes(&status, "VmHWM:"));
        std::thread::sleep(Duration::from_millis(2));
    };
    let time = start.elapsed();
    if !code.success() {
        return Err(format!("{command:?} failed").into());
    }
    Ok(Cost {
        time,
        anonymous,
        peak,
    })
}

/// A size that the system keeps of a process, in KiB.
fn kibibytes(status: &str, field: &str) -> u64 {
    let text = std::fs::read_to_string(status).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.split_once(": "));
        line.map_or("unknown", |(_, value)| value)
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let (family, model) = (field("cpu family"), field("model\t"));
    format!(
        "{cores} cores of {} (family {family}, model {model})",
        field("model name")
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn sections_of_a_report_are_found_again() {
        let report = "# Benchmarks\n\nWritten.\n\n## One\n\n| a |\n\n## Two\n\nb\n";
        let expected =
            [("One", "| a |"), ("Two", "b")].map(|(title, text)| (title.to_owned(), text.to_owned()));
        assert_eq!(super::sections(report), expected);
    }
}
