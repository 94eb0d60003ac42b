//! The reference, compiled for the instructions of the level, and the instructions for half precision.

use super::scalar;
use crate::kernels::dispatch::compile_for;
use half::{bf16, f16};
use std::arch::x86_64::*;

compile_for! { "avx2,f16c,bmi1,popcnt":
    fn to_bf16(values: &[f32], out: &mut [bf16]) -> usize = scalar::to_bf16;
    fn swap(bytes: &mut [[u8; 4]]) = scalar::swap;
    fn to_big_endian(values: &[f32], out: &mut [[u8; 4]]) = scalar::to_big_endian;
}

/// Elements of a vector.
const N: usize = 8;

#[target_feature(enable = "avx2,f16c,bmi1,popcnt")]
pub(super) fn to_f16(values: &[f32], out: &mut [f16]) -> usize {
    let (vectors, rest) = values.as_chunks::<N>();
    let (out, rest_out) = out.as_chunks_mut::<N>();
    let absolute = _mm256_set1_epi32(0x7fff_ffff);
    // The least magnitude that is rounded to infinity: 65520, halfway between the largest number and the next.
    let (over, infinite) = (_mm256_set1_epi32(0x477f_efff), _mm256_set1_epi32(0x7f80_0000));
    let mut overflowed = 0;
    for (out, value) in out.iter_mut().zip(vectors) {
        *out = bytemuck::cast(_mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(bytemuck::cast(
            *value,
        )));
        let magnitudes = _mm256_and_si256(bytemuck::cast(*value), absolute);
        let lost = _mm256_and_si256(
            _mm256_cmpgt_epi32(magnitudes, over),
            _mm256_cmpgt_epi32(infinite, magnitudes),
        );
        overflowed += _mm256_movemask_ps(_mm256_castsi256_ps(lost)).count_ones() as usize;
    }
    overflowed + scalar::to_f16(rest, rest_out)
}

#[target_feature(enable = "avx2,f16c,bmi1,popcnt")]
pub(super) fn from_f16(values: &[f16], out: &mut [f32]) {
    let (vectors, rest) = values.as_chunks::<N>();
    let (out, rest_out) = out.as_chunks_mut::<N>();
    for (out, value) in out.iter_mut().zip(vectors) {
        *out = bytemuck::cast(_mm256_cvtph_ps(bytemuck::cast(*value)));
    }
    scalar::from_f16(rest, rest_out);
}
