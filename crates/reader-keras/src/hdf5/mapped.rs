//! HDF5 in pure Rust over the mapped file.

use super::lzf;
use super::{Attribute, AttributeValue, Dataset, Hdf5Error, Image, Members, Node};
use caribou_ir::{DType, Endian, Limits, ReadAt, TensorData, TensorError};
use hdf5_reader::error::Error;
use hdf5_reader::filters::FilterRegistry;
use hdf5_reader::messages::HdfMessage;
use hdf5_reader::messages::layout::DataLayout;
use hdf5_reader::{ByteOrder, Datatype, Hdf5File, OpenOptions};
use std::ops::Range;
use std::sync::Arc;

impl From<Error> for Hdf5Error {
    fn from(error: Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// A chunk of a dataset may be as large as the dataset; larger ones than this are no model's.
const MAX_CHUNK: usize = 2 << 30;
/// The number by which h5py's LZF filter is registered.
const LZF: u16 = 32000;

/// What all groups of a file share.
struct File {
    file: Hdf5File,
    image: Image,
    limits: Limits,
}

struct MappedGroup {
    file: Arc<File>,
    group: hdf5_reader::group::Group,
}

/// The root of a file.
pub(crate) fn open(image: Image, limits: &Limits) -> Result<Box<dyn Node>, Hdf5Error> {
    let mut filters = FilterRegistry::new();
    filters.register(
        LZF,
        Box::new(|filter, packed, _| {
            // The writer notes the size of a whole chunk.
            let size = filter.client_data.get(2).map_or(MAX_CHUNK, |&size| size as usize);
            lzf::decode(packed, size.min(MAX_CHUNK))
                .ok_or_else(|| Error::DecompressionError("the LZF stream is damaged".into()))
        }),
    );
    let options = OpenOptions::default()
        .with_filter_registry(filters)
        .with_chunk_cache_bytes(0)
        .with_max_chunk_bytes(MAX_CHUNK)
        .with_max_read_bytes(usize::try_from(limits.inflated_bytes).unwrap_or(usize::MAX))
        .with_max_object_header_bytes(limits.text_bytes);
    let file = Hdf5File::from_owner(image.clone(), options)?;
    let (stored, found) = (file.superblock().eof_address, image.as_ref().len() as u64);
    if stored > found {
        return Err(Hdf5Error::Damaged(format!(
            "the file was cut off: it should have {stored} bytes and has {found}"
        )));
    }
    let group = file.root_group()?;
    Ok(Box::new(MappedGroup {
        file: Arc::new(File {
            file,
            image,
            limits: limits.clone(),
        }),
        group,
    }))
}

impl MappedGroup {
    fn open(&self, name: &str) -> Result<Option<hdf5_reader::Dataset>, Hdf5Error> {
        match self.group.dataset(name) {
            Ok(dataset) => Ok(Some(dataset)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn read(&self, attribute: &hdf5_reader::Attribute) -> Result<Attribute, Hdf5Error> {
        let limit = self.file.limits.text_bytes;
        if attribute.raw_data.len() > limit {
            return Err(Hdf5Error::Limit {
                what: format!("attribute {}", attribute.name),
                found: attribute.raw_data.len() as u64,
                limit: limit as u64,
            });
        }
        let textual = matches!(
            attribute.datatype,
            Datatype::String { .. } | Datatype::VarLen { .. }
        );
        let value = match (textual, attribute.shape.contains(&0)) {
            (true, true) => AttributeValue::Strings(Vec::new()),
            (true, false) => AttributeValue::Strings(match attribute.read_strings() {
                Ok(strings) => strings,
                Err(_) => vec![attribute.read_string()?],
            }),
            (false, _) => AttributeValue::Bytes(attribute.raw_data.clone()),
        };
        Ok(Attribute {
            name: attribute.name.clone(),
            shape: attribute.shape.clone(),
            value,
        })
    }
}

impl Node for MappedGroup {
    fn group(&self, name: &str) -> Result<Option<Box<dyn Node>>, Hdf5Error> {
        match self.group.group(name) {
            Ok(group) => Ok(Some(Box::new(Self {
                file: self.file.clone(),
                group,
            }))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn members(&self) -> Result<Members, Hdf5Error> {
        let (groups, datasets) = self.group.member_names()?;
        Ok(Members { groups, datasets })
    }

    fn attribute(&self, name: &str) -> Result<Option<Attribute>, Hdf5Error> {
        match self.group.attribute(name) {
            Ok(attribute) => self.read(&attribute).map(Some),
            Err(Error::AttributeNotFound(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    #[cfg(feature = "libhdf5")]
    fn attributes(&self) -> Result<Vec<Attribute>, Hdf5Error> {
        let attributes = self.group.attributes()?;
        attributes.iter().map(|attribute| self.read(attribute)).collect()
    }

    fn dataset(&self, name: &str) -> Result<Option<Dataset>, Hdf5Error> {
        let Some(dataset) = self.open(name)? else {
            return Ok(None);
        };
        let bytes = dataset.raw_byte_len()?;
        let storage = self.file.storage(&dataset, name, bytes)?;
        let shape = dataset.shape().iter().map(|&size| size as usize).collect();
        let element = element(&dataset);
        let data = match storage {
            Some(range) => self.file.image.part(range).map_err(|source| Hdf5Error::Tensor {
                name: name.to_owned(),
                source,
            })?,
            None => TensorData::Deferred(Arc::new(Decoded { dataset, bytes })),
        };
        Ok(Some(Dataset { shape, element, data }))
    }

    #[cfg(feature = "libhdf5")]
    fn dataset_attributes(&self, name: &str) -> Result<Vec<Attribute>, Hdf5Error> {
        let attributes = self.open(name)?.map(|dataset| dataset.attributes());
        let attributes = attributes.unwrap_or_default();
        attributes.iter().map(|attribute| self.read(attribute)).collect()
    }
}

impl File {
    /// Where an unfiltered dataset that is stored in one piece lies in the file; `None` when it has to be decoded.
    fn storage(
        &self,
        dataset: &hdf5_reader::Dataset,
        name: &str,
        bytes: usize,
    ) -> Result<Option<Range<usize>>, Hdf5Error> {
        let header = self.file.get_or_parse_header(dataset.address())?;
        let external = |message: &HdfMessage| matches!(message, HdfMessage::ExternalFiles(_));
        if header.messages.iter().any(external) {
            return Err(Hdf5Error::External {
                name: name.to_owned(),
            });
        }
        let base = usize::try_from(self.file.superblock().base_address).ok();
        Ok(header.messages.iter().find_map(|message| match message {
            HdfMessage::DataLayout(layout) => match &layout.layout {
                // A dataset that was never written has no address: its bytes are the fill value.
                DataLayout::Contiguous { address, size } if *size as usize == bytes => {
                    let start = usize::try_from(*address).ok()?.checked_add(base?)?;
                    let end = start.checked_add(bytes)?;
                    (end <= self.image.as_ref().len()).then_some(start..end)
                }
                _ => None,
            },
            _ => None,
        }))
    }
}

fn is_missing(error: &Error) -> bool {
    match error {
        Error::GroupNotFound(_) | Error::DatasetNotFound(_) => true,
        Error::Context { source, .. } => is_missing(source),
        _ => false,
    }
}

/// The element type of a dataset; what it is called when it holds no numbers.
fn element(dataset: &hdf5_reader::Dataset) -> Result<(DType, Endian), String> {
    let order = |order: &ByteOrder| match order {
        ByteOrder::LittleEndian => Endian::Little,
        ByteOrder::BigEndian => Endian::Big,
    };
    let unknown = || format!("{:?}", dataset.dtype());
    match dataset.dtype() {
        Datatype::FloatingPoint { byte_order, .. } => {
            let dtype = float(&dataset.raw_datatype().unwrap_or_default()).ok_or_else(unknown)?;
            Ok((dtype, order(byte_order)))
        }
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
                _ => return Err(unknown()),
            };
            Ok((dtype, order(byte_order)))
        }
        // NumPy has no bfloat16: h5py stores such arrays as two bytes without a type, and Keras 3 notes it beside.
        Datatype::Opaque { size: 2, tag } if tag.is_empty() => {
            match dataset.attribute("dtype").map(|noted| noted.read_string()) {
                Ok(Ok(noted)) if noted != "bfloat16" => Err(noted),
                _ => Ok((DType::BF16, Endian::Little)),
            }
        }
        _ => Err(unknown()),
    }
}

/// The floating-point type of an HDF5 datatype message, told by the places of its exponent and mantissa: a size alone
/// does not tell binary16 from bfloat16.
fn float(message: &[u8]) -> Option<DType> {
    let size = message.get(4)?;
    let &[exponent_at, exponent_bits, mantissa_at, mantissa_bits] = message.get(12..16)? else {
        return None;
    };
    match (size, exponent_at, exponent_bits, mantissa_at, mantissa_bits) {
        (2, 10, 5, 0, 10) => Some(DType::F16),
        (2, 7, 8, 0, 7) => Some(DType::BF16),
        (4, 23, 8, 0, 23) => Some(DType::F32),
        (8, 52, 11, 0, 52) => Some(DType::F64),
        _ => None,
    }
}

/// A dataset in chunks, compact or filtered: decoded when it is read, and not kept.
struct Decoded {
    dataset: hdf5_reader::Dataset,
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
