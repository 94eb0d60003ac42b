//! The command line.

pub(crate) use crate::command::soften::Soften;
pub(crate) use crate::command::transfer::Transfer;
pub(crate) use crate::command::{clip::Clip, prune::Prune, quantize::Quantize, simplify::Simplify};
use crate::normalizer;
use caribou_ir::{LIMIT_NAMES, Limits, Precision, ReadOptions};
use caribou_writer_dl4j::{ArchiveLayout, Compression};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

mod tensorflow;

pub(crate) use tensorflow::{Ends, GraphParts};

/// Carries trained Keras, Caffe and TensorFlow models to DeepLearning4j, and proves that they still compute the same function.
#[derive(Parser)]
#[command(
    name = "caribou",
    version,
    after_help = "Exit codes: 0 done, 1 the models differ, 2 usage, 3 the model can't be read, expressed or written.\n\
                  Results go to standard output, everything else to standard error."
)]
pub(crate) struct Arguments {
    /// Print nothing but errors.
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
    /// Print results as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Raise or lower what a file may ask for; K, M and G are powers of 1024. Names: nodes, nesting, rank, elements, text-bytes,
    /// inflated-bytes, tensor-bytes.
    #[arg(long = "limit", global = true, value_name = "NAME=VALUE", value_parser = limit)]
    pub(crate) limits: Vec<(String, u64)>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    /// The limits for everything that is read.
    pub(crate) fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        for (name, value) in &self.limits {
            limits.set(name, *value);
        }
        limits
    }
}

/// `nodes=2000` or `inflated-bytes=8G`.
fn limit(text: &str) -> Result<(String, u64), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    if !LIMIT_NAMES.contains(&name) {
        return Err(format!(
            "there is no limit {name}; there are {}",
            LIMIT_NAMES.join(", ")
        ));
    }
    let (digits, unit) = match value.chars().last().map(|unit| unit.to_ascii_uppercase()) {
        Some('K') => (&value[..value.len() - 1], 1u64 << 10),
        Some('M') => (&value[..value.len() - 1], 1 << 20),
        Some('G') => (&value[..value.len() - 1], 1 << 30),
        _ => (value, 1),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| format!("{value} is no whole number"))?;
    let value = number
        .checked_mul(unit)
        .ok_or_else(|| format!("{value} is too large"))?;
    Ok((name.to_owned(), value))
}

/// `1x3x224x224`.
fn sizes(text: &str) -> Result<Vec<Option<usize>>, String> {
    let size = |text: &str| match text.parse::<usize>() {
        Ok(size) if size > 0 => Ok(Some(size)),
        _ => Err(format!("{text} is no size: expected sizes such as 1x3x224x224")),
    };
    text.split('x').map(size).collect()
}

/// A number that is not below zero.
pub(crate) fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value >= 0.0 && value.is_finite() => Ok(value),
        _ => Err("expected a number, zero or larger".into()),
    }
}

/// The files of a model that are not the first, and what may be missing.
#[derive(Args, Default)]
pub(crate) struct Parts {
    /// A second file with the weights, for models whose architecture is in the first.
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: Option<PathBuf>,
    /// A second file with the architecture (`model.to_json()`), for models whose weights are in the first.
    #[arg(long, value_name = "MODEL.json", conflicts_with = "weights")]
    pub(crate) config: Option<PathBuf>,
    /// Take an architecture without weights, with zeros in their place.
    #[arg(long, conflicts_with_all = ["weights", "config"])]
    pub(crate) untrained: bool,
    /// Refuse a file that says something that is passed over otherwise, with a warning: fields of Caffe's forks, say.
    #[arg(long)]
    pub(crate) strict: bool,
    /// Let the network end before layers that DL4J can't express (PriorBox, DetectionOutput, …); what they read
    /// becomes its outputs.
    #[arg(long)]
    pub(crate) cut_unsupported: bool,
    /// Which of a Caffe network's layers to take, by their rules include and exclude.
    #[arg(long, value_enum, default_value = "test")]
    pub(crate) phase: PhaseChoice,
    /// The level that the rules of a Caffe network's layers speak of.
    #[arg(long, default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) level: i32,
    /// The shape of an input whose model does not say it, or which is to be another, examples first: `1x3x224x224`. Given
    /// several times, for the inputs in their order.
    #[arg(long = "input-shape", value_name = "SIZES", value_parser = sizes)]
    pub(crate) input_shapes: Vec<Vec<Option<usize>>>,
    /// The solver that a Caffe network was trained with: its rule, rate and penalties are written for going on in DL4J.
    #[arg(long, value_name = "SOLVER.prototxt")]
    pub(crate) solver: Option<PathBuf>,
    /// What --normalizer says, or a Caffe network's data layer does to images (transform_param, --mean-value, --mean-file,
    /// --input-scale), as the first layer.
    #[arg(long)]
    pub(crate) bake_preprocessing: bool,
    /// What is done to the first input, beside the network: DL4J's normalizer, which a program restores and applies by
    /// itself. standardize:MEAN.npy,STD.npy, minmax:LOW,HIGH (numbers or .npy files), image:LOW,HIGH (of 0 to 255) or
    /// caffe:MEAN,…; without a value, what a Caffe network's data layer does.
    #[arg(
        long,
        value_name = "KIND:NUMBERS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "data-layer",
        value_parser = normalizer::choice
    )]
    pub(crate) normalizer: Option<normalizer::Choice>,
    /// The mean image that is taken away from inputs.
    #[arg(long, value_name = "MEAN.binaryproto", conflicts_with = "mean_values")]
    pub(crate) mean_file: Option<PathBuf>,
    /// The mean of each channel that is taken away from inputs, or of all channels.
    #[arg(
        long = "mean-value",
        value_name = "B,G,R",
        value_delimiter = ',',
        allow_negative_numbers = true
    )]
    pub(crate) mean_values: Vec<f32>,
    /// The factor of inputs, behind the mean.
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    pub(crate) input_scale: Option<f32>,
    /// A stage that the rules of a Caffe network's layers speak of; may be given several times.
    #[arg(long = "stage", value_name = "STAGE")]
    pub(crate) stages: Vec<String>,
    #[command(flatten)]
    pub(crate) graph: GraphParts,
}

impl Parts {
    /// What a reader is asked for.
    pub(crate) fn options(&self, limits: Limits) -> ReadOptions {
        ReadOptions {
            limits,
            untrained: self.untrained,
            input_shapes: self.input_shapes.clone(),
            named_shapes: self.graph.shapes(),
            strict: self.strict,
            cut_unsupported: self.cut_unsupported,
            training_state: false,
        }
    }
}

/// The phases of a Caffe network.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PhaseChoice {
    #[default]
    Test,
    Train,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Write a model as a DL4J archive that stock ModelSerializer restores.
    #[command(
        after_help = "Examples:\n  caribou convert model.h5 -o model.zip --report model.json\n  caribou convert weights.h5 --config model.json -o model.zip\n  caribou convert deploy.prototxt --weights net.caffemodel -o net.zip\n  caribou convert frozen.pb --input image=?x224x224x3 --output Softmax -o net.zip"
    )]
    Convert(Convert),
    /// Write a model with fewer operators that compute the same: normalisations folded into weights, identities dropped.
    #[command(after_help = "Example:\n  caribou simplify model.h5 -o model.zip --report model.json")]
    Simplify(Simplify),
    /// Bring weights that are far from the others nearer, and write the archive.
    #[command(after_help = "Example:\n  caribou clip model.h5 -o model.zip --percentile 99.9")]
    Clip(Clip),
    /// Make the smallest weights zero, and write the archive.
    #[command(
        after_help = "Examples:\n  caribou prune model.h5 -o model.zip --sparsity 0.9\n  caribou prune model.h5 -o model.zip --n-m 2:4 --keep 'predictions*'"
    )]
    Prune(Prune),
    /// Tell how far the outputs move when one layer at a time is pruned or quantized; nothing is written.
    #[command(
        after_help = "Example:\n  caribou sensitivity model.h5 --levels 0.5,0.9 --bits 8,4 --inputs x.npy"
    )]
    Sensitivity(crate::command::sensitivity::Sensitivity),
    /// Make weights values of a grid of few numbers, and write the archive with the integers behind them.
    #[command(
        after_help = "Examples:\n  caribou quantize model.h5 -o model.zip --bits 8\n  caribou quantize model.h5 -o model.zip --bits 4 --scale mse --layer 'conv1*=8'"
    )]
    Quantize(Quantize),
    /// Find the sparsity and the bits of each layer that make the smallest archive within a bound, and write it.
    #[command(
        after_help = "Examples:\n  caribou optimize model.h5 -o model.zip --max-drop 0.01 --inputs x.npy --labels y.npy --save-recipe model.toml\n  caribou optimize model.h5 -o model.zip --recipe model.toml"
    )]
    Optimize(Box<crate::command::optimize::Optimize>),
    /// Show layers, shapes, parameters, and everything that is not supported.
    Inspect(Inspect),
    /// Run a model on arrays.
    #[command(
        after_help = "Example:\n  caribou run model.h5 --input x.npy -o y.npy\n  caribou run model.zip --input image=x.npy --input row=y.npy -o out.npz"
    )]
    Run(Run),
    /// Make a model ready to learn another task: freeze layers, put others at the end, and write it as a DL4J archive.
    #[command(
        after_help = "Examples:\n  caribou transfer model.h5 -o model.zip --freeze-through flatten --replace-output 5:softmax:mcxent\n  caribou transfer model.zip -o new.zip --remove-after pool5 --append dense:128:relu,output:10:softmax:mcxent"
    )]
    Transfer(Box<Transfer>),
    /// Write the softened outputs of a classifier, as labels for a smaller network that learns from it.
    #[command(
        after_help = "Example:\n  caribou soften teacher.h5 --inputs x.npy --temperature 4 -o targets.npz"
    )]
    Soften(Soften),
    /// Check that two models compute the same outputs.
    #[command(after_help = "Example:\n  caribou verify model.h5 model.zip --samples 4 --seed 7")]
    Verify(Verify),
    /// Word vectors: word2vec, GloVe and fastText for DeepLearning4j.
    Words(crate::command::words::Words),
}

#[derive(Args)]
pub(crate) struct Convert {
    /// The model; its format is found by its content.
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) parts: Parts,
    #[command(flatten)]
    pub(crate) target: Target,
    /// Write recurrent layers that DL4J lacks (GRU, among others) as layers of their own for each step, where they have no
    /// more steps than this. The weights are copied for each step.
    #[arg(long, value_name = "MAX", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) unroll_recurrent: Option<u32>,
    /// Carry over what the optimizer remembers and the number of steps so far, so that training goes on in DL4J with the
    /// losses that it would have had.
    #[arg(long)]
    pub(crate) with_training_state: bool,
}

/// A model that a pass changes, and where the archive goes.
#[derive(Args)]
pub(crate) struct Subject {
    /// The model; its format is found by its content.
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) parts: Parts,
    #[command(flatten)]
    pub(crate) target: Target,
    /// Carry over what the optimizer remembers of weights that are still the same, and the number of steps so far.
    #[arg(long)]
    pub(crate) with_training_state: bool,
}

/// Where an archive goes, and how it is written.
#[derive(Args)]
pub(crate) struct Target {
    #[command(flatten)]
    pub(crate) ends: Ends,
    /// Where to write the archive.
    #[arg(
        short = 'o',
        long = "out",
        value_name = "OUT.zip",
        required_unless_present = "ends-output"
    )]
    pub(crate) out: Option<PathBuf>,
    /// The same, settled.
    #[arg(skip)]
    pub(crate) output: PathBuf,
    /// The axis order of inputs and outputs: the source's, or DL4J's own.
    #[arg(long, value_enum, default_value = "keep")]
    pub(crate) layout: LayoutChoice,
    /// How parameters are stored.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) compression: CompressionChoice,
    /// The numbers of the archive: 32-bit ones, or 16-bit ones of either kind. Stock DL4J runs networks of 16-bit numbers much
    /// slower on a CPU; the file is half as large.
    #[arg(long, value_enum, default_value = "single")]
    pub(crate) precision: PrecisionChoice,
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
    #[command(flatten)]
    pub(crate) parts: Parts,
    #[command(flatten)]
    pub(crate) ends: Ends,
}

#[derive(Args)]
pub(crate) struct Run {
    /// The model.
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) parts: Parts,
    /// An input, `x.npy` or `name=x.npy`; without names, in the model's order.
    #[arg(long = "input", value_name = "[NAME=]FILE.npy", required = true)]
    pub(crate) inputs: Vec<String>,
    /// Where to write the outputs: one as .npy, several as .npz.
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: PathBuf,
}

#[derive(Args)]
pub(crate) struct Verify {
    /// The reference; `--weights`, `--config` and `--untrained` belong to it.
    pub(crate) a: PathBuf,
    #[command(flatten)]
    pub(crate) parts: Parts,
    #[command(flatten)]
    pub(crate) ends: Ends,
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
    #[arg(long, default_value_t = 1e-5, value_parser = not_negative)]
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

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrecisionChoice {
    Single,
    Half,
    Bfloat16,
}

impl From<PrecisionChoice> for Precision {
    fn from(choice: PrecisionChoice) -> Self {
        match choice {
            PrecisionChoice::Single => Self::Single,
            PrecisionChoice::Half => Self::Half,
            PrecisionChoice::Bfloat16 => Self::Bfloat16,
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
