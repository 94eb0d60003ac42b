//! AVX2.

use super::scalar::{self, Census};
use super::{Bracket, Counts, Gathered, Inside, by_groups};
use crate::kernels::range::ABSOLUTE;
use std::arch::x86_64::*;

/// Elements of a vector.
const N: usize = 8;

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
    by_groups(values, bracket, |vectors, between| match bracket.ties {
        true => count::<true>(vectors, bracket, between),
        false => count::<false>(vectors, bracket, between),
    })
}

/// Not inlined: next to calls that allocate, the vectors of the loop would be kept in memory.
#[inline(never)]
#[target_feature(enable = "avx2,f16c,bmi1,popcnt")]
fn count<const TIES: bool>(vectors: &[[f32; N]], bracket: Bracket, between: &mut Gathered) -> Counts {
    let (low, high) = (
        _mm256_set1_epi32(bracket.low as i32),
        _mm256_set1_epi32(bracket.high as i32),
    );
    let Inside { first, width } = bracket.inside();
    // There are comparisons of signed numbers only: both sides are shifted by half of the range.
    let first = _mm256_set1_epi32(first.wrapping_add(1 << 31) as i32);
    let width = _mm256_set1_epi32(width.wrapping_add(1 << 31) as i32);
    let absolute = _mm256_set1_epi32(ABSOLUTE as i32);
    let [mut most, mut below, mut at_low, mut at_high] = [_mm256_setzero_si256(); 4];
    let mut end = 0;
    for vector in vectors {
        let magnitudes = _mm256_and_si256(bytemuck::cast::<_, __m256i>(*vector), absolute);
        most = _mm256_max_epi32(most, magnitudes);
        // What is true is -1.
        below = _mm256_sub_epi32(below, _mm256_cmpgt_epi32(low, magnitudes));
        if TIES {
            at_low = _mm256_sub_epi32(at_low, _mm256_cmpeq_epi32(magnitudes, low));
            at_high = _mm256_sub_epi32(at_high, _mm256_cmpeq_epi32(magnitudes, high));
        }
        let inside = _mm256_cmpgt_epi32(width, _mm256_sub_epi32(magnitudes, first));
        let inside = _mm256_movemask_ps(_mm256_castsi256_ps(inside)) as usize;
        let order = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(FIRST[inside & 0xff]));
        // A whole vector is written, and the next one goes where its elements inside end.
        let compressed: [u32; N] = bytemuck::cast(_mm256_permutevar8x32_epi32(magnitudes, order));
        between[end..end + N].copy_from_slice(&compressed);
        end += inside.count_ones() as usize;
    }
    let lanes = |counts: __m256i| bytemuck::cast::<_, [u32; N]>(counts).into_iter();
    let sum = |counts: __m256i| lanes(counts).sum();
    Counts {
        below: sum(below),
        at_low: sum(at_low),
        at_high: if bracket.low == bracket.high {
            0
        } else {
            sum(at_high)
        },
        between: end,
        most: lanes(most).fold(0, u32::max),
    }
}

/// For each set of lanes, their numbers in order, a byte each; then zeros.
const FIRST: [i64; 256] = {
    let mut table = [0; 256];
    let mut set = 0;
    while set < 256 {
        let (mut lane, mut place) = (0, 0);
        while lane < 8 {
            if set >> lane & 1 == 1 {
                table[set] |= lane << (8 * place);
                place += 1;
            }
            lane += 1;
        }
        set += 1;
    }
    table
};
