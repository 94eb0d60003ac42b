//! A weight array as `[outer, channels, inner]`, and how its elements are shared out among threads.

use super::KernelError;
use rayon::prelude::*;
use std::ops::Range;

/// Elements of one piece of work: 256 KiB of floats, a fraction of a core's second-level cache.
pub(super) const BLOCK: usize = 1 << 16;

/// Where the channels of an array lie: element `(outer, channel, inner)` has the index
/// `(outer * channels + channel) * inner size + inner`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Channels {
    outer: usize,
    count: usize,
    inner: usize,
}

impl Channels {
    /// One channel for all `elements`: per tensor.
    pub fn whole(elements: usize) -> Self {
        Self::rows(1, elements)
    }

    /// Each of `rows` rows of `columns` elements is a channel.
    pub fn rows(rows: usize, columns: usize) -> Self {
        Self {
            outer: 1,
            count: rows,
            inner: columns,
        }
    }

    /// Each of `columns` columns of an array of `rows` rows is a channel.
    pub fn columns(rows: usize, columns: usize) -> Self {
        Self {
            outer: rows,
            count: columns,
            inner: 1,
        }
    }

    /// The channels are the entries of `axis` in an array of `shape` in C order; nothing when there is no such axis, or
    /// when the number of elements overflows.
    pub fn of_axis(shape: &[usize], axis: usize) -> Option<Self> {
        let product = |sizes: &[usize]| sizes.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
        let channels = Self {
            outer: product(shape.get(..axis)?)?,
            count: *shape.get(axis)?,
            inner: product(&shape[axis + 1..])?,
        };
        product(shape).map(|_| channels)
    }

    /// The number of channels.
    pub fn count(self) -> usize {
        self.count
    }

    /// The elements of one channel.
    pub fn len(self) -> usize {
        self.outer * self.inner
    }

    /// Whether a channel has no element.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The channel of the element at `index`.
    pub fn channel_of(self, index: usize) -> usize {
        index / self.inner.max(1) % self.count.max(1)
    }

    /// # Errors
    /// When an array of `found` elements has no such channels.
    pub(super) fn check(self, found: usize) -> Result<(), KernelError> {
        let expected = self.count.saturating_mul(self.outer.saturating_mul(self.inner));
        check_length("elements", expected, found)
    }

    /// Whether each channel is one run of elements.
    pub(super) fn are_rows(self) -> bool {
        self.outer == 1
    }

    /// Whether neighbouring elements belong to neighbouring channels.
    pub(super) fn interleaved(self) -> bool {
        self.inner == 1 && self.outer > 1
    }

    /// Folds each channel: `run` folds neighbouring elements of one channel, `row` takes a row of elements, one of
    /// each channel, into what has been folded so far, and `merge` joins parts of one channel in any order.
    pub(super) fn fold<T: Copy + Send + Sync>(
        self,
        values: &[f32],
        empty: T,
        run: impl Fn(&[f32]) -> T + Sync,
        row: impl Fn(&mut [T], &[f32]) + Sync,
        merge: impl Fn(T, T) -> T + Sync,
    ) -> Vec<T> {
        if self.is_empty() || self.count == 0 {
            return vec![empty; self.count];
        }
        let join = |mut all: Vec<T>, part: Vec<T>| {
            for (all, part) in all.iter_mut().zip(part) {
                *all = merge(*all, part);
            }
            all
        };
        if self.interleaved() {
            let rows = BLOCK.div_ceil(self.count);
            return values
                .par_chunks(rows * self.count)
                .map(|block| {
                    let mut folded = vec![empty; self.count];
                    for values in block.chunks_exact(self.count) {
                        row(&mut folded, values);
                    }
                    folded
                })
                .reduce(|| vec![empty; self.count], join);
        }
        let runs: Vec<T> = if self.inner > BLOCK {
            // Few long runs: threads share one.
            let fold_run = |run_values: &[f32]| {
                let parts = run_values.par_chunks(BLOCK).map(&run);
                parts.reduce(|| empty, &merge)
            };
            values.par_chunks(self.inner).map(fold_run).collect()
        } else {
            values
                .par_chunks(self.inner)
                .with_min_len(BLOCK.div_ceil(self.inner))
                .map(&run)
                .collect()
        };
        if self.outer == 1 {
            return runs;
        }
        runs.chunks_exact(self.count)
            .fold(vec![empty; self.count], |all, part| join(all, part.to_vec()))
    }

    /// The parts of the elements `start .. start + len` that one call can work on: runs within one channel, or, where
    /// channels are interleaved, within one row. Each with its place among those elements, and its first channel.
    pub(crate) fn segments(self, start: usize, len: usize) -> impl Iterator<Item = (Range<usize>, usize)> {
        let unit = if self.interleaved() {
            self.count
        } else {
            self.inner
        };
        let end = start + len;
        let mut position = start;
        std::iter::from_fn(move || {
            let from = position;
            position = end.min((from / unit + 1) * unit);
            (from < end).then(|| (from - start..position - start, self.channel_of(from)))
        })
    }
}

/// # Errors
/// When `found` is not `expected`.
pub(super) fn check_length(what: &'static str, expected: usize, found: usize) -> Result<(), KernelError> {
    if found == expected {
        Ok(())
    } else {
        Err(KernelError::Length {
            what,
            expected,
            found,
        })
    }
}
