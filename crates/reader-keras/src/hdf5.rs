//! The little that a model needs of HDF5, behind one small seam: everything else in the crate knows only
//! [`ModelFile`], [`Group`] and the [`Tensor`]s that they give.

use caribou_ir::{DType, Endian, Limits, ReadAt, Source, Tensor, TensorData, TensorError};
use hdf5_reader::error::Error;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::layout::DataLayout;
use hdf5_reader::{ByteOrder, Datatype, Hdf5File, OpenOptions};
use std::sync::Arc;

/// Why a file or a part of it could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Hdf5Error {
    /// It is no HDF5 file, or a damaged one.
    #[error("not a readable HDF5 file: {0}")]
    Damaged(String),
    /// A dataset is of a type that holds no weights.
    #[error("dataset {name} holds {found}, not numbers")]
    NotNumbers { name: String, found: String },
    /// A limit was reached.
    #[error("{what} is {found} bytes, the limit is {limit}")]
    Limit { what: String, found: u64, limit: u64 },
    /// The bytes do not fit the shape.
    #[error("dataset {name}: {source}")]
    Tensor { name: String, source: TensorError },
}

impl From<Error> for Hdf5Error {
    fn from(error: Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// An HDF5 file over the map of its [`Source`].
pub(crate) struct ModelFile {
    file: Arc<Hdf5File>,
    source: Source,
    limits: Limits,
}

/// The mapped bytes, as the library wants to own them.
struct Mapped(Source);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

/// A chunk of a dataset may be as large as the dataset; larger ones than this are no model's.
const MAX_CHUNK: usize = 2 << 30;

impl ModelFile {
    pub(crate) fn open(source: &Source, limits: &Limits) -> Result<Self, Hdf5Error> {
        let options = OpenOptions::default()
            .with_chunk_cache_bytes(0)
            .with_max_chunk_bytes(MAX_CHUNK)
            .with_max_read_bytes(usize::try_from(limits.inflated_bytes).unwrap_or(usize::MAX))
            .with_max_object_header_bytes(limits.text_bytes);
        let file = Hdf5File::from_owner(Mapped(source.clone()), options)?;
        Ok(Self {
            file: Arc::new(file),
            source: source.clone(),
            limits: limits.clone(),
        })
    }

    pub(crate) fn root(&self) -> Result<Group<'_>, Hdf5Error> {
        Ok(Group {
            file: self,
            group: self.file.root_group()?,
        })
    }
}

/// A group with its attributes.
pub(crate) struct Group<'f> {
    file: &'f ModelFile,
    group: hdf5_reader::group::Group,
}

impl<'f> Group<'f> {
    /// The member group `name`; `None` when there is none.
    pub(crate) fn group(&self, name: &str) -> Result<Option<Group<'f>>, Hdf5Error> {
        let mut group = self.group.clone();
        for part in name.split('/').filter(|part| !part.is_empty()) {
            group = match group.group(part) {
                Ok(group) => group,
                Err(error) if is_missing(&error) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
        }
        Ok(Some(Group {
            file: self.file,
            group,
        }))
    }

    /// A string attribute of fixed or variable length; `None` when there is none.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Hdf5Error> {
        let Some(mut strings) = self.strings(name)? else {
            return Ok(None);
        };
        if strings.is_empty() {
            Ok(None)
        } else {
            Ok(Some(strings.swap_remove(0)))
        }
    }

    /// An attribute of strings. Keras splits one that is too large for an object header into `name0`, `name1`, ….
    pub(crate) fn strings(&self, name: &str) -> Result<Option<Vec<String>>, Hdf5Error> {
        if let Some(strings) = self.attribute(name)? {
            return Ok(Some(strings));
        }
        let mut all: Option<Vec<String>> = None;
        for part in 0.. {
            match self.attribute(&format!("{name}{part}"))? {
                Some(strings) => all.get_or_insert_default().extend(strings),
                None => break,
            }
        }
        Ok(all)
    }

    fn attribute(&self, name: &str) -> Result<Option<Vec<String>>, Hdf5Error> {
        let attribute = match self.group.attribute(name) {
            Ok(attribute) => attribute,
            Err(Error::AttributeNotFound(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let limit = self.file.limits.text_bytes;
        if attribute.raw_data.len() > limit {
            let found = attribute.raw_data.len() as u64;
            return Err(Hdf5Error::Limit {
                what: format!("attribute {name}"),
                found,
                limit: limit as u64,
            });
        }
        if attribute.shape.contains(&0) {
            return Ok(Some(Vec::new()));
        }
        match attribute.read_strings() {
            Ok(strings) => Ok(Some(strings)),
            Err(_) => Ok(Some(vec![attribute.read_string()?])),
        }
    }

    /// The dataset at `path`, read lazily; `None` when there is none.
    pub(crate) fn tensor(&self, path: &str) -> Result<Option<Tensor>, Hdf5Error> {
        let (parents, leaf) = path.rsplit_once('/').unwrap_or(("", path));
        let Some(group) = self.group(parents)? else {
            return Ok(None);
        };
        let dataset = match group.group.dataset(leaf) {
            Ok(dataset) => dataset,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (dtype, endian) = element(dataset.dtype()).ok_or_else(|| Hdf5Error::NotNumbers {
            name: path.to_owned(),
            found: format!("{:?}", dataset.dtype()),
        })?;
        let bytes = dataset.raw_byte_len()?;
        if bytes as u64 > self.file.limits.inflated_bytes {
            let limit = self.file.limits.inflated_bytes;
            return Err(Hdf5Error::Limit {
                what: format!("dataset {path}"),
                found: bytes as u64,
                limit,
            });
        }
        let shape: Vec<usize> = dataset.shape().iter().map(|&size| size as usize).collect();
        let data = match self.contiguous(&dataset, bytes) {
            Some(range) => TensorData::mapped(self.file.source.map().clone(), range),
            None => Ok(TensorData::Deferred(Arc::new(Chunked { dataset, bytes }))),
        };
        data.and_then(|data| Tensor::new(&shape, dtype, endian, data))
            .map(Some)
            .map_err(|source| Hdf5Error::Tensor {
                name: path.to_owned(),
                source,
            })
    }

    /// Where an unfiltered dataset that is stored in one piece lies in the file.
    fn contiguous(&self, dataset: &hdf5_reader::Dataset, bytes: usize) -> Option<std::ops::Range<usize>> {
        let header = self.file.file.get_or_parse_header(dataset.address()).ok()?;
        let external = header
            .messages
            .iter()
            .any(|message| matches!(message, HdfMessage::ExternalFiles(_)));
        if external || self.file.file.superblock().base_address != 0 {
            return None;
        }
        header.messages.iter().find_map(|message| match message {
            HdfMessage::DataLayout(layout) => match &layout.layout {
                DataLayout::Contiguous { address, size } if *size as usize == bytes => {
                    let start = usize::try_from(*address).ok()?;
                    let end = start.checked_add(bytes)?;
                    (end <= self.file.source.bytes().len()).then_some(start..end)
                }
                _ => None,
            },
            _ => None,
        })
    }
}

fn is_missing(error: &Error) -> bool {
    match error {
        Error::GroupNotFound(_) | Error::DatasetNotFound(_) => true,
        Error::Context { source, .. } => is_missing(source),
        _ => false,
    }
}

/// The element type of a dataset; `None` when it holds no numbers.
fn element(datatype: &Datatype) -> Option<(DType, Endian)> {
    let order = |order: &ByteOrder| match order {
        ByteOrder::LittleEndian => Endian::Little,
        ByteOrder::BigEndian => Endian::Big,
    };
    Some(match datatype {
        Datatype::FloatingPoint { size: 2, byte_order } => (DType::F16, order(byte_order)),
        Datatype::FloatingPoint { size: 4, byte_order } => (DType::F32, order(byte_order)),
        Datatype::FloatingPoint { size: 8, byte_order } => (DType::F64, order(byte_order)),
        Datatype::FixedPoint {
            size,
            signed,
            byte_order,
        } => {
            let dtype = match (size, signed) {
                (1, true) => DType::I8,
                (1, false) => DType::U8,
                (2, true) => DType::I16,
                (2, false) => DType::U16,
                (4, true) => DType::I32,
                (4, false) => DType::U32,
                (8, true) => DType::I64,
                (8, false) => DType::U64,
                _ => return None,
            };
            (dtype, order(byte_order))
        }
        _ => return None,
    })
}

/// A dataset in chunks, compact or filtered: decoded when it is read, and not kept.
struct Chunked {
    dataset: hdf5_reader::Dataset,
    bytes: usize,
}

impl ReadAt for Chunked {
    fn len(&self) -> usize {
        self.bytes
    }

    fn read(&self) -> Result<Vec<u8>, TensorError> {
        self.dataset
            .read_raw_bytes()
            .map_err(|error| TensorError::Read(error.to_string()))
    }
}
