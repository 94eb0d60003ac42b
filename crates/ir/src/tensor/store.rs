//! Where the elements of a tensor are stored, and how they become `f32`.

use super::{TensorError, Values};
use crate::{DType, Endian};
use memmap2::Mmap;
use std::ops::Range;
use std::sync::Arc;

/// A read that is put off until the bytes are needed: a compressed dataset, say.
pub trait ReadAt: Send + Sync {
    /// The number of bytes that [`ReadAt::read`] gives.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All bytes.
    ///
    /// # Errors
    /// When they can't be read.
    fn read(&self) -> Result<Vec<u8>, TensorError>;
}

/// The bytes of a tensor.
#[derive(Clone)]
pub enum TensorData {
    /// In memory.
    Owned(Arc<[u8]>),
    /// A range of bytes in memory, of which others have other ranges.
    Part {
        /// The bytes of all.
        bytes: Arc<[u8]>,
        /// Those of the tensor among them.
        range: Range<usize>,
    },
    /// Numbers in memory, in the machine's byte order.
    Floats(Arc<Values>),
    /// A range of a mapped file.
    Mapped {
        /// The file.
        map: Arc<Mmap>,
        /// The bytes of the tensor within it.
        range: Range<usize>,
    },
    /// Read when needed, and not kept.
    Deferred(Arc<dyn ReadAt>),
}

impl TensorData {
    /// The bytes `range` of a mapped file.
    ///
    /// # Errors
    /// When the file is shorter than that.
    pub fn mapped(map: Arc<Mmap>, range: Range<usize>) -> Result<Self, TensorError> {
        if range.start > range.end || range.end > map.len() {
            return Err(TensorError::Read(format!(
                "bytes {}..{} lie outside of the file, which has {}",
                range.start,
                range.end,
                map.len()
            )));
        }
        Ok(Self::Mapped { map, range })
    }

    /// The bytes `range` of these, where they lie in memory or in a file.
    pub(super) fn part(&self, range: Range<usize>) -> Option<Self> {
        if range.start > range.end || range.end > self.len() {
            return None;
        }
        Some(match self {
            Self::Owned(bytes) => Self::Part {
                bytes: bytes.clone(),
                range,
            },
            Self::Part { bytes, range: own } => Self::Part {
                bytes: bytes.clone(),
                range: own.start + range.start..own.start + range.end,
            },
            Self::Mapped { map, range: own } => Self::Mapped {
                map: map.clone(),
                range: own.start + range.start..own.start + range.end,
            },
            Self::Floats(_) | Self::Deferred(_) => return None,
        })
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Owned(bytes) => bytes.len(),
            Self::Part { range, .. } => range.len(),
            Self::Floats(values) => 4 * values.len(),
            Self::Mapped { range, .. } => range.len(),
            Self::Deferred(read) => read.len(),
        }
    }

    pub(super) fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Owned(a), Self::Owned(b)) => Arc::ptr_eq(a, b),
            (Self::Floats(a), Self::Floats(b)) => Arc::ptr_eq(a, b),
            (Self::Part { bytes: a, range: x }, Self::Part { bytes: b, range: y }) => {
                Arc::ptr_eq(a, b) && x == y
            }
            (Self::Mapped { map: a, range: x }, Self::Mapped { map: b, range: y }) => {
                Arc::ptr_eq(a, b) && x == y
            }
            (Self::Deferred(a), Self::Deferred(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl std::fmt::Debug for TensorData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Owned(bytes) => write!(f, "Owned({} bytes)", bytes.len()),
            Self::Part { range, .. } => write!(f, "Part({range:?})"),
            Self::Floats(values) => write!(f, "Floats({} numbers)", values.len()),
            Self::Mapped { range, .. } => write!(f, "Mapped({range:?})"),
            Self::Deferred(read) => write!(f, "Deferred({} bytes)", read.len()),
        }
    }
}

/// Bytes with what their elements are.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) dtype: DType,
    pub(super) endian: Endian,
    pub(super) data: TensorData,
}

/// The bytes of a [`Stored`], at hand.
pub(super) enum Bytes<'a> {
    Borrowed(&'a [u8]),
    Read(Vec<u8>),
}

impl std::ops::Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Read(bytes) => bytes,
        }
    }
}

impl Stored {
    pub(super) fn bytes(&self) -> Result<Bytes<'_>, TensorError> {
        Ok(match &self.data {
            TensorData::Owned(bytes) => Bytes::Borrowed(bytes),
            TensorData::Part { bytes, range } => {
                Bytes::Borrowed(bytes.get(range.clone()).ok_or_else(|| {
                    TensorError::Read(format!("bytes {range:?} lie outside of those in memory"))
                })?)
            }
            TensorData::Floats(values) => Bytes::Borrowed(bytemuck::cast_slice(values)),
            TensorData::Mapped { map, range } => {
                Bytes::Borrowed(map.get(range.clone()).ok_or_else(|| {
                    TensorError::Read(format!("bytes {range:?} lie outside of the mapped file"))
                })?)
            }
            TensorData::Deferred(read) => {
                let bytes = read.read()?;
                if bytes.len() != read.len() {
                    return Err(TensorError::Read(format!(
                        "expected {} bytes, found {}",
                        read.len(),
                        bytes.len()
                    )));
                }
                Bytes::Read(bytes)
            }
        })
    }
}

/// An element type with its byte order, as a type: what the inner loops are compiled for.
pub(super) trait Element {
    /// The bytes of one element.
    type Bytes: bytemuck::Pod;
    /// The element with these bytes, rounded to the nearest `f32`.
    fn decode(bytes: Self::Bytes) -> f32;
}

macro_rules! element {
    ($($name:ident: $size:literal, $bytes:ident => $value:expr;)*) => {
        $(pub(super) struct $name;
        impl Element for $name {
            type Bytes = [u8; $size];
            #[inline(always)]
            fn decode($bytes: [u8; $size]) -> f32 {
                $value
            }
        })*
    };
}

element! {
    F32Le: 4, b => f32::from_le_bytes(b);
    F32Be: 4, b => f32::from_be_bytes(b);
    F64Le: 8, b => f64::from_le_bytes(b) as f32;
    F64Be: 8, b => f64::from_be_bytes(b) as f32;
    F16Le: 2, b => half::f16::from_le_bytes(b).to_f32();
    F16Be: 2, b => half::f16::from_be_bytes(b).to_f32();
    Bf16Le: 2, b => half::bf16::from_le_bytes(b).to_f32();
    Bf16Be: 2, b => half::bf16::from_be_bytes(b).to_f32();
    I8Any: 1, b => i8::from_le_bytes(b) as f32;
    U8Any: 1, b => b[0] as f32;
    BoolAny: 1, b => f32::from(u8::from(b[0] != 0));
    I16Le: 2, b => i16::from_le_bytes(b) as f32;
    I16Be: 2, b => i16::from_be_bytes(b) as f32;
    U16Le: 2, b => u16::from_le_bytes(b) as f32;
    U16Be: 2, b => u16::from_be_bytes(b) as f32;
    I32Le: 4, b => i32::from_le_bytes(b) as f32;
    I32Be: 4, b => i32::from_be_bytes(b) as f32;
    U32Le: 4, b => u32::from_le_bytes(b) as f32;
    U32Be: 4, b => u32::from_be_bytes(b) as f32;
    I64Le: 8, b => i64::from_le_bytes(b) as f32;
    I64Be: 8, b => i64::from_be_bytes(b) as f32;
    U64Le: 8, b => u64::from_le_bytes(b) as f32;
    U64Be: 8, b => u64::from_be_bytes(b) as f32;
}
