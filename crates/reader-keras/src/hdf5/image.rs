//! Where the bytes of an HDF5 file are.

use caribou_ir::{ReadAt, Source, TensorData, TensorError};
use std::ops::Range;
use std::sync::Arc;

/// The bytes of an HDF5 file.
#[derive(Clone)]
pub(crate) enum Image {
    /// This part of a mapped file: all of it, or an entry of an archive.
    Mapped(Source, Range<usize>),
    /// Inflated into memory.
    Owned(Arc<[u8]>),
}

impl Image {
    /// A whole file.
    pub(crate) fn whole(source: &Source) -> Self {
        Self::Mapped(source.clone(), 0..source.bytes().len())
    }

    /// The bytes `range` of the image as those of a tensor.
    pub(super) fn part(&self, range: Range<usize>) -> Result<TensorData, TensorError> {
        match self {
            Self::Mapped(source, within) => {
                let range = within.start + range.start..within.start + range.end;
                TensorData::mapped(source.map().clone(), range)
            }
            Self::Owned(bytes) => Ok(TensorData::Deferred(Arc::new(Part {
                bytes: bytes.clone(),
                range,
            }))),
        }
    }
}

impl AsRef<[u8]> for Image {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Mapped(source, range) => source.bytes().get(range.clone()).unwrap_or_default(),
            Self::Owned(bytes) => bytes,
        }
    }
}

/// A part of an image in memory.
struct Part {
    bytes: Arc<[u8]>,
    range: Range<usize>,
}

impl ReadAt for Part {
    fn len(&self) -> usize {
        self.range.len()
    }

    fn read(&self) -> Result<Vec<u8>, TensorError> {
        self.bytes
            .get(self.range.clone())
            .map(<[u8]>::to_vec)
            .ok_or_else(|| TensorError::Read(format!("bytes {:?} lie outside of the file", self.range)))
    }
}
