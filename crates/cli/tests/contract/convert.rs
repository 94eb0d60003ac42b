//! What `convert` writes.

use super::{caribou, case, text};
use serde_json::Value;

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
