//! The lengths of vectors, and vectors of length one.

use crate::vectors::WordVectors;
use rayon::prelude::*;

/// What the vectors' lengths are.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Lengths {
    /// The smallest.
    pub shortest: f32,
    /// The mean.
    pub mean: f32,
    /// The largest.
    pub longest: f32,
    /// How many vectors are zero.
    pub zero: usize,
    /// How many vectors hold NaN or infinity; they count for nothing else.
    pub not_finite: usize,
}

/// The length of a vector; in `f64`, so that neither large nor small numbers vanish.
fn length(vector: &[f32]) -> f64 {
    let squares: f64 = vector
        .iter()
        .map(|&value| f64::from(value) * f64::from(value))
        .sum();
    squares.sqrt()
}

/// The lengths of all vectors.
pub fn lengths(vectors: &WordVectors) -> Lengths {
    if vectors.dimensions() == 0 || vectors.is_empty() {
        return Lengths::default();
    }
    let all: Vec<f64> = vectors
        .values()
        .par_chunks(vectors.dimensions())
        .map(length)
        .collect();
    let numbers: Vec<f64> = all.iter().copied().filter(|length| length.is_finite()).collect();
    let total: f64 = numbers.iter().sum();
    Lengths {
        shortest: numbers.iter().copied().reduce(f64::min).unwrap_or(0.0) as f32,
        mean: (total / numbers.len().max(1) as f64) as f32,
        longest: numbers.iter().copied().fold(0.0, f64::max) as f32,
        zero: numbers.iter().filter(|&&length| length == 0.0).count(),
        not_finite: all.len() - numbers.len(),
    }
}

/// Brings every vector to length one: `x / ‖x‖`. Gives how many stay as they are, because they are zero or no numbers.
pub fn normalize(vectors: &mut WordVectors) -> usize {
    let dimensions = vectors.dimensions.max(1);
    let scaled = vectors.values.par_chunks_mut(dimensions).map(|vector| {
        let length = length(vector);
        if length == 0.0 || !length.is_finite() {
            return 1;
        }
        for value in vector {
            *value = (f64::from(*value) / length) as f32;
        }
        0
    });
    scaled.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_brought_to_length_one_where_they_have_a_direction() {
        let values = vec![3.0, 4.0, 0.0, 0.0, f32::NAN, 1.0, 1e-30, 0.0];
        let mut vectors = WordVectors::new(["a", "b", "c", "d"], 2, values).unwrap();
        let found = lengths(&vectors);
        assert_eq!((found.longest, found.zero, found.not_finite), (5.0, 1, 1));
        assert_eq!(normalize(&mut vectors), 2);
        assert_eq!(vectors.values()[..4], [0.6, 0.8, 0.0, 0.0]);
        assert_eq!(vectors.values()[6..], [1.0, 0.0]);
    }
}
