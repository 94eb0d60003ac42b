//! What `prune --structured` and `--precision` write.

use super::{caribou, case, text};
use caribou_ir::{DType, Import, Operator, ReadOptions, Reader, Source};
use serde_json::Value;
use std::path::Path;

/// Runs a command that writes an archive, and gives its report.
fn written(command: &[&str], model: &Path, archive: &Path) -> Value {
    let report = archive.with_extension("json");
    let mut arguments = vec![
        command[0],
        text(model),
        "-o",
        text(archive),
        "--report",
        text(&report),
    ];
    arguments.extend(&command[1..]);
    let done = caribou(&arguments);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{arguments:?}: {said}");
    serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap()
}

/// Networks as people build them, with residual sums, concatenations, depthwise convolutions, gates, flattening, layers that are
/// shared, attention, and recurrent layers that read units.
const NETWORKS: [&str; 15] = [
    "residual",
    "residual_pre_activation",
    "mobile_block",
    "inception",
    "u_net",
    "squeeze_excite",
    "digits_cnn",
    "flatten_behind_conv",
    "conv_stack",
    "concatenate_flattened",
    "shared_conv",
    "shared_dense",
    "lstm_between_dense",
    "conv3d_flatten_dense",
    "transformer_encoder",
];

#[test]
fn recorded_networks_without_filters_are_the_masked_ones() {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("p.zip");
    for (i, name) in NETWORKS.iter().enumerate() {
        let criterion = ["l1", "l2", "median"][i % 3];
        let model = case(name).join("model.h5");
        let command = [
            "prune",
            "--structured",
            "filters",
            "--criterion",
            criterion,
            "--sparsity",
            "0.5",
            "--per-layer",
            "--only",
            "*",
            "--force",
        ];
        let report = written(&command, &model, &archive);
        let told = &report["optimization"];
        // Sums of more than 256 terms are rounded at other places.
        assert!(
            told["masked_max_rel"].as_f64().unwrap() < 1e-6,
            "{name}: {}",
            told["masked_max_rel"]
        );
        let figure = |when: &str, what: &str| told[when][what].as_u64();
        for what in ["parameters", "bytes_in_memory", "multiply_adds"] {
            assert!(figure("after", what) < figure("before", what), "{name}: {what}");
        }
        let units = told["units"].as_array().unwrap();
        assert!(
            units
                .iter()
                .any(|unit| unit["after"].as_u64() < unit["before"].as_u64()),
            "{name}"
        );
        assert!(
            units.iter().all(|unit| unit["after"].as_u64() > Some(0)),
            "{name}"
        );
        let kept = |unit: &&Value| unit["after"] == unit["before"] && unit["reason"].is_null();
        assert!(!units.iter().any(|unit| kept(&unit)), "{name}: {units:?}");
    }
}

#[test]
fn what_is_protected_is_named_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("p.zip");
    let model = case("digits_cnn").join("model.h5");
    let report = written(
        &["prune", "--structured", "filters", "--sparsity", "0.5"],
        &model,
        &archive,
    );
    let units = report["optimization"]["units"].as_array().unwrap();
    let reason = |layer: &str| {
        let unit = units.iter().find(|unit| unit["layer"] == layer).unwrap();
        (unit["before"] == unit["after"]).then(|| unit["reason"].as_str().unwrap().to_owned())
    };
    assert_eq!(
        reason("conv2d").as_deref(),
        Some("the first layer is protected unless named")
    );
    assert_eq!(reason("conv2d_1"), None);
    assert!(reason("dense_1").is_some());
    for (options, message) in [
        (&["--keep", "nothing*"][..], "--keep: nothing* matches no layer"),
        (&["--only", "dense_1"], "no unit can be taken out: dense_1"),
        (&["--threshold", "0.1"], "cannot be used with"),
    ] {
        let mut arguments = vec!["prune", text(&model), "-o", "x.zip", "--structured", "filters"];
        arguments.extend(
            ["--sparsity", "0.5"]
                .iter()
                .filter(|_| options[0] != "--threshold"),
        );
        arguments.extend(options);
        let done = caribou(&arguments);
        assert_eq!(done.status.code(), Some(2), "{options:?}");
        assert!(
            String::from_utf8_lossy(&done.stderr).contains(message),
            "{options:?}"
        );
    }
}

#[test]
fn steps_are_told_against_the_source() {
    let directory = tempfile::tempdir().unwrap();
    let model = case("digits_cnn").join("model.h5");
    let at_once = written(
        &["prune", "--sparsity", "0.9"],
        &model,
        &directory.path().join("a.zip"),
    );
    let by_steps = written(
        &["prune", "--steps", "0.5,0.75,0.9"],
        &model,
        &directory.path().join("b.zip"),
    );
    assert_eq!(
        at_once["optimization"]["layers"],
        by_steps["optimization"]["layers"]
    );
    let notes = by_steps["findings"].as_array().unwrap();
    assert_eq!(notes.iter().filter(|note| note["code"] == "I0104").count(), 2);
    let filters = written(
        &["prune", "--structured", "filters", "--steps", "0.2,0.4"],
        &model,
        &directory.path().join("c.zip"),
    );
    let notes = filters["findings"].as_array().unwrap();
    assert_eq!(notes.iter().filter(|note| note["code"] == "I0104").count(), 1);
}

#[test]
fn archives_of_sixteen_bits_are_half_as_large_and_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let model = case("digits_cnn").join("model.h5");
    let whole = written(
        &["convert", "--compression", "stored"],
        &model,
        &directory.path().join("f.zip"),
    );
    for (precision, command) in [
        ("half", "convert"),
        ("half", "quantize"),
        ("bfloat16", "quantize"),
    ] {
        let archive = directory.path().join(format!("{precision}-{command}.zip"));
        let report = written(&[command, "--precision", precision], &model, &archive);
        // What is saved but for the text of the configuration, which differs by its words for the type.
        let bytes = |report: &Value| report["bytes"].as_i64().unwrap();
        let saved = bytes(&whole) - bytes(&report) - 2 * report["parameters"].as_i64().unwrap();
        assert!(saved.abs() < 64, "{precision} {command}: {saved}");
        let warned = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|found| found["code"] == "D0205");
        assert!(warned, "{precision}");
        let source = Source::open(&archive).unwrap();
        let Import { graph, .. } = caribou_reader_dl4j::Dl4jReader
            .read(&source, &ReadOptions::default())
            .unwrap();
        let expected = match precision {
            "half" => DType::F16,
            _ => DType::BF16,
        };
        let mut parameters = graph.nodes().flat_map(|(_, node)| node.op.parameters());
        assert!(
            parameters.all(|(_, tensor)| tensor.dtype() == expected),
            "{precision}"
        );
    }
    let refused = caribou(&[
        "quantize",
        text(&model),
        "-o",
        "x.zip",
        "--precision",
        "half",
        "--bits",
        "4",
    ]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--precision"));
}

#[test]
fn what_sixteen_bits_would_make_infinite_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("x.zip");
    for (name, code, said) in [
        // The exponential on the way to a softplus.
        ("softplus_large", 1, "beyond the numbers of 16 bits"),
        ("mha_unknown_length", 3, "D0206"),
        ("composed_roots", 3, "D0204"),
    ] {
        let model = case(name).join("model.h5");
        let refused = caribou(&[
            "convert",
            text(&model),
            "-o",
            text(&archive),
            "--precision",
            "half",
        ]);
        let errors = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(code), "{name}: {errors}");
        assert!(errors.contains(said), "{name}: {errors}");
        assert!(!archive.exists(), "{name}");
    }
}
