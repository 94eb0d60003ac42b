//! What is written is read: every word and the bits of every number.

use super::reading;
use caribou_word_vectors::{Format, WordText, WordVectors, WriteError, WriteOptions, write};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::io::Cursor;

fn written(vectors: &WordVectors, options: &WriteOptions) -> Result<Vec<u8>, WriteError> {
    let mut sink = Cursor::new(Vec::new());
    write(vectors, &mut sink, options).map(|()| sink.into_inner())
}

fn forms() -> Vec<WriteOptions> {
    let mut forms = Vec::new();
    for format in [Format::Text, Format::Zip, Format::Binary, Format::Glove] {
        for words in [WordText::Base64, WordText::Plain] {
            forms.extend([false, true].map(|gzip| WriteOptions { format, words, gzip }));
        }
    }
    forms
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn everything_comes_back_in_every_form(
        words in prop::collection::btree_set("[a-z0-9äß東 .\u{a0}\u{1}\t:=-]{1,6}|B64:[a-zA-Z=]{0,5}|[0-9]{1,2}", 1..12),
        dimensions in 1usize..7,
        bits in prop::collection::vec(any::<u32>(), 84),
    ) {
        let values: Vec<f32> = bits.into_iter().map(f32::from_bits).take(words.len() * dimensions).collect();
        let vectors = WordVectors::new(words.iter().map(String::as_str), dimensions, values).unwrap();
        for options in forms() {
            let bytes = match written(&vectors, &options) {
                Err(WriteError::Word { .. }) => continue,
                other => other.unwrap(),
            };
            let read = reading(&bytes, false).unwrap().vectors;
            prop_assert_eq!(read.dimensions(), dimensions);
            prop_assert_eq!(read.words().iter().map(str::to_owned).collect::<BTreeSet<_>>(), words.clone());
            for (word, row) in vectors.iter() {
                let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
                prop_assert!(read.get(word).unwrap().iter().zip(row).all(same), "{:?} {:?}", options, word);
            }
        }
    }
}

#[test]
fn the_same_vectors_give_the_same_bytes() {
    let words: Vec<String> = (0..5000).map(|i| format!("w{i}")).collect();
    let values = (0..words.len() * 3).map(|i| i as f32 / 7.0).collect();
    let vectors = WordVectors::new(words.iter().map(String::as_str), 3, values).unwrap();
    for options in forms() {
        assert_eq!(
            written(&vectors, &options).unwrap(),
            written(&vectors, &options).unwrap()
        );
    }
}
