//! The reference.

use super::Bracket;
use crate::kernels::range::ABSOLUTE;

/// Of the magnitudes of a block: how many lie below the bracket, how many equal one of its ends, and which lie between.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Census {
    pub(super) below: usize,
    /// 0 without [`Bracket::ties`].
    pub(super) at_low: usize,
    /// 0 without [`Bracket::ties`], and where both ends are the same.
    pub(super) at_high: usize,
    /// The magnitudes between the ends in order, as bits; without [`Bracket::ties`], with those that equal an end.
    pub(super) between: Vec<u32>,
    /// The largest.
    pub(super) most: u32,
}

impl Census {
    /// Takes in that of the elements that follow.
    pub(super) fn extend(&mut self, next: Self) {
        self.below += next.below;
        self.at_low += next.at_low;
        self.at_high += next.at_high;
        self.most = self.most.max(next.most);
        self.between.extend(next.between);
    }
}

pub(super) fn census(values: &[f32], bracket: Bracket) -> Census {
    let Bracket { low, high, ties } = bracket;
    let mut census = Census::default();
    for value in values {
        let magnitude = value.to_bits() & ABSOLUTE;
        census.most = census.most.max(magnitude);
        if magnitude < low {
            census.below += 1;
        } else if magnitude == low && ties {
            census.at_low += 1;
        } else if magnitude == high && ties {
            census.at_high += 1;
        } else if magnitude <= high {
            census.between.push(magnitude);
        }
    }
    census
}

/// Elements of a magnitude below `limit` become 0.
#[inline(always)]
pub(super) fn zero_below(values: &mut [f32], limit: u32) {
    for value in values {
        let keep = value.to_bits() & ABSOLUTE >= limit;
        *value = if keep { *value } else { 0.0 };
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
