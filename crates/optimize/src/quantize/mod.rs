//! Quantization: weights become values of a grid of few numbers, and the integers behind them are recorded.
//!
//! Stock DL4J computes with 32-bit numbers, so a quantized network is one whose weights *are* the grid's values: it loads as
//! it is, takes as much memory as before, and its archive deflates to a fraction. What the values stand for
//! ([`caribou_ir::Quantization`]) goes beside the network, and gives back the exact integers.
//!
//! Integers: `q = clamp(round_half_even(w / scale) + zero_point, low, high)`, `w' = (q - zero_point) * scale`
//! (Jacob et al. 2018), `scale` by [`ScaleRule`], for each output channel or for a whole weight.

mod codebook;
mod correct;
mod equalize;
mod scale;

pub use correct::InputMeans;
pub use equalize::equalize;
pub use scale::{EXACT, ScaleRule};

use crate::OptimizeError;
use crate::kernels::{Channels, Grid, Kernels, Scheme};
use crate::layer::LayerChange;
use crate::selection::{Overrides, Selection, check, override_of};
use crate::weights::{Weight, weights};
use caribou_ir::{Encoding, Graph, Quantization, QuantizedParameter};

/// The numbers that weights become.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Format {
    /// Integers times a scale.
    Integer {
        /// 4, 8 or 16, or any number of bits between 2 and 16.
        bits: u32,
        /// Whether zero is in the middle of the grid.
        scheme: Scheme,
        /// Whether each output channel has a scale of its own.
        per_channel: bool,
        /// How the scale is found.
        scale: ScaleRule,
        /// The significant bits that scales are rounded up to, 1 to 24: with 1 they are powers of two, with 24 as they were found.
        /// Few of them leave the last bytes of values zero, so that archives deflate better, at next to no noise.
        scale_bits: u32,
    },
    /// IEEE 754 binary16.
    Half,
    /// The upper half of a binary32.
    Bfloat16,
    /// The means of `2^bits` clusters (weight sharing of Deep Compression, Han et al. 2016).
    Codebook {
        /// The bits of a position in the list.
        bits: u32,
    },
}

/// How to quantize.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantize {
    /// The numbers.
    pub format: Format,
    /// The layers.
    pub selection: Selection,
    /// Bits of some layers in place of the common ones.
    pub overrides: Overrides<u32>,
    /// The means of what layers read, where their biases are to take up the mean error of their outputs (Nagel et al. 2019).
    pub bias_correction: Option<InputMeans>,
}

/// A quantized graph.
#[derive(Debug)]
pub struct Quantized {
    /// The graph; its weights are values of grids.
    pub graph: Graph,
    /// What the values stand for.
    pub quantization: Quantization,
    /// What was done to each weight.
    pub layers: Vec<LayerChange>,
}

/// Quantizes the weights of a graph.
///
/// # Errors
/// When an option can't be or selects nothing, or weights can't be read or are NaN.
pub fn quantize(mut graph: Graph, options: &Quantize) -> Result<Quantized, OptimizeError> {
    check_bits("--bits", options.format)?;
    let all = weights(&graph);
    for (pattern, bits) in &options.overrides {
        check("--layer", pattern, &all)?;
        check_bits("--layer", with_bits(options.format, *bits))?;
    }
    let mut quantization = Quantization::default();
    let mut layers = Vec::new();
    for weight in options.selection.select(&graph)? {
        let format = match override_of(&options.overrides, &weight) {
            Some(&bits) => with_bits(options.format, bits),
            None => options.format,
        };
        let order = weight.channels_first();
        let mut after = weight.load(&graph, &order)?;
        let encoding = snap(&weight, &mut after, format)?;
        let mut change = LayerChange::measured(&weight, &graph, &after)?;
        change.bits = Some(bits(&encoding));
        layers.push(change);
        if let Some(means) = &options.bias_correction {
            let before = weight.load(&graph, &order)?;
            correct::correct_bias(&mut graph, &weight, &before, &after, means)?;
        }
        let values = weight.store(&mut graph, &order, after)?;
        quantization.parameters.push(QuantizedParameter {
            layer: weight.origin.layer.to_string(),
            role: weight.role.to_owned(),
            values,
            encoding,
        });
    }
    Ok(Quantized {
        graph,
        quantization,
        layers,
    })
}

/// The bits of one number.
pub(crate) fn bits(encoding: &Encoding) -> u32 {
    match encoding {
        Encoding::Integer { bits, .. } | Encoding::Codebook { bits, .. } => *bits,
        Encoding::Half | Encoding::Bfloat16 => 16,
    }
}

/// The same format with other bits; half precision and bfloat16 have theirs.
fn with_bits(format: Format, bits: u32) -> Format {
    match format {
        Format::Integer {
            scheme,
            per_channel,
            scale,
            scale_bits,
            ..
        } => Format::Integer {
            bits,
            scheme,
            per_channel,
            scale,
            scale_bits,
        },
        Format::Codebook { .. } => Format::Codebook { bits },
        format => format,
    }
}

pub(crate) fn check_bits(option: &'static str, format: Format) -> Result<(), OptimizeError> {
    let (bits, range) = match format {
        Format::Integer {
            bits,
            scale,
            scheme,
            scale_bits,
            ..
        } => {
            scale.check(scheme)?;
            if !(1..=EXACT).contains(&scale_bits) {
                let message = format!("{scale_bits} bits: expected 1 to {EXACT}");
                return Err(OptimizeError::option("--scale-bits", message));
            }
            (bits, 2..=16)
        }
        Format::Codebook { bits } => (bits, 1..=8),
        Format::Half | Format::Bfloat16 => return Ok(()),
    };
    if range.contains(&bits) {
        return Ok(());
    }
    let (least, most) = (range.start(), range.end());
    Err(OptimizeError::option(
        option,
        format!("{bits} bits: expected {least} to {most}"),
    ))
}

/// Takes weights, their channels first, to the grid.
pub(crate) fn snap(weight: &Weight, values: &mut [f32], format: Format) -> Result<Encoding, OptimizeError> {
    let kernels = Kernels::best();
    let fail = |error| weight.failed(error);
    let (rows, columns) = weight.matrix();
    match format {
        Format::Integer {
            bits,
            scheme,
            per_channel,
            scale,
            scale_bits,
        } => {
            let channels = match per_channel {
                true => Channels::rows(rows, columns),
                false => Channels::whole(rows * columns),
            };
            let grid = match scheme {
                Scheme::Symmetric => Grid::symmetric(bits),
                Scheme::Affine => Grid::full(bits),
            }
            .map_err(fail)?;
            let found = scale
                .quantizations(values, channels, grid, scheme, scale_bits)
                .map_err(fail)?;
            kernels.snap(values, channels, &found, grid).map_err(fail)?;
            Ok(Encoding::Integer {
                bits,
                symmetric: scheme == Scheme::Symmetric,
                scales: found.iter().map(|entry| entry.scale).collect(),
                zero_points: found.iter().map(|entry| entry.zero_point).collect(),
            })
        }
        Format::Half => {
            let mut halves = vec![half::f16::ZERO; values.len()];
            let overflowed = kernels.to_f16(values, &mut halves).map_err(fail)?;
            if overflowed > 0 {
                let message = format!(
                    "{overflowed} numbers of its {} are too large for half precision",
                    weight.role
                );
                return Err(OptimizeError::layer(&weight.origin, message));
            }
            kernels.from_f16(&halves, values).map_err(fail)?;
            Ok(Encoding::Half)
        }
        Format::Bfloat16 => {
            let mut halves = vec![half::bf16::ZERO; values.len()];
            let overflowed = kernels.to_bf16(values, &mut halves).map_err(fail)?;
            if overflowed > 0 {
                let message = format!(
                    "{overflowed} numbers of its {} are too large for bfloat16",
                    weight.role
                );
                return Err(OptimizeError::layer(&weight.origin, message));
            }
            kernels.from_bf16(&halves, values).map_err(fail)?;
            Ok(Encoding::Bfloat16)
        }
        Format::Codebook { bits } => Ok(Encoding::Codebook {
            bits,
            values: codebook::share(values, 1 << bits),
        }),
    }
}
