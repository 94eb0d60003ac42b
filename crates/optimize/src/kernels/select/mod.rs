//! The k smallest magnitudes, exactly, and pruning to them.
//!
//! Magnitudes are compared as the bits of the absolute value, which order as the numbers do. A sample of the elements
//! gives a bracket that holds the k-th magnitude with near certainty; one pass counts what lies below it and gathers the
//! few elements inside, among which the k-th is found in the same way, until few are left. Where many elements equal an
//! end of the bracket, these are counted and not gathered. Should a bracket miss (its sample was not like the rest), two
//! passes of a radix selection find the k-th.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;
mod wide;

// So many times as fast in memory: the selection, wide over scalar 3.0, AVX2 over wide 1.0 to 1.5, AVX-512 over AVX2 1.5;
// zeroing, AVX2 over wide 1.03 (3 in the cache), AVX-512 over AVX2 1.2.
use super::channels::BLOCK;
use super::dispatch::dispatch;
use super::range::{ABSOLUTE, INFINITE, first_not_finite};
use super::{KernelError, Kernels};
use rayon::prelude::*;
use scalar::Census;

/// So many elements, or fewer, are sorted out without a sample. Less in tests, which go through all stages with fewer.
const FEW: usize = if cfg!(test) { 1 << 10 } else { 1 << 17 };
/// Elements of a sample, at least and at most; in between, one of 64.
const SAMPLE: std::ops::RangeInclusive<usize> = if cfg!(test) { 1 << 7 } else { 1 << 13 }..=1 << 16;

/// Neighbours that a sample takes together: they cost little more than one.
const RUN: usize = 4;

/// Magnitudes between which the k-th is looked for, as bits.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bracket {
    low: u32,
    high: u32,
    /// Whether elements that equal an end are counted, not gathered.
    ties: bool,
}

impl Bracket {
    /// One magnitude only.
    fn at(bits: u32) -> Self {
        Self {
            low: bits,
            high: bits,
            ties: true,
        }
    }

    /// The magnitudes that are gathered.
    #[cfg(target_arch = "x86_64")]
    fn inside(self) -> Inside {
        let distance = self.high - self.low;
        let width = if self.ties {
            distance.saturating_sub(1)
        } else {
            distance + 1
        };
        Inside {
            first: self.low + u32::from(self.ties),
            width,
        }
    }
}

/// Magnitudes whose distance from the first one, which wraps around below it, is less than the width: one subtraction and
/// one comparison.
#[cfg(target_arch = "x86_64")]
struct Inside {
    first: u32,
    width: u32,
}

/// What a few vectors add to a [`Census`].
#[cfg(target_arch = "x86_64")]
struct Counts {
    below: u32,
    at_low: u32,
    at_high: u32,
    /// How many were gathered.
    between: usize,
    most: u32,
}

/// Room for what is gathered of a group: a vector is written whole, also where it has nothing to gather.
#[cfg(target_arch = "x86_64")]
type Gathered = [u32; GROUP + 16];

/// Elements that are looked at together: those gathered are handed on at once.
#[cfg(target_arch = "x86_64")]
const GROUP: usize = 1 << 10;

/// The census of vectors of `N` elements, group by group, and of what is left.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn by_groups<const N: usize>(
    values: &[f32],
    bracket: Bracket,
    count: impl Fn(&[[f32; N]], &mut Gathered) -> Counts,
) -> Census {
    let (vectors, rest) = values.as_chunks::<N>();
    let mut census = Census::default();
    // About as many as a bracket of the largest sample holds.
    census.between.reserve(values.len() / 32);
    let mut between = [0; GROUP + 16];
    for vectors in vectors.chunks(GROUP / N) {
        let group = count(vectors, &mut between);
        census.below += group.below as usize;
        census.at_low += group.at_low as usize;
        census.at_high += group.at_high as usize;
        census.most = census.most.max(group.most);
        census.between.extend_from_slice(&between[..group.between]);
    }
    census.extend(scalar::census(rest, bracket));
    census
}

/// The k-th magnitude, and what was counted to find it.
struct Found {
    threshold: u32,
    /// How many are smaller.
    before: usize,
    bracket: Bracket,
    /// Of each block of each part.
    census: Vec<Vec<Census>>,
}

/// The k smallest magnitudes of a list of arrays, ties by their order: all elements of a magnitude below
/// [`Cut::threshold`], and the first [`Cut::ties`] of those equal to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Cut {
    threshold: u32,
    ties: usize,
    /// The elements equal to the threshold in each block of each array.
    equal: Vec<Vec<usize>>,
}

impl Cut {
    /// The largest magnitude that is selected; 0 when none is.
    pub fn threshold(&self) -> f32 {
        f32::from_bits(self.threshold)
    }

    /// How many elements of exactly that magnitude are selected: the first ones.
    pub fn ties(&self) -> usize {
        self.ties
    }
}

impl Kernels {
    /// The `k` smallest magnitudes among all elements of all `parts`. Of equal ones, those of the earlier part and of the
    /// smaller index come first.
    ///
    /// # Errors
    /// When there are fewer than `k` elements, or one is NaN or infinite: its index counts through all parts.
    pub fn smallest(self, parts: &[&[f32]], k: usize) -> Result<Cut, KernelError> {
        let elements = parts.iter().map(|part| part.len()).sum();
        if k > elements {
            return Err(KernelError::Count { wanted: k, elements });
        }
        let Found {
            threshold,
            before,
            bracket,
            census,
        } = self.find(parts, elements, k)?;
        let equal = |block: &Census| match threshold {
            _ if bracket.ties && threshold == bracket.low => block.at_low,
            _ if bracket.ties && threshold == bracket.high => block.at_high,
            _ => block.between.iter().filter(|&&bits| bits == threshold).count(),
        };
        let count = |blocks: &Vec<Census>| blocks.par_iter().map(equal).collect();
        Ok(Cut {
            threshold,
            ties: k.saturating_sub(before),
            equal: census.par_iter().map(count).collect(),
        })
    }

    /// # Errors
    /// When an element is NaN or infinite.
    fn find(self, parts: &[&[f32]], elements: usize, k: usize) -> Result<Found, KernelError> {
        let mut bracket = if k == 0 {
            Bracket::at(0)
        } else if elements <= FEW {
            let magnitudes = parts.iter().flat_map(|part| part.iter());
            let mut magnitudes: Vec<u32> = magnitudes.map(|value| value.to_bits() & ABSOLUTE).collect();
            Bracket::at(*magnitudes.select_nth_unstable(k - 1).1)
        } else {
            sample(parts, elements, k)
        };
        loop {
            let census = self.census(parts, bracket);
            finite(parts, &census)?;
            let sum = |count: fn(&Census) -> usize| census.iter().flatten().map(count).sum::<usize>();
            let below = sum(|block| block.below);
            let up_to_low = below + sum(|block| block.at_low);
            let below_high = up_to_low + sum(|block| block.between.len());
            let up_to_high = below_high + sum(|block| block.at_high);
            let (threshold, before) = if k == 0 {
                (0, 0)
            } else if k <= below || k > up_to_high {
                bracket = Bracket::at(radix(parts, k));
                continue;
            } else if k <= up_to_low {
                (bracket.low, below)
            } else if k > below_high {
                (bracket.high, below_high)
            } else {
                let between: Vec<&[f32]> = census
                    .iter()
                    .flatten()
                    .map(|block| bytemuck::cast_slice(&block.between))
                    .collect();
                let found = self.find(&between, below_high - up_to_low, k - up_to_low)?;
                (found.threshold, up_to_low + found.before)
            };
            return Ok(Found {
                threshold,
                before,
                bracket,
                census,
            });
        }
    }

    /// The magnitude of rank `k`, counted from 1: `k` elements are not larger.
    ///
    /// # Errors
    /// When `k` is 0 or there are fewer than `k` elements, or one is NaN or infinite.
    pub fn kth_magnitude(self, values: &[f32], k: usize) -> Result<f32, KernelError> {
        if k == 0 {
            let elements = values.len();
            return Err(KernelError::Count { wanted: k, elements });
        }
        Ok(self.smallest(&[values], k)?.threshold())
    }

    /// The `k` elements of the smallest magnitude become 0; of equal ones, those of the smallest index.
    ///
    /// # Errors
    /// When there are fewer than `k` elements, or one is NaN or infinite; nothing is then changed.
    pub fn prune(self, values: &mut [f32], k: usize) -> Result<Cut, KernelError> {
        let cut = self.smallest(&[values], k)?;
        self.zero(&mut [values], &cut)?;
        Ok(cut)
    }

    /// The selected elements become 0. `parts` are those that `cut` was made from, in the same order.
    ///
    /// # Errors
    /// When the parts are of other lengths.
    pub fn zero(self, parts: &mut [&mut [f32]], cut: &Cut) -> Result<(), KernelError> {
        super::channels::check_length("parts", cut.equal.len(), parts.len())?;
        for (part, equal) in parts.iter().zip(&cut.equal) {
            super::channels::check_length("blocks", equal.len(), part.len().div_ceil(BLOCK))?;
        }
        let mut left = cut.ties;
        for (part, equal) in parts.iter_mut().zip(&cut.equal) {
            // Ties go block by block; at most one block of all gives up some of its own only.
            let shares: Vec<usize> = equal
                .iter()
                .map(|&equal| {
                    let share = equal.min(left);
                    left -= share;
                    share
                })
                .collect();
            part.par_chunks_mut(BLOCK).zip(equal).zip(shares).for_each(
                |((block, &equal), share)| match share {
                    0 => self.zero_below(block, cut.threshold),
                    _ if share == equal => self.zero_below(block, cut.threshold + 1),
                    _ => scalar::zero_first(block, cut.threshold, share),
                },
            );
        }
        Ok(())
    }

    /// All elements of a magnitude of less than `threshold` become 0.
    ///
    /// # Errors
    /// When the threshold is negative or not finite, or an element is; nothing is then changed.
    pub fn zero_smaller(self, values: &mut [f32], threshold: f32) -> Result<(), KernelError> {
        if !(threshold >= 0.0 && threshold.is_finite()) {
            return Err(KernelError::Bounds {
                low: 0.0,
                high: threshold,
            });
        }
        if self.not_finite(values).is_some() {
            return Err(first_not_finite(values));
        }
        let limit = threshold.to_bits() & ABSOLUTE;
        values
            .par_chunks_mut(BLOCK)
            .for_each(|block| self.zero_below(block, limit));
        Ok(())
    }

    /// The census of each block of each part.
    fn census(self, parts: &[&[f32]], bracket: Bracket) -> Vec<Vec<Census>> {
        // In parallel over the parts too: what a bracket holds comes in many small ones, and each turn of all threads costs
        // as much as one of them.
        parts
            .par_iter()
            .map(|part| {
                let blocks = part.par_chunks(BLOCK);
                blocks
                    .map(|block| dispatch!(self, census(block, bracket)))
                    .collect()
            })
            .collect()
    }

    fn zero_below(self, block: &mut [f32], limit: u32) {
        dispatch!(self, zero_below(block, limit));
    }
}

/// # Errors
/// When an element is not finite: the first.
fn finite(parts: &[&[f32]], census: &[Vec<Census>]) -> Result<(), KernelError> {
    let mut before = 0;
    for (part, blocks) in parts.iter().zip(census) {
        if blocks.iter().any(|block| block.most >= INFINITE) {
            let mut error = first_not_finite(part);
            if let KernelError::NotFinite { index, .. } = &mut error {
                *index += before;
            }
            return Err(error);
        }
        before += part.len();
    }
    Ok(())
}

/// A bracket around the `k`-th magnitude of a sample that is spread evenly over all elements.
fn sample(parts: &[&[f32]], elements: usize, k: usize) -> Bracket {
    let size = (elements / 64).clamp(*SAMPLE.start(), *SAMPLE.end()) / RUN * RUN;
    let stride = elements / (size / RUN);
    let mut end = 0;
    let ends: Vec<usize> = parts
        .iter()
        .map(|part| {
            end += part.len();
            end
        })
        .collect();
    let run = |i: usize| {
        // At a place in the stride that no regular structure follows.
        let index = i * stride + (i.wrapping_mul(0x9e37_79b9) >> 7) % stride;
        let part = ends.partition_point(|&end| end <= index);
        let (part, from_end) = (parts[part], ends[part] - index);
        // Fewer neighbours at the end of a part: the last one several times.
        (0..RUN).map(move |j| part[part.len() - from_end.saturating_sub(j).max(1)].to_bits() & ABSOLUTE)
    };
    let mut magnitudes: Vec<u32> = (0..size / RUN)
        .into_par_iter()
        .with_min_len(1 << 10)
        .flat_map_iter(run)
        .collect();
    let rank = (k as u128 * size as u128 / elements as u128) as usize;
    // Six standard deviations of the rank of a median, if neighbours were independent.
    let margin = 3 * size.isqrt();
    let mut bracket = Bracket {
        low: 0,
        high: ABSOLUTE,
        ties: false,
    };
    let low = rank.checked_sub(margin);
    if let Some(low) = low {
        bracket.low = *magnitudes.select_nth_unstable(low).1;
    }
    let (from, high) = (low.unwrap_or(0), rank + margin);
    if high < size {
        bracket.high = *magnitudes[from..].select_nth_unstable(high - from).1;
    }
    let equal = |end: u32| magnitudes.iter().filter(|&&bits| bits == end).count();
    bracket.ties = equal(bracket.low).max(equal(bracket.high)) > margin;
    bracket
}

/// The `k`-th magnitude, counted from 1, by its upper half and then by its lower.
fn radix(parts: &[&[f32]], k: usize) -> u32 {
    let (upper, before) = radix_digit(parts, k, |bits| Some(bits >> 16));
    let (lower, _) = radix_digit(parts, k - before, |bits| {
        (bits >> 16 == upper).then_some(bits & 0xffff)
    });
    upper << 16 | lower
}

/// The digit of the `k`-th of the elements that have one, and how many have a smaller one.
fn radix_digit(parts: &[&[f32]], k: usize, digit: impl Fn(u32) -> Option<u32> + Sync) -> (u32, usize) {
    let count = |values: &[f32]| {
        let mut counts = vec![0usize; 1 << 16];
        for digit in values
            .iter()
            .filter_map(|value| digit(value.to_bits() & ABSOLUTE))
        {
            counts[digit as usize] += 1;
        }
        counts
    };
    let add = |mut all: Vec<usize>, part: Vec<usize>| {
        all.iter_mut().zip(part).for_each(|(all, part)| *all += part);
        all
    };
    let blocks = parts.par_iter().flat_map(|part| part.par_chunks(16 * BLOCK));
    let counts = blocks.map(count).reduce(|| vec![0; 1 << 16], add);
    let mut before = 0;
    for (digit, count) in counts.into_iter().enumerate() {
        if before + count >= k {
            return (digit as u32, before);
        }
        before += count;
    }
    (0xffff, before)
}
