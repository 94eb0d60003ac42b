//! AVX-512.

use super::scalar::{self, Census};
use super::{Bracket, Counts, Gathered, Inside, by_groups};
use crate::kernels::range::ABSOLUTE;
use std::arch::x86_64::*;

/// Elements of a vector.
const N: usize = 16;
/// Vectors that are looked at together before any of them is written.
const GROUP: usize = 64;

/// Groups in which nothing changes are not written, so that the cache has nothing to bring back to memory; unless the first
/// one tells that there are hardly any.
#[target_feature(enable = "avx2,f16c,bmi1,popcnt,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn zero_below(values: &mut [f32], limit: u32) {
    let (vectors, rest) = values.as_chunks_mut::<N>();
    let first = vectors.len().min(GROUP);
    let some_stay = unchanged(&vectors[..first], limit);
    for group in vectors.chunks_mut(GROUP) {
        if !(some_stay && unchanged(group, limit)) {
            let absolute = _mm512_set1_epi32(ABSOLUTE as i32);
            let limits = _mm512_set1_epi32(limit as i32);
            for vector in group {
                let bits: __m512i = bytemuck::cast(*vector);
                let keep = _mm512_cmpge_epu32_mask(_mm512_and_si512(bits, absolute), limits);
                *vector = bytemuck::cast(_mm512_maskz_mov_epi32(keep, bits));
            }
        }
    }
    scalar::zero_below(rest, limit);
}

/// Whether all elements below the limit are 0 already.
#[target_feature(enable = "avx2,f16c,bmi1,popcnt,avx512f,avx512bw,avx512dq,avx512vl")]
fn unchanged(vectors: &[[f32; N]], limit: u32) -> bool {
    let absolute = _mm512_set1_epi32(ABSOLUTE as i32);
    let limits = _mm512_set1_epi32(limit as i32);
    let changed = vectors.iter().fold(0, |changed, vector| {
        let bits: __m512i = bytemuck::cast(*vector);
        let below = _mm512_cmplt_epu32_mask(_mm512_and_si512(bits, absolute), limits);
        changed | _mm512_mask_test_epi32_mask(below, bits, bits)
    });
    changed == 0
}

#[target_feature(enable = "avx2,f16c,bmi1,popcnt,avx512f,avx512bw,avx512dq,avx512vl")]
pub(super) fn census(values: &[f32], bracket: Bracket) -> Census {
    by_groups(values, bracket, |vectors, between| match bracket.ties {
        true => count::<true>(vectors, bracket, between),
        false => count::<false>(vectors, bracket, between),
    })
}

/// Not inlined: next to calls that allocate, the vectors of the loop would be kept in memory. Counts are kept in vectors:
/// each is one addition under a mask.
#[inline(never)]
#[target_feature(enable = "avx2,f16c,bmi1,popcnt,avx512f,avx512bw,avx512dq,avx512vl")]
fn count<const TIES: bool>(vectors: &[[f32; N]], bracket: Bracket, between: &mut Gathered) -> Counts {
    let (low, high) = (
        _mm512_set1_epi32(bracket.low as i32),
        _mm512_set1_epi32(bracket.high as i32),
    );
    let Inside { first, width } = bracket.inside();
    let first = _mm512_set1_epi32(first as i32);
    let width = _mm512_set1_epi32(width as i32);
    let absolute = _mm512_set1_epi32(ABSOLUTE as i32);
    let one = _mm512_set1_epi32(1);
    let [mut most, mut below, mut at_low, mut at_high] = [_mm512_setzero_si512(); 4];
    let mut end = 0;
    for vector in vectors {
        let magnitudes = _mm512_and_si512(bytemuck::cast::<_, __m512i>(*vector), absolute);
        most = _mm512_max_epu32(most, magnitudes);
        let is_below = _mm512_cmplt_epu32_mask(magnitudes, low);
        below = _mm512_mask_add_epi32(below, is_below, below, one);
        if TIES {
            let is_low = _mm512_cmpeq_epi32_mask(magnitudes, low);
            at_low = _mm512_mask_add_epi32(at_low, is_low, at_low, one);
            let is_high = _mm512_cmpeq_epi32_mask(magnitudes, high);
            at_high = _mm512_mask_add_epi32(at_high, is_high, at_high, one);
        }
        let inside = _mm512_cmplt_epu32_mask(_mm512_sub_epi32(magnitudes, first), width);
        // A whole vector is written, and the next one goes where its elements inside end.
        let compressed: [u32; N] = bytemuck::cast(_mm512_maskz_compress_epi32(inside, magnitudes));
        between[end..end + N].copy_from_slice(&compressed);
        end += inside.count_ones() as usize;
    }
    let sum = |counts| _mm512_reduce_add_epi32(counts) as u32;
    Counts {
        below: sum(below),
        at_low: sum(at_low),
        at_high: if bracket.low == bracket.high {
            0
        } else {
            sum(at_high)
        },
        between: end,
        most: _mm512_reduce_max_epu32(most),
    }
}
