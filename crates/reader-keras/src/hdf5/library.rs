//! HDF5 through the C library: a second opinion on [`super::mapped`], for tests. It reads every dataset at once, knows no
//! limits, and converts numbers to this machine's byte order.

use super::{Attribute, AttributeValue, Dataset, Hdf5Error, Members, Node};
use caribou_ir::{DType, Endian, TensorData};
use hdf5::types::{FixedAscii, FixedUnicode, FloatSize, IntSize, TypeDescriptor, VarLenAscii, VarLenUnicode};
use hdf5::{Container, Datatype, Location, LocationType};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

impl From<hdf5::Error> for Hdf5Error {
    fn from(error: hdf5::Error) -> Self {
        Self::Damaged(format!("the C library: {error}"))
    }
}

struct LibraryGroup {
    group: hdf5::Group,
}

/// The root of the file at `path`.
pub(crate) fn open(path: &Path) -> Result<Box<dyn Node>, Hdf5Error> {
    let file = hdf5::File::open(path)?;
    Ok(Box::new(LibraryGroup {
        group: file.group("/")?,
    }))
}

impl LibraryGroup {
    fn kind(&self, name: &str) -> Option<LocationType> {
        self.group
            .link_exists(name)
            .then(|| self.group.loc_type_by_name(name).ok())
            .flatten()
    }

    fn open(&self, name: &str) -> Result<Option<hdf5::Dataset>, Hdf5Error> {
        match self.kind(name) {
            Some(LocationType::Dataset) => Ok(Some(self.group.dataset(name)?)),
            _ => Ok(None),
        }
    }
}

impl Node for LibraryGroup {
    fn group(&self, name: &str) -> Result<Option<Box<dyn Node>>, Hdf5Error> {
        match self.kind(name) {
            Some(LocationType::Group) => Ok(Some(Box::new(Self {
                group: self.group.group(name)?,
            }))),
            _ => Ok(None),
        }
    }

    fn members(&self) -> Result<Members, Hdf5Error> {
        let mut members = Members::default();
        for name in self.group.member_names()? {
            match self.kind(&name) {
                Some(LocationType::Group) => members.groups.push(name),
                Some(LocationType::Dataset) => members.datasets.push(name),
                _ => {}
            }
        }
        Ok(members)
    }

    fn attribute(&self, name: &str) -> Result<Option<Attribute>, Hdf5Error> {
        if !self.group.attr_names()?.iter().any(|known| known == name) {
            return Ok(None);
        }
        attribute(&self.group, name).map(Some)
    }

    fn attributes(&self) -> Result<Vec<Attribute>, Hdf5Error> {
        attributes(&self.group)
    }

    fn dataset(&self, name: &str) -> Result<Option<Dataset>, Hdf5Error> {
        let Some(dataset) = self.open(name)? else {
            return Ok(None);
        };
        let shape = dataset.shape();
        let (element, bytes) = match numbers(&dataset, &dataset.dtype()?) {
            Ok((dtype, bytes)) => (Ok((dtype, Endian::Little)), bytes),
            Err(found) => match untyped(&dataset)? {
                Some(bytes) => (Ok((DType::BF16, Endian::Little)), bytes),
                None => (Err(found), Vec::new()),
            },
        };
        Ok(Some(Dataset {
            shape,
            element,
            data: TensorData::Owned(bytes.into()),
        }))
    }

    fn dataset_attributes(&self, name: &str) -> Result<Vec<Attribute>, Hdf5Error> {
        match self.open(name)? {
            Some(dataset) => attributes(&dataset),
            None => Ok(Vec::new()),
        }
    }
}

fn attributes(location: &Location) -> Result<Vec<Attribute>, Hdf5Error> {
    let names = location.attr_names()?;
    names.iter().map(|name| attribute(location, name)).collect()
}

fn attribute(location: &Location, name: &str) -> Result<Attribute, Hdf5Error> {
    let found = location.attr(name)?;
    let shape: Vec<u64> = found.shape().iter().map(|&size| size as u64).collect();
    let datatype = found.dtype()?;
    let value = match strings(&found, &datatype)? {
        Some(strings) => AttributeValue::Strings(strings),
        None => AttributeValue::Bytes(
            numbers(&found, &datatype)
                .map_err(|found| Hdf5Error::Damaged(format!("attribute {name} is of type {found}")))?
                .1,
        ),
    };
    Ok(Attribute {
        name: name.to_owned(),
        shape,
        value,
    })
}

/// The elements as strings; `None` when they are none.
fn strings(container: &Container, datatype: &Datatype) -> Result<Option<Vec<String>>, Hdf5Error> {
    /// Fixed-length strings are read into ones that are at least as long, of a length known here.
    macro_rules! fixed {
        ($kind:ident, $length:expr, $($room:literal)*) => {
            match $length {
                $(0..=$room => container
                    .read_raw::<$kind<$room>>()?
                    .iter()
                    .map(|text| text.as_str().to_owned())
                    .collect(),)*
                _ => return Err(Hdf5Error::Damaged(format!("a string of {} bytes", $length))),
            }
        };
    }
    let empty = container.size() == 0;
    Ok(Some(match datatype.to_descriptor() {
        Ok(
            TypeDescriptor::VarLenUnicode
            | TypeDescriptor::VarLenAscii
            | TypeDescriptor::FixedAscii(_)
            | TypeDescriptor::FixedUnicode(_),
        ) if empty => Vec::new(),
        Ok(TypeDescriptor::VarLenUnicode) => container
            .read_raw::<VarLenUnicode>()?
            .iter()
            .map(|text| text.as_str().to_owned())
            .collect(),
        Ok(TypeDescriptor::VarLenAscii) => container
            .read_raw::<VarLenAscii>()?
            .iter()
            .map(|text| text.as_str().to_owned())
            .collect(),
        Ok(TypeDescriptor::FixedAscii(length)) => fixed!(FixedAscii, length, 64 1024 65536 1048576),
        Ok(TypeDescriptor::FixedUnicode(length)) => fixed!(FixedUnicode, length, 64 1024 65536 1048576),
        _ => return Ok(None),
    }))
}

/// The elements as numbers: their type, and their bytes with the least significant one first. What they are called when
/// they are none.
fn numbers(container: &Container, datatype: &Datatype) -> Result<(DType, Vec<u8>), String> {
    macro_rules! read {
        ($dtype:ident, $type:ty) => {
            container
                .read_raw::<$type>()
                .map(|values| {
                    let bytes = values
                        .iter()
                        .flat_map(|value| value.to_le_bytes())
                        .collect();
                    (DType::$dtype, bytes)
                })
                .map_err(|error| error.to_string())
        };
    }
    let descriptor = datatype.to_descriptor().map_err(|error| error.to_string())?;
    match descriptor {
        TypeDescriptor::Float(FloatSize::U2) => read!(F16, half::f16),
        TypeDescriptor::Float(FloatSize::U4) => read!(F32, f32),
        TypeDescriptor::Float(FloatSize::U8) => read!(F64, f64),
        TypeDescriptor::Integer(IntSize::U1) => read!(I8, i8),
        TypeDescriptor::Integer(IntSize::U2) => read!(I16, i16),
        TypeDescriptor::Integer(IntSize::U4) => read!(I32, i32),
        TypeDescriptor::Integer(IntSize::U8) => read!(I64, i64),
        TypeDescriptor::Unsigned(IntSize::U1) => read!(U8, u8),
        TypeDescriptor::Unsigned(IntSize::U2) => read!(U16, u16),
        TypeDescriptor::Unsigned(IntSize::U4) => read!(U32, u32),
        TypeDescriptor::Unsigned(IntSize::U8) => read!(U64, u64),
        TypeDescriptor::Boolean => container
            .read_raw::<bool>()
            .map(|values| (DType::Bool, values.into_iter().map(u8::from).collect()))
            .map_err(|error| error.to_string()),
        other => Err(other.to_string()),
    }
}

/// The bytes of a dataset of two-byte elements without a type, read from where the library says that they are; `None` when
/// it is none, or not stored in one piece.
fn untyped(dataset: &hdf5::Dataset) -> Result<Option<Vec<u8>>, Hdf5Error> {
    let (Some(offset), 2) = (dataset.offset(), dataset.dtype()?.size()) else {
        return Ok(None);
    };
    let mut bytes = vec![0; dataset.size() * 2];
    let read = std::fs::File::open(dataset.filename()).and_then(|mut file| {
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut bytes)
    });
    read.map_err(|error| Hdf5Error::Damaged(error.to_string()))?;
    Ok(Some(bytes))
}
