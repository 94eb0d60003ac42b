//! What a pass did to one weight.

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

    /// Of numbers before and after, in the same order, `rows` of equal length; a row is an output channel where
    /// `by_channel` is set.
    pub(crate) fn new(weight: &Weight, before: &[f32], after: &[f32], channels: Option<usize>) -> Self {
        let power = |before: &[f32], after: &[f32]| {
            let mut sums = (0f64, 0f64);
            for (&x, &y) in before.iter().zip(after) {
                let (x, error) = (f64::from(x), f64::from(x) - f64::from(y));
                sums.0 += x * x;
                sums.1 += error * error;
            }
            sums
        };
        let row = before.len() / channels.unwrap_or(1).max(1);
        let rows: Vec<(f64, f64)> = match row {
            0 => Vec::new(),
            row => before
                .chunks(row)
                .zip(after.chunks(row))
                .map(|(a, b)| power(a, b))
                .collect(),
        };
        let total = rows
            .iter()
            .fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        let worst = rows
            .iter()
            .map(|&sums| decibels(sums))
            .enumerate()
            .min_by(|a, b| a.1.total_cmp(&b.1));
        Self {
            layer: weight.origin.layer.to_string(),
            role: weight.role.to_owned(),
            elements: after.len(),
            zeros: after.iter().filter(|&&value| value == 0.0).count(),
            bits: None,
            sqnr: decibels(total),
            worst_channel: channels.and(worst),
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
