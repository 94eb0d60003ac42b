//! Vectors of the target of the build.

use super::Bracket;
use super::scalar::{self, Census};
use crate::kernels::range::ABSOLUTE;
use wide::i32x8;

// The compiler makes vectors of it on every target.
pub(super) use scalar::zero_below;

pub(super) fn census(values: &[f32], bracket: Bracket) -> Census {
    let (vectors, rest) = values.as_chunks::<8>();
    let mut census = Census::default();
    let (low, high) = (
        i32x8::splat(bracket.low as i32),
        i32x8::splat(bracket.high as i32),
    );
    let absolute = i32x8::splat(ABSOLUTE as i32);
    let [mut below, mut at_low, mut at_high, mut most] = [i32x8::ZERO; 4];
    for vector in vectors {
        let magnitudes = bytemuck::cast::<_, i32x8>(*vector) & absolute;
        most = most.max(magnitudes);
        let is_below = magnitudes.simd_lt(low);
        // What is true is -1.
        below -= is_below;
        let mut outside = is_below | magnitudes.simd_gt(high);
        if bracket.ties {
            let (is_low, is_high) = (magnitudes.simd_eq(low), magnitudes.simd_eq(high));
            at_low -= is_low;
            at_high -= is_high & !is_low;
            outside = outside | is_low | is_high;
        }
        let mut between = !outside.to_bitmask() & 0xff;
        while between != 0 {
            let lane = between.trailing_zeros() as usize;
            census.between.push(magnitudes.as_array()[lane] as u32);
            between &= between - 1;
        }
    }
    let sum = |counts: i32x8| {
        counts
            .to_array()
            .iter()
            .map(|&count| count as usize)
            .sum::<usize>()
    };
    census.below = sum(below);
    census.at_low = sum(at_low);
    census.at_high = sum(at_high);
    census.most = most.reduce_max() as u32;
    census.extend(scalar::census(rest, bracket));
    census
}
