//! Every committed case is read, has the shapes that Keras reported, and survives validation and transpose sinking;
//! damaged files are refused with an error.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use caribou_ir::{Dim, Graph, ReadError, ReadOptions, Reader, Source, Validator, layout};
use caribou_reader_keras::KerasReader;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn cases() -> Vec<(PathBuf, Value)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let mut cases: Vec<(PathBuf, Value)> = ["keras", "keras3"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let text = std::fs::read_to_string(path.join("case.json")).unwrap();
            (path, serde_json::from_str(&text).unwrap())
        })
        .collect();
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(cases.len() >= 300, "only {} cases", cases.len());
    cases
}

/// The model of a case, in either file form.
fn model(folder: &Path) -> PathBuf {
    let hdf5 = folder.join("model.h5");
    if hdf5.exists() {
        hdf5
    } else {
        folder.join("model.keras")
    }
}

fn sizes(graph: &Graph, ports: &[caribou_ir::Port]) -> Vec<Vec<Option<u64>>> {
    let size = |dim: &Dim| dim.fixed().map(|size| size as u64);
    ports
        .iter()
        .map(|port| graph.shape(port.value).dims().iter().map(size).collect())
        .collect()
}

fn recorded(case: &Value, side: &str) -> Vec<Vec<Option<u64>>> {
    let shape = |port: &Value| {
        port["shape"]
            .as_array()
            .unwrap()
            .iter()
            .map(Value::as_u64)
            .collect()
    };
    case[side].as_array().unwrap().iter().map(shape).collect()
}

/// Whether the shapes are the recorded ones. Keras leaves sizes open that an `output_shape` does not tell, and the reader may
/// know them all the same; the number of examples it never does.
fn agree(found: &[Vec<Option<u64>>], recorded: &[Vec<Option<u64>>]) -> bool {
    let size = |(i, (found, recorded)): (usize, (&Option<u64>, &Option<u64>))| {
        found == recorded || (i > 0 && recorded.is_none())
    };
    let shape = |(found, recorded): (&Vec<Option<u64>>, &Vec<Option<u64>>)| {
        found.len() == recorded.len() && found.iter().zip(recorded).enumerate().all(size)
    };
    found.len() == recorded.len() && found.iter().zip(recorded).all(shape)
}

#[test]
fn every_case_is_read_with_the_shapes_that_keras_has() {
    let mut problems = Vec::new();
    for (path, case) in cases() {
        let name = case["case"].as_str().unwrap();
        let source = Source::open(model(&path)).unwrap();
        match KerasReader.read(&source, &ReadOptions::default()) {
            Ok(import) => {
                for side in ["inputs", "outputs"] {
                    let ports = if side == "inputs" {
                        import.graph.inputs()
                    } else {
                        import.graph.outputs()
                    };
                    if !agree(&sizes(&import.graph, ports), &recorded(&case, side)) {
                        problems.push(format!("{name}: {side} {:?}", sizes(&import.graph, ports)));
                    }
                }
                let (sunk, _) = layout::sink_transposes(&import.graph).unwrap();
                if let Err(findings) = Validator::default().validate(sunk) {
                    problems.push(format!("{name}: {findings}"));
                }
            }
            Err(ReadError::Refused { findings, .. }) if case["expect"] == "refuse" => {
                let named = findings.iter().any(|finding| {
                    finding
                        .origin
                        .as_ref()
                        .is_some_and(|origin| Some(&*origin.layer) == case["layer"].as_str())
                });
                if !named {
                    problems.push(format!(
                        "{name}: refused without naming {}: {findings}",
                        case["layer"]
                    ));
                }
            }
            Err(error) => problems.push(format!("{name}: {error}")),
        }
    }
    assert!(
        problems.is_empty(),
        "{} problems:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

#[test]
fn a_damaged_file_is_an_error_and_nothing_worse() {
    for folder in ["keras/conv_stack", "keras3/conv1d_stack"] {
        damage(folder);
    }
}

fn damage(folder: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let whole = std::fs::read(model(&root.join(folder))).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("damaged.h5");
    let mut state = 1u64;
    let mut next = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let mut refused = 0;
    for round in 0..300 {
        let mut bytes = whole.clone();
        if round % 2 == 0 {
            bytes.truncate(next(whole.len()));
        } else {
            for _ in 0..8 {
                let at = next(bytes.len());
                bytes[at] = next(256) as u8;
            }
        }
        std::fs::write(&file, &bytes).unwrap();
        let source = Source::open(&file).unwrap();
        refused += usize::from(KerasReader.read(&source, &ReadOptions::default()).is_err());
    }
    assert!(
        refused >= 150,
        "{folder}: every truncated file must be refused, only {refused} were"
    );
}
