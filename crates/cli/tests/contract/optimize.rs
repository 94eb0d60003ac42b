//! What the commands write that make a network smaller.

use super::{caribou, case, text};
use caribou_ir::{ReadOptions, Reader, Source, Validator};
use caribou_reader_dl4j::Dl4jReader;
use caribou_runtime::{Array, Session};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Real digits as the network takes them, written to this folder, with their classes.
fn digits(directory: &Path) -> (PathBuf, PathBuf) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/digits");
    let images: ndarray::ArrayD<u8> = ndarray_npy::read_npy(folder.join("images.npy")).unwrap();
    let count = images.shape()[0];
    let images = images.mapv(|grey| f32::from(grey) / 16.0);
    let images = images.to_shape((count, 8, 8, 1)).unwrap();
    let path = directory.join("digits.npy");
    ndarray_npy::write_npy(&path, &images).unwrap();
    (path, folder.join("labels.npy"))
}

/// What an archive gives for the digits, read and run without the command.
fn outputs(archive: &Path, images: &Path) -> Array {
    let images: Array = ndarray_npy::read_npy(images).unwrap();
    let options = ReadOptions {
        input_shapes: vec![images.shape().iter().map(|&size| Some(size)).collect()],
        ..ReadOptions::default()
    };
    let import = Dl4jReader
        .read(&Source::open(archive).unwrap(), &options)
        .unwrap();
    let graph = Validator::default().validate(import.graph).unwrap();
    Session::new(&graph).run(&[images]).unwrap().remove(0)
}

/// The share of digits that are right.
fn accuracy(outputs: &Array, labels: &Path) -> f64 {
    let labels: ndarray::Array1<u8> = ndarray_npy::read_npy(labels).unwrap();
    let right = outputs.outer_iter().zip(&labels).filter(|(row, label)| {
        let best = row.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
        best.0 == usize::from(**label)
    });
    right.count() as f64 / labels.len() as f64
}

#[test]
fn simplify_writes_a_smaller_archive_of_the_same_function() {
    let directory = tempfile::tempdir().unwrap();
    let model = case("batch_norm_image").join("model.h5");
    let (archive, report) = (directory.path().join("s.zip"), directory.path().join("s.json"));
    let done = caribou(&[
        "simplify",
        text(&model),
        "-o",
        text(&archive),
        "--report",
        text(&report),
    ]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{said}");
    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let told = &report["optimization"];
    assert_eq!(told["pass"], "simplify");
    assert!(!told["rewrites"].as_array().unwrap().is_empty());
    assert!(told["deviation"]["max_rel"].as_f64().unwrap() < 1e-5);
    assert_eq!(told["deviation"]["inputs"], "seeded");
    assert!(told["after"]["parameters"].as_u64() < told["before"]["parameters"].as_u64());
    assert_eq!(
        told["after"]["bytes_on_disk"].as_u64().unwrap(),
        std::fs::metadata(&archive).unwrap().len()
    );
    let verified = caribou(&["verify", text(&model), text(&archive)]);
    assert_eq!(verified.status.code(), Some(0));
}

#[test]
fn optimize_keeps_its_bound_of_accuracy_on_real_digits() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let (model, (images, labels)) = (case("digits_cnn").join("model.h5"), digits(directory.path()));
    let (archive, recipe, report) = (place("o.zip"), place("o.toml"), place("o.json"));
    let plain = place("plain.zip");
    assert_eq!(
        caribou(&["convert", text(&model), "-o", text(&plain)])
            .status
            .code(),
        Some(0)
    );
    let mut options = vec![
        "optimize",
        text(&model),
        "-o",
        text(&archive),
        "--max-drop",
        "0.01",
    ];
    options.extend(["--inputs", text(&images), "--labels", text(&labels)]);
    options.extend(["--save-recipe", text(&recipe), "--report", text(&report)]);
    let done = caribou(&options);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{said}");
    let lost = accuracy(&outputs(&plain, &images), &labels) - accuracy(&outputs(&archive, &images), &labels);
    assert!(lost <= 0.01, "lost {lost}");
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    assert!(
        size(&archive) * 2 < size(&plain),
        "{} {}",
        size(&archive),
        size(&plain)
    );
    let told: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let found = &told["optimization"]["search"];
    assert_eq!(found["measure"], "accuracy");
    assert!(found["drop"].as_f64().unwrap() <= 0.01);
    assert!(found["evaluations"].as_u64().unwrap() <= 400);
    assert_eq!(
        found["recipe"].as_str().unwrap(),
        std::fs::read_to_string(&recipe).unwrap()
    );
    assert!(told["optimization"]["layers"][0]["bits"].is_u64());
    // The recipe makes the same archive again.
    let again = place("again.zip");
    let mut options = vec![
        "optimize",
        text(&model),
        "-o",
        text(&again),
        "--recipe",
        text(&recipe),
    ];
    options.extend(["--inputs", text(&images)]);
    assert_eq!(caribou(&options).status.code(), Some(0));
    assert!(std::fs::read(&archive).unwrap() == std::fs::read(&again).unwrap());
}

#[test]
fn optimize_keeps_its_bound_of_deviation() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let (model, (images, _)) = (case("digits_cnn").join("model.h5"), digits(directory.path()));
    let (archive, plain) = (place("o.zip"), place("plain.zip"));
    let converted = caribou(&["convert", text(&model), "-o", text(&plain)]);
    assert_eq!(converted.status.code(), Some(0));
    let mut options = vec![
        "optimize",
        text(&model),
        "-o",
        text(&archive),
        "--max-drop",
        "0.02",
    ];
    options.extend(["--inputs", text(&images)]);
    let done = caribou(&options);
    assert_eq!(done.status.code(), Some(0));
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(said.contains("400 given examples"), "{said}");
    let moved = caribou_runtime::compare(&outputs(&plain, &images), &outputs(&archive, &images)).unwrap();
    // The archive of the source was written by other sums than those of the source.
    assert!(moved.max_rel <= 0.02 + 1e-5, "{moved:?}");
}

#[test]
fn optimize_tells_that_its_examples_are_seeded_where_none_are_given() {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("o.zip");
    let model = case("digits_cnn").join("model.h5");
    let done = caribou(&[
        "optimize",
        text(&model),
        "-o",
        text(&archive),
        "--max-drop",
        "0.05",
    ]);
    let said = String::from_utf8(done.stdout).unwrap();
    assert!(said.contains("8 seeded examples"), "{said}");
}

#[test]
fn optimize_refuses_by_the_name_of_the_option() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let (model, (images, labels)) = (case("digits_cnn").join("model.h5"), digits(directory.path()));
    let archive = place("o.zip");
    let write = |name: &str, said: &str| {
        std::fs::write(place(name), said).unwrap();
        place(name)
    };
    let unknown = write(
        "unknown.toml",
        "version = 1\n\n[[layer]]\nname = \"dense\"\nbit = 8\n",
    );
    let absent = write("absent.toml", "version = 1\n[[layer]]\nname = \"dense_9\"\n");
    let narrow = write("narrow.toml", "version = 1\n[[layer]]\nname = \"*\"\nbits = 2\n");
    let short = place("short.npy");
    ndarray_npy::write_npy(&short, &ndarray::Array1::<i64>::zeros(7)).unwrap();
    for (given, code, said) in [
        (vec!["--max-drop", "1.5"], 2, "--max-drop: 1.5 is no bound"),
        (vec!["--max-drop", "-0.5"], 2, "--max-drop: -0.5 is no bound"),
        (
            vec!["--max-drop", "0.1", "--keep", "nothing*"],
            2,
            "nothing* matches no layer",
        ),
        (
            vec![
                "--max-drop",
                "0.1",
                "--inputs",
                text(&images),
                "--labels",
                text(&short),
            ],
            2,
            "expected classes of shape [400]",
        ),
        (
            vec![
                "--max-drop",
                "0.1",
                "--inputs",
                text(&images),
                "--labels",
                text(&images),
            ],
            2,
            "--labels",
        ),
        (
            vec!["--max-drop", "0.1", "--labels", text(&labels)],
            2,
            "--inputs",
        ),
        (vec!["--recipe", text(&unknown)], 2, "line 5, column 1"),
        (
            vec!["--recipe", text(&absent)],
            2,
            "line 3, column 8: dense_9 matches no layer",
        ),
        (
            vec!["--recipe", text(&narrow), "--max-drop", "0.001"],
            1,
            "--max-drop 0.001",
        ),
    ] {
        let mut options = vec!["optimize", text(&model), "-o", text(&archive)];
        options.extend(given.iter().copied());
        let done = caribou(&options);
        let stderr = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(code), "{given:?}: {stderr}");
        assert!(stderr.contains(said), "{given:?}: {stderr}");
        assert!(!archive.exists());
    }
}

#[test]
fn sensitivity_draws_a_line_for_each_layer() {
    let directory = tempfile::tempdir().unwrap();
    let chart = directory.path().join("s.svg");
    let model = case("digits_cnn").join("model.h5");
    let mut options = vec!["sensitivity", text(&model), "--plot", text(&chart)];
    let done = caribou(&options);
    assert_eq!(done.status.code(), Some(0), "{:?}", done);
    let drawn = std::fs::read_to_string(&chart).unwrap();
    for name in ["conv2d", "conv2d_1", "dense", "dense_1", "2 seeded examples"] {
        assert!(drawn.contains(name), "{name}");
    }
    assert_eq!(caribou(&options).status.code(), Some(2));
    options.push("--force");
    assert_eq!(caribou(&options).status.code(), Some(0));
}
