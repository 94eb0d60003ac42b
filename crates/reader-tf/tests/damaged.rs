//! Recorded files of every form, damaged: refused or read, within a bounded time, and never with a panic.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

use caribou_ir::{ReadOptions, Reader, Source};
use caribou_reader_tf::TensorflowReader;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How many damaged copies of a file are read.
const COPIES: u64 = 400;
/// How long that may take for one file, however slow the machine; the copies are chosen so that the first are the best.
const TIME: Duration = Duration::from_secs(8);

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/tf")
        .join(name)
}

/// Numbers that look drawn (SplitMix64).
fn drawn(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A copy with one kind of damage.
fn damaged(whole: &[u8], number: u64) -> Vec<u8> {
    let mut seed = number;
    let mut bytes = whole.to_vec();
    let at = |seed: &mut u64| (drawn(seed) % whole.len() as u64) as usize;
    match number % 4 {
        0 => bytes.truncate(at(&mut seed)),
        1 => {
            let at = at(&mut seed);
            bytes[at] ^= 1 << (drawn(&mut seed) % 8);
        }
        2 => {
            for _ in 0..4 {
                let at = at(&mut seed);
                bytes[at] = drawn(&mut seed) as u8;
            }
        }
        _ => {
            let (from, to) = (at(&mut seed), at(&mut seed));
            let length = (whole.len() - from.max(to)).min(1 + (drawn(&mut seed) % 64) as usize);
            bytes.copy_within(from..from + length, to);
        }
    }
    bytes
}

/// Reads copies of a model in which one file is damaged.
fn survives(name: &str, model: &str, weights: Option<&str>, file: &str) {
    let directory = tempfile::tempdir().unwrap();
    copy(&case(name), directory.path());
    let path = directory.path().join(file);
    let whole = std::fs::read(&path).unwrap();
    let reader = TensorflowReader::default();
    let read = || {
        let Ok(source) = Source::open(directory.path().join(model)) else {
            return false;
        };
        let source = match weights {
            Some(weights) => source.with_weights(Source::open(directory.path().join(weights)).unwrap()),
            None => source,
        };
        let _ = reader.probe(&source);
        reader.read(&source, &ReadOptions::default()).is_ok()
    };
    assert!(read(), "{name} is not read as it is");
    let start = Instant::now();
    for number in 0..COPIES {
        // A new file each time: the old one may still be mapped.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, damaged(&whole, number)).unwrap();
        read();
        if start.elapsed() > TIME {
            break;
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap().path();
        let name = entry.file_name().unwrap();
        match entry.is_dir() {
            true => copy(&entry, &to.join(name)),
            false => std::fs::copy(&entry, to.join(name)).map(|_| ()).unwrap(),
        }
    }
}

#[test]
fn damaged_frozen_graphs() {
    survives("constant_mul", "graph.pb", None, "graph.pb");
}

#[test]
fn damaged_loops() {
    survives("dynamic_rnn_lstm", "graph.pb", None, "graph.pb");
}

#[test]
fn damaged_texts() {
    survives("file_text", "graph.pbtxt", None, "graph.pbtxt");
}

#[test]
fn damaged_saved_models() {
    survives(
        "module_nested_functions_saved",
        "saved_model",
        None,
        "saved_model/saved_model.pb",
    );
}

#[test]
fn damaged_checkpoints() {
    for file in ["model.ckpt.index", "model.ckpt.data-00000-of-00001"] {
        survives("file_checkpoint", "graph.pb", Some("model.ckpt.index"), file);
    }
}

#[test]
fn a_file_of_a_saved_model_by_itself_does_not_open_others() {
    let file = case("keras_mlp_saved").join("saved_model/saved_model.pb");
    let source = Source::open(file).unwrap();
    let error = TensorflowReader::default()
        .read(&source, &ReadOptions::default())
        .unwrap_err();
    assert!(error.to_string().contains("name the directory"), "{error}");
}
