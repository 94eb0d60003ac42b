//! Archives that stock DL4J wrote, with what it computed for them.

use crate::{caribou, text};
use ndarray::ArrayD;
use std::path::{Path, PathBuf};

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/dl4j")
        .join(name)
}

fn done(arguments: &[&str]) -> String {
    let done = caribou(arguments);
    let messages = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{messages}");
    messages
}

fn same(model: &Path, name: &str) {
    let directory = tempfile::tempdir().unwrap();
    let found = directory.path().join("y.npy");
    let input = sample(&format!("{name}.input.npy"));
    done(&["run", text(model), "--input", text(&input), "-o", text(&found)]);
    let found: ArrayD<f32> = ndarray_npy::read_npy(found).unwrap();
    let expected: ArrayD<f32> = ndarray_npy::read_npy(sample(&format!("{name}.output.npy"))).unwrap();
    assert_eq!(found.shape(), expected.shape());
    for (a, b) in found.iter().zip(&expected) {
        assert!((a - b).abs() <= 1e-6, "{name}: {a} and {b}");
    }
}

#[test]
fn layers_of_archives_compute_what_stock_dl4j_computed() {
    for name in [
        "autoencoder",
        "centre_loss",
        "embedding",
        "embedding_sequence",
        "graves_bidirectional",
        "graves_lstm",
        "layer_norm",
        "pool_helper",
        "space_to_depth",
    ] {
        same(&sample(&format!("{name}.zip")), name);
    }
}

#[test]
fn embeddings_with_a_bias_are_written_again() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["embedding", "embedding_sequence"] {
        let archive = directory.path().join(format!("{name}.zip"));
        done(&[
            "convert",
            text(&sample(&format!("{name}.zip"))),
            "-o",
            text(&archive),
        ]);
        same(&archive, name);
    }
}

#[test]
fn what_is_remembered_of_weights_survives_convert_and_is_dropped_where_it_no_longer_fits() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let model = sample("normalized_adam.zip");
    let shape = ["--input-shape", "1x1x6x6"];
    let [plain, with, simple] = ["plain.zip", "with.zip", "simple.zip"].map(path);
    let messages = done(&[&["convert", text(&model), "-o", text(&plain)][..], &shape].concat());
    assert!(messages.contains("I0105"), "{messages}");
    let state = &["--with-training-state"][..];
    let messages = done(&[&["convert", text(&model), "-o", text(&with)][..], &shape, state].concat());
    assert!(
        !messages.contains("D0308") && !messages.contains("D0309"),
        "{messages}"
    );
    let messages = done(
        &[
            &["simplify", text(&model), "-o", text(&simple)][..],
            &shape,
            state,
        ]
        .concat(),
    );
    assert!(messages.contains("warning[I0103]"), "{messages}");
    let entry = |archive: &Path| {
        let bytes = std::fs::read(archive).unwrap();
        let name = b"updaterState.bin";
        bytes.windows(name.len()).any(|window| window == name)
    };
    assert_eq!(
        [&plain, &with, &simple].map(|archive| entry(archive)),
        [false, true, true]
    );
}

#[test]
fn words_are_taken_from_an_embedding_with_a_bias() {
    let directory = tempfile::tempdir().unwrap();
    let vocabulary = directory.path().join("vocabulary.txt");
    std::fs::write(&vocabulary, "a\nb\nc\nd\ne\nf\ng\n").unwrap();
    let vectors = directory.path().join("vectors.txt");
    done(&[
        "words",
        "extract",
        text(&sample("embedding_sequence.zip")),
        "--vocabulary",
        text(&vocabulary),
        "-o",
        text(&vectors),
    ]);
    let vectors = std::fs::read_to_string(vectors).unwrap();
    assert_eq!(
        vectors
            .lines()
            .filter(|line| line.split(' ').count() == 5)
            .count(),
        7,
        "{vectors}"
    );
}
