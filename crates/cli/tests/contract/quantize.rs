//! What `quantize` writes: grid values that stock DL4J loads, and the integers behind them.

use super::{caribou, case, text};
use caribou_ir::{Limits, Source};
use caribou_reader_dl4j::quantization;
use caribou_writer_dl4j::format::BlockGrid;
use serde_json::Value;
use std::io::{Read, Write};
use std::path::Path;

/// Quantizes a case, and sees that integers and scales give back the archive's numbers, and lie on their grids.
fn check(model: &Path, options: &[&str], scheme: &str, bits: u32) {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("q.zip");
    let mut arguments = vec!["quantize", text(model), "-o", text(&archive)];
    arguments.extend(options);
    let done = caribou(&arguments);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{options:?} {said}");
    let source = Source::open(&archive).unwrap();
    let (entry, parameters) = quantization(&source, &Limits::default()).unwrap().unwrap();
    let parameters = parameters.to_vec().unwrap();
    assert!(!entry.parameters.is_empty());
    for block in &entry.parameters {
        let values = &parameters[block.offset..block.offset + block.elements];
        let integers = block.integers(values).unwrap();
        assert_eq!(block.bits(), bits, "{options:?}");
        let name = serde_json::to_value(block).unwrap()["scheme"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(name, scheme);
        for (i, (&integer, &value)) in integers.iter().zip(values).enumerate() {
            let (low, high, back) = match &block.grid {
                BlockGrid::Symmetric { run, scales, .. } => {
                    let high = (1 << (bits - 1)) - 1;
                    (
                        -high,
                        high,
                        integer as f32 * scales[(i / run) % scales.len()] as f32,
                    )
                }
                BlockGrid::Affine {
                    run,
                    scales,
                    zero_points,
                    ..
                } => {
                    let at = (i / run) % scales.len();
                    let steps = (integer - zero_points[at]) as f32;
                    (
                        -(1 << (bits - 1)),
                        (1 << (bits - 1)) - 1,
                        steps * scales[at] as f32,
                    )
                }
                BlockGrid::Codebook { values, .. } => (0, (1 << bits) - 1, values[integer as usize] as f32),
                BlockGrid::Half | BlockGrid::Bfloat16 => (0, 0xffff, value),
            };
            assert!((low..=high).contains(&integer), "{options:?}: {integer}");
            assert_eq!(back.to_bits() & 0x7fff_ffff, value.to_bits() & 0x7fff_ffff);
        }
    }
    let inspected = caribou(&["inspect", text(&archive)]);
    assert!(String::from_utf8_lossy(&inspected.stderr).contains("caribou/quantization.json"));
}

#[test]
fn every_scheme_gives_back_its_integers() {
    let model = case("digits_cnn").join("model.h5");
    for bits in ["4", "8", "16"] {
        for scheme in ["symmetric", "affine"] {
            for more in [
                &[][..],
                &["--per-tensor"],
                &["--power-of-two"],
                &["--scale", "percentile:99"],
            ] {
                let mut options = vec!["--bits", bits, "--scheme", scheme, "--no-verify"];
                options.extend(more);
                check(&model, &options, scheme, bits.parse().unwrap());
            }
        }
    }
    check(&model, &["--scheme", "half"], "half", 16);
    check(&model, &["--scheme", "bfloat16"], "bfloat16", 16);
    check(&model, &["--scheme", "codebook", "--bits", "5"], "codebook", 5);
    check(&model, &["--scale", "kl", "--no-verify"], "symmetric", 8);
    check(&model, &["--scale", "mse", "--no-verify"], "symmetric", 8);
}

#[test]
fn recurrent_and_depthwise_layers_are_recorded_too() {
    for name in [
        "lstm",
        "depthwise_conv2d_same",
        "embedding",
        "conv2d_transpose_same",
        "digits_cnn",
    ] {
        let model = case(name).join("model.h5");
        if model.exists() {
            check(&model, &[], "symmetric", 8);
        }
    }
}

#[test]
fn an_archive_without_its_scales_is_refused_by_layer() {
    let directory = tempfile::tempdir().unwrap();
    let (archive, broken) = (directory.path().join("q.zip"), directory.path().join("b.zip"));
    let model = case("digits_cnn").join("model.h5");
    let done = caribou(&["quantize", text(&model), "-o", text(&archive), "--no-verify"]);
    assert_eq!(done.status.code(), Some(0));
    let mut zip = zip::ZipArchive::new(std::fs::File::open(&archive).unwrap()).unwrap();
    let mut out = zip::ZipWriter::new(std::fs::File::create(&broken).unwrap());
    let mut layer = String::new();
    for i in 0..zip.len() {
        let mut entry = zip.by_index(i).unwrap();
        let name = entry.name().unwrap().into_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if name == "caribou/quantization.json" {
            let mut value: Value = serde_json::from_slice(&bytes).unwrap();
            let block = value["parameters"][1].as_object_mut().unwrap();
            block.remove("scales");
            layer = block["layer"].as_str().unwrap().to_owned();
            bytes = value.to_string().into_bytes();
        }
        out.start_file(name, zip::write::SimpleFileOptions::default())
            .unwrap();
        out.write_all(&bytes).unwrap();
    }
    out.finish().unwrap();
    let refused = caribou(&["inspect", text(&broken)]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(3));
    assert!(
        said.contains(&format!("layer {layer}")) && said.contains("scales"),
        "{said}"
    );
}

#[test]
fn calibration_records_ranges_and_refuses_other_shapes() {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("q.zip");
    let model = case("digits_cnn").join("model.h5");
    let input = case("digits_cnn").join("in0.npy");
    let base = [
        "quantize",
        text(&model),
        "-o",
        text(&archive),
        "--inputs",
        text(&input),
    ];
    let mut arguments = base.to_vec();
    arguments.extend([
        "--calibrate",
        text(&input),
        "--bias-correction",
        "--equalize",
        "--bits",
        "6",
    ]);
    let done = caribou(&arguments);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{said}");
    let source = Source::open(&archive).unwrap();
    let (entry, _) = quantization(&source, &Limits::default()).unwrap().unwrap();
    assert!(entry.activations.iter().any(|range| range.least < range.greatest));
    let other = case("dense").join("in0.npy");
    let mut arguments = base.to_vec();
    arguments.extend(["--force", "--calibrate", text(&other)]);
    let refused = caribou(&arguments);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        said.contains("--calibrate") && said.contains("expects an array of shape"),
        "{said}"
    );
}

#[test]
fn wrong_options_end_with_code_two() {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("p.zip");
    let model = case("digits_cnn").join("model.h5");
    let cases: [(&str, &[&str], &str); 8] = [
        ("prune", &["--sparsity", "1"], "--sparsity"),
        ("prune", &["--sparsity", "-0.5"], "--sparsity"),
        ("prune", &["--sparsity", "0.5", "--only", "nothing*"], "--only"),
        ("prune", &["--sparsity", "0.5", "--keep", "nothing*"], "--keep"),
        ("prune", &["--n-m", "5:4"], "--n-m"),
        ("prune", &[], "--sparsity"),
        ("quantize", &["--bits", "17"], "--bits"),
        ("clip", &["--value", "0"], "--value"),
    ];
    for (command, options, named) in cases {
        let mut arguments = vec![command, text(&model), "-o", text(&archive)];
        arguments.extend(options);
        let refused = caribou(&arguments);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{command} {options:?}: {said}");
        assert!(said.contains(named), "{command} {options:?}: {said}");
        assert!(!archive.exists());
    }
}

#[test]
fn prune_tells_sparsity_and_three_figures() {
    let directory = tempfile::tempdir().unwrap();
    let (archive, report) = (directory.path().join("p.zip"), directory.path().join("p.json"));
    let model = case("digits_cnn").join("model.h5");
    let arguments = [
        "prune",
        text(&model),
        "-o",
        text(&archive),
        "--report",
        text(&report),
    ];
    let mut arguments = arguments.to_vec();
    arguments.extend(["--sparsity", "0.9", "--only", "*"]);
    let done = caribou(&arguments);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{said}");
    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let layers = report["optimization"]["layers"].as_array().unwrap();
    let sum = |field: &str| {
        layers
            .iter()
            .map(|layer| layer[field].as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!(sum("zeros"), (sum("elements") as f64 * 0.9).round() as u64);
    let (before, after) = (
        &report["optimization"]["before"],
        &report["optimization"]["after"],
    );
    assert_eq!(
        before["bytes_in_memory"], after["bytes_in_memory"],
        "zeros take as much memory"
    );
    assert_eq!(before["multiply_adds"], after["multiply_adds"]);
    assert!(after["bytes_on_disk"].as_u64() < before["bytes_in_memory"].as_u64());
}

#[test]
fn sensitivity_tells_each_layer_at_each_level() {
    let model = case("digits_cnn").join("model.h5");
    let done = caribou(&[
        "--json",
        "sensitivity",
        text(&model),
        "--levels",
        "0.5,0.9",
        "--bits",
        "8",
    ]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{said}");
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(told["inputs"], "seeded");
    let layers = told["layers"].as_array().unwrap();
    assert!(layers.len() > 1);
    for layer in layers {
        let moved: Vec<f64> = layer["max_rel"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| m.as_f64().unwrap())
            .collect();
        assert_eq!(moved.len(), 3);
        assert!(moved[2] > 0.0 && moved[2] < moved[1], "{moved:?}");
    }
    let refused = caribou(&["sensitivity", text(&model), "--only", "nothing*"]);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn what_conversion_composed_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let (archive, quantized) = (place("a.zip"), place("q.zip"));
    let model = case("layer_norm_dense").join("model.h5");
    let done = caribou(&["convert", text(&model), "-o", text(&archive)]);
    assert_eq!(done.status.code(), Some(0));
    let layers = |options: &[&str]| -> Vec<String> {
        let mut arguments = vec![
            "quantize",
            text(&archive),
            "-o",
            text(&quantized),
            "--force",
            "--json",
        ];
        arguments.extend(options);
        let done = caribou(&arguments);
        assert_eq!(done.status.code(), Some(0), "{done:?}");
        let told: Value = serde_json::from_slice(&done.stdout).unwrap();
        let layers = told["optimization"]["layers"].as_array().unwrap();
        let name = |layer: &Value| layer["layer"].as_str().unwrap().to_owned();
        layers.iter().map(name).collect()
    };
    assert_eq!(layers(&[]), ["dense", "dense_1"]);
    // A layer that is named is treated.
    assert_eq!(
        layers(&["--only", "layer_normalization"]),
        ["layer_normalization"]
    );
}
