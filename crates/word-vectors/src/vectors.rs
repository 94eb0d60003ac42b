//! Words with their vectors.

use crate::words::{List, Words};

/// How often a word was met in training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// How often.
    pub occurrences: u64,
    /// In how many documents.
    pub documents: u64,
}

/// Words, each with a vector of the same length. The vectors stand one behind the other: `[words, dimensions]` in C order.
#[derive(Debug, Clone, Default)]
pub struct WordVectors {
    pub(crate) words: Words,
    pub(crate) dimensions: usize,
    pub(crate) values: Vec<f32>,
    pub(crate) counts: Option<Vec<Count>>,
}

/// Why words and numbers do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// There are more or fewer numbers than the words need.
    #[error("{words} words of {dimensions} dimensions need {words} x {dimensions} numbers, found {found}")]
    Numbers {
        /// The words.
        words: usize,
        /// The numbers of each.
        dimensions: usize,
        /// The numbers that are there.
        found: usize,
    },
    /// A word is there twice.
    #[error("the word {0:?} is there twice")]
    Twice(String),
}

impl WordVectors {
    /// Words with `dimensions` numbers each, which stand one behind the other in `values`.
    ///
    /// # Errors
    /// When there are more or fewer numbers than that, or a word is there twice.
    pub fn new<'a>(
        words: impl IntoIterator<Item = &'a str>,
        dimensions: usize,
        values: Vec<f32>,
    ) -> Result<Self, ShapeError> {
        let mut list = List::default();
        words.into_iter().for_each(|word| list.push(word));
        if list.len().checked_mul(dimensions) != Some(values.len()) {
            return Err(ShapeError::Numbers {
                words: list.len(),
                dimensions,
                found: values.len(),
            });
        }
        let (words, duplicates) = Words::unique(list);
        match duplicates.first() {
            Some(duplicate) => Err(ShapeError::Twice(words.get(duplicate.kept).to_owned())),
            None => Ok(Self {
                words,
                dimensions,
                values,
                counts: None,
            }),
        }
    }

    /// The words.
    pub fn words(&self) -> &Words {
        &self.words
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// How many numbers each vector has.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// All numbers, `[words, dimensions]` in C order.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// How often each word was met in training, where the file says it.
    pub fn counts(&self) -> Option<&[Count]> {
        self.counts.as_deref()
    }

    /// The vector at `row`; empty where there is none.
    pub fn row(&self, row: usize) -> &[f32] {
        let start = row.saturating_mul(self.dimensions);
        self.values.get(start..start + self.dimensions).unwrap_or(&[])
    }

    /// The vector of a word.
    pub fn get(&self, word: &str) -> Option<&[f32]> {
        self.words.find(word).map(|row| self.row(row))
    }

    /// Words with their vectors, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[f32])> {
        (0..self.len()).map(|row| (self.words.get(row), self.row(row)))
    }

    /// The words at `rows`, in that order; rows that are not there, or were named before, are left out.
    pub fn select(&self, rows: &[usize]) -> Self {
        let mut list = List::default();
        let mut taken = vec![false; self.len()];
        let mut values = Vec::new();
        let mut counts = self.counts.as_ref().map(|_| Vec::new());
        for &row in rows {
            if taken.get(row) != Some(&false) {
                continue;
            }
            taken[row] = true;
            list.push(self.words.get(row));
            values.extend_from_slice(self.row(row));
            if let (Some(counts), Some(all)) = (&mut counts, &self.counts) {
                counts.push(all[row]);
            }
        }
        Self {
            words: Words::unique(list).0,
            dimensions: self.dimensions,
            values,
            counts,
        }
    }

    /// The words and their counts, without numbers.
    pub(crate) fn clone_words(&self) -> Self {
        Self {
            words: self.words.clone(),
            dimensions: 0,
            values: Vec::new(),
            counts: self.counts.clone(),
        }
    }

    /// Words of a file with their numbers, each word once: the first of several is kept. Gives the repetitions too.
    pub(crate) fn of_file(
        list: List,
        dimensions: usize,
        mut values: Vec<f32>,
    ) -> (Self, Vec<crate::words::Duplicate>) {
        let (words, duplicates) = Words::unique(list);
        let total = values.len().checked_div(dimensions).unwrap_or(0);
        let mut repeated = duplicates.iter().map(|duplicate| duplicate.row).peekable();
        if let Some(&first) = repeated.peek() {
            let mut to = first;
            for row in first..total {
                if repeated.next_if_eq(&row).is_none() {
                    values.copy_within(row * dimensions..(row + 1) * dimensions, to * dimensions);
                    to += 1;
                }
            }
            values.truncate(to * dimensions);
        }
        (
            Self {
                words,
                dimensions,
                values,
                counts: None,
            },
            duplicates,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_chosen_in_the_order_asked_for() {
        let vectors = WordVectors::new(["a", "b", "c"], 2, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        let chosen = vectors.select(&[2, 0, 2, 7]);
        assert_eq!(chosen.words().iter().collect::<Vec<_>>(), ["c", "a"]);
        assert_eq!(chosen.values(), [5.0, 6.0, 1.0, 2.0]);
        assert_eq!(chosen.get("a"), Some(&[1.0, 2.0][..]));
    }

    #[test]
    fn words_and_numbers_must_go_together() {
        let wrong = WordVectors::new(["a"], 2, vec![1.0]).unwrap_err();
        assert_eq!(
            wrong.to_string(),
            "1 words of 2 dimensions need 1 x 2 numbers, found 1"
        );
        assert_eq!(
            WordVectors::new(["a", "a"], 0, Vec::new()).unwrap_err(),
            ShapeError::Twice("a".into())
        );
    }

    #[test]
    fn the_first_of_several_is_kept_with_its_numbers() {
        let mut list = List::default();
        for word in ["a", "b", "a", "c", "b"] {
            list.push(word);
        }
        let (vectors, duplicates) = WordVectors::of_file(list, 1, vec![1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(vectors.values(), [1.0, 2.0, 4.0]);
        assert_eq!(duplicates.len(), 2);
    }
}
