//! The reference.

use half::{bf16, f16};

/// To the nearest, ties to even. How many finite elements became infinite.
pub(super) fn to_f16(values: &[f32], out: &mut [f16]) -> usize {
    let mut overflowed = 0;
    for (out, value) in out.iter_mut().zip(values) {
        *out = f16::from_f32_const(*value);
        overflowed += usize::from(out.is_infinite() && value.is_finite());
    }
    overflowed
}

/// To the nearest, ties to even. How many finite elements became infinite.
#[inline(always)]
pub(super) fn to_bf16(values: &[f32], out: &mut [bf16]) -> usize {
    // A block has fewer elements than a `u32` can count.
    let mut overflowed = 0u32;
    for (out, value) in out.iter_mut().zip(values) {
        let bits = value.to_bits();
        let magnitude = bits & 0x7fff_ffff;
        // Half a unit of the last place that stays, less one where that place is even; sums carry into the exponent.
        let rounded = (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16;
        let quiet_nan = (bits >> 16) as u16 | 0x40;
        let bits = if magnitude > 0x7f80_0000 {
            quiet_nan
        } else {
            rounded
        };
        overflowed += u32::from((bits & 0x7fff == 0x7f80) & (magnitude < 0x7f80_0000));
        *out = bf16::from_bits(bits);
    }
    overflowed as usize
}

pub(super) fn from_f16(values: &[f16], out: &mut [f32]) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = value.to_f32_const();
    }
}

#[inline(always)]
pub(super) fn from_bf16(values: &[bf16], out: &mut [f32]) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = f32::from_bits(u32::from(value.to_bits()) << 16);
    }
}

/// The bytes of each element, reversed.
#[inline(always)]
pub(super) fn swap(bytes: &mut [[u8; 4]]) {
    for element in bytes {
        *element = u32::from_ne_bytes(*element).swap_bytes().to_ne_bytes();
    }
}

/// Big-endian bytes.
#[inline(always)]
pub(super) fn to_big_endian(values: &[f32], out: &mut [[u8; 4]]) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = value.to_be_bytes();
    }
}
