//! AVX-512.

use super::Bracket;
use super::scalar::{self, Census};
use crate::kernels::dispatch::compile_for;
use crate::kernels::range::ABSOLUTE;
use std::arch::x86_64::*;

compile_for! { "avx2,f16c,bmi1,popcnt,avx512f,avx512bw,avx512dq,avx512vl":
    fn zero_below(values: &mut [f32], limit: u32) = scalar::zero_below;
}

/// Elements of a vector.
const N: usize = 16;
/// Vectors whose elements between are gathered before they are handed on.
const GROUP: usize = 64;

#[target_feature(enable = "avx2,f16c,bmi1,popcnt,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn census(values: &[f32], bracket: Bracket) -> Census {
    if bracket.ties {
        count::<true>(values, bracket)
    } else {
        count::<false>(values, bracket)
    }
}

#[target_feature(enable = "avx2,f16c,bmi1,popcnt,avx512f,avx512bw,avx512dq,avx512vl")]
fn count<const TIES: bool>(values: &[f32], bracket: Bracket) -> Census {
    let (vectors, rest) = values.as_chunks::<N>();
    let mut census = scalar::census(rest, bracket);
    let rest_between = std::mem::take(&mut census.between);
    let (low, high) = (
        _mm512_set1_epi32(bracket.low as i32),
        _mm512_set1_epi32(bracket.high as i32),
    );
    let absolute = _mm512_set1_epi32(ABSOLUTE as i32);
    let mut most = _mm512_setzero_si512();
    let [mut below, mut at_low, mut at_high] = [0; 3];
    let mut gathered = [0u32; (GROUP + 1) * N];
    for group in vectors.chunks(GROUP) {
        let mut number = 0;
        for vector in group {
            let magnitudes = _mm512_and_si512(bytemuck::cast::<_, __m512i>(*vector), absolute);
            most = _mm512_max_epu32(most, magnitudes);
            let is_below = _mm512_cmplt_epu32_mask(magnitudes, low);
            below += is_below.count_ones();
            let mut between = !is_below & _mm512_cmple_epu32_mask(magnitudes, high);
            if TIES {
                let is_low = _mm512_cmpeq_epi32_mask(magnitudes, low);
                let is_high = _mm512_cmpeq_epi32_mask(magnitudes, high);
                at_low += is_low.count_ones();
                at_high += (is_high & !is_low).count_ones();
                between &= !(is_low | is_high);
            }
            // A whole vector is written, and the next one goes where its elements between end.
            let compressed: [u32; N] = bytemuck::cast(_mm512_maskz_compress_epi32(between, magnitudes));
            gathered[number..number + N].copy_from_slice(&compressed);
            number += between.count_ones() as usize;
        }
        census.between.extend_from_slice(&gathered[..number]);
    }
    census.below += below as usize;
    census.at_low += at_low as usize;
    census.at_high += at_high as usize;
    census.most = census.most.max(_mm512_reduce_max_epu32(most));
    census.between.extend(rest_between);
    census
}
