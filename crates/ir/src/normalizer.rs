//! What is done to the numbers of an input before a network sees them.

/// `y[c] = (x[c] - mean[c]) / deviation[c]` for each channel of the first input: no part of the network, but kept
/// beside it for the program that feeds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalizer {
    /// For each channel.
    pub mean: Vec<f32>,
    /// For each channel.
    pub deviation: Vec<f32>,
}
