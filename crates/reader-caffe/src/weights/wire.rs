//! Where the weights stand in a binary file. Protobuf's wire format is a sequence of keys (a field's number and how its
//! value is stored) and values; this looks for the fields that lead to the blobs and notes the ranges of their numbers,
//! so that nothing is copied. Packed fields in several pieces, and numbers that are not packed, are ranges one behind
//! the other.

use super::network::is_of_network;
use super::{Blob, WeightError};
use caribou_ir::{DType, Endian, Limits, ReadAt, Source, Tensor, TensorData, TensorError};
use memmap2::Mmap;
use std::ops::Range;
use std::sync::Arc;

/// How a value is stored.
pub(super) enum Value {
    /// A whole number of variable length.
    Number(u64),
    /// These bytes: of a length that is told, or of four or eight.
    Bytes(Range<usize>),
}

/// A message within the bytes of a file.
#[derive(Clone)]
pub(super) struct Message<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    end: usize,
}

impl<'a> Message<'a> {
    pub(super) fn within(&self, range: Range<usize>) -> Self {
        Self {
            bytes: self.bytes,
            at: range.start,
            end: range.end,
        }
    }

    fn damaged<T>(&self, at: usize, what: &str) -> Result<T, WeightError> {
        Err(WeightError::Damaged {
            offset: at as u64,
            what: what.to_owned(),
        })
    }

    fn number(&mut self) -> Result<u64, WeightError> {
        let start = self.at;
        let mut value = 0u64;
        for shift in (0..70).step_by(7) {
            let Some(&byte) = self.bytes.get(self.at).filter(|_| self.at < self.end) else {
                return self.damaged(start, "a number is cut off");
            };
            self.at += 1;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        self.damaged(start, "a number does not end")
    }

    fn take(&mut self, start: usize, length: u64) -> Result<Range<usize>, WeightError> {
        let from = self.at;
        let end = usize::try_from(length)
            .ok()
            .and_then(|length| from.checked_add(length));
        match end.filter(|&end| end <= self.end) {
            Some(end) => {
                self.at = end;
                Ok(from..end)
            }
            None => self.damaged(
                start,
                &format!(
                    "a field of {length} bytes does not fit into the {} that are left",
                    self.end - from
                ),
            ),
        }
    }

    /// The next field: its number and value.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Value)>, WeightError> {
        if self.at >= self.end {
            return Ok(None);
        }
        let start = self.at;
        let key = self.number()?;
        let value = match key & 7 {
            0 => Value::Number(self.number()?),
            1 => Value::Bytes(self.take(start, 8)?),
            2 => {
                let length = self.number()?;
                Value::Bytes(self.take(start, length)?)
            }
            5 => Value::Bytes(self.take(start, 4)?),
            kind => return self.damaged(start, &format!("a field is stored in the unknown way {kind}")),
        };
        match key >> 3 {
            0 => self.damaged(start, "a field has the number 0"),
            field => Ok(Some((field, value))),
        }
    }

    /// What was read since the byte `start`.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    pub(super) fn text(&self, range: Range<usize>) -> String {
        String::from_utf8_lossy(self.bytes.get(range).unwrap_or_default()).into_owned()
    }
}

/// A layer with its blobs.
pub(super) struct StoredLayer {
    pub(super) name: String,
    pub(super) blobs: Vec<Blob>,
}

/// The numbers of the fields that lead to the blobs: of the list of layers, and within a layer of its name and blobs.
pub(super) const TODAY: (u64, u64, u64) = (100, 1, 7);
pub(super) const V1: (u64, u64, u64) = (2, 4, 6);
/// The message of V0 within one of V1, and its name and blobs.
pub(super) const V0: (u64, u64, u64) = (1, 1, 50);

/// What a `.caffemodel` holds.
pub(super) struct Stored {
    /// All layers that have blobs.
    pub(super) layers: Vec<StoredLayer>,
    /// The first field that a network of Caffe does not have: where it begins, and its number.
    pub(super) foreign: Option<(usize, u64)>,
}

/// Looks for the layers of a `.caffemodel`.
///
/// # Errors
/// When it is damaged, or has nothing that a network has.
pub(super) fn stored(source: &Source, limits: &Limits) -> Result<Stored, WeightError> {
    let mut net = whole(source);
    let mut layers = Vec::new();
    let mut foreign = None;
    let mut total = 0u64;
    loop {
        let start = net.at;
        let Some((field, value)) = net.next()? else { break };
        if !is_of_network(field, &value) {
            foreign.get_or_insert((start, field));
        }
        let Value::Bytes(range) = value else { continue };
        let fields = match field {
            field if field == TODAY.0 => TODAY,
            field if field == V1.0 => V1,
            _ => continue,
        };
        let message = net.within(range);
        if let Some(layer) = layer(source, message, fields, limits, &mut total)? {
            layers.push(layer);
        }
        if layers.len() > limits.nodes {
            return Err(WeightError::Limit(format!(
                "there are more than {} layers",
                limits.nodes
            )));
        }
    }
    match foreign {
        Some((at, field)) if layers.is_empty() => net.damaged(
            at,
            &format!("the field {field} is none of a network's, and no layer has weights"),
        ),
        foreign => Ok(Stored { layers, foreign }),
    }
}

/// The one blob of a `.binaryproto`.
pub(super) fn single(source: &Source, limits: &Limits) -> Result<Blob, WeightError> {
    blob(source, whole(source), limits, &mut 0)
}

pub(super) fn whole(source: &Source) -> Message<'_> {
    let bytes = source.bytes();
    Message {
        bytes,
        at: 0,
        end: bytes.len(),
    }
}

fn layer(
    source: &Source,
    mut message: Message<'_>,
    fields: (u64, u64, u64),
    limits: &Limits,
    total: &mut u64,
) -> Result<Option<StoredLayer>, WeightError> {
    let mut name = String::new();
    let mut blobs = Vec::new();
    while let Some((field, value)) = message.next()? {
        let Value::Bytes(range) = value else { continue };
        if field == fields.1 {
            name = message.text(range);
        } else if field == fields.2 {
            blobs.push(blob(source, message.within(range), limits, total)?);
        } else if fields == V1 && field == V0.0 {
            // All that an oldest layer has stands in a message of its own.
            return layer(source, message.within(range), V0, limits, total);
        }
    }
    Ok((!blobs.is_empty()).then_some(StoredLayer { name, blobs }))
}

/// The numbers of a blob as they were found under one field.
struct Numbers {
    field: u64,
    /// The only piece; `None` when there are several.
    piece: Option<Range<usize>>,
    bytes: usize,
}

impl Numbers {
    fn of(field: u64) -> Self {
        Self {
            field,
            piece: None,
            bytes: 0,
        }
    }

    fn push(&mut self, range: Range<usize>) {
        let first = self.bytes == 0;
        self.bytes += range.len();
        self.piece = first.then_some(range);
    }
}

fn blob(
    source: &Source,
    mut message: Message<'_>,
    limits: &Limits,
    total: &mut u64,
) -> Result<Blob, WeightError> {
    let start = message.at;
    let mut legacy = [None; 4];
    let mut shape: Option<Vec<u64>> = None;
    let end = message.end;
    let (mut floats, mut doubles, mut raw) = (Numbers::of(5), Numbers::of(8), Numbers::of(12));
    let mut raw_type = None;
    while let Some((field, value)) = message.next()? {
        match (field, value) {
            (1..=4, Value::Number(size)) => legacy[field as usize - 1] = Some(size),
            (5, Value::Bytes(range)) => floats.push(range),
            (7, Value::Bytes(range)) => shape = Some(sizes(message.within(range), limits)?),
            (8, Value::Bytes(range)) => doubles.push(range),
            (10, Value::Number(kind)) => raw_type = Some(kind),
            (12, Value::Bytes(range)) => raw.push(range),
            _ => {}
        }
    }
    // NVIDIA's fork keeps halves (and, by wish, other types) as bytes beside their type.
    let (numbers, dtype) = match (floats.bytes, doubles.bytes, raw.bytes) {
        (0, 0, 1..) => match raw_type {
            Some(0) => (raw, DType::F64),
            Some(1) => (raw, DType::F32),
            Some(2) => (raw, DType::F16),
            other => {
                let other = other.map_or_else(|| "no type".to_owned(), |kind| format!("type {kind}"));
                return message.damaged(start, &format!("a blob holds bytes of {other}"));
            }
        },
        (0, 1.., _) => (doubles, DType::F64),
        _ => (floats, DType::F32),
    };
    let legacy_shape = shape.is_none() && legacy.iter().any(Option::is_some);
    let sizes: Vec<u64> = match shape {
        Some(sizes) => sizes,
        None if legacy_shape => legacy.iter().map(|size| size.unwrap_or(0)).collect(),
        None => Vec::new(),
    };
    let sizes: Option<Vec<usize>> = sizes.iter().map(|&size| usize::try_from(size).ok()).collect();
    let shape = sizes.unwrap_or_else(|| vec![usize::MAX]);
    let count = shape
        .iter()
        .try_fold(1usize, |count, &size| count.checked_mul(size));
    let expected = count.and_then(|count| count.checked_mul(dtype.size()));
    if expected != Some(numbers.bytes) {
        return message.damaged(
            start,
            &format!(
                "a blob of shape {shape:?} needs {} bytes of {dtype}, and has {}",
                expected.map_or_else(|| "too many".to_owned(), |bytes| bytes.to_string()),
                numbers.bytes
            ),
        );
    }
    *total += numbers.bytes as u64;
    if *total > limits.tensor_bytes {
        return Err(WeightError::Limit(format!(
            "the weights have more than {} bytes",
            limits.tensor_bytes
        )));
    }
    let map = source.map().clone();
    let data = match numbers.piece {
        Some(piece) => TensorData::mapped(map, piece)?,
        None => TensorData::Deferred(Arc::new(Pieces {
            map,
            blob: start..end,
            field: numbers.field,
            bytes: numbers.bytes,
        })),
    };
    Ok(Blob {
        tensor: Tensor::new(&shape, dtype, Endian::Little, data)?,
        legacy_shape,
    })
}

/// The sizes of a `BlobShape`, packed or not.
fn sizes(mut message: Message<'_>, limits: &Limits) -> Result<Vec<u64>, WeightError> {
    let mut sizes = Vec::new();
    while let Some((field, value)) = message.next()? {
        match (field, value) {
            (1, Value::Number(size)) => sizes.push(size),
            (1, Value::Bytes(range)) => {
                let mut packed = message.within(range);
                while packed.at < packed.end && sizes.len() <= limits.rank {
                    sizes.push(packed.number()?);
                }
            }
            _ => {}
        }
        if sizes.len() > limits.rank {
            return message.damaged(message.at, &format!("a blob has more than {} axes", limits.rank));
        }
    }
    Ok(sizes)
}

/// Numbers in several pieces, which are looked for again when they are read: there may be as many as numbers.
struct Pieces {
    map: Arc<Mmap>,
    blob: Range<usize>,
    field: u64,
    bytes: usize,
}

impl ReadAt for Pieces {
    fn len(&self) -> usize {
        self.bytes
    }

    fn read(&self) -> Result<Vec<u8>, TensorError> {
        let mut message = Message {
            bytes: &self.map,
            at: self.blob.start,
            end: self.blob.end,
        };
        let mut bytes = Vec::with_capacity(self.bytes);
        while let Some((field, value)) = message
            .next()
            .map_err(|error| TensorError::Read(error.to_string()))?
        {
            if let (true, Value::Bytes(range)) = (field == self.field, value) {
                bytes.extend_from_slice(self.map.get(range).unwrap_or_default());
            }
        }
        Ok(bytes)
    }
}
