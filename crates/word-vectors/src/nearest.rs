//! The words whose vectors point most nearly the same way.

use crate::vectors::WordVectors;
use rayon::prelude::*;
use std::cmp::Ordering;

/// Rows that one thread looks at at a time.
const BLOCK: usize = 4096;

/// A word near another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Its place.
    pub row: usize,
    /// The cosine of the angle between the vectors, `x·y / (‖x‖ ‖y‖)`; zero where one of them has no length.
    pub cosine: f32,
}

/// Words to be near to, and words to be far from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    /// The places of words that count for.
    pub with: Vec<usize>,
    /// The places of words that count against.
    pub without: Vec<usize>,
}

/// The sum of products.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 8;
    let mut sums = [0f32; LANES];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// The length of a vector.
pub(crate) fn length(vector: &[f32]) -> f32 {
    dot(vector, vector).sqrt()
}

/// The mean of the words' vectors, each brought to length one first; those that count against are turned round.
pub fn mean(vectors: &WordVectors, query: &Query) -> Vec<f32> {
    let mut mean = vec![0f32; vectors.dimensions()];
    let signed = query
        .with
        .iter()
        .map(|&row| (row, 1.0))
        .chain(query.without.iter().map(|&row| (row, -1.0)));
    let total = (query.with.len() + query.without.len()) as f32;
    for (row, sign) in signed {
        let vector = vectors.row(row);
        let length = length(vector);
        if length > 0.0 {
            for (sum, value) in mean.iter_mut().zip(vector) {
                *sum += sign * value / (length * total);
            }
        }
    }
    mean
}

/// The `count` words whose vectors are nearest to `target` by their angle, the nearest first; `except` are left out, and so are
/// vectors that are no numbers. Of words that are equally near, the earlier comes first.
pub fn nearest(vectors: &WordVectors, target: &[f32], except: &[usize], count: usize) -> Vec<Neighbour> {
    let target_length = length(target);
    let rows: Vec<usize> = (0..vectors.len()).collect();
    let best = |neighbours: &mut Vec<Neighbour>| {
        neighbours.sort_by(order);
        neighbours.truncate(count);
    };
    let mut all: Vec<Neighbour> = rows
        .par_chunks(BLOCK)
        .flat_map_iter(|rows| {
            let near = rows.iter().filter(|row| !except.contains(row)).map(|&row| {
                let vector = vectors.row(row);
                let lengths = length(vector) * target_length;
                let cosine = if lengths == 0.0 {
                    0.0
                } else {
                    dot(vector, target) / lengths
                };
                Neighbour { row, cosine }
            });
            let mut near: Vec<Neighbour> = near.filter(|neighbour| !neighbour.cosine.is_nan()).collect();
            best(&mut near);
            near
        })
        .collect();
    best(&mut all);
    all
}

fn order(a: &Neighbour, b: &Neighbour) -> Ordering {
    b.cosine.total_cmp(&a.cosine).then(a.row.cmp(&b.row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_near_by_their_angle_whatever_their_length() {
        let values = vec![1.0, 0.0, 10.0, 1.0, 0.0, 3.0, -1.0, 0.0, 0.0, 0.0, f32::NAN, 1.0];
        let vectors = WordVectors::new(["a", "b", "c", "d", "e", "f"], 2, values).unwrap();
        let found = nearest(&vectors, vectors.row(0), &[0], 9);
        assert_eq!(
            found.iter().map(|near| near.row).collect::<Vec<_>>(),
            [1, 2, 4, 3]
        );
        assert!((found[0].cosine - 10.0 / 101f32.sqrt()).abs() < 1e-6);
        assert_eq!(found[3].cosine, -1.0);
        let query = Query {
            with: vec![1],
            without: vec![0],
        };
        let mean = mean(&vectors, &query);
        assert!((mean[0] - (10.0 / 101f32.sqrt() - 1.0) / 2.0).abs() < 1e-6);
    }
}
