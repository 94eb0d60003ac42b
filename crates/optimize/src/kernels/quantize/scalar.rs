//! The reference.

use super::{Integer, Rounding};
use crate::kernels::range::{ABSOLUTE, INFINITE};

/// `clamp(round(x / scale), low, high) + zero_point`, where halves go to the even integer. Whether all were finite;
/// what is written for others is no result.
pub(super) fn quantize<I: Integer>(values: &[f32], rounding: Rounding, out: &mut [I]) -> bool {
    let mut most = 0;
    for (out, value) in out.iter_mut().zip(values) {
        most = most.max(value.to_bits() & ABSOLUTE);
        *out = I::from_i32(level(*value, rounding) as i32 + rounding.zero_point);
    }
    most < INFINITE
}

/// The same for a row with one element of each channel.
pub(super) fn quantize_row<I: Integer>(values: &[f32], roundings: &[Rounding], out: &mut [I]) -> bool {
    let mut most = 0;
    for ((out, value), rounding) in out.iter_mut().zip(values).zip(roundings) {
        most = most.max(value.to_bits() & ABSOLUTE);
        *out = I::from_i32(level(*value, *rounding) as i32 + rounding.zero_point);
    }
    most < INFINITE
}

/// Each element becomes what its integer stands for.
pub(super) fn snap(values: &mut [f32], rounding: Rounding) -> bool {
    let mut most = 0;
    for value in values {
        most = most.max(value.to_bits() & ABSOLUTE);
        // An integer, so that -0 becomes 0.
        *value = (level(*value, rounding) as i32) as f32 * rounding.scale;
    }
    most < INFINITE
}

/// The same for a row with one element of each channel.
pub(super) fn snap_row(values: &mut [f32], roundings: &[Rounding]) -> bool {
    let mut most = 0;
    for (value, rounding) in values.iter_mut().zip(roundings) {
        most = most.max(value.to_bits() & ABSOLUTE);
        *value = (level(*value, *rounding) as i32) as f32 * rounding.scale;
    }
    most < INFINITE
}

/// `(q - zero_point) * scale`.
pub(super) fn dequantize<I: Integer>(integers: &[I], rounding: Rounding, out: &mut [f32]) {
    for (out, integer) in out.iter_mut().zip(integers) {
        *out = (integer.to_i32() - rounding.zero_point) as f32 * rounding.scale;
    }
}

/// The same for a row with one element of each channel.
pub(super) fn dequantize_row<I: Integer>(integers: &[I], roundings: &[Rounding], out: &mut [f32]) {
    for ((out, integer), rounding) in out.iter_mut().zip(integers).zip(roundings) {
        *out = (integer.to_i32() - rounding.zero_point) as f32 * rounding.scale;
    }
}

/// The integer, less the zero point.
fn level(value: f32, rounding: Rounding) -> f32 {
    (value / rounding.scale)
        .round_ties_even()
        .clamp(rounding.low, rounding.high)
}
