//! What every target does: give a reader the bytes as a file, with limits that keep it quick, and go on where it reads
//! them. A reader may refuse anything; it must not panic, hang, or take memory for a size that a file claims.

use caribou_ir::{Limits, ReadOptions, Reader, Source, Validator};
use std::io::Write;

/// Limits under which no file takes long.
fn limits() -> Limits {
    Limits::default()
        .with_nodes(2000)
        .with_elements(1 << 20)
        .with_text_bytes(1 << 20)
        .with_inflated_bytes(16 << 20)
        .with_tensor_bytes(64 << 20)
}

fn file(bytes: &[u8]) -> Option<(tempfile::NamedTempFile, Source)> {
    let mut file = tempfile::NamedTempFile::new().ok()?;
    file.write_all(bytes).ok()?;
    let source = Source::open(file.path()).ok()?;
    Some((file, source))
}

/// Reads `bytes` as a model, and validates what comes of it.
pub fn read(reader: &dyn Reader, bytes: &[u8]) {
    if let Some((_file, source)) = file(bytes) {
        reader.probe(&source);
        validate(reader, &source);
    }
}

/// Reads `bytes` as the weights of `model`, and validates what comes of it.
pub fn read_weights(reader: &dyn Reader, model: &[u8], bytes: &[u8]) {
    if let (Some((_model, source)), Some((_file, weights))) = (file(model), file(bytes)) {
        validate(reader, &source.with_weights(weights));
    }
}

/// Reads `bytes` as word vectors, as they are and with what can't be read left out.
pub fn read_words(bytes: &[u8]) {
    if let Some((_file, source)) = file(bytes) {
        for skip_malformed in [false, true] {
            let settings = caribou_word_vectors::Settings {
                limits: limits(),
                skip_malformed,
            };
            let _ = caribou_word_vectors::read(&source, &settings);
        }
    }
}

fn validate(reader: &dyn Reader, source: &Source) {
    let options = ReadOptions {
        limits: limits(),
        ..ReadOptions::default()
    };
    if let Ok(import) = reader.read(source, &options) {
        let _ = Validator::new(limits()).validate(import.graph);
    }
}
