//! What a pass did to one weight.

use crate::OptimizeError;
use crate::kernels::Kernels;
use crate::weights::Weight;

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

    /// Of numbers before and after, in the same order; where `channels` says how many there are, these are rows of equal length.
    ///
    /// # Errors
    /// When the numbers are not as many, or no such rows.
    pub(crate) fn new(
        weight: &Weight,
        before: &[f32],
        after: &[f32],
        channels: Option<usize>,
    ) -> Result<Self, OptimizeError> {
        let rows = Kernels::best()
            .signal_and_noise(before, after, channels.unwrap_or(1))
            .map_err(|error| weight.failed(error))?;
        let total = rows
            .iter()
            .fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        let worst = rows
            .iter()
            .map(|&sums| decibels(sums))
            .enumerate()
            .min_by(|a, b| a.1.total_cmp(&b.1));
        Ok(Self {
            sqnr: decibels(total),
            worst_channel: channels.and(worst),
            ..Self::unjudged(weight, after)
        })
    }

    /// Of numbers some of which became zero, by the sums of squares of all before and of what stayed: what moved is the
    /// difference, and the numbers before need not be there any more.
    pub(crate) fn zeroed(weight: &Weight, before: f64, stayed: f64, after: &[f32]) -> Self {
        Self {
            sqnr: decibels((before, (before - stayed).max(0.0))),
            ..Self::unjudged(weight, after)
        }
    }

    fn unjudged(weight: &Weight, after: &[f32]) -> Self {
        Self {
            layer: weight.origin.layer.to_string(),
            role: weight.role.to_owned(),
            elements: after.len(),
            zeros: after.iter().filter(|&&value| value == 0.0).count(),
            bits: None,
            sqnr: f64::INFINITY,
            worst_channel: None,
        }
    }
}

/// The ratio of two powers in decibels.
fn decibels((signal, noise): (f64, f64)) -> f64 {
    if noise == 0.0 {
        return f64::INFINITY;
    }
    10.0 * (signal / noise).log10()
}
