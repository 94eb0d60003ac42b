//! The contract of the command line: exit codes, what is written where, and what is never touched.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used)]

mod book;
mod caffe;
mod convert;
mod damaged;
mod dl4j;
mod files;
mod inspect;
mod normalizer;
mod optimize;
mod parts;
mod quantize;
mod refusal;
mod robustness;
mod run;
mod shapes;
mod soften;
mod structured;
mod training;
mod transfer;
mod words;

use assert_cmd::Command;
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
