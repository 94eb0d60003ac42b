//! Histograms of magnitudes, from which scales are searched.

use super::channels::BLOCK;
use super::range::INFINITE;
use super::range::first_not_finite;
use super::{Channels, KernelError, Kernels};
use rayon::prelude::*;

impl Kernels {
    /// How many magnitudes lie in each of `bins` equal parts of `0 ..= most`, where `most` is the largest of all; with it.
    /// Bin `i` counts `i <= |x| * (bins / most) < i + 1`, computed in single precision; the last one also `most` itself.
    ///
    /// # Errors
    /// When there are no bins, or an element is NaN or infinite.
    pub fn magnitude_histogram(self, values: &[f32], bins: usize) -> Result<(f32, Vec<u64>), KernelError> {
        if bins == 0 {
            let elements = values.len();
            return Err(KernelError::Count { wanted: 0, elements });
        }
        let most = self.abs_max(values, Channels::whole(values.len()))?[0];
        if most.to_bits() >= INFINITE {
            return Err(first_not_finite(values));
        }
        let add = |mut all: Vec<u64>, part: Vec<u64>| {
            for (all, part) in all.iter_mut().zip(part) {
                *all += part;
            }
            all
        };
        let blocks = values.par_chunks(BLOCK.max(bins));
        let counts = blocks.map(|block| scalar(block, most, bins));
        Ok((most, counts.reduce(|| vec![0; bins], add)))
    }
}

/// The reference.
fn scalar(values: &[f32], most: f32, bins: usize) -> Vec<u64> {
    let mut counts = vec![0; bins];
    for value in values {
        // Dividing first keeps the largest magnitudes from overflowing, and the smallest from a factor that is infinite.
        let part = if most == 0.0 { 0.0 } else { value.abs() / most };
        let bin = (part * bins as f32) as usize;
        counts[bin.min(bins - 1)] += 1;
    }
    counts
}
