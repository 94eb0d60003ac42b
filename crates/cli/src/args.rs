//! The command line.

use caribou_writer_dl4j::{ArchiveLayout, Compression};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Carries trained Keras models to DeepLearning4j, and proves that they still compute the same function.
#[derive(Parser)]
#[command(
    name = "caribou",
    version,
    after_help = "Exit codes: 0 done, 1 the models differ, 2 usage, 3 the model can't be read or expressed.\n\
                  Results go to standard output, everything else to standard error."
)]
pub(crate) struct Arguments {
    /// Print nothing but errors.
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
    /// Print results as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Write a model as a DL4J archive that stock ModelSerializer restores.
    #[command(after_help = "Example:\n  caribou convert model.h5 -o model.zip --report model.json")]
    Convert(Convert),
    /// Show layers, shapes, parameters, and everything that is not supported.
    Inspect(Inspect),
    /// Run a model on arrays.
    #[command(
        after_help = "Example:\n  caribou run model.h5 --input x.npy -o y.npy\n  caribou run model.zip --input image=x.npy --input row=y.npy -o out.npz"
    )]
    Run(Run),
    /// Check that two models compute the same outputs.
    #[command(after_help = "Example:\n  caribou verify model.h5 model.zip --samples 4 --seed 7")]
    Verify(Verify),
}

#[derive(Args)]
pub(crate) struct Convert {
    /// The model; its format is found by its content.
    pub(crate) model: PathBuf,
    /// A second file with the weights, for formats that keep them apart.
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: Option<PathBuf>,
    /// Where to write the archive.
    #[arg(short, long, value_name = "OUT.zip")]
    pub(crate) output: PathBuf,
    /// The axis order of inputs and outputs: the source's, or DL4J's own.
    #[arg(long, value_enum, default_value = "keep")]
    pub(crate) layout: LayoutChoice,
    /// How parameters are stored.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) compression: CompressionChoice,
    /// Write recurrent layers that DL4J lacks (GRU, among others) as layers of their own for each step, where they have no
    /// more steps than this. The weights are copied for each step.
    #[arg(long, value_name = "MAX", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) unroll_recurrent: Option<u32>,
    /// Write what was done as JSON, also when the model is refused.
    #[arg(long, value_name = "FILE.json")]
    pub(crate) report: Option<PathBuf>,
    /// Replace an archive that is there.
    #[arg(long)]
    pub(crate) force: bool,
    /// Do not read the archive back and compare its outputs.
    #[arg(long)]
    pub(crate) no_verify: bool,
}

#[derive(Args)]
pub(crate) struct Inspect {
    /// The model.
    pub(crate) model: PathBuf,
}

#[derive(Args)]
pub(crate) struct Run {
    /// The model.
    pub(crate) model: PathBuf,
    /// An input, `x.npy` or `name=x.npy`; without names, in the model's order.
    #[arg(long = "input", value_name = "[NAME=]FILE.npy", required = true)]
    pub(crate) inputs: Vec<String>,
    /// Where to write the outputs: one as .npy, several as .npz.
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: PathBuf,
}

#[derive(Args)]
pub(crate) struct Verify {
    /// The reference.
    pub(crate) a: PathBuf,
    /// The other model.
    pub(crate) b: PathBuf,
    /// Inputs by name, in the axis order of the reference.
    #[arg(long, value_name = "FILE.npz", conflicts_with_all = ["samples", "seed"])]
    pub(crate) inputs: Option<PathBuf>,
    /// How many seeded examples to run.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) samples: u32,
    /// The seed of the examples.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The largest difference, relative to the largest magnitude of the output.
    #[arg(long, default_value_t = 1e-5)]
    pub(crate) tolerance: f64,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum LayoutChoice {
    Keep,
    Nchw,
}

impl From<LayoutChoice> for ArchiveLayout {
    fn from(choice: LayoutChoice) -> Self {
        match choice {
            LayoutChoice::Keep => Self::Keep,
            LayoutChoice::Nchw => Self::Nchw,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum CompressionChoice {
    Auto,
    Stored,
    Deflate,
}

impl From<CompressionChoice> for Compression {
    fn from(choice: CompressionChoice) -> Self {
        match choice {
            CompressionChoice::Auto => Self::Auto,
            CompressionChoice::Stored => Self::Stored,
            CompressionChoice::Deflate => Self::Deflate,
        }
    }
}
