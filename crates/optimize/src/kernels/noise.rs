//! What a change of weights costs: sums of squares of what they were and of what they moved by.

use super::channels::{BLOCK, check_length};
use super::dispatch::{compile_for, dispatch};
use super::{Channels, KernelError, Kernels};
use rayon::prelude::*;
use scalar as wide;

impl Kernels {
    /// For each of `rows` rows: the sum of squares of `before`, and of `before - after`, in double precision. Sums are taken
    /// in a fixed order, so that they are the same at every level and for any number of threads.
    ///
    /// # Errors
    /// When the arrays differ in length, or have no such rows.
    pub fn signal_and_noise(
        self,
        before: &[f32],
        after: &[f32],
        rows: usize,
    ) -> Result<Vec<(f64, f64)>, KernelError> {
        check_length("elements after", before.len(), after.len())?;
        let columns = before.len() / rows.max(1);
        Channels::rows(rows, columns).check(before.len())?;
        if columns == 0 {
            return Ok(vec![(0.0, 0.0); rows]);
        }
        let sum = |row: usize| {
            let row = row * columns..(row + 1) * columns;
            let blocks = before[row.clone()]
                .par_chunks(BLOCK)
                .zip(after[row].par_chunks(BLOCK));
            let sums: Vec<(f64, f64)> = blocks.map(|(before, after)| self.powers(before, after)).collect();
            sums.iter()
                .fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
        };
        let each = (0..rows).into_par_iter().with_min_len(BLOCK.div_ceil(columns));
        Ok(each.map(sum).collect())
    }

    /// The sum of squares of `before`, and of `before - after`, of as many as there are of both.
    pub(crate) fn powers(self, before: &[f32], after: &[f32]) -> (f64, f64) {
        dispatch!(self, powers(before, after))
    }
}

mod scalar {
    /// Sums that are taken side by side, so that they can be the lanes of vectors.
    const N: usize = 8;

    /// The reference.
    #[inline(always)]
    pub(super) fn powers(before: &[f32], after: &[f32]) -> (f64, f64) {
        let (mut signal, mut noise) = ([0f64; N], [0f64; N]);
        let (before, before_rest) = before.as_chunks::<N>();
        let (after, after_rest) = after.as_chunks::<N>();
        for (before, after) in before.iter().zip(after) {
            for lane in 0..N {
                let (was, moved) = powers_of(before[lane], after[lane]);
                signal[lane] += was;
                noise[lane] += moved;
            }
        }
        for ((before, after), lane) in before_rest.iter().zip(after_rest).zip(0..) {
            let (was, moved): (f64, f64) = powers_of(*before, *after);
            let lane: usize = lane;
            signal[lane] += was;
            noise[lane] += moved;
        }
        (signal.iter().sum(), noise.iter().sum())
    }

    #[inline(always)]
    fn powers_of(before: f32, after: f32) -> (f64, f64) {
        let (before, after) = (f64::from(before), f64::from(after));
        (before * before, (before - after) * (before - after))
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{compile_for, scalar};

    compile_for! { "avx2,f16c,bmi1,popcnt":
        fn powers(before: &[f32], after: &[f32]) -> (f64, f64) = scalar::powers;
    }
}
#[cfg(target_arch = "x86_64")]
use avx2 as avx512;
