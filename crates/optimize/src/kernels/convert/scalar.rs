//! The reference.

use half::{bf16, f16};

pub(super) fn to_f16(values: &[f32], out: &mut [f16]) -> usize {
    let mut overflowed = 0;
    for (out, value) in out.iter_mut().zip(values) {
        *out = f16::from_f32(*value);
        overflowed += usize::from(out.is_infinite() && value.is_finite());
    }
    overflowed
}

pub(super) fn to_bf16(values: &[f32], out: &mut [bf16]) -> usize {
    let mut overflowed = 0;
    for (out, value) in out.iter_mut().zip(values) {
        *out = bf16::from_f32(*value);
        overflowed += usize::from(out.is_infinite() && value.is_finite());
    }
    overflowed
}

pub(super) fn from_f16(values: &[f16], out: &mut [f32]) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = value.to_f32();
    }
}

pub(super) fn from_bf16(values: &[bf16], out: &mut [f32]) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = value.to_f32();
    }
}

/// The bytes of each element, reversed.
pub(super) fn swap(bytes: &mut [[u8; 4]]) {
    for element in bytes {
        element.reverse();
    }
}

/// Big-endian bytes.
pub(super) fn to_big_endian(values: &[f32], out: &mut [[u8; 4]]) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = value.to_be_bytes();
    }
}
