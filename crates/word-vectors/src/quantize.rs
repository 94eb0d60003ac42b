//! Vectors of eight bits for each number.

use crate::vectors::WordVectors;
use rayon::prelude::*;

/// The largest step count on each side of zero.
const STEPS: f64 = 127.0;

/// Replaces each number by the nearest multiple of its word's step, at most 127 of them: `x -> s·round(x / s)`. The step `s` is
/// `max|x| / 127` rounded up to two decimal digits, so that the numbers are short as text. Every number is then one of 255, and
/// is still written as a number: no format of word vectors holds the multiples themselves.
///
/// Gives how many vectors stay as they are, because they are no numbers.
pub fn quantize_int8(vectors: &mut WordVectors) -> usize {
    let dimensions = vectors.dimensions.max(1);
    let rows = vectors.values.par_chunks_mut(dimensions).map(|row| {
        let largest = row
            .iter()
            .fold(0f64, |largest, value| largest.max(f64::from(value.abs())));
        if row.iter().any(|value| !value.is_finite()) {
            return 1;
        }
        if let Some((digits, power)) = step(largest / STEPS) {
            for value in row {
                let count = (f64::from(*value) / scaled(digits, power))
                    .round()
                    .clamp(-STEPS, STEPS);
                // The product of whole numbers is exact: scaled once, it is the number that its decimal text means.
                *value = scaled(count * digits, power) as f32;
            }
        }
        0
    });
    rows.sum()
}

/// The smallest number of two decimal digits that is not below `exact`, as `digits · 10^power`; `None` where there is none
/// whose multiples `f32` tells apart.
fn step(exact: f64) -> Option<(f64, i32)> {
    if exact < f64::from(f32::MIN_POSITIVE) {
        return None;
    }
    let power = exact.log10().floor() as i32 - 1;
    let digits = (exact / scaled(1.0, power)).ceil();
    // A little less than two digits, by rounding, is still two of them.
    Some((digits.max(1.0), power))
}

/// `whole · 10^power`; powers of ten up to 10^22 are exact, and so is the quotient's rounding.
fn scaled(whole: f64, power: i32) -> f64 {
    if power < 0 {
        whole / 10f64.powi(-power)
    } else {
        whole * 10f64.powi(power)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_become_few_and_short() {
        let values = vec![
            0.5,
            -0.123_456_79,
            0.001,
            0.0,
            f32::NAN,
            1.0,
            2.0,
            3.0,
            0.0,
            0.0,
            0.0,
            0.0,
        ];
        let mut vectors = WordVectors::new(["a", "b", "c"], 4, values).unwrap();
        assert_eq!(quantize_int8(&mut vectors), 1);
        // 0.5 / 127 is a little more than 0.0039.
        assert_eq!(vectors.row(0), [0.5, -0.124, 0.0, 0.0]);
        assert_eq!(vectors.row(2), [0.0; 4]);
    }

    proptest! {
        #[test]
        fn every_number_moves_by_half_a_step_at_most(row in prop::collection::vec(-1e3f32..1e3, 1..20), power in -20i32..20) {
            let row: Vec<f32> = row.iter().map(|value| value * 10f32.powi(power)).collect();
            let largest = row.iter().fold(0f32, |largest, value| largest.max(value.abs()));
            let mut vectors = WordVectors::new(["a"], row.len(), row.clone()).unwrap();
            quantize_int8(&mut vectors);
            for (before, after) in row.iter().zip(vectors.values()) {
                prop_assert!((before - after).abs() <= largest / 127.0 * 1.11 / 2.0, "{} {}", before, after);
            }
        }
    }
}
