//! Weights to integers and back.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod grid;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod vectors;
mod wide;

use grid::{AllRoundings, Rounding, Roundings};
pub use grid::{Grid, Integer, Quantization, Scheme};

use super::channels::{BLOCK, check_length};
use super::dispatch::dispatch;
use super::range::{INFINITE, first_not_finite};
use super::{Channels, KernelError, Kernels};
use rayon::prelude::*;

/// Elements of a row that are still in a core's cache after its range was taken, so that both passes are one over memory.
const CACHED: usize = 1 << 17;

/// Elements of a row that are made integers while as many of the next one are brought into the cache: the range of a row
/// needs all of it, and would wait for the memory while nothing is computed.
const AHEAD: usize = 512;

impl Kernels {
    /// The integers of `values`: `clamp(round(x / scale) + zero_point, low, high)`, where halves are rounded to the even
    /// integer; `quantizations` has one entry a channel.
    ///
    /// # Errors
    /// When lengths do not agree, a scale or zero point can't be, the grid does not fit the integer type, or an element
    /// is NaN or infinite; `out` is then partly written.
    pub fn quantize<I: Integer>(
        self,
        values: &[f32],
        channels: Channels,
        quantizations: &[Quantization],
        grid: Grid,
        out: &mut [I],
    ) -> Result<(), KernelError> {
        check_length("integers", values.len(), out.len())?;
        fits::<I>(grid)?;
        let roundings = roundings(channels, values.len(), quantizations, grid)?;
        let finite = values
            .par_chunks(BLOCK)
            .zip(out.par_chunks_mut(BLOCK))
            .enumerate()
            .map(|(i, (values, out))| {
                if self.magnitude_run(values) >= INFINITE {
                    return false;
                }
                for (range, channel) in channels.segments(i * BLOCK, values.len()) {
                    let (values, out) = (&values[range.clone()], &mut out[range]);
                    if channels.interleaved() {
                        dispatch!(
                            self,
                            quantize_row(values, roundings.row(channel, values.len()), out)
                        );
                    } else {
                        dispatch!(self, quantize(values, roundings.at(channel), out));
                    }
                }
                true
            })
            .reduce(|| true, |a, b| a & b);
        if finite {
            Ok(())
        } else {
            Err(first_not_finite(values))
        }
    }

    /// The scale of each channel by its largest magnitude (symmetric) or by its least and greatest element (affine), and
    /// the integers by it: [`Grid::scale_of`] or [`Grid::affine_of`], then [`Kernels::quantize`], in one pass over memory
    /// where channels are rows.
    ///
    /// # Errors
    /// As [`Kernels::quantize`].
    pub fn quantize_to_range<I: Integer>(
        self,
        values: &[f32],
        channels: Channels,
        grid: Grid,
        scheme: Scheme,
        out: &mut [I],
    ) -> Result<Vec<Quantization>, KernelError> {
        channels.check(values.len())?;
        check_length("integers", values.len(), out.len())?;
        fits::<I>(grid)?;
        let columns = channels.len();
        if channels.count() * columns != values.len()
            || !channels.are_rows()
            || !(1..=CACHED).contains(&columns)
        {
            let quantizations = self.quantizations(values, channels, grid, scheme)?;
            self.quantize(values, channels, &quantizations, grid, out)?;
            return Ok(quantizations);
        }
        let quantizations: Option<Vec<Quantization>> = values
            .par_chunks(columns)
            .zip(out.par_chunks_mut(columns))
            .enumerate()
            .with_min_len(BLOCK.div_ceil(columns))
            .map(|(i, (row, out))| {
                let quantization = self.quantization_of(row, grid, scheme)?;
                let rounding = Rounding::new(grid, quantization);
                let mut next = values[(i + 1) * columns..].chunks(AHEAD);
                for (row, out) in row.chunks(AHEAD).zip(out.chunks_mut(AHEAD)) {
                    prefetch(next.next().unwrap_or_default());
                    dispatch!(self, quantize(row, rounding, out));
                }
                Some(quantization)
            })
            .collect();
        quantizations.ok_or_else(|| first_not_finite(values))
    }

    /// The scale of each channel by its largest magnitude (symmetric) or by its least and greatest element (affine).
    ///
    /// # Errors
    /// When the array has no such channels, or an element is NaN or infinite.
    pub fn quantizations(
        self,
        values: &[f32],
        channels: Channels,
        grid: Grid,
        scheme: Scheme,
    ) -> Result<Vec<Quantization>, KernelError> {
        Ok(if scheme == Scheme::Symmetric {
            let most = self.abs_max(values, channels)?;
            most.into_iter().map(|most| grid.scale_of(most)).collect()
        } else {
            let ranges = self.min_max(values, channels)?;
            let affine = |(least, most)| grid.affine_of(least, most);
            ranges.into_iter().map(affine).collect()
        })
    }

    /// The weights that integers stand for: `(q - zero_point) * scale`.
    ///
    /// # Errors
    /// When lengths do not agree, or a scale or zero point can't be.
    pub fn dequantize<I: Integer>(
        self,
        integers: &[I],
        channels: Channels,
        quantizations: &[Quantization],
        out: &mut [f32],
    ) -> Result<(), KernelError> {
        check_length("weights", integers.len(), out.len())?;
        let roundings = roundings(channels, integers.len(), quantizations, Grid::full(I::BITS)?)?;
        integers
            .par_chunks(BLOCK)
            .zip(out.par_chunks_mut(BLOCK))
            .enumerate()
            .for_each(|(i, (integers, out))| {
                for (range, channel) in channels.segments(i * BLOCK, integers.len()) {
                    let (integers, out) = (&integers[range.clone()], &mut out[range]);
                    if channels.interleaved() {
                        dispatch!(
                            self,
                            dequantize_row(integers, roundings.row(channel, integers.len()), out)
                        );
                    } else {
                        dispatch!(self, dequantize(integers, roundings.at(channel), out));
                    }
                }
            });
        Ok(())
    }

    /// Each weight becomes what its integer stands for: [`Kernels::quantize`], then [`Kernels::dequantize`], in place.
    ///
    /// # Errors
    /// When lengths do not agree, a scale or zero point can't be, or an element is NaN or infinite; nothing is then
    /// changed.
    pub fn snap(
        self,
        values: &mut [f32],
        channels: Channels,
        quantizations: &[Quantization],
        grid: Grid,
    ) -> Result<(), KernelError> {
        let roundings = roundings(channels, values.len(), quantizations, grid)?;
        if let Some(index) = self.not_finite(values) {
            let value = values[index];
            return Err(KernelError::NotFinite { index, value });
        }
        values.par_chunks_mut(BLOCK).enumerate().for_each(|(i, values)| {
            for (range, channel) in channels.segments(i * BLOCK, values.len()) {
                let values = &mut values[range];
                if channels.interleaved() {
                    dispatch!(self, snap_row(values, roundings.row(channel, values.len())));
                } else {
                    dispatch!(self, snap(values, roundings.at(channel)));
                }
            }
        });
        Ok(())
    }

    /// The scale of one row; nothing when an element is not finite.
    fn quantization_of(self, row: &[f32], grid: Grid, scheme: Scheme) -> Option<Quantization> {
        if scheme == Scheme::Symmetric {
            let most = self.magnitude_run(row);
            (most < INFINITE).then(|| grid.scale_of(f32::from_bits(most)))
        } else {
            let (least, most) = self.keys_run(row).finite_values()?;
            Some(grid.affine_of(least, most))
        }
    }
}

/// Has the memory begin to bring elements into the cache.
fn prefetch(values: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in values.chunks(16) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a hint, which reads nothing and can't fault; every x86-64 processor has it.
        #[allow(unsafe_code)]
        unsafe {
            _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast());
        }
    }
}

/// # Errors
/// When the array has no such channels, there is not one entry for each, or an entry can't be.
fn roundings(
    channels: Channels,
    elements: usize,
    quantizations: &[Quantization],
    grid: Grid,
) -> Result<AllRoundings, KernelError> {
    channels.check(elements)?;
    check_length("scales", channels.count(), quantizations.len())?;
    let (low, high) = (grid.low(), grid.high());
    let mut roundings = AllRoundings::default();
    for (channel, quantization) in quantizations.iter().enumerate() {
        let Quantization { scale, zero_point } = *quantization;
        if !(scale > 0.0 && scale.is_finite()) {
            return Err(KernelError::Scale { channel, scale });
        }
        if !(low..=high).contains(&zero_point) {
            return Err(KernelError::ZeroPoint {
                channel,
                zero_point,
                low,
                high,
            });
        }
        roundings.push(Rounding::new(grid, *quantization));
    }
    Ok(roundings)
}

/// # Errors
/// When the type can't hold the grid.
fn fits<I: Integer>(grid: Grid) -> Result<(), KernelError> {
    let full = Grid::full(I::BITS)?;
    if grid.low() < full.low() || grid.high() > full.high() {
        return Err(KernelError::Bits {
            bits: 32 - grid.high().leading_zeros() + 1,
            most: I::BITS,
        });
    }
    Ok(())
}
