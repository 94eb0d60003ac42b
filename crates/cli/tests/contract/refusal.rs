//! Models that are refused, and input that is none.

use super::{caribou, case, text};
use serde_json::Value;

#[test]
fn a_refusal_names_the_layer_and_leaves_no_archive() {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("gru.zip");
    let report = directory.path().join("gru.json");
    let model = case("gru_refused").join("model.h5");
    let refused = caribou(&[
        "convert",
        text(&model),
        "-o",
        text(&archive),
        "--report",
        text(&report),
    ]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("gru (GRU)"));
    assert!(refused.stdout.is_empty());
    assert!(!archive.exists());
    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    assert_eq!(report["findings"][0]["origin"], "gru");
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "only the report is left");
    assert_eq!(caribou(&["inspect", text(&model)]).status.code(), Some(3));
}

#[test]
fn bad_input_is_one_clear_error() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out.zip");
    let whole = std::fs::read(case("conv_stack").join("model.h5")).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let cases = [
        directory.path().join("missing.h5"),
        directory.path().to_path_buf(),
        write("empty.h5", b""),
        write("text.h5", b"this is no model"),
        write("truncated.h5", &whole[..whole.len() / 2]),
    ];
    for path in cases {
        let failed = caribou(&["convert", text(&path), "-o", text(&out)]);
        let message = String::from_utf8_lossy(&failed.stderr).into_owned();
        assert_eq!(failed.status.code(), Some(3), "{}: {message}", path.display());
        assert!(message.contains(text(&path)), "{message}");
        assert!(failed.stdout.is_empty() && !out.exists());
    }
    assert_eq!(caribou(&["convert"]).status.code(), Some(2));
}

#[test]
fn weights_that_are_no_numbers_are_refused_by_layer() {
    let directory = tempfile::tempdir().unwrap();
    let mut bytes = std::fs::read(case("dense").join("model.h5")).unwrap();
    let source = caribou_ir::Source::open(case("dense").join("model.h5")).unwrap();
    let read =
        caribou_ir::Reader::read(&caribou_reader_keras::KerasReader, &source, &Default::default()).unwrap();
    let (_, node) = read.graph.nodes().next().unwrap();
    let weight = caribou_ir::Operator::parameters(&node.op)[0].1.to_vec().unwrap()[0].to_le_bytes();
    let at = bytes.windows(4).position(|window| window == weight).unwrap();
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let model = directory.path().join("nan.h5");
    std::fs::write(&model, bytes).unwrap();
    let archive = directory.path().join("nan.zip");
    for verify in [&["--no-verify"][..], &[]] {
        let refused = caribou(&[&["convert", text(&model), "-o", text(&archive)], verify].concat());
        assert_eq!(refused.status.code(), Some(3));
        assert!(
            String::from_utf8_lossy(&refused.stderr).contains("dense (Dense): its weight holds 1 numbers")
        );
        assert!(!archive.exists());
    }
}

#[test]
fn a_gru_is_refused_with_the_option_that_converts_it() {
    let directory = tempfile::tempdir().unwrap();
    let model = case("gru").join("model.h5");
    let archive = directory.path().join("gru.zip");
    let refused = caribou(&["convert", text(&model), "-o", text(&archive)]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--unroll-recurrent 5"));
    let done = caribou(&[
        "convert",
        text(&model),
        "-o",
        text(&archive),
        "--unroll-recurrent",
        "5",
    ]);
    let messages = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(0), "{messages}");
    assert!(messages.contains("no longer tied"), "{messages}");
}

/// Refusals of the reader and of the writer, in nested models and at each step: one run names them all. Such a
/// file does not tell the shapes behind a Lambda.
#[test]
fn every_layer_that_is_refused_is_named_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("many.zip");
    let names = [
        "twice (Lambda)",
        "gated (GRU)",
        "odd_cells (LSTM)",
        "inner_lambda (Lambda)",
        "lambda_of_each (Lambda)",
        "wrapped_lambda (TimeDistributed)",
        "tf.math.floor (TFOpLambda)",
        "scores (MultiHeadAttention)",
        "remembering (ConvLSTM1D)",
        "image_to_volume (Lambda)",
        "far (Conv3D)",
    ];
    let refused = caribou(&[
        "convert",
        text(&case("refused_many").join("model.h5")),
        "-o",
        text(&archive),
    ]);
    assert_eq!(refused.status.code(), Some(3));
    let messages = String::from_utf8_lossy(&refused.stderr).into_owned();
    for name in names {
        assert!(messages.contains(name), "{name} is missing in\n{messages}");
    }
    let errors = messages.matches("error[").count();
    assert_eq!(errors, names.len(), "nothing else is refused:\n{messages}");
}
