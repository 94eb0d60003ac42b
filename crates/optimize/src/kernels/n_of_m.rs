//! Fine-grained structured sparsity: N weights are kept of every M neighbours.

use super::channels::BLOCK;
use super::range::{ABSOLUTE, first_not_finite};
use super::{KernelError, Kernels};
use rayon::prelude::*;

impl Kernels {
    /// Of every `m` neighbours in a row of `columns` elements, the `n` of the largest magnitude stay and the others become
    /// 0; of equal ones, those of the smaller index become 0.
    ///
    /// # Errors
    /// When not 0 < `n` <= `m`, `m` does not divide `columns` or `columns` the elements, or an element is NaN or infinite;
    /// nothing is then changed.
    pub fn keep_n_of_m(
        self,
        values: &mut [f32],
        columns: usize,
        n: usize,
        m: usize,
    ) -> Result<(), KernelError> {
        let divides = |parts: usize, whole: usize| parts > 0 && whole.is_multiple_of(parts);
        let pattern = 0 < n && n <= m;
        if !pattern || !(values.is_empty() || divides(m, columns) && divides(columns, values.len())) {
            return Err(KernelError::Pattern { n, m, columns });
        }
        if self.not_finite(values).is_some() {
            return Err(first_not_finite(values));
        }
        values
            .par_chunks_mut((BLOCK / m).max(1) * m)
            .for_each(|block| scalar(block, n, m));
        Ok(())
    }
}

/// The reference: an element goes when at least `n` of its group come before it, which are larger or, of the same
/// magnitude, of a larger index.
fn scalar(values: &mut [f32], n: usize, m: usize) {
    let mut magnitudes = vec![0; m];
    for group in values.chunks_exact_mut(m) {
        for (magnitude, value) in magnitudes.iter_mut().zip(&*group) {
            *magnitude = value.to_bits() & ABSOLUTE;
        }
        for (i, value) in group.iter_mut().enumerate() {
            let ahead =
                |(j, &other): (usize, &u32)| other > magnitudes[i] || (other == magnitudes[i] && j > i);
            if magnitudes.iter().enumerate().filter(|&pair| ahead(pair)).count() >= n {
                *value = 0.0;
            }
        }
    }
}
