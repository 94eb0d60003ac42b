//! A list of words, each once, found by their text.

use rayon::prelude::*;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// Words in their order, each once. One buffer holds all of them.
#[derive(Debug, Clone, Default)]
pub struct Words {
    list: List,
    keys: RandomState,
    index: HashMap<u64, u32, BuildHasherDefault<Hashed>>,
    /// Words whose hash another word had before them.
    collided: Vec<u32>,
}

/// Texts one behind the other, and where each ends.
#[derive(Debug, Clone, Default)]
pub(crate) struct List {
    text: String,
    ends: Vec<usize>,
}

impl List {
    pub(crate) fn push(&mut self, word: &str) {
        self.text.push_str(word);
        self.ends.push(self.text.len());
    }

    pub(crate) fn append(&mut self, other: &Self) {
        let before = self.text.len();
        self.text.push_str(&other.text);
        self.ends.extend(other.ends.iter().map(|end| before + end));
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The word at `row`; empty where there is none.
    pub(crate) fn get(&self, row: usize) -> &str {
        let start = row
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .copied()
            .unwrap_or(0);
        let end = self.ends.get(row).copied().unwrap_or(start);
        self.text.get(start..end).unwrap_or("")
    }
}

/// Hashes a hash: it is one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// A word that was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Duplicate {
    /// Where it stands in the list.
    pub(crate) row: usize,
    /// Where it stood first, in the list.
    pub(crate) first: usize,
    /// Where the word stands once repetitions are left out.
    pub(crate) kept: usize,
}

impl Words {
    /// The words of `list`, each once, in the order in which they appear first; and those that were there before.
    pub(crate) fn unique(list: List) -> (Self, Vec<Duplicate>) {
        let keys = RandomState::new();
        // Keyed, so that no file can be made whose words all collide.
        let hashes: Vec<u64> = (0..list.len())
            .into_par_iter()
            .with_min_len(1024)
            .map(|row| keys.hash_one(list.get(row)))
            .collect();
        let mut index: HashMap<u64, u32, BuildHasherDefault<Hashed>> = HashMap::default();
        index.reserve(list.len());
        let (mut collided, mut duplicates) = (Vec::<u32>::new(), Vec::new());
        for (row, hash) in hashes.into_iter().enumerate() {
            let place = u32::try_from(row).unwrap_or(u32::MAX);
            match index.entry(hash) {
                Entry::Vacant(entry) => {
                    entry.insert(place);
                }
                Entry::Occupied(entry) => {
                    let word = list.get(row);
                    let same = std::iter::once(entry.get())
                        .chain(&collided)
                        .find(|&&first| list.get(first as usize) == word);
                    match same {
                        Some(&first) => duplicates.push(Duplicate {
                            row,
                            first: first as usize,
                            kept: 0,
                        }),
                        None => collided.push(place),
                    }
                }
            }
        }
        if duplicates.is_empty() {
            return (
                Self {
                    list,
                    keys,
                    index,
                    collided,
                },
                duplicates,
            );
        }
        // Rows move up: made again of what is left, which has no word twice.
        let mut rest = List::default();
        let mut repeated = duplicates.iter().map(|duplicate| duplicate.row).peekable();
        for row in 0..list.len() {
            if repeated.next_if_eq(&row).is_none() {
                rest.push(list.get(row));
            }
        }
        // Every repetition before a word's first place has moved it up by one.
        let rows: Vec<usize> = duplicates.iter().map(|duplicate| duplicate.row).collect();
        for duplicate in &mut duplicates {
            duplicate.kept = duplicate.first - rows.partition_point(|&row| row < duplicate.first);
        }
        (Self::unique(rest).0, duplicates)
    }

    /// Words that are given one by one; a word that was there before is left out.
    pub fn from_words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut list = List::default();
        words.into_iter().for_each(|word| list.push(word));
        Self::unique(list).0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The word at `row`; empty where there is none.
    pub fn get(&self, row: usize) -> &str {
        self.list.get(row)
    }

    /// Where `word` stands.
    pub fn find(&self, word: &str) -> Option<usize> {
        let first = self.index.get(&self.keys.hash_one(word))?;
        let mut places = std::iter::once(first).chain(&self.collided);
        places
            .find(|&&row| self.get(row as usize) == word)
            .map(|&row| row as usize)
    }

    /// All of them in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|row| self.get(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_and_repetitions_are_not_kept() {
        let mut list = List::default();
        for word in ["a", "", "b", "a", "c", "b", "a"] {
            list.push(word);
        }
        let (words, duplicates) = Words::unique(list);
        assert_eq!(words.iter().collect::<Vec<_>>(), ["a", "", "b", "c"]);
        let expected =
            [(3, 0, 0), (5, 2, 2), (6, 0, 0)].map(|(row, first, kept)| Duplicate { row, first, kept });
        assert_eq!(duplicates, expected);
        assert_eq!(words.find("c"), Some(3));
        assert_eq!(words.find("d"), None);
        assert_eq!(words.get(9), "");
    }
}
