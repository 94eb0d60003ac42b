//! Formats: half precision, bfloat16, and the order of bytes.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;

// Every target has vectors for all but half precision, which the compiler uses; few have half precision. In the cache, and
// in memory, AVX2 is so many times as fast: to_f16 21, 6.2; from_f16 20, 3.5; to_bf16 1.8, 1.1; swap_bytes 7, 1.0. AVX-512
// over AVX2: to_f16 2.0, 1.05; to_bf16 1.6, 1.25.
use scalar as wide;

use super::channels::{BLOCK, check_length};
use super::dispatch::dispatch;
use super::{KernelError, Kernels};
use half::{bf16, f16};
use rayon::prelude::*;

impl Kernels {
    /// To half precision, to the nearest, ties to even; NaN stays NaN. How many finite elements became infinite.
    ///
    /// # Errors
    /// When the lengths differ.
    pub fn to_f16(self, values: &[f32], out: &mut [f16]) -> Result<usize, KernelError> {
        check_length("elements", values.len(), out.len())?;
        let blocks = values.par_chunks(BLOCK).zip(out.par_chunks_mut(BLOCK));
        Ok(blocks
            .map(|(values, out)| dispatch!(self, to_f16(values, out)))
            .sum())
    }

    /// To bfloat16, to the nearest, ties to even; NaN stays NaN. How many finite elements became infinite.
    ///
    /// # Errors
    /// When the lengths differ.
    pub fn to_bf16(self, values: &[f32], out: &mut [bf16]) -> Result<usize, KernelError> {
        check_length("elements", values.len(), out.len())?;
        let blocks = values.par_chunks(BLOCK).zip(out.par_chunks_mut(BLOCK));
        Ok(blocks
            .map(|(values, out)| dispatch!(self, to_bf16(values, out)))
            .sum())
    }

    /// From half precision; exact.
    ///
    /// # Errors
    /// When the lengths differ.
    pub fn from_f16(self, values: &[f16], out: &mut [f32]) -> Result<(), KernelError> {
        check_length("elements", values.len(), out.len())?;
        let blocks = values.par_chunks(BLOCK).zip(out.par_chunks_mut(BLOCK));
        blocks.for_each(|(values, out)| dispatch!(self, from_f16(values, out)));
        Ok(())
    }

    /// From bfloat16; exact.
    ///
    /// # Errors
    /// When the lengths differ.
    pub fn from_bf16(self, values: &[bf16], out: &mut [f32]) -> Result<(), KernelError> {
        check_length("elements", values.len(), out.len())?;
        let blocks = values.par_chunks(BLOCK).zip(out.par_chunks_mut(BLOCK));
        blocks.for_each(|(values, out)| scalar::from_bf16(values, out));
        Ok(())
    }

    /// The bytes of every element of 4 bytes, reversed in place: from one byte order to the other.
    ///
    /// # Errors
    /// When the bytes are not a whole number of elements.
    pub fn swap_bytes(self, bytes: &mut [u8]) -> Result<(), KernelError> {
        let found = bytes.len();
        let (elements, rest) = bytes.as_chunks_mut::<4>();
        check_length("bytes", found - rest.len(), found)?;
        elements
            .par_chunks_mut(BLOCK)
            .for_each(|block| dispatch!(self, swap(block)));
        Ok(())
    }

    /// The elements as big-endian bytes, as archives hold them.
    ///
    /// # Errors
    /// When there are not 4 bytes for each element.
    pub fn to_big_endian(self, values: &[f32], out: &mut [u8]) -> Result<(), KernelError> {
        check_length("bytes", 4 * values.len(), out.len())?;
        let (elements, _) = out.as_chunks_mut::<4>();
        let blocks = values.par_chunks(BLOCK).zip(elements.par_chunks_mut(BLOCK));
        blocks.for_each(|(values, out)| dispatch!(self, to_big_endian(values, out)));
        Ok(())
    }
}
