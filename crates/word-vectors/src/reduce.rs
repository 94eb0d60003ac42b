//! Fewer dimensions: the vectors along their principal axes.

use crate::eigen::symmetric;
use crate::vectors::WordVectors;
use rayon::prelude::*;

/// Rows that are multiplied at a time.
const BLOCK: usize = 2048;

/// Why vectors can't be made smaller.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReduceError {
    /// More dimensions were asked for than there are, or none.
    #[error("the vectors have {0} numbers each; expected fewer dimensions than that, and at least one")]
    Dimensions(usize),
    /// A vector holds NaN or infinity.
    #[error("the vector of {0:?} holds NaN or infinity, and has no place among the others")]
    NotFinite(String),
    /// The axes could not be found.
    #[error("the principal axes could not be found: the numbers may be too large or too small")]
    Axes,
}

/// What is left of vectors that were made smaller.
#[derive(Debug, Clone)]
pub struct Reduced {
    /// The vectors, `x·V` with the axes as the columns of `V`.
    pub vectors: WordVectors,
    /// The share of the sum of squares that the kept axes hold.
    pub kept: f64,
}

/// Projects vectors onto their `dimensions` principal axes about the origin: the eigenvectors of `XᵀX` with the largest
/// eigenvalues, which of all projections keep dot products and lengths best. Nothing is subtracted first, so that cosines stay as
/// they are where no axis is dropped. The largest number of each axis is positive.
///
/// # Errors
/// When there are not more dimensions than that, or a vector is no number.
pub fn reduce(vectors: &WordVectors, dimensions: usize) -> Result<Reduced, ReduceError> {
    let all = vectors.dimensions();
    if dimensions == 0 || dimensions > all {
        return Err(ReduceError::Dimensions(all));
    }
    if let Some(row) = vectors
        .values()
        .iter()
        .position(|value| !value.is_finite())
        .map(|at| at / all)
    {
        return Err(ReduceError::NotFinite(vectors.words().get(row).to_owned()));
    }
    let (values, axes) = symmetric(&products(vectors), all).ok_or(ReduceError::Axes)?;
    let total: f64 = values.iter().map(|value| value.max(0.0)).sum();
    let kept: f64 = values.iter().take(dimensions).map(|value| value.max(0.0)).sum();
    // `[all, dimensions]`: the axes, strongest first, are the columns.
    let mut projection = vec![0f32; all * dimensions];
    for (axis, components) in axes.chunks_exact(all).take(dimensions).enumerate() {
        let largest = components
            .iter()
            .copied()
            .fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
        let sign = if largest < 0.0 { -1.0 } else { 1.0 };
        for (row, component) in components.iter().enumerate() {
            projection[row * dimensions + axis] = (sign * component) as f32;
        }
    }
    let mut out = vec![0f32; vectors.len() * dimensions];
    let blocks = out
        .par_chunks_mut(BLOCK * dimensions)
        .zip(vectors.values().par_chunks(BLOCK * all));
    blocks.for_each(|(out, rows)| {
        for (out, row) in out.chunks_exact_mut(dimensions).zip(rows.chunks_exact(all)) {
            for (value, weights) in row.iter().zip(projection.chunks_exact(dimensions)) {
                for (sum, weight) in out.iter_mut().zip(weights) {
                    *sum += value * weight;
                }
            }
        }
    });
    let vectors = WordVectors {
        dimensions,
        values: out,
        ..vectors.clone_words()
    };
    Ok(Reduced {
        vectors,
        kept: if total > 0.0 { kept / total } else { 1.0 },
    })
}

/// `XᵀX` in `f64`, block by block.
fn products(vectors: &WordVectors) -> Vec<f64> {
    let n = vectors.dimensions();
    let blocks = vectors.values().par_chunks(BLOCK * n);
    let zero = || vec![0f64; n * n];
    let add = |mut sum: Vec<f64>, block: &[f32]| {
        let block: Vec<f64> = block.iter().map(|&value| f64::from(value)).collect();
        let rows = block.len() / n;
        // SAFETY: the strides describe `block` as `[rows, n]` (transposed for the left side) and `sum` as `[n, n]`, which are
        // exactly as long as that; `sum` is borrowed mutably and overlaps with nothing.
        #[allow(unsafe_code)]
        unsafe {
            matrixmultiply::dgemm(
                n,
                rows,
                n,
                1.0,
                block.as_ptr(),
                1,
                n as isize,
                block.as_ptr(),
                n as isize,
                1,
                1.0,
                sum.as_mut_ptr(),
                n as isize,
                1,
            );
        }
        sum
    };
    let join = |mut a: Vec<f64>, b: Vec<f64>| {
        a.iter_mut().zip(&b).for_each(|(a, b)| *a += b);
        a
    };
    // A fixed number of groups, added in order: the same vectors give the same numbers on any number of cores.
    let sums: Vec<Vec<f64>> = blocks
        .chunks(64)
        .map(|group| group.into_iter().fold(zero(), add))
        .collect();
    sums.into_iter().fold(zero(), join)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nearest::dot;

    fn some(rows: usize, dimensions: usize) -> WordVectors {
        let words: Vec<String> = (0..rows).map(|row| format!("w{row}")).collect();
        // Two strong directions and a little of everything else.
        let values = (0..rows * dimensions).map(|i| {
            let (row, at) = ((i / dimensions) as f32, (i % dimensions) as f32);
            (row * 0.37).sin() * (at + 1.0) + (row * 1.7).cos() * (3.0 - at) + 0.01 * ((i * i % 17) as f32)
        });
        WordVectors::new(words.iter().map(String::as_str), dimensions, values.collect()).unwrap()
    }

    #[test]
    fn all_axes_are_a_rotation_and_few_keep_most() {
        let vectors = some(50, 7);
        let rotated = reduce(&vectors, 7).unwrap();
        assert!((rotated.kept - 1.0).abs() < 1e-12);
        let two = reduce(&vectors, 2).unwrap();
        assert!(two.kept > 0.999, "{}", two.kept);
        for (a, b) in [(0, 1), (3, 40), (7, 7)] {
            let expected = dot(vectors.row(a), vectors.row(b));
            let scale = dot(vectors.row(a), vectors.row(a)).max(dot(vectors.row(b), vectors.row(b)));
            assert!((dot(rotated.vectors.row(a), rotated.vectors.row(b)) - expected).abs() < 1e-5 * scale);
            assert!((dot(two.vectors.row(a), two.vectors.row(b)) - expected).abs() < 0.02 * scale);
        }
        assert_eq!(two.vectors.words().get(3), "w3");
    }

    #[test]
    fn what_has_no_axes_is_refused() {
        let vectors = some(3, 2);
        for dimensions in [0, 3] {
            assert_eq!(
                reduce(&vectors, dimensions).unwrap_err(),
                ReduceError::Dimensions(2)
            );
        }
        let vectors = WordVectors::new(["a", "b"], 2, vec![0.0, 1.0, f32::NAN, 1.0]).unwrap();
        assert_eq!(
            reduce(&vectors, 1).unwrap_err(),
            ReduceError::NotFinite("b".into())
        );
    }
}
