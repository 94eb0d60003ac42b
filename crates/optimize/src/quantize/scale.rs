//! How the scale of a grid is found.

use crate::OptimizeError;
use crate::kernels::{Channels, Grid, KernelError, Kernels, Quantization, Scheme};
use rayon::prelude::*;
use std::fmt;
use std::str::FromStr;

/// How the scale of a grid is found from the weights of a channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ScaleRule {
    /// By the largest magnitude, or the least and the greatest weight: nothing is cut off.
    Max,
    /// By the magnitude that this share of the weights, in percent, does not exceed; affine, by the two weights that as many
    /// lie outside of on either side.
    Percentile(f64),
    /// The one of 64 cuts, from a quarter of the range up to all of it, whose grid has the smallest sum of squared errors.
    MeanSquaredError,
    /// The cut whose histogram of 2048 magnitudes loses least information on the grid (Kullback-Leibler divergence; Migacz 2017,
    /// "8-bit Inference with TensorRT"). Symmetric grids only.
    KullbackLeibler,
}

/// The significant bits of a 32-bit number, with which scales are as they were found.
pub const EXACT: u32 = 24;

/// Cuts that are tried for the smallest squared error.
const CUTS: usize = 64;
/// The smallest of them, as a share of the range.
const SMALLEST_CUT: f64 = 0.25;
/// Bins of the histogram of magnitudes.
const BINS: usize = 2048;
/// Bins between two cuts that are tried.
const STRIDE: usize = 16;

impl FromStr for ScaleRule {
    type Err = String;

    /// `max`, `percentile:99.9`, `mse` or `kl`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "max" => Ok(Self::Max),
            None if text == "mse" => Ok(Self::MeanSquaredError),
            None if text == "kl" => Ok(Self::KullbackLeibler),
            Some(("percentile", percent)) => match percent.parse::<f64>() {
                Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(Self::Percentile(percent)),
                _ => Err(format!(
                    "{percent} is no percentage: expected a number above 0, up to 100"
                )),
            },
            _ => Err("expected max, percentile:P, mse or kl".into()),
        }
    }
}

impl fmt::Display for ScaleRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::Percentile(percent) => write!(f, "percentile:{percent}"),
            Self::MeanSquaredError => f.write_str("mse"),
            Self::KullbackLeibler => f.write_str("kl"),
        }
    }
}

impl ScaleRule {
    pub(super) fn check(self, scheme: Scheme) -> Result<(), OptimizeError> {
        match self {
            Self::Percentile(percent) if !(percent > 0.0 && percent <= 100.0) => Err(OptimizeError::option(
                "--scale",
                format!("percentile:{percent}: expected a percentage above 0, up to 100"),
            )),
            Self::KullbackLeibler if scheme == Scheme::Affine => Err(OptimizeError::option(
                "--scale",
                "kl finds scales of symmetric grids only: expected --scheme symmetric, or another scale",
            )),
            _ => Ok(()),
        }
    }

    /// The scale and zero point of each channel; channels are rows.
    pub(super) fn quantizations(
        self,
        values: &[f32],
        channels: Channels,
        grid: Grid,
        scheme: Scheme,
        scale_bits: u32,
    ) -> Result<Vec<Quantization>, KernelError> {
        let rows = values.par_chunks(channels.len().max(1));
        let mut found = match self {
            Self::Max => Kernels::best().quantizations(values, channels, grid, scheme)?,
            Self::Percentile(percent) => rows
                .map(|row| percentile(row, percent, grid, scheme))
                .collect::<Result<_, _>>()?,
            Self::MeanSquaredError => rows
                .map(|row| least_squares(row, grid, scheme))
                .collect::<Result<_, _>>()?,
            Self::KullbackLeibler => rows
                .map(|row| least_divergence(row, grid))
                .collect::<Result<_, _>>()?,
        };
        found
            .iter_mut()
            .for_each(|entry| round_up(entry, grid, scale_bits));
        Ok(found)
    }
}

/// Rounds a scale up to so many significant bits; the zero point keeps the least value on the grid.
fn round_up(entry: &mut Quantization, grid: Grid, scale_bits: u32) {
    let before = entry.scale;
    // The bits of a positive number are in its order, and what carries out of the fraction goes to the exponent.
    let unit = 1u32 << EXACT.saturating_sub(scale_bits);
    let rounded = f32::from_bits((before.to_bits() + (unit - 1)) & !(unit - 1));
    if rounded == before || !rounded.is_finite() {
        return;
    }
    entry.scale = rounded;
    if entry.zero_point != 0 {
        let least = f64::from(grid.low() - entry.zero_point) * f64::from(before);
        let zero_point = f64::from(grid.low()) - (least / f64::from(entry.scale)).round_ties_even();
        entry.zero_point = (zero_point as i32).clamp(grid.low(), grid.high());
    }
}

/// The grid between two cuts.
fn between(least: f32, most: f32, grid: Grid, scheme: Scheme) -> Quantization {
    match scheme {
        Scheme::Symmetric => grid.scale_of(most.max(-least)),
        Scheme::Affine => grid.affine_of(least, most),
    }
}

fn percentile(row: &[f32], percent: f64, grid: Grid, scheme: Scheme) -> Result<Quantization, KernelError> {
    if row.is_empty() {
        return Ok(grid.scale_of(0.0));
    }
    let rank = |share: f64| ((share * row.len() as f64).ceil() as usize).clamp(1, row.len());
    match scheme {
        Scheme::Symmetric => {
            let most = Kernels::best().kth_magnitude(row, rank(percent / 100.0))?;
            Ok(grid.scale_of(most))
        }
        Scheme::Affine => {
            let mut sorted = row.to_vec();
            sorted.sort_unstable_by(f32::total_cmp);
            let high = rank(percent / 100.0);
            Ok(grid.affine_of(sorted[row.len() - high], sorted[high - 1]))
        }
    }
}

fn least_squares(row: &[f32], grid: Grid, scheme: Scheme) -> Result<Quantization, KernelError> {
    let ranges = Kernels::best().min_max(row, Channels::whole(row.len()))?;
    let (least, most) = ranges.first().copied().unwrap_or((0.0, 0.0));
    let mut best = (f64::INFINITY, between(least, most, grid, scheme));
    // From the whole range down, so that the widest of equal ones stays.
    for step in (1..=CUTS).rev() {
        let share = SMALLEST_CUT + (1.0 - SMALLEST_CUT) * step as f64 / CUTS as f64;
        let cut = |bound: f32| (f64::from(bound) * share) as f32;
        let entry = between(cut(least), cut(most), grid, scheme);
        let error = squared_error(row, entry, grid, best.0);
        if error < best.0 {
            best = (error, entry);
        }
    }
    Ok(best.1)
}

/// The sum of squared errors on a grid, or anything not below `enough` once it is that.
fn squared_error(row: &[f32], entry: Quantization, grid: Grid, enough: f64) -> f64 {
    let low = (grid.low() - entry.zero_point) as f32;
    let high = (grid.high() - entry.zero_point) as f32;
    let mut sum = 0f64;
    for block in row.chunks(1 << 12) {
        for &value in block {
            let on = (value / entry.scale).round_ties_even().clamp(low, high) * entry.scale;
            let error = f64::from(value - on);
            sum += error * error;
        }
        if sum >= enough {
            break;
        }
    }
    sum
}

fn least_divergence(row: &[f32], grid: Grid) -> Result<Quantization, KernelError> {
    let (most, counts) = Kernels::best().magnitude_histogram(row, BINS)?;
    let levels = grid.high() as usize + 1;
    // More levels than bins lose nothing, whatever is cut.
    if most == 0.0 || levels >= BINS {
        return Ok(grid.scale_of(most));
    }
    let mut best = (f64::INFINITY, BINS);
    for cut in (levels..=BINS).rev().step_by(STRIDE) {
        let loss = divergence(&counts, cut, levels);
        if loss < best.0 {
            best = (loss, cut);
        }
    }
    let bound = f64::from(most) * best.1 as f64 / BINS as f64;
    Ok(grid.scale_of(bound as f32))
}

/// `sum of p ln(p / q)` of the first `cut` bins, with what lies beyond in the last of them, against the same bins when `levels`
/// neighbouring parts of them are one number each.
fn divergence(counts: &[u64], cut: usize, levels: usize) -> f64 {
    let mut reference: Vec<f64> = counts[..cut].iter().map(|&count| count as f64).collect();
    let beyond: u64 = counts[cut..].iter().sum();
    reference[cut - 1] += beyond as f64;
    let total: f64 = reference.iter().sum();
    let mut loss = 0f64;
    for level in 0..levels {
        let part = level * cut / levels..(level + 1) * cut / levels;
        let inside: f64 = counts[part.clone()].iter().map(|&count| count as f64).sum();
        let filled = reference[part.clone()]
            .iter()
            .filter(|&&count| count > 0.0)
            .count();
        for &count in reference[part].iter().filter(|&&count| count > 0.0) {
            // What was cut off and falls into an empty part has no likelihood there.
            let spread = (inside / filled as f64).max(1e-9);
            loss += count / total * (count / spread).ln();
        }
    }
    loss
}
