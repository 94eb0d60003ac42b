//! Vectors as the rows of an embedding's table, by the places of words in a vocabulary.

use crate::vectors::WordVectors;

/// What becomes of a row whose word has no vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// It stays as it is.
    Keep,
    /// It becomes zero.
    Zero,
    /// It becomes the mean of all vectors.
    Mean,
    /// It becomes random: normal numbers with the root mean square of all vectors' numbers, from this seed and the row.
    Random(u64),
}

/// How many rows became what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Filled {
    /// Rows that are the vector of their word.
    pub known: usize,
    /// Rows whose word has no vector.
    pub unknown: usize,
    /// Rows that no word of the vocabulary has.
    pub without_word: usize,
}

/// Why a table can't be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The vectors are longer or shorter than the rows.
    #[error("the vectors have {vectors} numbers, and the rows of the table {table}")]
    Dimensions {
        /// The numbers of a vector.
        vectors: usize,
        /// The numbers of a row.
        table: usize,
    },
    /// A word's row is not there.
    #[error("the word {word:?} would be row {row}, and the table has {rows} rows (from 0)")]
    Row {
        /// The word.
        word: String,
        /// Its row.
        row: usize,
        /// How many there are.
        rows: usize,
    },
}

/// The place of `word` in a table of `rows`, checked.
fn checked(row: usize, word: &str, rows: usize) -> Result<usize, TableError> {
    if row < rows {
        Ok(row)
    } else {
        Err(TableError::Row {
            word: word.to_owned(),
            row,
            rows,
        })
    }
}

/// Writes vectors into `table`, `[rows, features]` in C order, at the rows of their words.
///
/// # Errors
/// When the vectors have another length than the rows, or a row is not there; nothing is changed then.
pub fn fill<'a>(
    table: &mut [f32],
    features: usize,
    vectors: &WordVectors,
    vocabulary: impl Iterator<Item = (usize, &'a str)> + Clone,
    unknown: Unknown,
) -> Result<Filled, TableError> {
    if vectors.dimensions() != features || features == 0 {
        return Err(TableError::Dimensions {
            vectors: vectors.dimensions(),
            table: features,
        });
    }
    let rows = table.len() / features;
    for (row, word) in vocabulary.clone() {
        checked(row, word, rows)?;
    }
    let mean = mean(vectors);
    let squares: f64 = vectors
        .values()
        .iter()
        .map(|&value| f64::from(value).powi(2))
        .sum();
    let scale = (squares / vectors.values().len().max(1) as f64).sqrt();
    let mut taken = vec![false; rows];
    let mut filled = Filled::default();
    for (row, word) in vocabulary {
        let target = &mut table[row * features..(row + 1) * features];
        taken[row] = true;
        if let Some(vector) = vectors.get(word) {
            target.copy_from_slice(vector);
            filled.known += 1;
            continue;
        }
        filled.unknown += 1;
        match unknown {
            Unknown::Keep => {}
            Unknown::Zero => target.fill(0.0),
            Unknown::Mean => target.copy_from_slice(&mean),
            Unknown::Random(seed) => normal(target, scale, seed, row),
        }
    }
    filled.without_word = taken.iter().filter(|taken| !**taken).count();
    Ok(filled)
}

/// The rows of a table as the vectors of their words; of words that are listed twice, the first.
///
/// # Errors
/// When a row is not there.
pub fn take<'a>(
    table: &[f32],
    features: usize,
    vocabulary: impl Iterator<Item = (usize, &'a str)>,
) -> Result<WordVectors, TableError> {
    let rows = table.len().checked_div(features).unwrap_or(0);
    let mut list = crate::words::List::default();
    let mut values = Vec::new();
    for (row, word) in vocabulary {
        let row = checked(row, word, rows)?;
        list.push(word);
        values.extend_from_slice(&table[row * features..(row + 1) * features]);
    }
    Ok(WordVectors::of_file(list, features, values).0)
}

/// The mean of all vectors.
fn mean(vectors: &WordVectors) -> Vec<f32> {
    let mut sums = vec![0f64; vectors.dimensions()];
    for row in vectors.values().chunks_exact(vectors.dimensions().max(1)) {
        sums.iter_mut()
            .zip(row)
            .for_each(|(sum, &value)| *sum += f64::from(value));
    }
    sums.iter()
        .map(|sum| (sum / vectors.len().max(1) as f64) as f32)
        .collect()
}

/// Normal numbers by Box and Muller from SplitMix64.
fn normal(target: &mut [f32], scale: f64, seed: u64, row: usize) {
    let mut state = seed ^ (row as u64).wrapping_mul(0xd1b5_4a32_d192_ed03);
    let mut uniform = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // Never zero: its logarithm is taken.
        (((bits ^ (bits >> 31)) >> 11) + 1) as f64 / (1u64 << 53) as f64
    };
    for value in target {
        let (radius, turn) = ((-2.0 * uniform().ln()).sqrt(), std::f64::consts::TAU * uniform());
        *value = (scale * radius * turn.cos()) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors() -> WordVectors {
        WordVectors::new(["a", "b"], 2, vec![1.0, 2.0, 3.0, 4.0]).unwrap()
    }

    fn filled(unknown: Unknown) -> (Vec<f32>, Filled) {
        let mut table = vec![9.0; 10];
        let vocabulary = [(1, "b"), (2, "x"), (3, "a")];
        let filled = fill(&mut table, 2, &vectors(), vocabulary.into_iter(), unknown).unwrap();
        (table, filled)
    }

    #[test]
    fn rows_become_the_vectors_of_their_words() {
        let (table, counts) = filled(Unknown::Zero);
        assert_eq!(table, [9.0, 9.0, 3.0, 4.0, 0.0, 0.0, 1.0, 2.0, 9.0, 9.0]);
        assert_eq!(
            counts,
            Filled {
                known: 2,
                unknown: 1,
                without_word: 2
            }
        );
        assert_eq!(filled(Unknown::Mean).0[4..6], [2.0, 3.0]);
        assert_eq!(filled(Unknown::Keep).0[4..6], [9.0, 9.0]);
        assert_eq!(filled(Unknown::Random(1)).0, filled(Unknown::Random(1)).0);
        assert_ne!(filled(Unknown::Random(1)).0, filled(Unknown::Random(2)).0);
    }

    #[test]
    fn random_rows_have_the_scale_of_the_vectors() {
        let mut row = vec![0.0; 20_000];
        normal(&mut row, 0.5, 3, 7);
        let mean = row.iter().sum::<f32>() / row.len() as f32;
        let square = row.iter().map(|value| value * value).sum::<f32>() / row.len() as f32;
        assert!(
            mean.abs() < 0.02 && (square.sqrt() - 0.5).abs() < 0.02,
            "{mean} {square}"
        );
    }

    #[test]
    fn what_is_put_in_is_taken_out() {
        let (table, _) = filled(Unknown::Zero);
        let taken = take(&table, 2, [(3, "a"), (1, "b"), (0, "a")].into_iter()).unwrap();
        assert_eq!(taken.values(), vectors().values());
        let beyond = TableError::Row {
            word: "c".into(),
            row: 5,
            rows: 5,
        };
        assert_eq!(take(&table, 2, [(5, "c")].into_iter()).unwrap_err(), beyond);
        let mut table = vec![0.0; 3];
        let wrong = fill(&mut table, 3, &vectors(), [(0, "a")].into_iter(), Unknown::Zero).unwrap_err();
        assert_eq!(wrong, TableError::Dimensions { vectors: 2, table: 3 });
    }
}
