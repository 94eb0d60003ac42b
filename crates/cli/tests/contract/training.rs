//! `--with-training-state`.

use crate::{caribou, case, text};

fn holds(archive: &std::path::Path, entry: &str) -> bool {
    let bytes = std::fs::read(archive).unwrap();
    bytes
        .windows(entry.len())
        .any(|window| window == entry.as_bytes())
}

#[test]
fn the_state_of_the_optimizer_is_carried_over_when_asked_for() {
    for model in [
        case("training_adam").join("model.h5"),
        case("../keras3/training_adam").join("model.h5"),
        case("../keras3/training_rmsprop").join("model.keras"),
    ] {
        carried_over(&model);
    }
}

fn carried_over(model: &std::path::Path) {
    let directory = tempfile::tempdir().unwrap();
    for (flags, expected) in [(&[][..], false), (&["--with-training-state"][..], true)] {
        let archive = directory.path().join("model.zip");
        let mut arguments = vec!["convert", text(model), "-o", text(&archive), "--force"];
        arguments.extend(flags);
        let done = caribou(&arguments);
        let messages = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(0), "{messages}");
        assert_eq!(holds(&archive, "updaterState.bin"), expected);
    }
}

#[test]
fn a_model_without_a_state_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let model = case("dense").join("model.h5");
    let archive = directory.path().join("model.zip");
    let done = caribou(&[
        "convert",
        text(&model),
        "-o",
        text(&archive),
        "--with-training-state",
    ]);
    let messages = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{messages}");
    assert!(messages.contains("no training state"), "{messages}");
}

/// The count of steps in the configuration of an archive.
fn steps(archive: &std::path::Path) -> u64 {
    let file = std::fs::File::open(archive).unwrap();
    let mut archive = zip::ZipArchive::new(file).unwrap();
    let entry = archive.by_name("configuration.json").unwrap();
    let configuration: serde_json::Value = serde_json::from_reader(entry).unwrap();
    configuration["iterationCount"].as_u64().unwrap()
}

/// Momentum is an Adam whose count of steps starts where its correction of the bias is over.
#[test]
fn momentum_that_starts_anew_keeps_its_count_of_steps() {
    let directory = tempfile::tempdir().unwrap();
    let net = case("../caffe/training_momentum");
    let (first, second) = (
        directory.path().join("first.zip"),
        directory.path().join("second.zip"),
    );
    let converted = |arguments: &[&str]| {
        let done = caribou(arguments);
        let messages = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(0), "{messages}");
    };
    converted(&[
        "convert",
        text(&net.join("deploy.prototxt")),
        "--weights",
        text(&net.join("net.caffemodel")),
        "--solver",
        text(&net.join("solver.prototxt")),
        "-o",
        text(&first),
    ]);
    converted(&["convert", text(&first), "-o", text(&second)]);
    assert!(steps(&first) > 0);
    assert_eq!(steps(&second), steps(&first));
}
