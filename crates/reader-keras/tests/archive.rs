//! `.keras` archives that are incomplete, damaged or hostile are refused with one clear error; those that are only packed
//! otherwise are read.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used, clippy::panic)]

use caribou_ir::{Import, Limits, ReadError, ReadOptions, Reader, Source};
use caribou_reader_keras::KerasReader;
use std::io::{Cursor, Read, Write};
use std::path::Path;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// The entries of a whole archive.
fn entries() -> Vec<(String, Vec<u8>)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/keras3/conv1d_stack/model.keras");
    let mut zip = ZipArchive::new(Cursor::new(std::fs::read(path).unwrap())).unwrap();
    (0..zip.len())
        .map(|i| {
            let mut entry = zip.by_index(i).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

fn packed(entries: &[(String, Vec<u8>)], method: CompressionMethod) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(name.as_str(), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn read_with(bytes: &[u8], limits: Limits) -> Result<Import, ReadError> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("model.keras");
    std::fs::write(&file, bytes).unwrap();
    let options = ReadOptions {
        limits,
        ..ReadOptions::default()
    };
    KerasReader.read(&Source::open(&file).unwrap(), &options)
}

fn read(bytes: &[u8]) -> Result<Import, ReadError> {
    read_with(bytes, Limits::default())
}

/// The message of the error, which must not be that of a layer.
fn message(result: Result<Import, ReadError>) -> String {
    match result {
        Err(ReadError::Format { message, .. }) => message,
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it was read"),
    }
}

fn edited(edit: impl Fn(&str, Vec<u8>) -> Option<Vec<u8>>) -> Vec<u8> {
    let entries: Vec<(String, Vec<u8>)> = entries()
        .into_iter()
        .filter_map(|(name, bytes)| edit(&name, bytes).map(|bytes| (name, bytes)))
        .collect();
    packed(&entries, CompressionMethod::Stored)
}

#[test]
fn a_deflated_archive_is_read_as_a_stored_one() {
    let stored = read(&packed(&entries(), CompressionMethod::Stored)).unwrap();
    let deflated = read(&packed(&entries(), CompressionMethod::Deflated)).unwrap();
    assert_eq!(stored.graph.nodes().count(), deflated.graph.nodes().count());
    assert!(deflated.format.starts_with("Keras 3"), "{}", deflated.format);
}

#[test]
fn an_archive_without_one_of_its_entries_is_refused_by_the_entry() {
    for entry in ["metadata.json", "config.json", "model.weights.h5"] {
        let bytes = edited(|name, bytes| (name != entry).then_some(bytes));
        let message = message(read(&bytes));
        assert!(message.contains(entry), "{message}");
    }
}

#[test]
fn a_truncated_archive_is_refused() {
    let whole = packed(&entries(), CompressionMethod::Stored);
    for end in [60, whole.len() / 2, whole.len() - 30] {
        assert!(message(read(&whole[..end])).contains(".keras archive"));
    }
}

#[test]
fn changed_weights_are_noticed_by_their_checksum() {
    let mut bytes = packed(&entries(), CompressionMethod::Stored);
    let at = bytes.windows(4).position(|window| window == b"\x89HDF").unwrap();
    bytes[at + 4000] ^= 1;
    let message = message(read(&bytes));
    assert!(message.contains("model.weights.h5"), "{message}");
}

#[test]
fn an_entry_larger_than_the_limit_is_refused() {
    let bytes = packed(&entries(), CompressionMethod::Deflated);
    let message = message(read_with(&bytes, Limits::default().with_inflated_bytes(1000)));
    assert!(message.contains("limit"), "{message}");
    let message = self::message(read_with(&bytes, Limits::default().with_text_bytes(100)));
    assert!(message.contains("limit"), "{message}");
}

#[test]
fn entries_with_other_names_are_left_alone() {
    let mut all = entries();
    all.push(("../outside.json".to_owned(), b"{}".to_vec()));
    assert!(read(&packed(&all, CompressionMethod::Stored)).is_ok());
}

#[test]
fn weights_of_another_shape_are_refused_by_the_layer() {
    let bytes = edited(|name, bytes| {
        let text = String::from_utf8(bytes.clone());
        Some(match (name, text) {
            ("config.json", Ok(text)) => text.replace("\"filters\": 4", "\"filters\": 5").into_bytes(),
            _ => bytes,
        })
    });
    match read(&bytes) {
        Err(ReadError::Refused { findings, .. }) => assert!(findings.to_string().contains("conv1d")),
        other => panic!("{:?}", other.map(|import| import.format)),
    }
}

#[test]
fn a_later_version_is_read_by_the_rules_of_keras_3_with_a_note() {
    let bytes = edited(|name, bytes| {
        Some(match name {
            "metadata.json" => br#"{"keras_version": "4.1.0"}"#.to_vec(),
            _ => bytes,
        })
    });
    let import = read(&bytes).unwrap();
    assert!(import.findings.to_string().contains("4.1.0"));
}
