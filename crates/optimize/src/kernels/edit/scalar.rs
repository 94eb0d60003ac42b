//! The reference.

/// Elements outside become the nearer bound; how many did.
pub(super) fn clip(values: &mut [f32], low: f32, high: f32) -> usize {
    let mut clipped = 0;
    for value in values {
        if *value < low {
            *value = low;
            clipped += 1;
        } else if *value > high {
            *value = high;
            clipped += 1;
        }
    }
    clipped
}

/// Elements that are not kept become 0.
pub(super) fn mask(values: &mut [f32], keep: &[bool]) {
    for (value, keep) in values.iter_mut().zip(keep) {
        if !keep {
            *value = 0.0;
        }
    }
}

/// Each element times the factor.
pub(super) fn scale(values: &mut [f32], factor: f32) {
    for value in values {
        *value *= factor;
    }
}

/// A row, each element times its factor.
pub(super) fn scale_row(values: &mut [f32], factors: &[f32]) {
    for (value, factor) in values.iter_mut().zip(factors) {
        *value *= factor;
    }
}
