//! The project's own tasks: fixtures by the real frameworks, the three judges, benchmarks. `cargo xtask --help`.
// A task talks to whoever started it.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod case;
mod dist;
mod findings;
mod fixtures;
mod fuzz;
mod judge;
mod judged;
mod libhdf5;
mod maven;
mod normalizers;
mod optimize;
mod parity;
mod real;
mod resume;
mod resumptions;
mod scenarios;
mod smaller;
mod sweep;
mod table;
mod training;
mod transfer;
mod verdict;
mod verify;
mod words;

use clap::{Parser, Subcommand};
use fixtures::Environment;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use xshell::{Shell, cmd};

/// What can go wrong in a task; it is shown and ends it.
type Failure = Box<dyn std::error::Error>;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Tasks of the caribou project",
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Make recorded cases with the real frameworks.
    Fixtures {
        #[command(subcommand)]
        framework: Framework,
    },
    /// Run the judges over the cases: round trip, recorded truth and, if asked, stock DL4J.
    Verify(verify::Options),
    /// Compare the layers and parameters that frozen graphs become with those of the Keras files that they were frozen from.
    Parity(parity::Options),
    /// Write what the cases show into the README's table.
    Table(table::Options),
    /// Write the page of all findings, docs/findings.md, from the crates' own words.
    Findings(findings::Options),
    /// Run the command over a large set of networks, and stock DL4J on what it wrote.
    Sweep(sweep::Options),
    /// Compare `caribou transfer` with stock DL4J's TransferLearning.Builder, and train what it wrote (needs Java and Maven).
    Transfer(transfer::Options),
    /// Train networks with stock DL4J, convert their archives, and train both on (needs Java and Maven).
    Resume(resume::Options),
    /// Convert pretrained networks from public packages, and compare their frameworks, the runtime and stock DL4J.
    Real(real::Options),
    /// Word vectors: read what gensim and stock DL4J write, and have both read what is written.
    Words,
    /// Measure conversions and kernels, and write docs/benchmarks.md.
    Bench(bench::Options),
    /// Build the command for release, as an archive in target/dist.
    Dist(dist::Options),
    /// Let damaged files by the million loose on the readers (needs a nightly compiler and cargo-fuzz).
    Fuzz(fuzz::Options),
    /// Formatting, lints, and all judges.
    Ci,
}

#[derive(Subcommand)]
enum Framework {
    /// The committed cases of Keras 2, in testdata/keras.
    Keras {
        /// Only the cases whose name matches.
        #[arg(long, default_value = "*")]
        case: String,
    },
    /// The families of keras.applications and networks built from them, in target/architectures, as NAME_keras2_h5,
    /// NAME_keras2_keras, NAME_keras3_h5 and NAME_keras3_keras.
    Architectures {
        /// Only the cases whose name matches.
        #[arg(long, default_value = "*")]
        case: String,
        /// Only those of one generation of Keras, 2 or 3.
        #[arg(long, value_parser = clap::value_parser!(u8).range(2..=3))]
        keras: Option<u8>,
    },
    /// The committed cases of Keras 3, in testdata/keras3: a subset of the same cases.
    Keras3 {
        /// Only the cases whose name matches.
        #[arg(long, default_value = "*")]
        case: String,
        /// All cases, each as .h5 and as .keras, in target/keras3-all.
        #[arg(long)]
        all: bool,
    },
    /// The committed cases of Caffe, in testdata/caffe: filled and run by real Caffe 1.0 (needs Java and Maven).
    Caffe {
        /// Only the cases whose name matches.
        #[arg(long, default_value = "*")]
        case: String,
        /// A larger set of random networks in its place, in target/caffe-sweep.
        #[arg(long)]
        sweep: bool,
    },
    /// The committed cases of TensorFlow, in testdata/tf: graphs, modules and SavedModels, run by TensorFlow itself.
    Tf {
        /// Only the cases whose name matches.
        #[arg(long, default_value = "*")]
        case: String,
    },
    /// The committed word vectors, in testdata/words, by gensim and stock DL4J.
    Words,
    /// The handwritten digits that networks are trained on after a transfer, in testdata/digits.
    Digits,
    /// The committed archives of stock DL4J, in testdata/dl4j (needs Java and Maven).
    Dl4j,
    /// The recorded models of Keras 2, frozen and as SavedModels, in target/tf-sweep.
    TfSweep {
        /// Only the cases whose name matches.
        #[arg(long, default_value = "*")]
        case: String,
    },
    /// Families of keras.applications, frozen, each beside its Keras file, in target/parity.
    Parity {
        /// Only the cases whose name matches.
        #[arg(long, default_value = "*")]
        case: String,
        /// Narrow or shallow ones in their place, the committed ones, in testdata/parity.
        #[arg(long)]
        small: bool,
    },
    /// A larger set of networks, every option of every layer among them, in target/keras-sweep or target/keras3-sweep.
    Sweep {
        /// Only the cases whose name matches.
        #[arg(long, default_value = "*")]
        case: String,
        /// By Keras 3, each as .h5 and as .keras.
        #[arg(long)]
        keras3: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().task) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode, Failure> {
    let root = root();
    match task {
        Task::Fixtures {
            framework: Framework::Keras { case },
        } => fixtures::keras(&root, Environment::Keras, "testdata/keras", "committed", &case)?,
        Task::Fixtures {
            framework: Framework::Keras3 { case, all },
        } => {
            let (out, corpus) = match all {
                true => ("target/keras3-all", "all"),
                false => ("testdata/keras3", "committed"),
            };
            fixtures::keras(&root, Environment::Keras3, out, corpus, &case)?;
        }
        Task::Fixtures {
            framework: Framework::Architectures { case, keras },
        } => {
            for (generation, environment) in [(2, Environment::Keras), (3, Environment::Keras3)] {
                if keras.is_none_or(|keras| keras == generation) {
                    fixtures::keras(&root, environment, "target/architectures", "architectures", &case)?;
                }
            }
        }
        Task::Fixtures {
            framework: Framework::Caffe { case, sweep },
        } => {
            let (out, corpus) = match sweep {
                true => ("target/caffe-sweep", "sweep"),
                false => ("testdata/caffe", "cases"),
            };
            fixtures::caffe(&root, out, corpus, &case)?;
        }
        Task::Fixtures {
            framework: Framework::Tf { case },
        } => fixtures::tensorflow(&root, "testdata/tf", "cases", &case)?,
        Task::Fixtures {
            framework: Framework::TfSweep { case },
        } => fixtures::tensorflow(&root, "target/tf-sweep", "sweep", &case)?,
        Task::Fixtures {
            framework: Framework::Parity { case, small: false },
        } => fixtures::tensorflow(&root, "target/parity", "parity", &case)?,
        Task::Fixtures {
            framework: Framework::Parity { case, small: true },
        } => fixtures::families(&root, &case)?,
        Task::Fixtures {
            framework: Framework::Words,
        } => words::fixtures(&root, "testdata/words", "committed")?,
        Task::Fixtures {
            framework: Framework::Digits,
        } => fixtures::digits(&root)?,
        Task::Fixtures {
            framework: Framework::Dl4j,
        } => resume::record(&root)?,
        Task::Fixtures {
            framework: Framework::Sweep { case, keras3 },
        } => {
            let (environment, out) = match keras3 {
                true => (Environment::Keras3, "target/keras3-sweep"),
                false => (Environment::Keras, "target/keras-sweep"),
            };
            fixtures::keras(&root, environment, out, "sweep", &case)?;
        }
        Task::Verify(options) => return verify::run(&root, &options),
        Task::Parity(options) => return parity::run(&root, &options),
        Task::Table(options) => return table::run(&root, &options),
        Task::Findings(options) => return findings::run(&root, &options),
        Task::Sweep(options) => return sweep::run(&root, &options),
        Task::Words => return words::run(&root),
        Task::Transfer(options) => return transfer::run(&root, &options),
        Task::Resume(options) => return resume::run(&root, &options),
        Task::Real(options) => return real::run(&root, &options),
        Task::Bench(options) => bench::run(&root, &options)?,
        Task::Dist(options) => dist::run(&root, &options)?,
        Task::Fuzz(options) => fuzz::run(&root, &options)?,
        Task::Ci => return ci(&root),
    }
    Ok(ExitCode::SUCCESS)
}

/// The root of the workspace.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

fn ci(root: &Path) -> Result<ExitCode, Failure> {
    let shell = Shell::new()?;
    shell.change_dir(root);
    cmd!(shell, "cargo fmt --all --check").run()?;
    cmd!(shell, "cargo clippy --workspace --all-targets -- --deny warnings").run()?;
    if table::run(root, &table::Options { check: true })? != ExitCode::SUCCESS {
        return Ok(ExitCode::FAILURE);
    }
    if findings::run(root, &findings::Options { check: true })? != ExitCode::SUCCESS {
        return Ok(ExitCode::FAILURE);
    }
    let transferred = transfer::run(root, &transfer::Options { case: "*".into() })?;
    if transferred != ExitCode::SUCCESS {
        return Ok(transferred);
    }
    let resumed = resume::run(root, &resume::Options { case: "*".into() })?;
    if resumed != ExitCode::SUCCESS {
        return Ok(resumed);
    }
    verify::run(root, &verify::Options::everything())
}
