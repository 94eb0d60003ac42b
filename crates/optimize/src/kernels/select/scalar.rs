//! The reference.

use super::Bracket;
use crate::kernels::range::ABSOLUTE;

/// Of the magnitudes of a block: how many lie below the bracket, at its ends, and which lie between.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Census {
    pub(super) below: usize,
    pub(super) at_low: usize,
    pub(super) at_high: usize,
    /// The magnitudes above the low and below the high end, in order, as bits.
    pub(super) between: Vec<u32>,
    /// The largest.
    pub(super) most: u32,
}

pub(super) fn census(values: &[f32], bracket: Bracket) -> Census {
    let mut census = Census::default();
    for value in values {
        let magnitude = value.to_bits() & ABSOLUTE;
        census.most = census.most.max(magnitude);
        census.below += usize::from(magnitude < bracket.low);
        census.at_low += usize::from(magnitude == bracket.low);
        // Both ends may be the same.
        census.at_high += usize::from(magnitude == bracket.high && bracket.high != bracket.low);
        if bracket.low < magnitude && magnitude < bracket.high {
            census.between.push(magnitude);
        }
    }
    census
}

/// Elements of a magnitude below `limit` become 0.
pub(super) fn zero_below(values: &mut [f32], limit: u32) {
    for value in values {
        if value.to_bits() & ABSOLUTE < limit {
            *value = 0.0;
        }
    }
}

/// The first `number` elements of the magnitude `at`, and all of a smaller one, become 0.
pub(super) fn zero_first(values: &mut [f32], at: u32, mut number: usize) {
    for value in values {
        let magnitude = value.to_bits() & ABSOLUTE;
        if magnitude < at {
            *value = 0.0;
        } else if magnitude == at && number > 0 {
            *value = 0.0;
            number -= 1;
        }
    }
}
