//! What `inspect` shows.

use super::{caribou, case, text};
use serde_json::Value;

#[test]
fn inspect_counts_parameters() {
    let shown = caribou(&["inspect", text(&case("dense").join("model.h5")), "--json"]);
    assert_eq!(shown.status.code(), Some(0));
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["parameters"], 7 * 4 + 4);
    assert_eq!(shown["multiply_adds"], 7 * 4);
}

#[test]
fn a_reader_that_stops_reading_ends_no_command_in_panic() {
    use std::io::{BufRead, BufReader};
    let model = case("file_config_over_64k").join("model.h5");
    let binary = assert_cmd::cargo::cargo_bin!("caribou");
    for json in [&["--json"][..], &[]] {
        let mut child = std::process::Command::new(binary)
            .args(["inspect", text(&model)])
            .args(json)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // Closed before anything is read, which no buffer of a pipe can hide.
        drop(child.stdout.take());
        let mut message = String::new();
        BufReader::new(child.stderr.take().unwrap())
            .read_line(&mut message)
            .unwrap();
        assert!(!message.contains("panicked"), "{message}");
        assert_eq!(child.wait().unwrap().code(), Some(0), "{message}");
    }
}

#[test]
fn training_is_told_in_words() {
    let shown = caribou(&[
        "inspect",
        text(&case("compiled_momentum_crossentropy").join("model.h5")),
    ]);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.contains("optimizer Nesterovs (momentum 0.8), learning rate 0.02;"),
        "{shown}"
    );
    assert!(shown.contains("categorical cross entropy"), "{shown}");
}

#[test]
fn what_can_not_be_read_has_findings_in_json_too() {
    let shown = caribou(&[
        "inspect",
        "--json",
        text(&case("refused_lambda").join("model.h5")),
    ]);
    assert_eq!(shown.status.code(), Some(3));
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["findings"][0]["origin"], "twice");
}

#[test]
fn limits_are_flags() {
    let model = case("conv_stack").join("model.h5");
    let code = |limit: &str| {
        caribou(&["inspect", text(&model), "--limit", limit])
            .status
            .code()
    };
    assert_eq!(code("nodes=1"), Some(3));
    assert_eq!(code("nodes=1K"), Some(0));
    assert_eq!(code("patience=3"), Some(2));
    assert_eq!(code("nodes=many"), Some(2));
    assert_eq!(code("nodes"), Some(2));
}
