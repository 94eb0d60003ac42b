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
        "image_as_step",
        "layer_norm",
        "norm_pooling",
        "pool_helper",
        "self_attention",
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
        let messages = done(&[
            "convert",
            text(&sample(&format!("{name}.zip"))),
            "-o",
            text(&archive),
        ]);
        assert!(
            messages.contains("warning[D0308]") && messages.contains("the bias, a constant from here on"),
            "{messages}"
        );
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

#[test]
fn attention_and_pooling_by_a_norm_are_written_again() {
    let directory = tempfile::tempdir().unwrap();
    for (name, shape) in [
        ("self_attention", "8x4x5"),
        ("norm_pooling", "8x1x6x6"),
        ("image_as_step", "8x1x6x6"),
    ] {
        let archive = directory.path().join(format!("{name}.zip"));
        let from = sample(&format!("{name}.zip"));
        done(&[
            "convert",
            text(&from),
            "-o",
            text(&archive),
            "--input-shape",
            shape,
        ]);
        same(&archive, name);
    }
}
