//! `words`.

use super::{caribou, case, text};
use std::path::{Path, PathBuf};
use std::process::Output;

fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata/words")
        .join(name)
}

/// Runs `caribou words …` and gives what it printed; it must succeed.
fn words(arguments: &[&str]) -> String {
    let output = run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

fn run(arguments: &[&str]) -> Output {
    caribou(&[&["words"], arguments].concat())
}

fn json(arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&words(&[arguments, &["--json"]].concat())).unwrap()
}

#[test]
fn files_are_converted_by_the_ending_of_their_name() {
    let directory = tempfile::tempdir().unwrap();
    let source = recorded("word2vec/glove.txt");
    for (name, format) in [
        ("a.txt", "word2vec text"),
        ("a.txt.gz", "gzipped word2vec text"),
        ("a.bin", "word2vec binary"),
        ("a.zip", "syn0.txt of a zip, word2vec text"),
    ] {
        let out = directory.path().join(name);
        let arguments = ["convert", text(&source), "-o", text(&out)];
        assert!(words(&arguments).contains("every word and every number is equal"));
        let info = json(&["info", text(&out)]);
        assert_eq!(info["format"], format);
        assert_eq!((&info["words"], &info["dimensions"]), (&54.into(), &6.into()));
        // What exists is not replaced, unless that is asked for.
        assert_eq!(run(&arguments).status.code(), Some(2));
        words(&[&arguments[..], &["--force"]].concat());
    }
    let over = run(&["convert", text(&source), "-o", text(&source), "--force"]);
    assert_eq!(over.status.code(), Some(2));
}

#[test]
fn a_subset_is_kept_in_the_order_of_its_vocabulary() {
    let directory = tempfile::tempdir().unwrap();
    let (list, out) = (
        directory.path().join("list.txt"),
        directory.path().join("out.txt"),
    );
    std::fs::write(&list, "queen\r\nunicorn\r\n東京\r\nqueen\r\nking\r\n").unwrap();
    let source = recorded("word2vec/binary.bin");
    let arguments = ["convert", text(&source), "-o", text(&out), "--words", "plain"];
    let report = json(
        &[
            &arguments[..],
            &["--vocabulary", text(&list), "--top", "2", "--normalize"],
        ]
        .concat(),
    );
    let codes: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| &finding["code"])
        .collect();
    assert_eq!(codes, ["W0211", "W0212"]);
    let written = std::fs::read_to_string(&out).unwrap();
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "2 6"));
    assert!(lines[1].starts_with("queen ") && lines[2].starts_with("東京 "));
    let info = json(&["info", text(&out)]);
    assert!((info["length"]["shortest"].as_f64().unwrap() - 1.0).abs() < 1e-6);
}

#[test]
fn what_is_lost_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out.txt");
    let source = recorded("word2vec/text.txt");
    let arguments = ["convert", text(&source), "-o", text(&out), "--force"];
    let full = json(&[&arguments[..], &["--dimensions", "6"]].concat());
    assert!(
        full["loss"]["mean_cosine_change"].as_f64().unwrap() < 1e-6,
        "{full}"
    );
    assert_eq!(full["loss"]["neighbours_kept"], 1.0);
    let three = json(&[&arguments[..], &["--dimensions", "3"]].concat());
    assert_eq!(three["dimensions"], 3);
    assert!(
        three["loss"]["mean_cosine_change"].as_f64().unwrap() > 0.01,
        "{three}"
    );
    let squares = three["squares_kept"].as_f64().unwrap();
    assert!(squares > 0.5 && squares < 1.0);
    let bytes = json(&arguments)["bytes"].as_u64().unwrap();
    let small = json(&[&arguments[..], &["--quantize", "int8"]].concat());
    assert!(small["bytes"].as_u64().unwrap() < bytes * 3 / 4, "{small}");
    assert!(small["loss"]["mean_cosine_change"].as_f64().unwrap() < 0.01);
    assert_eq!(
        run(&[&arguments[..], &["--dimensions", "7"]].concat())
            .status
            .code(),
        Some(3)
    );
}

#[test]
fn neighbours_are_those_of_gensim() {
    // KeyedVectors.most_similar of gensim 4.4.0 on the same file.
    let source = recorded("word2vec/text.txt");
    let found = json(&["nearest", text(&source), "king", "--count", "3"]);
    let expected = [("首都", 0.77969384), ("König", 0.76003349), ("der", 0.66692531)];
    for (near, (word, cosine)) in found.as_array().unwrap().iter().zip(expected) {
        assert_eq!(near["word"], word);
        assert!((near["cosine"].as_f64().unwrap() - cosine).abs() < 1e-6);
    }
    let found = json(&[
        "nearest",
        text(&source),
        "king",
        "woman",
        "--without",
        "man",
        "--count",
        "2",
    ]);
    for (near, (word, cosine)) in found
        .as_array()
        .unwrap()
        .iter()
        .zip([("cats", 0.91219151), ("queen", 0.77618515)])
    {
        assert_eq!(near["word"], word);
        assert!((near["cosine"].as_f64().unwrap() - cosine).abs() < 1e-6);
    }
    let unknown = run(&["nearest", text(&source), "KING"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is \"king\""));
}

#[test]
fn lines_that_can_not_be_read_are_all_told_and_may_be_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let (file, out) = (directory.path().join("in.txt"), directory.path().join("out.txt"));
    std::fs::write(&file, "4 2\na 1 2\nb 1\nc 1 x\na 3 4\n").unwrap();
    let refused = run(&["convert", text(&file), "-o", text(&out)]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(!out.exists());
    let stderr = String::from_utf8_lossy(&refused.stderr);
    for told in [
        "W0102",
        "at line 3",
        "W0101",
        "at line 4, column 5",
        "W0121",
        "at line 5",
    ] {
        assert!(stderr.contains(told), "{told}: {stderr}");
    }
    words(&[
        "convert",
        text(&file),
        "-o",
        text(&out),
        "--skip-malformed",
        "--words",
        "plain",
    ]);
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "1 2\na 1 2\n");
    std::fs::write(
        &file,
        &std::fs::read(recorded("word2vec/text.txt.gz")).unwrap()[..900],
    )
    .unwrap();
    assert_eq!(run(&["info", text(&file)]).status.code(), Some(3));
    let model = case("embedding").join("model.h5");
    assert_eq!(run(&["info", text(&model)]).status.code(), Some(3));
    assert_eq!(
        run(&["info", text(&directory.path().join("none"))]).status.code(),
        Some(3)
    );
}

#[test]
fn vectors_are_put_into_a_layer_and_taken_out_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let (vectors, list, archive, out) = (path("v.txt"), path("list.txt"), path("m.zip"), path("out.txt"));
    let model = case("embedding").join("model.h5");
    std::fs::write(&vectors, "3 4\na 1 2 3 4\nb 0.5 -1 0.25 8\nc 9 9 9 9\n").unwrap();
    std::fs::write(&list, "b\nunknown\n\na\n").unwrap();
    let arguments = [
        "embed",
        text(&model),
        "--vectors",
        text(&vectors),
        "--vocabulary",
        text(&list),
    ];
    let rest = ["--first-row", "1", "-o", text(&archive), "--unknown", "mean"];
    let report = json(&[&arguments[..], &rest].concat());
    let embedding = &report["embedding"];
    assert_eq!(
        (&embedding["known"], &embedding["unknown"]),
        (&2.into(), &1.into())
    );
    let rows = embedding["rows"].as_u64().unwrap();
    assert_eq!(embedding["without_word"], rows - 3);
    assert!(report["verification"]["max_rel"].as_f64().unwrap() < 1e-5);

    // The archive has the vectors, and the rows without a word are those of the model.
    let all: Vec<String> = (0..rows).map(|row| format!("row{row}")).collect();
    std::fs::write(&list, all.join("\n")).unwrap();
    let take = |model: &Path| {
        let arguments = [
            "extract",
            text(model),
            "--vocabulary",
            text(&list),
            "-o",
            text(&out),
        ];
        words(&[&arguments[..], &["--words", "plain", "--force"]].concat());
        let text = std::fs::read_to_string(&out).unwrap();
        text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let (before, after) = (take(&model), take(&archive));
    assert_eq!(after[1], "row1 0.5 -1 0.25 8");
    assert_eq!(after[2], "row2 3.5 3.3333333 4.0833335 7");
    assert_eq!(after[4], "row4 1 2 3 4");
    for row in 0..all.len() {
        assert_eq!(before[row] == after[row], ![1, 2, 4].contains(&row), "{row}");
    }
}

#[test]
fn vectors_that_do_not_fit_a_layer_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let (vectors, list, archive) = (path("v.txt"), path("list.txt"), path("m.zip"));
    std::fs::write(&list, "a\n").unwrap();
    let embed = |model: &Path, content: &str, more: &[&str]| {
        std::fs::write(&vectors, content).unwrap();
        let arguments = [
            "embed",
            text(model),
            "--vectors",
            text(&vectors),
            "--vocabulary",
            text(&list),
        ];
        let output = run(&[&arguments[..], &["-o", text(&archive)], more].concat());
        assert!(!archive.exists());
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let model = case("embedding").join("model.h5");
    let (code, stderr) = embed(&model, "1 3\na 1 2 3\n", &[]);
    assert!(code == Some(3) && stderr.contains("--dimensions 4"), "{stderr}");
    let (code, stderr) = embed(&model, "1 4\na 1 2 3 4\n", &["--first-row", "100000"]);
    assert!(code == Some(2) && stderr.contains("row 100000"), "{stderr}");
    let (code, stderr) = embed(&model, "1 4\na 1 2 3 4\n", &["--layer", "nothing"]);
    assert!(
        code == Some(3) && stderr.contains("there are embedding"),
        "{stderr}"
    );
    let (code, stderr) = embed(&case("dense").join("model.h5"), "1 4\na 1 2 3 4\n", &[]);
    assert!(
        code == Some(3) && stderr.contains("no embedding layer"),
        "{stderr}"
    );
    let (code, stderr) = embed(&model, "1 4\na 1 nan 3 4\n", &[]);
    assert!(code == Some(3) && stderr.contains("embedding"), "{stderr}");
}
