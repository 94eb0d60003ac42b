//! What is done to the numbers of the first input: beside the network, or as its first layer.

use super::{caribou, case, text};
use ndarray::{Array4, ArrayD, Axis};
use std::path::Path;

/// A network on images `[N, 5, 5, 2]` and the like, its input and its output.
const CASE: &str = "conv2d_same";

fn npy(path: &Path, numbers: &[f32]) {
    ndarray_npy::write_npy(path, &ndarray::arr1(numbers)).unwrap();
}

#[test]
fn a_normalizer_is_written_shown_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let [archive, again] = ["a.zip", "b.zip"].map(|name| directory.path().join(name));
    let model = case(CASE).join("model.h5");
    let target = ["-o", text(&archive), "--normalizer", "image:-1,1"];
    let done = caribou(&[&["convert", text(&model)][..], &target].concat());
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let done = caribou(&["convert", text(&archive), "-o", text(&again)]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    for archive in [&archive, &again] {
        let shown = caribou(&["inspect", text(archive)]);
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(
            shown.contains("normalizer: image, 0 to 255 becomes -1 to 1"),
            "{shown}"
        );
    }
}

#[test]
fn a_baked_normalizer_does_to_the_input_what_it_says() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let model = case(CASE).join("model.h5");
    let x: ArrayD<f32> = ndarray_npy::read_npy(case(CASE).join("in0.npy")).unwrap();
    let x: Array4<f32> = x.into_dimensionality().unwrap();
    let channels = x.len_of(Axis(3));
    let mean: Vec<f32> = (0..channels).map(|c| c as f32 + 100.0).collect();
    let deviation: Vec<f32> = (0..channels).map(|c| c as f32 + 2.5).collect();
    npy(&path("mean.npy"), &mean);
    npy(&path("deviation.npy"), &deviation);
    let raw = &x * &ndarray::arr1(&deviation) + &ndarray::arr1(&mean);
    ndarray_npy::write_npy(path("raw.npy"), &raw).unwrap();
    let standardize = format!(
        "standardize:{},{}",
        text(&path("mean.npy")),
        text(&path("deviation.npy"))
    );
    let [archive, output] = [path("a.zip"), path("y.npy")];
    let arguments = [
        "convert",
        text(&model),
        "-o",
        text(&archive),
        "--normalizer",
        &standardize,
    ];
    // Channels are last in the source, and DL4J's normalizers look for them on axis 1.
    let refused = caribou(&arguments);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("--layout nchw"),
        "{refused:?}"
    );
    let beside = caribou(&[&arguments[..], &["--layout", "nchw"]].concat());
    assert_eq!(beside.status.code(), Some(0), "{beside:?}");
    let baked = caribou(&[&arguments[..], &["--bake-preprocessing", "--force"]].concat());
    assert_eq!(baked.status.code(), Some(0), "{baked:?}");
    let run = caribou(&[
        "run",
        text(&archive),
        "--input",
        text(&path("raw.npy")),
        "-o",
        text(&output),
    ]);
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let found: ArrayD<f32> = ndarray_npy::read_npy(&output).unwrap();
    let expected: ArrayD<f32> = ndarray_npy::read_npy(case(CASE).join("out0.npy")).unwrap();
    let largest = expected
        .iter()
        .fold(0f32, |largest, value| largest.max(value.abs()));
    for (a, b) in expected.iter().zip(&found) {
        assert!((a - b).abs() <= 1e-4 * largest, "{a} {b}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("a.zip");
    let model = case(CASE).join("model.h5");
    for (option, code, says) in [
        (&["--normalizer", "caffe:1,2,3,4,5,6,7"][..], 3, "channels"),
        (&["--normalizer", "other:1"], 2, "expected standardize"),
        (&["--normalizer"], 3, "no data layer"),
        (&["--bake-preprocessing"], 2, "--normalizer"),
        (
            &["--normalizer", "standardize:missing.npy,missing.npy"],
            3,
            "missing.npy",
        ),
    ] {
        let refused = caribou(&[&["convert", text(&model), "-o", text(&archive)][..], option].concat());
        assert_eq!(refused.status.code(), Some(code), "{option:?} {refused:?}");
        let message = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(message.contains(says), "{option:?}: {message}");
        assert!(!archive.exists());
    }
}
