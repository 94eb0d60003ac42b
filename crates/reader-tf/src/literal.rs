//! Constants: `TensorProto` in all its encodings.
//!
//! Numbers stand in `tensor_content` as bytes, or in the repeated field of their type; there, where fewer stand than the
//! shape has elements, the last one is repeated. Bytes of a mapped file are not copied.

use crate::schema::{DataType, TensorProto};
use caribou_ir::{DType, Endian, Limits, Tensor, TensorData};
use memmap2::Mmap;
use std::sync::Arc;

/// A constant array.
#[derive(Debug, Clone)]
pub(crate) enum Literal {
    /// Numbers or truth values.
    Numbers(Tensor),
    /// Strings, which only file operations and lookups read.
    Strings,
}

/// Why a constant can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct LiteralError(pub(crate) String);

fn error<T>(message: impl Into<String>) -> Result<T, LiteralError> {
    Err(LiteralError(message.into()))
}

/// The number that a program meant by one that was stored in single precision: the shortest decimal that is stored so.
/// As `0.001` it comes out, not as what the nearest number of 32 bits is.
pub(crate) fn meant(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

/// The element type, where it is one of numbers. Variables are referred to by types of their own.
pub(crate) fn dtype(kind: DataType) -> Option<DType> {
    use DataType as T;
    Some(match kind {
        T::DtFloat | T::DtFloatRef => DType::F32,
        T::DtDouble | T::DtDoubleRef => DType::F64,
        T::DtHalf | T::DtHalfRef => DType::F16,
        T::DtBfloat16 | T::DtBfloat16Ref => DType::BF16,
        T::DtInt8 | T::DtInt8Ref | T::DtQint8 => DType::I8,
        T::DtUint8 | T::DtUint8Ref | T::DtQuint8 => DType::U8,
        T::DtInt16 | T::DtInt16Ref | T::DtQint16 => DType::I16,
        T::DtUint16 | T::DtQuint16 => DType::U16,
        T::DtInt32 | T::DtInt32Ref | T::DtQint32 => DType::I32,
        T::DtUint32 => DType::U32,
        T::DtInt64 | T::DtInt64Ref => DType::I64,
        T::DtUint64 => DType::U64,
        T::DtBool | T::DtBoolRef => DType::Bool,
        _ => return None,
    })
}

/// The array that `proto` holds; bytes that lie in `map` are read from there when they are needed.
pub(crate) fn read(proto: &TensorProto, map: &Arc<Mmap>, limits: &Limits) -> Result<Literal, LiteralError> {
    let kind = proto.dtype();
    if matches!(kind, DataType::DtString | DataType::DtStringRef) {
        return Ok(Literal::Strings);
    }
    let Some(dtype) = dtype(kind) else {
        return error(format!(
            "constants of type {} are not supported",
            kind.as_str_name()
        ));
    };
    let shape = sizes(proto, limits)?;
    let count = shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
    let Some(bytes) = count
        .and_then(|count| count.checked_mul(dtype.size()))
        .filter(|&bytes| bytes as u64 <= limits.tensor_bytes)
    else {
        return error(format!("a constant of shape {shape:?} is larger than the limit"));
    };
    let tensor = if proto.tensor_content.is_empty() {
        repeated(proto, dtype, &shape, bytes / dtype.size(), limits)?
    } else {
        let content = &proto.tensor_content;
        let start = (content.as_ptr() as usize).checked_sub(map.as_ptr() as usize);
        let data = match start.filter(|start| {
            start
                .checked_add(content.len())
                .is_some_and(|end| end <= map.len())
        }) {
            Some(start) => TensorData::mapped(Arc::clone(map), start..start + content.len()),
            None => Ok(TensorData::Owned(Arc::from(content.as_ref()))),
        };
        data.and_then(|data| Tensor::new(&shape, dtype, Endian::Little, data))
            .map_err(|error| LiteralError(error.to_string()))?
    };
    Ok(Literal::Numbers(tensor))
}

/// The most elements of [`filled`].
const FILLED: usize = 1 << 20;

/// An array with one number everywhere; `None` when the type can't hold it.
pub(crate) fn filled(kind: DataType, shape: &[usize], value: f64) -> Option<Literal> {
    let count = shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size))?;
    let dtype = dtype(kind).filter(|_| count <= FILLED)?;
    let whole = value.fract() == 0.0;
    let element = match dtype {
        DType::F32 => (value as f32).to_le_bytes().to_vec(),
        DType::F64 => value.to_le_bytes().to_vec(),
        DType::F16 => half::f16::from_f64(value).to_le_bytes().to_vec(),
        DType::BF16 => half::bf16::from_f64(value).to_le_bytes().to_vec(),
        DType::Bool if value == 0.0 || value == 1.0 => vec![value as u8],
        DType::U8 if whole && (0.0..=255.0).contains(&value) => vec![value as u8],
        DType::I32 if whole && value.abs() < 2f64.powi(31) => (value as i32).to_le_bytes().to_vec(),
        DType::I64 if whole && value.abs() < 2f64.powi(53) => (value as i64).to_le_bytes().to_vec(),
        _ => return None,
    };
    let bytes = TensorData::Owned(Arc::from(element.repeat(count)));
    Tensor::new(shape, dtype, Endian::Little, bytes)
        .ok()
        .map(Literal::Numbers)
}

fn sizes(proto: &TensorProto, limits: &Limits) -> Result<Vec<usize>, LiteralError> {
    let dims = proto
        .tensor_shape
        .as_ref()
        .map_or(&[][..], |shape| &shape.dim[..]);
    if dims.len() > limits.rank {
        return error(format!(
            "it has {} axes, the limit is {}",
            dims.len(),
            limits.rank
        ));
    }
    dims.iter()
        .map(|dim| usize::try_from(dim.size).or_else(|_| error(format!("an axis has the size {}", dim.size))))
        .collect()
}

/// Numbers from the repeated field of their type. A single one for the whole array is stored once.
fn repeated(
    proto: &TensorProto,
    dtype: DType,
    shape: &[usize],
    count: usize,
    limits: &Limits,
) -> Result<Tensor, LiteralError> {
    let mut bytes: Vec<u8> = match dtype {
        DType::F32 => proto.float_val.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::F64 => proto.double_val.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::F16 | DType::BF16 => proto
            .half_val
            .iter()
            .flat_map(|v| (*v as u16).to_le_bytes())
            .collect(),
        DType::I8 | DType::U8 => proto.int_val.iter().map(|v| *v as u8).collect(),
        DType::I16 | DType::U16 => proto
            .int_val
            .iter()
            .flat_map(|v| (*v as u16).to_le_bytes())
            .collect(),
        DType::I32 => proto.int_val.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::U32 => proto.uint32_val.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::I64 => proto.int64_val.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::U64 => proto.uint64_val.iter().flat_map(|v| v.to_le_bytes()).collect(),
        DType::Bool => proto.bool_val.iter().map(|v| u8::from(*v)).collect(),
    };
    let size = dtype.size();
    let found = bytes.len() / size;
    if found > count {
        return error(format!(
            "it has {found} numbers, shape {shape:?} asks for {count}"
        ));
    }
    if found == 0 && count > 0 {
        // Nothing is stored for an array of zeros.
        bytes = vec![0; size];
    }
    let last = bytes.len().saturating_sub(size);
    let inflated = count as u64 * size as u64;
    if count > found && inflated > limits.inflated_bytes {
        return error(format!("a constant of shape {shape:?} is larger than the limit"));
    }
    while bytes.len() < count * size {
        bytes.extend_from_within(last..last + size);
    }
    Tensor::new(shape, dtype, Endian::Little, TensorData::Owned(Arc::from(bytes)))
        .map_err(|error| LiteralError(error.to_string()))
}
