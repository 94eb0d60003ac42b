//! Vectors of the target of the build.

use super::{Integer, Rounding, Roundings, scalar};
use wide::{f32x8, i32x8};

/// The elements of a vector.
const N: usize = 8;

pub(super) fn quantize<I: Integer>(values: &[f32], rounding: Rounding, out: &mut [I]) {
    let (vectors, rest) = values.as_chunks::<N>();
    let (out, rest_out) = out.as_chunks_mut::<N>();
    let (vector, zero) = (Vector::from(rounding), i32x8::splat(rounding.zero));
    for (out, value) in out.iter_mut().zip(vectors) {
        *out = (vector.levels(*value) + zero).to_array().map(I::from_i32);
    }
    scalar::quantize(rest, rounding, rest_out);
}

pub(super) fn quantize_row<I: Integer>(values: &[f32], roundings: Roundings<'_>, out: &mut [I]) {
    let (vectors, rest) = values.as_chunks::<N>();
    let (out, rest_out) = out.as_chunks_mut::<N>();
    for ((out, value), (vector, zero)) in out.iter_mut().zip(vectors).zip(Vector::each(roundings)) {
        *out = (vector.levels(*value) + zero).to_array().map(I::from_i32);
    }
    let rest_roundings = roundings.from(vectors.len() * N);
    scalar::quantize_row(rest, rest_roundings, rest_out);
}

pub(super) fn snap(values: &mut [f32], rounding: Rounding) {
    let (vectors, rest) = values.as_chunks_mut::<N>();
    let vector = Vector::from(rounding);
    for value in vectors {
        *value = (vector.levels(*value).round_float() * vector.scale).to_array();
    }
    scalar::snap(rest, rounding);
}

pub(super) fn snap_row(values: &mut [f32], roundings: Roundings<'_>) {
    let (vectors, rest) = values.as_chunks_mut::<N>();
    let rest_roundings = roundings.from(vectors.len() * N);
    for (value, (vector, _)) in vectors.iter_mut().zip(Vector::each(roundings)) {
        *value = (vector.levels(*value).round_float() * vector.scale).to_array();
    }
    scalar::snap_row(rest, rest_roundings);
}

// The compiler makes vectors of these on every target.
pub(super) use scalar::{dequantize, dequantize_row};

/// A rounding in vectors.
#[derive(Clone, Copy)]
struct Vector {
    scale: f32x8,
    low: f32x8,
    high: f32x8,
}

impl From<Rounding> for Vector {
    fn from(rounding: Rounding) -> Self {
        Self {
            scale: f32x8::splat(rounding.scale),
            low: f32x8::splat(rounding.low),
            high: f32x8::splat(rounding.high),
        }
    }
}

impl Vector {
    /// Of the channels of whole vectors of a row, with their zero points.
    fn each(roundings: Roundings<'_>) -> impl Iterator<Item = (Self, i32x8)> {
        let bounds = roundings
            .low
            .as_chunks()
            .0
            .iter()
            .zip(roundings.high.as_chunks().0);
        let scales = roundings
            .scale
            .as_chunks()
            .0
            .iter()
            .zip(roundings.zero.as_chunks().0);
        scales.zip(bounds).map(|((scale, zero), (low, high))| {
            let vector = Self {
                scale: f32x8::new(*scale),
                low: f32x8::new(*low),
                high: f32x8::new(*high),
            };
            (vector, i32x8::new(*zero))
        })
    }

    /// The integers, less the zero point.
    fn levels(self, values: [f32; N]) -> i32x8 {
        (f32x8::new(values) / self.scale)
            .fast_max(self.low)
            .fast_min(self.high)
            .fast_round_int()
    }
}
