//! What vectors have lost: how their angles have changed, and whether their neighbours are still the same.

use crate::nearest::{Neighbour, dot, length, nearest};
use crate::vectors::WordVectors;
use rayon::prelude::*;

/// Pairs whose angles are compared, and words whose neighbours are.
const PAIRS: usize = 20_000;
const WORDS: usize = 200;
/// How many neighbours.
const NEIGHBOURS: usize = 10;

/// How two sets of vectors of the same words differ, on a seeded sample of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loss {
    /// The mean of `|cos(a, b) - cos(a', b')|` over pairs of words.
    pub cosine_change: f64,
    /// The largest of them.
    pub largest_cosine_change: f64,
    /// The share of each word's ten nearest that are among its ten nearest still.
    pub neighbours_kept: f64,
    /// The rank correlation (Spearman's) of the ten nearest, by their cosines before and after: one where their order is the same.
    pub rank_agreement: f64,
}

/// Compares vectors with what became of them. `None` where there are fewer than two words, or others in one than in the other.
pub fn loss(before: &WordVectors, after: &WordVectors) -> Option<Loss> {
    let n = before.len();
    if n < 2 || after.len() != n {
        return None;
    }
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = |below: usize| {
        // xorshift64*: which words are looked at is the same each time.
        seed ^= seed >> 12;
        seed ^= seed << 25;
        seed ^= seed >> 27;
        ((u128::from(seed.wrapping_mul(0x2545_f491_4f6c_dd1d)) * below as u128) >> 64) as usize
    };
    let pairs: Vec<(usize, usize)> = (0..PAIRS.min(n * (n - 1) / 2))
        .map(|_| {
            let a = random(n);
            (a, (a + 1 + random(n - 1)) % n)
        })
        .collect();
    let changes: Vec<f64> = pairs
        .par_iter()
        .map(|&(a, b)| f64::from((cosine(before, a, b) - cosine(after, a, b)).abs()))
        .filter(|change| !change.is_nan())
        .collect();
    let words: Vec<usize> = if n <= WORDS {
        (0..n).collect()
    } else {
        (0..WORDS).map(|_| random(n)).collect()
    };
    let agreements: Vec<(f64, f64)> = words.iter().map(|&word| agreement(before, after, word)).collect();
    let mean =
        |numbers: &mut dyn Iterator<Item = f64>, count: usize| numbers.sum::<f64>() / count.max(1) as f64;
    Some(Loss {
        cosine_change: mean(&mut changes.iter().copied(), changes.len()),
        largest_cosine_change: changes.iter().copied().fold(0.0, f64::max),
        neighbours_kept: mean(&mut agreements.iter().map(|pair| pair.0), agreements.len()),
        rank_agreement: mean(&mut agreements.iter().map(|pair| pair.1), agreements.len()),
    })
}

fn cosine(vectors: &WordVectors, a: usize, b: usize) -> f32 {
    let (a, b) = (vectors.row(a), vectors.row(b));
    let lengths = length(a) * length(b);
    if lengths == 0.0 { 0.0 } else { dot(a, b) / lengths }
}

/// The share of a word's neighbours that stay, and how well their order does.
fn agreement(before: &WordVectors, after: &WordVectors, word: usize) -> (f64, f64) {
    let old = nearest(before, before.row(word), &[word], NEIGHBOURS);
    let new = nearest(after, after.row(word), &[word], NEIGHBOURS);
    if old.is_empty() {
        return (1.0, 1.0);
    }
    let stays = |near: &&Neighbour| new.iter().any(|other| other.row == near.row);
    let kept = old.iter().filter(stays).count() as f64 / old.len() as f64;
    // The old neighbours by their new cosines.
    let mut order: Vec<(usize, f32)> = old
        .iter()
        .map(|near| cosine(after, word, near.row))
        .enumerate()
        .collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1));
    let n = order.len() as f64;
    let squares: f64 = order
        .iter()
        .enumerate()
        .map(|(new, (old, _))| (new as f64 - *old as f64).powi(2))
        .sum();
    let rank = if n < 2.0 {
        1.0
    } else {
        1.0 - 6.0 * squares / (n * (n * n - 1.0))
    };
    (kept, rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(change: impl Fn(usize, f32) -> f32) -> WordVectors {
        let words: Vec<String> = (0..300).map(|row| format!("w{row}")).collect();
        let values = (0..300 * 5).map(|i| change(i, ((i * 7919 % 1013) as f32 - 500.0) / 500.0));
        WordVectors::new(words.iter().map(String::as_str), 5, values.collect()).unwrap()
    }

    #[test]
    fn nothing_is_lost_by_scaling_and_much_by_noise() {
        let before = some(|_, value| value);
        let scaled = loss(&before, &some(|_, value| value * 3.0)).unwrap();
        assert!(scaled.cosine_change < 1e-6 && scaled.neighbours_kept > 0.99 && scaled.rank_agreement > 0.99);
        let noise = loss(&before, &some(|i, _| ((i * 31 % 97) as f32 - 48.0) / 48.0)).unwrap();
        assert!(
            noise.cosine_change > 0.2 && noise.neighbours_kept < 0.3,
            "{noise:?}"
        );
        assert_eq!(loss(&before, &WordVectors::default()), None);
    }
}
