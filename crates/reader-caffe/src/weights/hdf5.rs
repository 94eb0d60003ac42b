//! Weights in HDF5 (`.caffemodel.h5`): in the group `data` one group for each layer, with its blobs under the names
//! `0`, `1`, …; of arrays that layers share, only the first layer has one.

use super::{Blob, WeightError};
use caribou_ir::{DType, Endian, Limits, ReadAt, Source, Tensor, TensorData, TensorError};
use hdf5_reader::error::Error;
use hdf5_reader::group::Group;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::layout::DataLayout;
use hdf5_reader::{ByteOrder, Dataset, Datatype, Hdf5File, OpenOptions};
use std::fmt::Display;
use std::sync::Arc;

/// The first bytes of every HDF5 file.
const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Larger chunks are no weights'.
const MAX_CHUNK: usize = 2 << 30;

/// Axes that a dataset may have in HDF5.
const MAX_RANK: usize = 32;

/// What went wrong, and where: at a byte, or in which group or dataset.
fn at(place: impl Display) -> impl FnOnce(Error) -> WeightError {
    move |error| WeightError::Hdf5(format!("{place}: {error}"))
}

pub(super) fn is_hdf5(bytes: &[u8]) -> bool {
    bytes.starts_with(SIGNATURE)
}

/// Whether it is an HDF5 file whose layout is that of Caffe's weights: a group `data`, and nothing that Keras writes.
pub(crate) fn is_weights(source: &Source, limits: &Limits) -> bool {
    let opened = || {
        let options = OpenOptions::default()
            .with_chunk_cache_bytes(0)
            .with_max_object_header_bytes(limits.text_bytes);
        let file = Hdf5File::from_owner(Image(source.clone()), options).ok()?;
        let (groups, datasets) = file.root_group().ok()?.member_names().ok()?;
        let known = groups.iter().all(|name| name == "data" || name == "diff");
        Some(known && datasets.is_empty() && groups.iter().any(|name| name == "data"))
    };
    is_hdf5(source.bytes()) && opened().unwrap_or(false)
}

/// The mapped file as the library takes it.
#[derive(Clone)]
struct Image(Source);

impl AsRef<[u8]> for Image {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// A layer's name with its blobs.
type Layers = Vec<(String, Vec<Option<Blob>>)>;

/// All layers of the file that have blobs, with gaps where an array belongs to another layer.
pub(super) fn layers(source: &Source, limits: &Limits) -> Result<Layers, WeightError> {
    let options = OpenOptions::default()
        .with_chunk_cache_bytes(0)
        .with_max_chunk_bytes(MAX_CHUNK)
        .with_max_read_bytes(usize::try_from(limits.inflated_bytes).unwrap_or(usize::MAX))
        .with_max_object_header_bytes(limits.text_bytes);
    let file = Hdf5File::from_owner(Image(source.clone()), options).map_err(at("byte 0, the superblock"))?;
    let (stored, found) = (file.superblock().eof_address, source.bytes().len() as u64);
    if stored > found {
        return Err(WeightError::Hdf5(format!(
            "the file was cut off: it should have {stored} bytes and has {found}"
        )));
    }
    let root = file
        .root_group()
        .map_err(at("the root group, which the superblock at byte 0 tells"))?;
    let place = format!(
        "byte {}, the root group, in which the group data is looked for",
        root.address()
    );
    let data = root.group("data").map_err(at(place))?;
    let mut walk = Walk {
        source,
        file: &file,
        limits,
        layers: Vec::new(),
        bytes: 0,
    };
    walk.group(&data, "", 0)?;
    Ok(walk.layers)
}

struct Walk<'a> {
    source: &'a Source,
    file: &'a Hdf5File,
    limits: &'a Limits,
    layers: Layers,
    bytes: u64,
}

impl Walk<'_> {
    /// A layer whose name has slashes lies in groups within groups.
    fn group(&mut self, group: &Group, name: &str, depth: usize) -> Result<(), WeightError> {
        if depth > self.limits.nesting || self.layers.len() > self.limits.nodes {
            return Err(WeightError::Limit("there are too many groups".into()));
        }
        let place = format!("byte {}, group data/{name}", group.address());
        let (groups, datasets) = group.member_names().map_err(at(&place))?;
        let mut blobs: Vec<Option<Blob>> = Vec::new();
        for dataset in datasets {
            // Other names than numbers are no blobs; there are never many of a layer.
            let Some(index) = dataset.parse::<usize>().ok().filter(|&index| index < 64) else {
                continue;
            };
            if blobs.len() <= index {
                blobs.resize(index + 1, None);
            }
            let path = format!("data/{name}/{dataset}");
            let opened = group.dataset(&dataset).map_err(at(&place))?;
            blobs[index] = Some(self.blob(opened, &path)?);
        }
        if !blobs.is_empty() {
            self.layers.push((name.to_owned(), blobs));
        }
        for inner in groups {
            let path = if name.is_empty() {
                inner.clone()
            } else {
                format!("{name}/{inner}")
            };
            self.group(&group.group(&inner).map_err(at(&place))?, &path, depth + 1)?;
        }
        Ok(())
    }

    fn blob(&mut self, dataset: Dataset, name: &str) -> Result<Blob, WeightError> {
        let (dtype, endian) = element(&dataset).ok_or_else(|| {
            WeightError::Hdf5(format!("dataset {name} holds {:?}, not floats", dataset.dtype()))
        })?;
        let rank = dataset.shape().len();
        if rank > MAX_RANK.min(self.limits.rank) {
            return Err(WeightError::Limit(format!("dataset {name} has {rank} axes")));
        }
        let shape: Vec<usize> = dataset.shape().iter().map(|&size| size as usize).collect();
        let place = format!("byte {}, dataset {name}", dataset.address());
        let bytes = dataset.raw_byte_len().map_err(at(&place))?;
        self.bytes = self.bytes.saturating_add(bytes as u64);
        if self.bytes > self.limits.tensor_bytes || bytes as u64 > self.limits.inflated_bytes {
            return Err(WeightError::Limit(format!("dataset {name} has {bytes} bytes")));
        }
        let data = match self.contiguous(&dataset, name, bytes)? {
            Some(range) => TensorData::mapped(self.source.map().clone(), range)?,
            None => TensorData::Deferred(Arc::new(Decoded { dataset, bytes })),
        };
        Ok(Blob {
            tensor: Tensor::new(&shape, dtype, endian, data)?,
            legacy_shape: false,
        })
    }

    /// Where the bytes of a dataset lie, when they are stored in one piece.
    fn contiguous(
        &self,
        dataset: &Dataset,
        name: &str,
        bytes: usize,
    ) -> Result<Option<std::ops::Range<usize>>, WeightError> {
        let header = self.file.get_or_parse_header(dataset.address());
        let header = header.map_err(at(format!("byte {}, dataset {name}", dataset.address())))?;
        if header
            .messages
            .iter()
            .any(|message| matches!(message, HdfMessage::ExternalFiles(_)))
        {
            return Err(WeightError::Hdf5(format!(
                "dataset {name} keeps its values in another file; only the named file is opened"
            )));
        }
        let base = usize::try_from(self.file.superblock().base_address).ok();
        Ok(header.messages.iter().find_map(|message| match message {
            HdfMessage::DataLayout(layout) => match &layout.layout {
                DataLayout::Contiguous { address, size } if *size as usize == bytes => {
                    let start = usize::try_from(*address).ok()?.checked_add(base?)?;
                    let end = start.checked_add(bytes)?;
                    (end <= self.source.bytes().len()).then_some(start..end)
                }
                _ => None,
            },
            _ => None,
        }))
    }
}

/// Floats of 32 and 64 bits, which is all that Caffe writes.
fn element(dataset: &Dataset) -> Option<(DType, Endian)> {
    let Datatype::FloatingPoint { size, byte_order } = dataset.dtype() else {
        return None;
    };
    let dtype = match size {
        4 => DType::F32,
        8 => DType::F64,
        _ => return None,
    };
    Some((
        dtype,
        match byte_order {
            ByteOrder::LittleEndian => Endian::Little,
            ByteOrder::BigEndian => Endian::Big,
        },
    ))
}

/// A dataset in chunks or compressed: decoded when it is read, and not kept.
struct Decoded {
    dataset: Dataset,
    bytes: usize,
}

impl ReadAt for Decoded {
    fn len(&self) -> usize {
        self.bytes
    }

    fn read(&self) -> Result<Vec<u8>, TensorError> {
        self.dataset
            .read_raw_bytes()
            .map_err(|error| TensorError::Read(error.to_string()))
    }
}
