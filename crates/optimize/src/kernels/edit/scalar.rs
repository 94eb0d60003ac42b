//! The reference.

/// Elements outside become the nearer bound; how many did.
#[inline(always)]
pub(super) fn clip(values: &mut [f32], low: f32, high: f32) -> usize {
    // A block has fewer elements than a `u32` can count.
    let mut clipped = 0u32;
    for value in values {
        let old = *value;
        *value = if old < low {
            low
        } else if old > high {
            high
        } else {
            old
        };
        clipped += u32::from((old < low) | (old > high));
    }
    clipped as usize
}

/// Elements that are not kept become 0.
#[inline(always)]
pub(super) fn mask(values: &mut [f32], keep: &[bool]) {
    for (value, keep) in values.iter_mut().zip(keep) {
        *value = if *keep { *value } else { 0.0 };
    }
}

/// Each element times the factor.
#[inline(always)]
pub(super) fn scale(values: &mut [f32], factor: f32) {
    for value in values {
        *value *= factor;
    }
}

/// A row, each element times its factor.
#[inline(always)]
pub(super) fn scale_row(values: &mut [f32], factors: &[f32]) {
    for (value, factor) in values.iter_mut().zip(factors) {
        *value *= factor;
    }
}
