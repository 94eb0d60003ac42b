//! The reference.

use super::{Integer, Rounding, Roundings};

/// `clamp(round(x / scale), low, high) + zero_point`, where halves go to the even integer. What is
/// written for NaN is no result.
#[inline(always)]
pub(super) fn quantize<I: Integer>(values: &[f32], rounding: Rounding, out: &mut [I]) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = I::from_i32(level(*value, rounding) + rounding.zero);
    }
}

/// The same for a row with one element of each channel.
#[inline(always)]
pub(super) fn quantize_row<I: Integer>(values: &[f32], roundings: Roundings<'_>, out: &mut [I]) {
    for ((out, value), rounding) in out.iter_mut().zip(values).zip(roundings.each()) {
        *out = I::from_i32(level(*value, rounding) + rounding.zero);
    }
}

/// Each element becomes what its integer stands for.
#[inline(always)]
pub(super) fn snap(values: &mut [f32], rounding: Rounding) {
    for value in values {
        // By way of an integer, so that -0 becomes 0.
        *value = level(*value, rounding) as f32 * rounding.scale;
    }
}

/// The same for a row with one element of each channel.
#[inline(always)]
pub(super) fn snap_row(values: &mut [f32], roundings: Roundings<'_>) {
    for (value, rounding) in values.iter_mut().zip(roundings.each()) {
        *value = level(*value, rounding) as f32 * rounding.scale;
    }
}

/// `(q - zero_point) * scale`.
#[inline(always)]
pub(super) fn dequantize<I: Integer>(integers: &[I], rounding: Rounding, out: &mut [f32]) {
    for (out, integer) in out.iter_mut().zip(integers) {
        *out = (integer.to_i32() - rounding.zero) as f32 * rounding.scale;
    }
}

/// The same for a row with one element of each channel.
#[inline(always)]
pub(super) fn dequantize_row<I: Integer>(integers: &[I], roundings: Roundings<'_>, out: &mut [f32]) {
    for ((out, integer), rounding) in out.iter_mut().zip(integers).zip(roundings.each()) {
        *out = (integer.to_i32() - rounding.zero) as f32 * rounding.scale;
    }
}

/// The integer, less the zero point.
#[inline(always)]
fn level(value: f32, rounding: Rounding) -> i32 {
    (value / rounding.scale)
        .round_ties_even()
        .clamp(rounding.low, rounding.high) as i32
}
