//! The contract of the command line: exit codes, what is written where, and what is never touched.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use assert_cmd::Command;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/keras")
        .join(name)
}

fn caribou(arguments: &[&str]) -> std::process::Output {
    Command::cargo_bin("caribou")
        .unwrap()
        .args(arguments)
        .output()
        .unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn convert_writes_an_archive_that_runs_as_the_source() {
    let directory = tempfile::tempdir().unwrap();
    let model = case("digits_cnn").join("model.h5");
    let input = case("digits_cnn").join("in0.npy");
    for layout in ["keep", "nchw"] {
        let archive = directory.path().join(format!("{layout}.zip"));
        let report = directory.path().join(format!("{layout}.json"));
        let done = caribou(&[
            "convert",
            text(&model),
            "-o",
            text(&archive),
            "--layout",
            layout,
            "--report",
            text(&report),
        ]);
        assert_eq!(
            done.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        assert!(String::from_utf8_lossy(&done.stdout).contains("same outputs on 2 samples"));
        let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
        assert_eq!(report["target"], "MultiLayerNetwork");
        assert_eq!(report["inputs"][0]["source_name"], "input_1");
        assert_eq!(report["source"]["sha256"].as_str().unwrap().len(), 64);
        assert_eq!(report["verification"]["samples"], 2);
        assert_eq!(
            report["bytes"].as_u64().unwrap(),
            std::fs::metadata(&archive).unwrap().len()
        );
        assert!(
            report["layers"]
                .as_array()
                .unwrap()
                .iter()
                .all(|layer| layer["exact"] == true)
        );
        let verified = caribou(&["verify", text(&model), text(&archive)]);
        assert_eq!(
            verified.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&verified.stderr)
        );
    }
    let output = directory.path().join("y.npy");
    let archive = directory.path().join("keep.zip");
    let run = caribou(&[
        "run",
        text(&archive),
        "--input",
        text(&input),
        "-o",
        text(&output),
    ]);
    assert_eq!(
        run.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let found: ndarray::ArrayD<f32> = ndarray_npy::read_npy(&output).unwrap();
    let expected: ndarray::ArrayD<f32> = ndarray_npy::read_npy(case("digits_cnn").join("out0.npy")).unwrap();
    assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5));
}

#[test]
fn the_same_model_gives_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let model = case("u_net").join("model.h5");
    let archives = ["a.zip", "b.zip"].map(|name| directory.path().join(name));
    for archive in &archives {
        assert_eq!(
            caribou(&["convert", text(&model), "-o", text(archive), "--no-verify"])
                .status
                .code(),
            Some(0)
        );
    }
    assert_eq!(
        std::fs::read(&archives[0]).unwrap(),
        std::fs::read(&archives[1]).unwrap()
    );
}

#[test]
fn a_refusal_names_the_layer_and_leaves_no_archive() {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("gru.zip");
    let report = directory.path().join("gru.json");
    let model = case("gru_refused").join("model.h5");
    let refused = caribou(&[
        "convert",
        text(&model),
        "-o",
        text(&archive),
        "--report",
        text(&report),
    ]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("gru (GRU)"));
    assert!(refused.stdout.is_empty());
    assert!(!archive.exists());
    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    assert_eq!(report["findings"][0]["origin"], "gru");
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "only the report is left");
    assert_eq!(caribou(&["inspect", text(&model)]).status.code(), Some(3));
}

#[test]
fn what_is_there_is_replaced_only_by_force() {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("out.zip");
    std::fs::write(&archive, "precious").unwrap();
    let model = case("dense").join("model.h5");
    assert_eq!(
        caribou(&["convert", text(&model), "-o", text(&archive)])
            .status
            .code(),
        Some(2)
    );
    assert_eq!(std::fs::read(&archive).unwrap(), b"precious");
    let refused = case("gru_refused").join("model.h5");
    assert_eq!(
        caribou(&["convert", text(&refused), "-o", text(&archive), "--force"])
            .status
            .code(),
        Some(3)
    );
    assert_eq!(std::fs::read(&archive).unwrap(), b"precious");
    assert_eq!(
        caribou(&["convert", text(&model), "-o", text(&archive), "--force"])
            .status
            .code(),
        Some(0)
    );
    assert!(std::fs::read(&archive).unwrap().starts_with(b"PK"));
}

#[test]
fn bad_input_is_one_clear_error() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out.zip");
    let whole = std::fs::read(case("conv_stack").join("model.h5")).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let cases = [
        directory.path().join("missing.h5"),
        directory.path().to_path_buf(),
        write("empty.h5", b""),
        write("text.h5", b"this is no model"),
        write("truncated.h5", &whole[..whole.len() / 2]),
    ];
    for path in cases {
        let failed = caribou(&["convert", text(&path), "-o", text(&out)]);
        let message = String::from_utf8_lossy(&failed.stderr).into_owned();
        assert_eq!(failed.status.code(), Some(3), "{}: {message}", path.display());
        assert!(message.contains(text(&path)), "{message}");
        assert!(failed.stdout.is_empty() && !out.exists());
    }
    assert_eq!(caribou(&["convert"]).status.code(), Some(2));
}

#[test]
fn models_that_differ_are_told_apart() {
    let a = case("dense_activation_relu").join("model.h5");
    let b = case("dense_activation_tanh").join("model.h5");
    let differ = caribou(&["verify", text(&a), text(&b)]);
    assert_eq!(differ.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&differ.stderr).contains("differ"));
}

#[test]
fn inspect_counts_parameters() {
    let shown = caribou(&["inspect", text(&case("dense").join("model.h5")), "--json"]);
    assert_eq!(shown.status.code(), Some(0));
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["parameters"], 7 * 4 + 4);
    assert_eq!(shown["multiply_adds"], 7 * 4);
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

#[test]
fn weights_that_are_no_numbers_are_refused_by_layer() {
    let directory = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(case("dense").join("model.h5")).unwrap();
    let source = caribou_ir::Source::open(case("dense").join("model.h5")).unwrap();
    let read =
        caribou_ir::Reader::read(&caribou_reader_keras::KerasReader, &source, &Default::default()).unwrap();
    let (_, node) = read.graph.nodes().next().unwrap();
    let weight = caribou_ir::Operator::parameters(&node.op)[0].1.to_vec().unwrap()[0].to_le_bytes();
    let at = bytes.windows(4).position(|window| window == weight).unwrap();
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let model = directory.path().join("nan.h5");
    std::fs::write(&model, bytes).unwrap();
    let archive = directory.path().join("nan.zip");
    let refused = caribou(&["convert", text(&model), "-o", text(&archive)]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("dense (Dense): its weight holds 1 numbers"));
    assert!(!archive.exists());
}

#[test]
fn a_gru_is_refused_with_the_option_that_converts_it() {
    let directory = tempfile::tempdir().unwrap();
    let model = case("gru").join("model.h5");
    let archive = directory.path().join("gru.zip");
    let refused = caribou(&["convert", text(&model), "-o", text(&archive)]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--unroll-recurrent 5"));
    let done = caribou(&[
        "convert",
        text(&model),
        "-o",
        text(&archive),
        "--unroll-recurrent",
        "5",
    ]);
    let messages = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{messages}");
    assert!(messages.contains("no longer tied"), "{messages}");
}
