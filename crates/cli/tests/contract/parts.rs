//! Models whose architecture and weights are in files of their own.

use super::{caribou, case, text};
use ndarray::ArrayD;
use std::path::{Path, PathBuf};

/// The folder of a case that Keras 3 recorded.
fn of_keras_3(name: &str) -> PathBuf {
    case(name).join("../../keras3").join(name)
}

#[test]
fn architecture_and_weights_are_put_together() {
    put_together(&case("file_parts"), &["weights.h5", "model.weights.h5"]);
}

#[test]
fn parts_of_keras_3_are_put_together() {
    put_together(&of_keras_3("file_parts"), &["model.weights.h5"]);
}

/// Converts, runs and verifies the parts in `folder` in every form that they can be given in.
fn put_together(folder: &Path, weights: &[&str]) {
    let [whole, architecture] = ["model.h5", "architecture.json"].map(|name| folder.join(name));
    let directory = tempfile::tempdir().unwrap();
    let expected: ArrayD<f32> = ndarray_npy::read_npy(folder.join("out0.npy")).unwrap();
    for weights in weights.iter().map(|name| folder.join(name)) {
        let forms: [&[&str]; 3] = [
            &[text(&weights), "--config", text(&architecture)],
            &[text(&architecture), "--weights", text(&weights)],
            &[text(&whole), "--weights", text(&weights)],
        ];
        for form in forms {
            converted(form, &folder.join("in0.npy"), &expected, directory.path());
        }
    }
}

fn converted(form: &[&str], input: &Path, expected: &ArrayD<f32>, directory: &Path) {
    let [archive, report, output] = ["out.zip", "report.json", "y.npy"].map(|name| directory.join(name));
    let done = |arguments: &[&str]| {
        let done = caribou(arguments);
        let message = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(0), "{message}");
    };
    let target = ["-o", text(&archive), "--report", text(&report), "--force"];
    done(&[&["convert"], &target[..], form].concat());
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    assert_eq!(told["source"]["weights"]["sha256"].as_str().unwrap().len(), 64);
    for model in [&[text(&archive)][..], form] {
        done(&[&["run", "--input", text(input), "-o", text(&output)], model].concat());
        let found: ArrayD<f32> = ndarray_npy::read_npy(&output).unwrap();
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5));
    }
    done(&[&["verify"], &form[..1], &[text(&archive)], &form[1..]].concat());
}

#[test]
fn an_architecture_alone_is_written_only_when_asked_for() {
    for folder in [case("file_parts"), of_keras_3("file_parts")] {
        untrained(&folder.join("architecture.json"));
    }
}

fn untrained(architecture: &Path) {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("new.zip");
    let refused = caribou(&["convert", text(architecture), "-o", text(&archive)]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--untrained"));
    assert!(!archive.exists());
    let done = caribou(&["convert", text(architecture), "-o", text(&archive), "--untrained"]);
    let message = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{message}");
    assert!(message.contains("warning[K0607]"), "{message}");
    assert!(archive.exists());
    assert_eq!(caribou(&["inspect", text(architecture)]).status.code(), Some(0));
}

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    let folder = case("file_parts");
    let [architecture, weights] = ["architecture.json", "weights.h5"].map(|name| folder.join(name));
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("out.zip");
    let code = |arguments: &[&str]| {
        let done = caribou(&[&["convert", "-o", text(&archive)], arguments].concat());
        assert!(!archive.exists());
        (
            done.status.code(),
            String::from_utf8_lossy(&done.stderr).into_owned(),
        )
    };
    let (alone, message) = code(&[text(&weights)]);
    assert_eq!(alone, Some(3));
    assert!(message.contains("--config"), "{message}");
    let other = case("lstm").join("model.h5");
    let (wrong, message) = code(&[text(&architecture), "--weights", text(&other)]);
    assert_eq!(wrong, Some(3));
    assert!(message.contains("conv (Conv2D)"), "{message}");
    let (both, _) = code(&[
        text(&weights),
        "--config",
        text(&architecture),
        "--weights",
        text(&weights),
    ]);
    assert_eq!(both, Some(2));
    let (missing, message) = code(&[text(&architecture), "--weights", "no_such_file.h5"]);
    assert_eq!(missing, Some(3));
    assert!(message.contains("no_such_file.h5"), "{message}");
}

#[test]
fn options_of_other_formats_are_not_passed_over() {
    let model = case("activation_elu").join("model.h5");
    let caffe = case("../caffe/absval").join("deploy.prototxt");
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("out.zip");
    for (model, option, value) in [
        (&model, "--input", "x=1x4"),
        (&model, "--signature", "serve"),
        (&model, "--solver", text(&caffe)),
        (&model, "--phase", "train"),
        (&model, "--mean-value", "1,2,3"),
        (&caffe, "--bind", "keep_prob=1"),
        (&caffe, "--output-node", "y"),
    ] {
        let refused = caribou(&["convert", text(model), "-o", text(&archive), option, value]);
        let message = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{option}: {message}");
        let told = option.trim_end_matches("-node");
        assert!(
            message.contains(told) && message.contains("is of format"),
            "{message}"
        );
        assert!(!archive.exists());
    }
}
