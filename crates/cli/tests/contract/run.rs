//! `run` and `verify`.

use super::{caribou, case, text};

#[test]
fn models_that_differ_are_told_apart() {
    let a = case("dense_activation_relu").join("model.h5");
    let b = case("dense_activation_tanh").join("model.h5");
    let differ = caribou(&["verify", text(&a), text(&b)]);
    assert_eq!(differ.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&differ.stderr).contains("differ"));
}

#[test]
fn wrong_inputs_are_a_matter_of_usage() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("y.npy");
    let wrong = case("dense_on_image").join("in0.npy");
    let run = caribou(&[
        "run",
        text(&case("dense").join("model.h5")),
        "--input",
        text(&wrong),
        "-o",
        text(&out),
    ]);
    assert_eq!(
        run.status.code(),
        Some(2),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    assert!(!out.exists());
}
