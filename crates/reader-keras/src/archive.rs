//! `.keras` archives: a zip of `metadata.json`, `config.json` and `model.weights.h5`, read in place.

use crate::hdf5::Image;
use caribou_ir::{Limits, Source};
use std::io::{Cursor, Read};
use zip::{CompressionMethod, ZipArchive};

const METADATA: &str = "metadata.json";
const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.weights.h5";

/// Why an archive could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    /// It is no zip, or a damaged one.
    #[error("not a readable .keras archive: {0}")]
    Zip(zip::result::ZipError),
    /// An entry that every such archive has is not there.
    #[error("the archive has no {0}")]
    Missing(&'static str),
    /// An entry can't be read.
    #[error("{entry}: {message}")]
    Entry { entry: &'static str, message: String },
}

/// What an archive holds.
pub(crate) struct Archive {
    /// The version of Keras that wrote it.
    pub(crate) version: String,
    /// The text of `config.json`.
    pub(crate) config: String,
    /// The HDF5 file of the weights.
    pub(crate) weights: Image,
}

/// Whether the file is a zip that holds a Keras model, whole or not.
pub(crate) fn is_archive(bytes: &[u8]) -> bool {
    if !bytes.starts_with(b"PK\x03\x04") {
        return false;
    }
    // Keras writes metadata.json first; one whose directory at the end is lost is still told by it.
    let name = bytes.get(30..60).unwrap_or_default();
    let first = [METADATA, CONFIG, WEIGHTS]
        .iter()
        .any(|entry| name.starts_with(entry.as_bytes()));
    first
        || ZipArchive::new(Cursor::new(bytes)).is_ok_and(|zip| {
            zip.index_for_name(CONFIG).is_some()
                && [METADATA, WEIGHTS]
                    .iter()
                    .any(|name| zip.index_for_name(name).is_some())
        })
}

/// Reads the texts of an archive and finds its weights.
///
/// # Errors
/// When the archive or one of its entries is missing, damaged, or larger than the limits.
pub(crate) fn open(source: &Source, limits: &Limits) -> Result<Archive, ArchiveError> {
    let mut zip = ZipArchive::new(Cursor::new(source.bytes())).map_err(ArchiveError::Zip)?;
    let metadata = text(&mut zip, METADATA, limits)?;
    let config = text(&mut zip, CONFIG, limits)?;
    let version = serde_json::from_str::<serde_json::Value>(&metadata)
        .ok()
        .and_then(|metadata| Some(metadata.get("keras_version")?.as_str()?.to_owned()))
        .ok_or_else(|| ArchiveError::Entry {
            entry: METADATA,
            message: "expected a keras_version".into(),
        })?;
    let weights = weights(source, &mut zip, limits)?;
    Ok(Archive {
        version,
        config,
        weights,
    })
}

fn text(
    zip: &mut ZipArchive<Cursor<&[u8]>>,
    entry: &'static str,
    limits: &Limits,
) -> Result<String, ArchiveError> {
    let bytes = inflated(zip, entry, limits.text_bytes as u64)?;
    String::from_utf8(bytes).map_err(|error| ArchiveError::Entry {
        entry,
        message: error.to_string(),
    })
}

/// The bytes of an entry, not more than `limit`.
fn inflated(
    zip: &mut ZipArchive<Cursor<&[u8]>>,
    entry: &'static str,
    limit: u64,
) -> Result<Vec<u8>, ArchiveError> {
    let failed = |message: String| ArchiveError::Entry { entry, message };
    let index = zip.index_for_name(entry).ok_or(ArchiveError::Missing(entry))?;
    let file = zip.by_index(index).map_err(|error| failed(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > limit {
        return Err(failed(format!("it is larger than the limit of {limit} bytes")));
    }
    Ok(bytes)
}

/// The HDF5 file of the weights: a part of the map where it is stored as it is, which is what Keras does.
fn weights(
    source: &Source,
    zip: &mut ZipArchive<Cursor<&[u8]>>,
    limits: &Limits,
) -> Result<Image, ArchiveError> {
    let failed = |message: String| ArchiveError::Entry {
        entry: WEIGHTS,
        message,
    };
    let index = zip
        .index_for_name(WEIGHTS)
        .ok_or(ArchiveError::Missing(WEIGHTS))?;
    let stored = {
        let mut entry = zip.by_index(index).map_err(|error| failed(error.to_string()))?;
        if entry.compression() == CompressionMethod::Stored && !entry.encrypted() {
            let start = entry.data_start().and_then(|start| usize::try_from(start).ok());
            let end = start.and_then(|start| start.checked_add(usize::try_from(entry.size()).ok()?));
            let range = start
                .zip(end)
                .filter(|&(_, end)| end <= source.bytes().len())
                .ok_or_else(|| failed("it reaches beyond the end of the archive".into()))?;
            // Reading it through compares the checksum: damaged weights would go unnoticed otherwise.
            std::io::copy(&mut entry, &mut std::io::sink()).map_err(|error| failed(error.to_string()))?;
            Some(range)
        } else {
            None
        }
    };
    match stored {
        Some((start, end)) => Ok(Image::Mapped(source.clone(), start..end)),
        None => inflated(zip, WEIGHTS, limits.inflated_bytes).map(|bytes| Image::Owned(bytes.into())),
    }
}
