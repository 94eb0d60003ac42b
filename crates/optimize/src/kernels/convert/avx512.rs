//! Where it is faster than AVX2: conversions to 16 bits.

use super::scalar;
use crate::kernels::dispatch::compile_for;
use half::{bf16, f16};
use std::arch::x86_64::*;

pub(super) use super::avx2::{from_f16, swap, to_big_endian};

compile_for! { "avx2,f16c,bmi1,popcnt,avx512f,avx512bw,avx512dq,avx512vl":
    fn to_bf16(values: &[f32], out: &mut [bf16]) -> usize = scalar::to_bf16;
}

/// Elements of a vector.
const N: usize = 16;

#[target_feature(enable = "avx2,f16c,bmi1,popcnt,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn to_f16(values: &[f32], out: &mut [f16]) -> usize {
    let (vectors, rest) = values.as_chunks::<N>();
    let (out, rest_out) = out.as_chunks_mut::<N>();
    let absolute = _mm512_set1_epi32(0x7fff_ffff);
    // The least magnitude that is rounded to infinity: 65520, halfway between the largest number and the next.
    let (over, infinite) = (_mm512_set1_epi32(0x477f_f000), _mm512_set1_epi32(0x7f80_0000));
    let mut overflowed = 0;
    for (out, value) in out.iter_mut().zip(vectors) {
        *out = bytemuck::cast(_mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(bytemuck::cast(
            *value,
        )));
        let magnitudes = _mm512_and_si512(bytemuck::cast(*value), absolute);
        let lost = _mm512_cmpge_epu32_mask(magnitudes, over) & _mm512_cmplt_epu32_mask(magnitudes, infinite);
        overflowed += lost.count_ones() as usize;
    }
    overflowed + scalar::to_f16(rest, rest_out)
}
