//! AVX2. The compiler's own vectors of the reference are half as fast: it guards the conversion to integers against
//! numbers that the bounds exclude.

use super::{Integer, Rounding, Roundings, scalar};
use crate::kernels::dispatch::compile_for;
use std::arch::x86_64::*;

/// The elements of a vector.
const N: usize = 8;

compile_for! { "avx2,f16c,bmi1,popcnt":
    fn dequantize<I: Integer>(integers: &[I], rounding: Rounding, out: &mut [f32]) = scalar::dequantize;
    fn dequantize_row<I: Integer>(integers: &[I], roundings: Roundings<'_>, out: &mut [f32]) = scalar::dequantize_row;
}

#[target_feature(enable = "avx2,f16c,bmi1,popcnt")]
pub(super) fn quantize<I: Integer>(values: &[f32], rounding: Rounding, out: &mut [I]) {
    let (vectors, rest) = values.as_chunks::<N>();
    let (out, rest_out) = out.as_chunks_mut::<N>();
    let vector = Vector::splat(rounding);
    for (out, value) in out.iter_mut().zip(vectors) {
        *out = vector.integers(value);
    }
    scalar::quantize(rest, rounding, rest_out);
}

#[target_feature(enable = "avx2,f16c,bmi1,popcnt")]
pub(super) fn quantize_row<I: Integer>(values: &[f32], roundings: Roundings<'_>, out: &mut [I]) {
    let (vectors, rest) = values.as_chunks::<N>();
    let (out, rest_out) = out.as_chunks_mut::<N>();
    let (scales, zeros) = (roundings.scale.as_chunks().0, roundings.zero.as_chunks().0);
    let (lows, highs) = (roundings.low.as_chunks().0, roundings.high.as_chunks().0);
    for ((((out, value), (scale, zero)), low), high) in out
        .iter_mut()
        .zip(vectors)
        .zip(scales.iter().zip(zeros))
        .zip(lows)
        .zip(highs)
    {
        *out = Vector::load(scale, zero, low, high).integers(value);
    }
    scalar::quantize_row(rest, roundings.from(vectors.len() * N), rest_out);
}

#[target_feature(enable = "avx2,f16c,bmi1,popcnt")]
pub(super) fn snap(values: &mut [f32], rounding: Rounding) {
    let (vectors, rest) = values.as_chunks_mut::<N>();
    let vector = Vector::splat(rounding);
    for value in vectors {
        *value = vector.snapped(value);
    }
    scalar::snap(rest, rounding);
}

#[target_feature(enable = "avx2,f16c,bmi1,popcnt")]
pub(super) fn snap_row(values: &mut [f32], roundings: Roundings<'_>) {
    let (vectors, rest) = values.as_chunks_mut::<N>();
    let rest_roundings = roundings.from(vectors.len() * N);
    let (scales, zeros) = (roundings.scale.as_chunks().0, roundings.zero.as_chunks().0);
    let (lows, highs) = (roundings.low.as_chunks().0, roundings.high.as_chunks().0);
    for (((value, (scale, zero)), low), high) in vectors
        .iter_mut()
        .zip(scales.iter().zip(zeros))
        .zip(lows)
        .zip(highs)
    {
        *value = Vector::load(scale, zero, low, high).snapped(value);
    }
    scalar::snap_row(rest, rest_roundings);
}

/// A rounding in vectors.
#[derive(Clone, Copy)]
struct Vector {
    scale: __m256,
    zero: __m256i,
    low: __m256,
    high: __m256,
}

impl Vector {
    #[inline]
    #[target_feature(enable = "avx2,f16c,bmi1,popcnt")]
    fn splat(rounding: Rounding) -> Self {
        Self {
            scale: _mm256_set1_ps(rounding.scale),
            zero: _mm256_set1_epi32(rounding.zero),
            low: _mm256_set1_ps(rounding.low),
            high: _mm256_set1_ps(rounding.high),
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c,bmi1,popcnt")]
    fn load(scale: &[f32; N], zero: &[i32; N], low: &[f32; N], high: &[f32; N]) -> Self {
        Self {
            scale: bytemuck::cast(*scale),
            zero: bytemuck::cast(*zero),
            low: bytemuck::cast(*low),
            high: bytemuck::cast(*high),
        }
    }

    /// Integers less the zero point, by the rounding mode that every thread starts with: to the nearest, ties to even.
    #[inline]
    #[target_feature(enable = "avx2,f16c,bmi1,popcnt")]
    fn levels(self, values: &[f32; N]) -> __m256i {
        let quotients = _mm256_div_ps(bytemuck::cast(*values), self.scale);
        _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(quotients, self.low), self.high))
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c,bmi1,popcnt")]
    fn integers<I: Integer>(self, values: &[f32; N]) -> [I; N] {
        let integers = _mm256_add_epi32(self.levels(values), self.zero);
        bytemuck::cast::<_, [i32; N]>(integers).map(I::from_i32)
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c,bmi1,popcnt")]
    fn snapped(self, values: &[f32; N]) -> [f32; N] {
        bytemuck::cast(_mm256_mul_ps(_mm256_cvtepi32_ps(self.levels(values)), self.scale))
    }
}
