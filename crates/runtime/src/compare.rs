//! How far two arrays are apart.

use crate::Array;

/// The largest difference of two arrays.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The largest absolute difference.
    pub max_abs: f64,
    /// The same divided by `scale`.
    pub max_rel: f64,
    /// The largest finite magnitude of the reference.
    pub scale: f64,
    /// Where the largest difference is; `None` when there is none.
    pub at: Option<Vec<usize>>,
}

/// The arrays have different shapes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an array of shape {expected:?}, found {found:?}")]
pub struct ShapeMismatch {
    /// The shape of the reference.
    pub expected: Vec<usize>,
    /// The shape of the other.
    pub found: Vec<usize>,
}

/// Compares element by element. A NaN equals a NaN, and an infinity the same infinity; a NaN against a number, or an
/// infinity against anything else, is an infinite difference.
///
/// # Errors
/// When the shapes differ.
pub fn compare(reference: &Array, other: &Array) -> Result<Difference, ShapeMismatch> {
    if reference.shape() != other.shape() {
        return Err(ShapeMismatch {
            expected: reference.shape().to_vec(),
            found: other.shape().to_vec(),
        });
    }
    let finite = |value: &&f32| value.is_finite();
    let scale = reference
        .iter()
        .filter(finite)
        .fold(0f64, |scale, value| scale.max(f64::from(value.abs())));
    let mut difference = Difference {
        max_abs: 0.0,
        max_rel: 0.0,
        scale,
        at: None,
    };
    for ((index, &a), &b) in reference.indexed_iter().zip(other.iter()) {
        let same = a == b || (a.is_nan() && b.is_nan());
        let error = match f64::from(a) - f64::from(b) {
            _ if same => 0.0,
            error if error.is_finite() => error.abs(),
            _ => f64::INFINITY,
        };
        if error > difference.max_abs {
            difference.max_abs = error;
            difference.at = Some(ndarray::Dimension::slice(&index).to_vec());
        }
    }
    difference.max_rel = difference.max_abs / scale.max(1e-30);
    Ok(difference)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::arr1;

    #[test]
    fn not_a_number_is_no_number() {
        let numbers = arr1(&[1.0, 2.0]).into_dyn();
        let nan = arr1(&[1.0, f32::NAN]).into_dyn();
        assert_eq!(compare(&numbers, &nan).unwrap().max_abs, f64::INFINITY);
        assert_eq!(compare(&nan, &nan).unwrap().max_abs, 0.0);
        let off = compare(&numbers, &arr1(&[1.0, 1.5]).into_dyn()).unwrap();
        assert_eq!((off.max_abs, off.max_rel, off.at), (0.5, 0.25, Some(vec![1])));
        assert!(compare(&numbers, &arr1(&[1.0]).into_dyn()).is_err());
    }
}
