//! Sound files, cut off and changed: refused or read, and never a panic.

use super::reading;
use proptest::prelude::*;
use std::path::Path;

const FILES: [&str; 6] = [
    "word2vec/text.txt",
    "word2vec/binary.bin",
    "word2vec/breaks.bin",
    "word2vec/text.txt.gz",
    "word2vec/glove.txt",
    "dl4j/model.zip",
];

fn bytes(file: &str) -> Vec<u8> {
    std::fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../testdata/words")
            .join(file),
    )
    .unwrap()
}

#[test]
fn a_file_that_is_cut_off_is_never_taken_for_a_whole_one() {
    for file in FILES {
        let whole = bytes(file);
        let sound = reading(&whole, false).unwrap().vectors;
        // The last bytes of a text may be a line break, or digits that are missed by nobody.
        let last = if file.ends_with(".txt") {
            whole.len() - 12
        } else {
            whole.len() - 1
        };
        for end in (0..last).step_by(7).chain(last.saturating_sub(40)..last) {
            match reading(&whole[..end], false) {
                Err(_) => {}
                // Without a header, whole lines are a whole file.
                Ok(import) => {
                    assert_eq!(file, "word2vec/glove.txt", "cut off at {end}");
                    assert!(import.vectors.len() <= sound.len());
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn changed_bytes_never_panic(file in 0..FILES.len(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), skip: bool) {
        let mut bytes = bytes(FILES[file]);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = reading(&bytes, skip);
    }

    #[test]
    fn any_text_never_panics(text in "([0-9]{1,3} [0-9]{1,2}\n)?([a-z0-9B:. ]{0,12}[ \t][0-9.e -]{0,12}\r?\n){0,6}", skip: bool) {
        let _ = reading(text.as_bytes(), skip);
    }

    #[test]
    fn any_bytes_never_panic(header in "[0-9]{1,2} [0-9]{1,2}\n", bytes in prop::collection::vec(any::<u8>(), 0..80), skip: bool) {
        let _ = reading(&[header.as_bytes(), &bytes].concat(), skip);
    }
}
