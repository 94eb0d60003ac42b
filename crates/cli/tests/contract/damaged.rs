//! Files that are damaged, hostile or no models: one clear error, exit code 3, and nothing written.

use super::{caribou, case, text};
use std::path::Path;

/// Converts `bytes` and gives what the command said; it must have refused them.
fn refused(directory: &Path, bytes: &[u8]) -> String {
    let model = directory.join("model.h5");
    std::fs::write(&model, bytes).unwrap();
    let output = directory.join("out.zip");
    let ended = caribou(&["convert", text(&model), "-o", text(&output)]);
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(3), "{said}");
    assert!(
        said.contains("model.h5"),
        "the error does not name the file: {said}"
    );
    assert!(!said.contains("panicked"), "{said}");
    let left: Vec<_> = std::fs::read_dir(directory).unwrap().collect();
    assert_eq!(left.len(), 1, "something was written");
    said
}

#[test]
fn a_file_that_was_cut_off_is_refused_at_every_length() {
    let directory = tempfile::tempdir().unwrap();
    let whole = std::fs::read(case("dense").join("model.h5")).unwrap();
    for length in [0, 1, 8, 100, 1000, whole.len() / 2, whole.len() - 1] {
        refused(directory.path(), &whole[..length]);
    }
}

#[test]
fn what_is_no_model_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let magic = [&b"\x89HDF\r\n\x1a\n"[..], &[255; 600]].concat();
    for bytes in [&b"no model"[..], &[0; 5000], &[255; 5000], &magic] {
        refused(directory.path(), bytes);
    }
}
