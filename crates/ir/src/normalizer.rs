//! What is done to the numbers of an input before a network sees them.

/// A map of the first input that is no part of the network, but kept beside it for the program that feeds it.
#[derive(Debug, Clone, PartialEq)]
pub enum Normalizer {
    /// `y[c] = (x[c] - mean[c]) / deviation[c]` for each channel.
    Standardize {
        /// For each channel.
        mean: Vec<f32>,
        /// For each channel; none is zero.
        deviation: Vec<f32>,
    },
    /// `y[c] = (x[c] - minimum[c]) / (maximum[c] - minimum[c])` for each channel, brought to the range of the target.
    MinMax {
        /// For each channel.
        minimum: Vec<f32>,
        /// For each channel; larger than the minimum.
        maximum: Vec<f32>,
        /// What becomes of the minimum and of the maximum.
        target: [f64; 2],
    },
    /// `y = x / pixel (high - low) + low` for every number.
    Image {
        /// What becomes of zero.
        low: f64,
        /// What becomes of the largest number.
        high: f64,
        /// The largest number.
        pixel: f64,
    },
}

impl Normalizer {
    /// How many channels it has numbers for; `None` when it treats all numbers alike.
    pub fn channels(&self) -> Option<usize> {
        match self {
            Self::Standardize { mean, .. } => Some(mean.len()),
            Self::MinMax { minimum, .. } => Some(minimum.len()),
            Self::Image { .. } => None,
        }
    }
}
