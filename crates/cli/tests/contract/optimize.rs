//! What the commands write that make a network smaller.

use super::{caribou, case, text};
use serde_json::Value;

#[test]
fn simplify_writes_a_smaller_archive_of_the_same_function() {
    let directory = tempfile::tempdir().unwrap();
    let model = case("batch_norm_image").join("model.h5");
    let (archive, report) = (directory.path().join("s.zip"), directory.path().join("s.json"));
    let done = caribou(&[
        "simplify",
        text(&model),
        "-o",
        text(&archive),
        "--report",
        text(&report),
    ]);
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(0), "{said}");
    let report: Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
    let told = &report["optimization"];
    assert_eq!(told["pass"], "simplify");
    assert!(!told["rewrites"].as_array().unwrap().is_empty());
    assert!(told["deviation"]["max_rel"].as_f64().unwrap() < 1e-5);
    assert_eq!(told["deviation"]["inputs"], "seeded");
    assert!(told["after"]["parameters"].as_u64() < told["before"]["parameters"].as_u64());
    assert_eq!(
        told["after"]["bytes_on_disk"].as_u64().unwrap(),
        std::fs::metadata(&archive).unwrap().len()
    );
    let verified = caribou(&["verify", text(&model), text(&archive)]);
    assert_eq!(verified.status.code(), Some(0));
}
