//! The reference.

use super::{ABSOLUTE, Keys, key};

/// The largest magnitude, as bits: those of NaN and infinity are above all others.
#[inline(always)]
pub(super) fn abs_max(values: &[f32]) -> u32 {
    values
        .iter()
        .fold(0, |most, value| most.max(value.to_bits() & ABSOLUTE))
}

/// The magnitudes of a row, one of each channel, taken into the largest so far.
#[inline(always)]
pub(super) fn abs_max_row(most: &mut [u32], row: &[f32]) {
    for (most, value) in most.iter_mut().zip(row) {
        *most = (*most).max(value.to_bits() & ABSOLUTE);
    }
}

/// The keys of the least and the greatest.
#[inline(always)]
pub(super) fn min_max(values: &[f32]) -> Keys {
    values.iter().fold(Keys::NONE, |keys, value| {
        let key = key(*value);
        Keys {
            least: keys.least.min(key),
            most: keys.most.max(key),
        }
    })
}

/// A row, one element of each channel, taken into the least and greatest so far.
#[inline(always)]
pub(super) fn min_max_row(keys: &mut [Keys], row: &[f32]) {
    for (keys, value) in keys.iter_mut().zip(row) {
        let key = key(*value);
        keys.least = keys.least.min(key);
        keys.most = keys.most.max(key);
    }
}
