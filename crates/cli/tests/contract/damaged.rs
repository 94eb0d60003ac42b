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

#[test]
fn a_number_of_an_archive_that_is_another_by_one_bit_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("model.zip");
    let model = case("dense").join("model.h5");
    let written = caribou(&[
        "convert",
        text(&model),
        "-o",
        text(&archive),
        "--compression",
        "stored",
    ]);
    assert_eq!(written.status.code(), Some(0));
    let mut bytes = std::fs::read(&archive).unwrap();
    let find = |text: &[u8], from: usize| {
        from + bytes[from..]
            .windows(text.len())
            .position(|at| at == text)
            .unwrap()
    };
    let entry = find(b"coefficients.bin", 0);
    let last = find(b"PK\x03\x04", entry) - 1;
    bytes[last] ^= 1;
    std::fs::write(&archive, bytes).unwrap();
    let output = directory.path().join("out.zip");
    let refused = caribou(&["convert", text(&archive), "-o", text(&output)]);
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(
        said.contains("coefficients.bin") && said.contains("checksum"),
        "{said}"
    );
    assert!(!output.exists());
}
