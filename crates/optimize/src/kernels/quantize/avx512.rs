//! AVX-512.

use super::{Integer, Rounding, Roundings, scalar};
use std::arch::x86_64::*;

/// The elements of a vector.
const N: usize = 16;

pub(super) use super::avx2::{dequantize, dequantize_row};

#[target_feature(enable = "avx2,f16c,bmi1,popcnt,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn quantize<I: Integer>(values: &[f32], rounding: Rounding, out: &mut [I]) {
    let (vectors, rest) = values.as_chunks::<N>();
    let (out, rest_out) = out.as_chunks_mut::<N>();
    let vector = Vector::splat(rounding);
    for (out, value) in out.iter_mut().zip(vectors) {
        *out = vector.integers(value);
    }
    scalar::quantize(rest, rounding, rest_out);
}

#[target_feature(enable = "avx2,f16c,bmi1,popcnt,avx512f,avx512bw,avx512dq,avx512vl")]
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

#[target_feature(enable = "avx2,f16c,bmi1,popcnt,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn snap(values: &mut [f32], rounding: Rounding) {
    let (vectors, rest) = values.as_chunks_mut::<N>();
    let vector = Vector::splat(rounding);
    for value in vectors {
        *value = vector.snapped(value);
    }
    scalar::snap(rest, rounding);
}

#[target_feature(enable = "avx2,f16c,bmi1,popcnt,avx512f,avx512bw,avx512dq,avx512vl")]
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
    scale: __m512,
    zero: __m512i,
    low: __m512,
    high: __m512,
}

impl Vector {
    #[inline]
    #[target_feature(enable = "avx2,f16c,bmi1,popcnt,avx512f,avx512bw,avx512dq,avx512vl")]
    fn splat(rounding: Rounding) -> Self {
        Self {
            scale: _mm512_set1_ps(rounding.scale),
            zero: _mm512_set1_epi32(rounding.zero),
            low: _mm512_set1_ps(rounding.low),
            high: _mm512_set1_ps(rounding.high),
        }
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c,bmi1,popcnt,avx512f,avx512bw,avx512dq,avx512vl")]
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
    #[target_feature(enable = "avx2,f16c,bmi1,popcnt,avx512f,avx512bw,avx512dq,avx512vl")]
    fn levels(self, values: &[f32; N]) -> __m512i {
        let quotients = _mm512_div_ps(bytemuck::cast(*values), self.scale);
        _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(quotients, self.low), self.high))
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c,bmi1,popcnt,avx512f,avx512bw,avx512dq,avx512vl")]
    fn integers<I: Integer>(self, values: &[f32; N]) -> [I; N] {
        let integers = _mm512_add_epi32(self.levels(values), self.zero);
        bytemuck::cast::<_, [i32; N]>(integers).map(I::from_i32)
    }

    #[inline]
    #[target_feature(enable = "avx2,f16c,bmi1,popcnt,avx512f,avx512bw,avx512dq,avx512vl")]
    fn snapped(self, values: &[f32; N]) -> [f32; N] {
        bytemuck::cast(_mm512_mul_ps(_mm512_cvtepi32_ps(self.levels(values)), self.scale))
    }
}
