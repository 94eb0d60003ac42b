//! Files that gensim and stock DeepLearning4j made, against the words and numbers that they themselves read from them.

use caribou_ir::Source;
use caribou_word_vectors::{Settings, read};
use ndarray::Array2;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/words")
        .join(name)
}

/// Compares a file with what was recorded under `prefix`.
fn compare(folder: &Path, file: &str, prefix: &str) -> caribou_word_vectors::Import {
    let words = std::fs::read(folder.join(format!("{prefix}words.json"))).unwrap();
    let words: Vec<String> = serde_json::from_slice(&words).unwrap();
    let values: Array2<f32> = ndarray_npy::read_npy(folder.join(format!("{prefix}vectors.npy"))).unwrap();
    let import = read(&Source::open(folder.join(file)).unwrap(), &Settings::default()).unwrap();
    assert_eq!(import.vectors.words().iter().collect::<Vec<_>>(), words, "{file}");
    let bits = |values: &mut dyn Iterator<Item = f32>| values.map(f32::to_bits).collect::<Vec<_>>();
    let expected = bits(&mut values.iter().copied());
    assert_eq!(
        bits(&mut import.vectors.values().iter().copied()),
        expected,
        "{file}"
    );
    for (word, row) in words.iter().zip(values.rows()) {
        assert_eq!(import.vectors.get(word), row.as_slice());
    }
    import
}

#[test]
fn what_gensim_writes_is_read_as_gensim_reads_it() {
    let forms = [
        ("text.txt", "word2vec text"),
        ("text.txt.gz", "gzipped word2vec text"),
        ("crlf.txt", "word2vec text"),
        ("fasttext.vec", "word2vec text"),
        ("glove.txt", "text without a header (GloVe)"),
        ("binary.bin", "word2vec binary"),
        ("binary.bin.gz", "gzipped word2vec binary"),
        ("breaks.bin", "word2vec binary with line breaks"),
    ];
    for (file, form) in forms {
        let import = compare(&folder("word2vec"), file, "");
        assert_eq!(import.form.to_string(), form, "{file}");
        let codes: Vec<_> = import.findings.iter().map(|finding| finding.code.0).collect();
        assert_eq!(
            codes,
            if file == "crlf.txt" { vec!["W0132"] } else { vec![] },
            "{file}"
        );
    }
}

#[test]
fn what_deeplearning4j_writes_is_read_as_it_reads_it() {
    let model = compare(&folder("dl4j"), "model.zip", "model.zip.");
    assert_eq!(model.form.to_string(), "syn0.txt of a zip, word2vec text");
    assert_eq!(model.form.escaped, model.vectors.len());
    let counts = model.vectors.counts().unwrap();
    let der = model.vectors.words().find("der").unwrap();
    assert_eq!((counts[der].occurrences, counts[der].documents), (2, 2));
    compare(&folder("dl4j"), "vectors.txt", "vectors.txt.");
}
