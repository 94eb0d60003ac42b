//! AVX2.

use super::Bracket;
use super::scalar::{self, Census};
use crate::kernels::range::ABSOLUTE;
use std::arch::x86_64::*;

/// The compiler stores by masks here, which are slow on many processors.
#[target_feature(enable = "avx2,f16c,bmi1,popcnt")]
pub(super) fn zero_below(values: &mut [f32], limit: u32) {
    let (vectors, rest) = values.as_chunks_mut::<8>();
    let absolute = _mm256_set1_epi32(ABSOLUTE as i32);
    let below = _mm256_set1_epi32(limit as i32 - 1);
    for vector in vectors {
        let bits: __m256i = bytemuck::cast(*vector);
        let keep = _mm256_cmpgt_epi32(_mm256_and_si256(bits, absolute), below);
        *vector = bytemuck::cast(_mm256_and_si256(bits, keep));
    }
    scalar::zero_below(rest, limit);
}

#[target_feature(enable = "avx2,f16c,bmi1,popcnt")]
pub(super) fn census(values: &[f32], bracket: Bracket) -> Census {
    if bracket.ties {
        count::<true>(values, bracket)
    } else {
        count::<false>(values, bracket)
    }
}

#[target_feature(enable = "avx2,f16c,bmi1,popcnt")]
fn count<const TIES: bool>(values: &[f32], bracket: Bracket) -> Census {
    let (vectors, rest) = values.as_chunks::<8>();
    let mut census = Census::default();
    let (low, high) = (
        _mm256_set1_epi32(bracket.low as i32),
        _mm256_set1_epi32(bracket.high as i32),
    );
    let absolute = _mm256_set1_epi32(ABSOLUTE as i32);
    let [mut below, mut at_low, mut at_high, mut most] = [_mm256_setzero_si256(); 4];
    for vector in vectors {
        let magnitudes = _mm256_and_si256(bytemuck::cast::<_, __m256i>(*vector), absolute);
        most = _mm256_max_epi32(most, magnitudes);
        let is_below = _mm256_cmpgt_epi32(low, magnitudes);
        // What is true is -1.
        below = _mm256_sub_epi32(below, is_below);
        let mut outside = _mm256_or_si256(is_below, _mm256_cmpgt_epi32(magnitudes, high));
        if TIES {
            let is_low = _mm256_cmpeq_epi32(magnitudes, low);
            let is_high = _mm256_cmpeq_epi32(magnitudes, high);
            at_low = _mm256_sub_epi32(at_low, is_low);
            at_high = _mm256_sub_epi32(at_high, _mm256_andnot_si256(is_low, is_high));
            outside = _mm256_or_si256(outside, _mm256_or_si256(is_low, is_high));
        }
        let mut between = !_mm256_movemask_ps(_mm256_castsi256_ps(outside)) & 0xff;
        if between != 0 {
            let magnitudes: [u32; 8] = bytemuck::cast(magnitudes);
            while between != 0 {
                census.between.push(magnitudes[between.trailing_zeros() as usize]);
                between &= between - 1;
            }
        }
    }
    let lanes = |counts: __m256i| bytemuck::cast::<_, [u32; 8]>(counts).into_iter();
    let sum = |counts: __m256i| lanes(counts).map(|count| count as usize).sum::<usize>();
    census.below = sum(below);
    census.at_low = sum(at_low);
    census.at_high = sum(at_high);
    census.most = lanes(most).fold(0, u32::max);
    census.extend(scalar::census(rest, bracket));
    census
}
