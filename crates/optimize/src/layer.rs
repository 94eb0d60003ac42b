//! What a pass did to one weight.

use crate::OptimizeError;
use crate::kernels::{Channels, Kernels};
use crate::weights::Weight;
use caribou_ir::Graph;

/// What a pass did to one weight.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerChange {
    /// The layer.
    pub layer: String,
    /// The parameter's role.
    pub role: String,
    /// How many numbers it has.
    pub elements: usize,
    /// How many of them are 0.
    pub zeros: usize,
    /// How many are others than before.
    pub changed: usize,
    /// The bits of a number, where it was quantized.
    pub bits: Option<u32>,
    /// The signal-to-quantization-noise ratio in decibels, `10 log10(sum of x^2 / sum of (x - x')^2)`; infinite where
    /// nothing changed.
    pub sqnr: f64,
    /// The output channel with the lowest ratio, and that ratio.
    pub worst_channel: Option<(usize, f64)>,
}

impl LayerChange {
    /// The share of zeros.
    pub fn sparsity(&self) -> f64 {
        self.zeros as f64 / self.elements.max(1) as f64
    }

    /// Of what `after`, channels first, is to the weight that `graph` still has.
    ///
    /// # Errors
    /// When that can't be read.
    pub(crate) fn measured(weight: &Weight, graph: &Graph, after: &[f32]) -> Result<Self, OptimizeError> {
        let (rows, columns) = weight.matrix();
        let kernels = Kernels::best();
        let channels = Channels::rows(rows, columns);
        let before = weight.ordered(graph, &weight.channels_first())?;
        let blocks = before.scan(|start, before| {
            let after = &after[start..start + before.len()];
            let segments = channels.segments(start, before.len());
            let powers = segments
                .map(|(range, channel)| (channel, kernels.powers(&before[range.clone()], &after[range])));
            Block {
                powers: powers.collect(),
                zeros: count(after.iter().map(|&after| after == 0.0)),
                changed: count(before.iter().zip(after).map(|(before, after)| before != after)),
            }
        });
        let blocks = blocks.map_err(OptimizeError::tensor(&weight.origin))?;
        let mut sums = vec![(0.0, 0.0); rows];
        for (channel, (signal, noise)) in blocks.iter().flat_map(|block| &block.powers) {
            sums[*channel].0 += signal;
            sums[*channel].1 += noise;
        }
        let total = sums
            .iter()
            .fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        let ratios = sums.into_iter().map(decibels).enumerate();
        Ok(Self {
            layer: weight.origin.layer.to_string(),
            role: weight.role.to_owned(),
            elements: after.len(),
            zeros: blocks.iter().map(|block| block.zeros).sum(),
            changed: blocks.iter().map(|block| block.changed).sum(),
            bits: None,
            sqnr: decibels(total),
            worst_channel: ratios.min_by(|a, b| a.1.total_cmp(&b.1)),
        })
    }
}

/// What a block of neighbouring numbers adds to the figures.
struct Block {
    /// Of each channel that it has a part of.
    powers: Vec<(usize, (f64, f64))>,
    zeros: usize,
    changed: usize,
}

/// How many are true of one block: few enough for 32 bits, of which a vector holds twice as many.
fn count(each: impl Iterator<Item = bool>) -> usize {
    each.map(u32::from).sum::<u32>() as usize
}

/// The ratio of two powers in decibels.
fn decibels((signal, noise): (f64, f64)) -> f64 {
    if noise == 0.0 {
        return f64::INFINITY;
    }
    10.0 * (signal / noise).log10()
}
