//! What is read of files, of sound ones and of others.
// Helpers of tests fail as tests do.
#![allow(clippy::unwrap_used, clippy::panic)]

mod damaged;
mod malformed;
mod recorded;
mod round_trip;

use caribou_ir::{Findings, ReadError, Source};
use caribou_word_vectors::{Import, Settings, read};
use std::io::Write;

/// Reads bytes as a file.
fn reading(bytes: &[u8], skip_malformed: bool) -> Result<Import, ReadError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let settings = Settings {
        skip_malformed,
        ..Settings::default()
    };
    read(&Source::open(file.path()).unwrap(), &settings)
}

/// The findings of an error.
fn findings(error: ReadError) -> Findings {
    match error {
        ReadError::Refused { findings, .. } => findings,
        other => panic!("no findings: {other}"),
    }
}

/// Codes and lines of findings.
fn places(findings: &Findings) -> Vec<(String, Option<u32>)> {
    let line = |place: &Option<caribou_ir::Place>| match place {
        Some(caribou_ir::Place::Line { line, .. }) => Some(*line),
        _ => None,
    };
    findings
        .iter()
        .map(|finding| {
            (
                finding.code.to_string(),
                finding.origin.as_ref().and_then(|origin| line(&origin.place)),
            )
        })
        .collect()
}
