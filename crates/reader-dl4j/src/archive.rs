//! The zip and its entries, never unpacked to disk.

use caribou_ir::{DType, Endian, Limits, ReadError, Source, Tensor, TensorData};
use caribou_writer_dl4j::format::array::{ArrayType, Header, read_header};
use caribou_writer_dl4j::format::{
    COEFFICIENTS, CONFIGURATION, Configuration, MODEL, ModelEntry, NORMALIZER, PREPROCESSOR, QUANTIZATION,
    QuantizationEntry, UPDATER_STATE,
};
use std::io::{Cursor, Read};
use std::sync::Arc;
use zip::{CompressionMethod, ZipArchive};

/// What an archive holds.
pub(crate) struct Archive {
    pub(crate) configuration: Configuration,
    /// All parameters, one behind the other.
    pub(crate) parameters: Tensor,
    pub(crate) holds_java_object: bool,
    /// What the optimiser remembers, or why it can't be read, where it was asked for and is there.
    pub(crate) state: Option<Result<Tensor, String>>,
    /// The bytes of its normaliser, if it has one.
    pub(crate) normalizer: Option<Vec<u8>>,
    /// What its quantized parameters stand for, where it says so.
    pub(crate) quantization: Option<QuantizationEntry>,
    /// The shapes of its inputs and outputs, or why they can't be read, where it says them.
    pub(crate) model: Option<Result<ModelEntry, String>>,
}

/// Whether the file is a zip with a configuration in it.
pub(crate) fn is_archive(source: &Source) -> bool {
    source.bytes().starts_with(b"PK")
        && ZipArchive::new(Cursor::new(source.bytes()))
            .is_ok_and(|zip| zip.index_for_name(CONFIGURATION).is_some())
}

/// A zip over a mapped file.
type Zip<'s> = ZipArchive<Cursor<&'s [u8]>>;

fn damaged(source: &Source) -> impl Fn(String) -> ReadError + use<'_> {
    |message| ReadError::Format {
        path: source.path().to_path_buf(),
        message,
        help: "check that the archive is complete; it should be one that ModelSerializer wrote".into(),
    }
}

/// The zip with the configuration in it.
fn configured<'s>(source: &'s Source, limits: &Limits) -> Result<(Zip<'s>, Configuration), ReadError> {
    let damaged = damaged(source);
    let mut zip = ZipArchive::new(Cursor::new(source.bytes()))
        .map_err(|error| damaged(format!("no readable zip: {error}")))?;
    let text = inflate(&mut zip, CONFIGURATION, limits.text_bytes as u64)
        .map_err(&damaged)?
        .ok_or_else(|| damaged(format!("there is no {CONFIGURATION} in it")))?;
    let configuration =
        Configuration::parse(&text).map_err(|error| damaged(format!("{CONFIGURATION}: {error}")))?;
    Ok((zip, configuration))
}

/// The configuration alone.
pub(crate) fn configuration(source: &Source, limits: &Limits) -> Result<Configuration, ReadError> {
    configured(source, limits).map(|(_, configuration)| configuration)
}

pub(crate) fn open(source: &Source, limits: &Limits, with_state: bool) -> Result<Archive, ReadError> {
    let (mut zip, configuration) = configured(source, limits)?;
    let damaged = damaged(source);
    let parameters = array(source, &mut zip, COEFFICIENTS, limits)
        .and_then(|array| array.ok_or_else(|| format!("there is no {COEFFICIENTS} in it")))
        .map_err(&damaged)?;
    let holds_java_object = zip.index_for_name(PREPROCESSOR).is_some();
    let normalizer = inflate(&mut zip, NORMALIZER, limits.text_bytes as u64).map_err(&damaged)?;
    let state = with_state
        .then(|| array(source, &mut zip, UPDATER_STATE, limits).transpose())
        .flatten();
    let quantization = inflate(&mut zip, QUANTIZATION, limits.text_bytes as u64)
        .and_then(|bytes| {
            let parse = |bytes: Vec<u8>| QuantizationEntry::parse(&bytes, parameters.len());
            bytes
                .map(parse)
                .transpose()
                .map_err(|error| format!("{QUANTIZATION}: {error}"))
        })
        .map_err(&damaged)?;
    // Nothing depends on it alone: what is wrong with it is told, and the rest is read.
    let model = inflate(&mut zip, MODEL, limits.text_bytes as u64)
        .and_then(|bytes| bytes.map(|bytes| ModelEntry::parse(&bytes)).transpose())
        .transpose();
    Ok(Archive {
        model,
        state,
        quantization,
        normalizer,
        configuration,
        parameters,
        holds_java_object,
    })
}

/// The bytes of an entry; `None` when there is none of this name.
fn inflate(zip: &mut ZipArchive<Cursor<&[u8]>>, name: &str, limit: u64) -> Result<Option<Vec<u8>>, String> {
    let Some(index) = zip.index_for_name(name) else {
        return Ok(None);
    };
    let entry = zip.by_index(index).map_err(|error| format!("{name}: {error}"))?;
    let mut bytes = Vec::new();
    entry
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| format!("{name}: {error}"))?;
    if bytes.len() as u64 > limit {
        return Err(format!("{name} inflates to more than {limit} bytes"));
    }
    Ok(Some(bytes))
}

/// The vector in an entry: read from the map where it is stored as it is. `None` when there is no such entry.
fn array(
    source: &Source,
    zip: &mut ZipArchive<Cursor<&[u8]>>,
    name: &str,
    limits: &Limits,
) -> Result<Option<Tensor>, String> {
    let fail = |error: String| format!("{name}: {error}");
    let Some(index) = zip.index_for_name(name) else {
        return Ok(None);
    };
    let stored = {
        let mut entry = zip.by_index(index).map_err(|error| fail(error.to_string()))?;
        let start = entry.data_start().and_then(|start| usize::try_from(start).ok());
        let end = start.and_then(|start| start.checked_add(usize::try_from(entry.size()).ok()?));
        let range = start.zip(end).filter(|&(_, end)| end <= source.bytes().len());
        let stored = (entry.compression() == CompressionMethod::Stored)
            .then_some(range)
            .flatten();
        if stored.is_some() {
            // What is read from the map goes past the checksum.
            std::io::copy(&mut entry, &mut std::io::sink()).map_err(|error| {
                fail(format!(
                    "its bytes do not have the checksum that is told of them: {error}"
                ))
            })?;
        }
        stored
    };
    let (header, data) = match stored {
        Some((start, end)) if start == end => return Ok(Some(Tensor::vector(&[]))),
        Some((start, end)) => {
            let header = read_header(&source.bytes()[start..end]).map_err(|error| fail(error.to_string()))?;
            let payload = start + header.payload;
            let range = payload..payload + header.elements * header.dtype.size();
            (
                header,
                TensorData::mapped(source.map().clone(), range).map_err(|error| fail(error.to_string()))?,
            )
        }
        None => {
            let bytes = inflate(zip, name, limits.inflated_bytes)?.unwrap_or_default();
            if bytes.is_empty() {
                return Ok(Some(Tensor::vector(&[])));
            }
            let header = read_header(&bytes).map_err(|error| fail(error.to_string()))?;
            let end = header.payload + header.elements * header.dtype.size();
            (
                header.clone(),
                TensorData::Owned(Arc::from(&bytes[header.payload..end])),
            )
        }
    };
    let Header { dtype, elements, .. } = header;
    let dtype = match dtype {
        ArrayType::Float => DType::F32,
        ArrayType::Double => DType::F64,
        ArrayType::Half => DType::F16,
        ArrayType::Bfloat16 => DType::BF16,
    };
    Tensor::new(&[elements], dtype, Endian::Big, data)
        .map(Some)
        .map_err(|error| fail(error.to_string()))
}
