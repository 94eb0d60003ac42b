//! `caribou quantize`.

use super::selected::{Inputs, Layers, assigned};
use crate::archive::{Changed, Model};
use crate::args::{Arguments, PrecisionChoice, Subject};
use crate::calibration::Calibration;
use crate::failure::Failure;
use crate::model;
use crate::optimization::{Optimization, rewritten};
use caribou_ir::ValidGraph;
use caribou_optimize::kernels::Scheme;
use caribou_optimize::quantize::{Format, Quantize as Options, ScaleRule, equalize, quantize};
use caribou_optimize::recipe::GridRule;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Quantize {
    #[command(flatten)]
    pub(crate) subject: Subject,
    #[command(flatten)]
    pub(crate) layers: Layers,
    #[command(flatten)]
    pub(crate) inputs: Inputs,
    /// Bits of an integer, or of a position in the list of shared weights; 8 where absent.
    #[arg(long)]
    pub(crate) bits: Option<u32>,
    /// One scale for a whole weight.
    #[arg(long, conflicts_with = "per_channel")]
    pub(crate) per_tensor: bool,
    /// A scale for each output channel (the default).
    #[arg(long)]
    pub(crate) per_channel: bool,
    /// What weights become: integers around zero, integers over the range of the weights, half precision, bfloat16, or the
    /// means of clusters (weight sharing).
    /// With --precision, that of the archive.
    #[arg(long, value_enum)]
    pub(crate) scheme: Option<SchemeChoice>,
    /// How scales are found: max, percentile:P, mse or kl.
    #[arg(long, default_value = "max")]
    pub(crate) scale: ScaleRule,
    /// The significant bits that scales are rounded up to: few of them leave the last bytes of values zero, so that archives
    /// deflate better. 24 leaves scales as they were found.
    #[arg(long, value_name = "BITS", default_value_t = GridRule::SHORT)]
    pub(crate) scale_bits: u32,
    /// Round scales up to powers of two, as --scale-bits 1 does.
    #[arg(long, conflicts_with = "scale_bits")]
    pub(crate) power_of_two: bool,
    /// The bits of some layers in place of the common ones.
    #[arg(long = "layer", value_name = "GLOB=BITS", value_parser = assigned::<u32>)]
    pub(crate) overrides: Vec<(String, u32)>,
    /// Examples to run the network on, in its inputs' order: the ranges of its activations are recorded.
    #[arg(long, value_name = "FILE.npy")]
    pub(crate) calibrate: Vec<PathBuf>,
    /// Let biases take up the mean error of their layers' outputs on the examples of --calibrate.
    #[arg(long, requires = "calibrate")]
    pub(crate) bias_correction: bool,
    /// Before, scale the channels of neighbouring layers against each other, so that their ranges are alike.
    #[arg(long)]
    pub(crate) equalize: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemeChoice {
    Symmetric,
    Affine,
    Half,
    Bfloat16,
    Codebook,
}

pub(crate) fn run(options: &Quantize, arguments: &Arguments) -> Result<(), Failure> {
    let mut pass = |model: Model| change(options, arguments, model);
    let single = options.subject.target.precision == PrecisionChoice::Single;
    rewritten(&options.subject, arguments, single, &mut pass)
}

fn change(options: &Quantize, arguments: &Arguments, model: Model) -> Result<Changed, Failure> {
    let bits = options.bits.unwrap_or(8);
    let integers = |scheme| Format::Integer {
        bits,
        scheme,
        per_channel: !options.per_tensor,
        scale: options.scale,
        scale_bits: if options.power_of_two {
            1
        } else {
            options.scale_bits
        },
    };
    let precision = options.subject.target.precision;
    let scheme = match (precision, options.scheme) {
        (PrecisionChoice::Single, scheme) => scheme.unwrap_or(SchemeChoice::Symmetric),
        (PrecisionChoice::Half, None | Some(SchemeChoice::Half)) if options.bits.is_none() => {
            SchemeChoice::Half
        }
        (PrecisionChoice::Bfloat16, None | Some(SchemeChoice::Bfloat16)) if options.bits.is_none() => {
            SchemeChoice::Bfloat16
        }
        _ => {
            let message = "--precision: values of another grid are no numbers of 16 bits; leave out --bits and --scheme, or --precision";
            return Err(Failure::Usage(message.into()));
        }
    };
    let format = match scheme {
        SchemeChoice::Symmetric => integers(Scheme::Symmetric),
        SchemeChoice::Affine => integers(Scheme::Affine),
        SchemeChoice::Half => Format::Half,
        SchemeChoice::Bfloat16 => Format::Bfloat16,
        SchemeChoice::Codebook => Format::Codebook { bits },
    };
    let truth = options.inputs.truth(&model, options.subject.target.no_verify)?;
    let limits = arguments.limits();
    let validated = |graph| model::validated(&options.subject.model, graph, &limits);
    let (mut before, mut rewrites): (ValidGraph, _) = (model.graph, Vec::new());
    if options.equalize {
        let (graph, done) = equalize(&before).map_err(Failure::optimize)?;
        (before, rewrites) = (validated(graph)?, done);
    }
    let calibration = match options.calibrate.as_slice() {
        [] => None,
        files => Some(Calibration::of(&before, files)?),
    };
    let means = calibration.as_ref().map(|calibration| calibration.means.clone());
    let quantized = quantize(
        before.into_graph(),
        &Options {
            format,
            selection: options.layers.selection(false, &model.composed),
            overrides: options.overrides.clone(),
            bias_correction: means.filter(|_| options.bias_correction),
        },
    )
    .map_err(Failure::optimize)?;
    let mut quantization = quantized.quantization;
    quantization.activations = calibration.map_or_else(Vec::new, |calibration| calibration.ranges);
    let graph = validated(quantized.graph)?;
    let mut report = Optimization::new("quantize", model.source, &graph);
    report.rewrites = rewrites;
    report.layers = quantized.layers;
    Ok(Changed {
        // An archive of 16-bit numbers says by its type what they are.
        quantization: (precision == PrecisionChoice::Single).then_some(quantization),
        ..Changed::judged(graph, report, truth)?
    })
}
