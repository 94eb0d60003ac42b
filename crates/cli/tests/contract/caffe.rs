//! Caffe networks: two files, their options, and damaged ones.

use super::{caribou, case, text};

/// A file of a recorded case of Caffe.
fn file(name: &str, file: &str) -> String {
    let path = case("../caffe").join(name).join(file);
    path.to_str().unwrap().to_owned()
}

fn ended(arguments: &[&str]) -> (Option<i32>, String) {
    let ended = caribou(arguments);
    (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
}

#[test]
fn a_network_and_its_weights_become_an_archive() {
    let directory = tempfile::tempdir().unwrap();
    let (net, weights) = (
        file("train_val", "deploy.prototxt"),
        file("train_val", "net.caffemodel"),
    );
    let output = directory.path().join("net.zip");
    let (code, said) = ended(&[
        "convert",
        &net,
        "--weights",
        &weights,
        "--bake-preprocessing",
        "-o",
        text(&output),
    ]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("what remains are the values before the softmax"),
        "{said}"
    );
    assert!(output.exists());
}

#[test]
fn fields_that_are_not_known_are_refused_if_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let (net, weights) = (
        file("unknown_fields", "deploy.prototxt"),
        file("unknown_fields", "net.caffemodel"),
    );
    let output = directory.path().join("net.zip");
    let convert = ["convert", &net, "--weights", &weights, "-o", text(&output)];
    let (code, said) = ended(&[&convert[..], &["--strict"]].concat());
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("winograd") && said.contains("line "), "{said}");
    let (code, said) = ended(&convert);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("warning[C0101]"), "{said}");
}

#[test]
fn damaged_files_are_refused_with_their_place() {
    let directory = tempfile::tempdir().unwrap();
    let (net, weights) = (
        file("train_val", "deploy.prototxt"),
        file("train_val", "net.caffemodel"),
    );
    let output = directory.path().join("net.zip");
    let (cut_net, cut_weights) = (
        directory.path().join("cut.prototxt"),
        directory.path().join("cut.caffemodel"),
    );
    for (whole, cut) in [(&net, &cut_net), (&weights, &cut_weights)] {
        let bytes = std::fs::read(whole).unwrap();
        std::fs::write(cut, &bytes[..bytes.len() - 9]).unwrap();
    }
    for (net, weights, named, place) in [
        (text(&cut_net), weights.as_str(), "cut.prototxt", "line "),
        (net.as_str(), text(&cut_weights), "cut.caffemodel", "byte "),
    ] {
        let (code, said) = ended(&["convert", net, "--weights", weights, "-o", text(&output)]);
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains(named) && said.contains(place), "{said}");
        assert!(!output.exists());
    }
}

#[test]
fn a_file_that_is_destroyed_at_its_start_is_refused_with_the_place() {
    let directory = tempfile::tempdir().unwrap();
    let from = case("../caffe/net_lenet");
    let output = directory.path().join("out.zip");
    for (damaged, place) in [
        ("deploy.prototxt", "line 1, column 1"),
        ("net.caffemodel", "byte 0"),
    ] {
        for name in ["deploy.prototxt", "net.caffemodel"] {
            let mut bytes = std::fs::read(from.join(name)).unwrap();
            if name == damaged {
                bytes[..16].fill(0xa7);
            }
            std::fs::write(directory.path().join(name), bytes).unwrap();
        }
        let net = directory.path().join("deploy.prototxt");
        let weights = directory.path().join("net.caffemodel");
        let alone = directory.path().join(damaged);
        let both = [
            "convert",
            text(&net),
            "--weights",
            text(&weights),
            "-o",
            text(&output),
        ];
        for arguments in [&both[..], &["inspect", text(&alone)]] {
            let ended = caribou(arguments);
            let said = String::from_utf8(ended.stderr).unwrap();
            assert_eq!(ended.status.code(), Some(3), "{said}");
            assert!(said.contains(damaged) && said.contains(place), "{said}");
            assert!(!output.exists());
        }
    }
}

#[test]
fn a_solver_is_told_where_it_is_not_followed() {
    let directory = tempfile::tempdir().unwrap();
    let solver = directory.path().join("solver.prototxt");
    let output = directory.path().join("net.zip");
    let (net, weights) = (
        file("training_fixed_decay", "deploy.prototxt"),
        file("training_fixed_decay", "net.caffemodel"),
    );
    let convert = |text: &str| {
        std::fs::write(&solver, text).unwrap();
        ended(&[
            "convert",
            &net,
            "--weights",
            &weights,
            "--solver",
            solver.to_str().unwrap(),
            "-o",
            output.to_str().unwrap(),
        ])
    };
    let (code, said) = convert("base_lr: 0.1\nlr_policy: \"magic\"\n  type: \"Magic\"\n");
    assert_eq!(code, Some(0), "{said}");
    for expected in [
        "warning[C0501]",
        "policy magic is not known",
        "solver Magic is not known",
        "line 2",
        "line 3",
    ] {
        assert!(said.contains(expected), "{said}");
    }
    std::fs::remove_file(&output).unwrap();
    let (code, said) = convert("base_lr: 0.1\nmomentum: \"none\n");
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("solver.prototxt") && said.contains("line 2"),
        "{said}"
    );
    assert!(!output.exists());
}

#[test]
fn words_that_an_embedding_reads_are_made_up_of_its_vocabulary() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["embed", "lstm_embed"] {
        let output = directory.path().join(format!("{name}.zip"));
        let (net, weights) = (file(name, "deploy.prototxt"), file(name, "net.caffemodel"));
        let (code, said) = ended(&["convert", &net, "--weights", &weights, "-o", text(&output)]);
        assert_eq!(code, Some(0), "{said}");
    }
}
