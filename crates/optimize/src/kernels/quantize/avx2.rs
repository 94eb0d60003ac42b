//! AVX2. The compiler's own vectors of the reference are half as fast: it guards the conversion to integers against
//! numbers that the bounds exclude.

use super::vectors::vectors;
use super::{Integer, Rounding, Roundings, scalar};
use crate::kernels::dispatch::compile_for;
use std::arch::x86_64::*;

compile_for! { "avx2,f16c,bmi1,popcnt":
    fn dequantize<I: Integer>(integers: &[I], rounding: Rounding, out: &mut [f32]) = scalar::dequantize;
    fn dequantize_row<I: Integer>(integers: &[I], roundings: Roundings<'_>, out: &mut [f32]) = scalar::dequantize_row;
}

vectors! { "avx2,f16c,bmi1,popcnt", 8 x __m256 and __m256i:
    set1_ps = _mm256_set1_ps,
    set1_epi32 = _mm256_set1_epi32,
    div_ps = _mm256_div_ps,
    cvtps_epi32 = _mm256_cvtps_epi32,
    min_ps = _mm256_min_ps,
    max_ps = _mm256_max_ps,
    add_epi32 = _mm256_add_epi32,
    mul_ps = _mm256_mul_ps,
    cvtepi32_ps = _mm256_cvtepi32_ps,
}
