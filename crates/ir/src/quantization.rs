//! What the grid values of quantized parameters stand for.

use crate::Tensor;

/// How integers are read off grid values.
#[derive(Debug, Clone, PartialEq)]
pub enum Encoding {
    /// `value = (integer - zero_point) * scale`, with one scale and zero point for each entry of the parameter's first axis, or
    /// one for all. `integer = round(value / scale) + zero_point`.
    Integer {
        /// The bits of an integer.
        bits: u32,
        /// Whether all zero points are 0 and the integers go from `-(2^(bits-1) - 1)` to `2^(bits-1) - 1`.
        symmetric: bool,
        /// The distance of neighbouring values.
        scales: Vec<f32>,
        /// The integer that stands for zero.
        zero_points: Vec<i32>,
    },
    /// The values are IEEE 754 binary16 numbers; the integer is their bits.
    Half,
    /// The values are the upper half of a binary32; the integer is that half.
    Bfloat16,
    /// The values are those of a list; the integer is the position in it.
    Codebook {
        /// The bits of a position.
        bits: u32,
        /// The list, in ascending order.
        values: Vec<f32>,
    },
}

/// One parameter whose values lie on a grid.
#[derive(Debug, Clone)]
pub struct QuantizedParameter {
    /// The layer of the source.
    pub layer: String,
    /// The parameter's role in its operator.
    pub role: String,
    /// The values as they are stored, channels on the first axis. The graph's parameter is a view of the same storage.
    pub values: Tensor,
    /// What they stand for.
    pub encoding: Encoding,
}

/// The values that a layer was seen to make.
#[derive(Debug, Clone, PartialEq)]
pub struct ActivationRange {
    /// The layer of the source.
    pub layer: String,
    /// The least of its outputs.
    pub least: f32,
    /// The greatest of its outputs.
    pub greatest: f32,
}

/// All quantized parameters of a network, and, where it was run to find out, the ranges of its activations.
#[derive(Debug, Clone, Default)]
pub struct Quantization {
    /// The parameters.
    pub parameters: Vec<QuantizedParameter>,
    /// The ranges.
    pub activations: Vec<ActivationRange>,
}
