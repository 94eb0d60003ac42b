//! Vectors of the target of the build.

use super::{ABSOLUTE, Keys, scalar};
use wide::i32x8;

// The compiler makes vectors of these on every target.
pub(super) use scalar::{abs_max_row, min_max_row};

pub(super) fn abs_max(values: &[f32]) -> u32 {
    let (vectors, rest) = values.as_chunks::<16>();
    let mask = i32x8::splat(ABSOLUTE as i32);
    let mut most = [i32x8::ZERO; 2];
    for vector in vectors {
        let (halves, _) = vector.as_chunks::<8>();
        for (most, half) in most.iter_mut().zip(halves) {
            *most = most.max(bits(half) & mask);
        }
    }
    let most = most[0].max(most[1]).reduce_max() as u32;
    most.max(scalar::abs_max(rest))
}

pub(super) fn min_max(values: &[f32]) -> Keys {
    let (vectors, rest) = values.as_chunks::<8>();
    let mask = i32x8::splat(ABSOLUTE as i32);
    let (mut least, mut most) = (i32x8::splat(i32::MAX), i32x8::splat(i32::MIN));
    for vector in vectors {
        let bits = bits(vector);
        let keys = bits ^ ((bits >> 31) & mask);
        (least, most) = (least.min(keys), most.max(keys));
    }
    let rest = scalar::min_max(rest);
    Keys {
        least: least.reduce_min().min(rest.least),
        most: most.reduce_max().max(rest.most),
    }
}

fn bits(values: &[f32; 8]) -> i32x8 {
    bytemuck::cast(*values)
}
