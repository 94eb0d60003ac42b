//! The shapes of an archive's inputs: told by an entry of its own, by whoever reads it, or by what reads them.

use super::{caribou, case, text};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use zip::write::SimpleFileOptions;

const ENTRY: &str = "caribou/model.json";

fn model() -> PathBuf {
    case("training_cnn_adam").join("model.h5")
}

fn done(arguments: &[&str]) -> String {
    let done = caribou(arguments);
    let message = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{arguments:?} {message}");
    message
}

fn refused(arguments: &[&str]) -> String {
    let refused = caribou(arguments);
    assert_eq!(refused.status.code(), Some(3), "{arguments:?}");
    String::from_utf8(refused.stderr).unwrap()
}

fn inspected(model: &Path) -> Value {
    let shown = caribou(&["inspect", text(model), "--json"]);
    assert_eq!(
        shown.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&shown.stderr)
    );
    serde_json::from_slice(&shown.stdout).unwrap()
}

fn entry(archive: &Path) -> Value {
    let mut zip = zip::ZipArchive::new(std::fs::File::open(archive).unwrap()).unwrap();
    serde_json::from_reader(zip.by_name(ENTRY).unwrap()).unwrap()
}

/// The archive with another entry, or without one, as DL4J would write it.
fn replaced(archive: &Path, bytes: Option<&[u8]>, to: &Path) {
    let mut from = zip::ZipArchive::new(std::fs::File::open(archive).unwrap()).unwrap();
    let mut zip = zip::ZipWriter::new(std::fs::File::create(to).unwrap());
    for i in 0..from.len() {
        let mut file = from.by_index(i).unwrap();
        let name = file.name().unwrap().into_owned();
        if name == ENTRY {
            continue;
        }
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        zip.write_all(&content).unwrap();
    }
    if let Some(bytes) = bytes {
        zip.start_file(ENTRY, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
}

/// Images that are not square keep their size through every command that writes an archive of an archive.
#[test]
fn archives_tell_the_shapes_of_their_inputs() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let first = path("first.zip");
    done(&["convert", text(&model()), "-o", text(&first)]);
    let ports = json!({
        "version": 1,
        "inputs": [{ "name": "input_1", "shape": [null, 6, 5, 2] }],
        "outputs": [{ "name": "dense_1", "shape": [null, 3] }],
    });
    assert_eq!(entry(&first), ports);
    let (source, archive) = (inspected(&model()), inspected(&first));
    for what in ["inputs", "multiply_adds", "parameters"] {
        assert_eq!(source[what], archive[what], "{what}");
    }
    assert!(source["multiply_adds"].as_u64() > Some(0));
    for command in [
        &["convert"][..],
        &["simplify"],
        &["prune", "--sparsity", "0.5"],
        &["prune", "--structured", "filters", "--sparsity", "0.3"],
        &["clip", "--percentile", "99"],
        &["quantize", "--bits", "8"],
        &["optimize", "--max-drop", "0.1", "--evaluations", "16"],
        &["transfer", "--freeze", "conv*"],
    ] {
        let second = path("second.zip");
        let (name, options) = command.split_first().unwrap();
        done(
            &[
                &[*name, text(&first), "-o", text(&second), "--force"][..],
                options,
            ]
            .concat(),
        );
        assert_eq!(entry(&second), ports, "{command:?}");
    }
    let changed = path("changed.zip");
    let options = ["--replace-output", "7:softmax:mcxent"];
    done(&[&["transfer", text(&first), "-o", text(&changed)][..], &options].concat());
    assert_eq!(entry(&changed)["outputs"][0]["shape"], json!([null, 7]));
}

#[test]
fn a_shape_is_asked_for_where_nothing_tells_it_and_said_by_the_name_of_the_input() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let [first, bare, second] = ["first.zip", "bare.zip", "second.zip"].map(path);
    done(&["convert", text(&model()), "-o", text(&first)]);
    replaced(&first, None, &bare);
    let message = refused(&["inspect", text(&bare)]);
    assert!(
        message.contains("error[D0302]") && message.contains("--input input=?xSIZExSIZEx2"),
        "{message}"
    );
    let message = refused(&["inspect", text(&bare), "--input", "image=?x6x5x2"]);
    assert!(
        message.contains("a shape is given for image, and the inputs are input"),
        "{message}"
    );
    let message = refused(&["inspect", text(&bare), "--input", "input=?x6x5"]);
    assert!(
        message.contains("arrays of shape [?, ?, ?, 2] are expected, and [?, 6, 5] is given"),
        "{message}"
    );
    for option in [["--input", "input=?x6x5x2"], ["--input-shape", "1x6x5x2"]] {
        done(
            &[
                &["convert", text(&bare), "-o", text(&second), "--force"][..],
                &option,
            ]
            .concat(),
        );
        assert_eq!(entry(&second)["inputs"][0]["shape"], json!([null, 6, 5, 2]));
    }
    // Arrays of another rank are told from what is expected, with and without an entry.
    let images = case("training_cnn_adam").join("training_labels0.npy");
    for (archive, expected) in [(&first, "[?, 6, 5, 2]"), (&bare, "[?, ?, ?, 2]")] {
        let message = refused(&[
            "run",
            text(archive),
            "--input",
            text(&images),
            "-o",
            text(&path("y.npy")),
        ]);
        assert!(
            message.contains("error[D0302] input") && message.contains(expected),
            "{message}"
        );
    }
}

#[test]
fn an_entry_that_is_damaged_or_contradicts_the_network_is_passed_over_and_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let [first, other] = ["first.zip", "other.zip"].map(path);
    done(&[
        "convert",
        text(&case("digits_cnn").join("model.h5")),
        "-o",
        text(&first),
    ]);
    let ports = |input: Value, output: Value| {
        json!({
            "version": 1,
            "inputs": [{ "name": "input_1", "shape": input }],
            "outputs": [{ "name": "dense_1", "shape": output }],
        })
        .to_string()
    };
    for (bytes, says) in [
        ("{".to_owned(), "EOF"),
        (
            json!({ "version": 2, "inputs": [], "outputs": [] }).to_string(),
            "expected version 1, found 2",
        ),
        (
            json!({ "version": 1, "inputs": [], "outputs": [] }).to_string(),
            "it lists 0 inputs and 0 outputs",
        ),
        (ports(json!([null, 0, 8, 1]), json!([null, 10])), "is no shape"),
        (ports(json!([null, 20, 8, 1]), json!([null, 10])), ""),
        (ports(json!([null, 8, 8]), json!([null, 10])), ""),
        (
            ports(json!([null, 8, 8, 1]), json!([null, 11])),
            "it says [?, 11] of the output dense_1",
        ),
    ] {
        replaced(&first, Some(bytes.as_bytes()), &other);
        let shown = caribou(&["inspect", text(&other)]);
        let message = String::from_utf8_lossy(&shown.stderr).into_owned();
        assert_eq!(shown.status.code(), Some(0), "{bytes} {message}");
        assert!(
            message.contains("warning[D0312]: caribou/model.json is passed over") && message.contains(says),
            "{bytes} {message}"
        );
        assert!(message.contains("8 x 8 is the smallest"), "{bytes} {message}");
    }
    // Where nothing else tells, both are said.
    let [first, other] = ["wide.zip", "wrong.zip"].map(path);
    done(&["convert", text(&model()), "-o", text(&first)]);
    replaced(
        &first,
        Some(ports(json!([null, 7, 7, 2]), json!([null, 3])).as_bytes()),
        &other,
    );
    let message = refused(&["inspect", text(&other)]);
    assert!(
        message.contains("warning[D0312]") && message.contains("--input input_1=?xSIZExSIZEx2"),
        "{message}"
    );
    done(&["inspect", text(&other), "--input", "input_1=?x6x5x2"]);
}

/// A graph's entry has to name its inputs and outputs.
#[test]
fn an_entry_of_another_graph_is_passed_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let [first, other] = ["first.zip", "other.zip"].map(path);
    done(&[
        "convert",
        text(&case("digits_cnn").join("../../digits/residual.h5")),
        "-o",
        text(&first),
    ]);
    let mut ports = entry(&first);
    assert_eq!(inspected(&first)["inputs"][0]["shape"], "[N, 8, 8, 1]");
    ports["inputs"][0]["name"] = "picture".into();
    replaced(&first, Some(ports.to_string().as_bytes()), &other);
    let message = done(&["inspect", text(&other)]);
    assert!(
        message.contains("warning[D0312]")
            && message.contains("it lists the inputs picture, and the network has image"),
        "{message}"
    );
}
