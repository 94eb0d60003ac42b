//! Elements with all their digits: whole numbers of 64 bits and double precision, which `f32` does not hold.
//!
//! For arrays that are computed with when a model is read (sizes, positions, small constants), not for weights.

use super::TensorError;
use super::store::Stored;
use super::view::View;
use crate::{DType, Endian};

/// The elements of a type of whole numbers or truth values.
pub(super) fn integers(stored: &Stored, view: &View) -> Result<Vec<i64>, TensorError> {
    each(stored, view, |bits, dtype| match dtype {
        DType::Bool => Some(i64::from(bits != 0)),
        DType::U8 | DType::U16 | DType::U32 | DType::U64 => i64::try_from(bits).ok(),
        DType::I8 => Some(i64::from(bits as i8)),
        DType::I16 => Some(i64::from(bits as i16)),
        DType::I32 => Some(i64::from(bits as i32)),
        DType::I64 => Some(bits as i64),
        DType::F16 | DType::BF16 | DType::F32 | DType::F64 => None,
    })
}

/// The elements of any type, rounded where they have more than 53 binary digits.
pub(super) fn reals(stored: &Stored, view: &View) -> Result<Vec<f64>, TensorError> {
    each(stored, view, |bits, dtype| {
        Some(match dtype {
            DType::Bool => f64::from(u8::from(bits != 0)),
            DType::U8 | DType::U16 | DType::U32 | DType::U64 => bits as f64,
            DType::I8 => f64::from(bits as i8),
            DType::I16 => f64::from(bits as i16),
            DType::I32 => f64::from(bits as i32),
            DType::I64 => bits as i64 as f64,
            DType::F16 => half::f16::from_bits(bits as u16).to_f64(),
            DType::BF16 => half::bf16::from_bits(bits as u16).to_f64(),
            DType::F32 => f64::from(f32::from_bits(bits as u32)),
            DType::F64 => f64::from_bits(bits),
        })
    })
}

/// Visits the elements in C order, each as the number that its bits are.
fn each<T>(
    stored: &Stored,
    view: &View,
    decode: impl Fn(u64, DType) -> Option<T>,
) -> Result<Vec<T>, TensorError> {
    let count = view.len();
    let mut values = Vec::with_capacity(count);
    if count == 0 {
        return Ok(values);
    }
    let bytes = stored.bytes()?;
    let size = stored.dtype.size();
    let loops = view.loops();
    let mut index = vec![0usize; loops.len()];
    for _ in 0..count {
        let moved: isize = index
            .iter()
            .zip(&loops)
            .map(|(&i, factor)| i as isize * factor.stride)
            .sum();
        let start = view.offset.wrapping_add_signed(moved).wrapping_mul(size);
        let element = bytes
            .get(start..start.wrapping_add(size))
            .ok_or_else(|| TensorError::Read("an element lies outside of the stored bytes".into()))?;
        let mut bits = [0u8; 8];
        for (i, &byte) in element.iter().enumerate() {
            let place = if stored.endian == Endian::Little {
                i
            } else {
                size - 1 - i
            };
            bits[place] = byte;
        }
        let value = decode(u64::from_le_bytes(bits), stored.dtype).ok_or_else(|| {
            TensorError::Read(format!("{} is no type of whole numbers of 63 bits", stored.dtype))
        })?;
        values.push(value);
        for axis in (0..loops.len()).rev() {
            index[axis] += 1;
            if index[axis] < loops[axis].extent {
                break;
            }
            index[axis] = 0;
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use crate::{DType, Endian, Tensor, TensorData};

    fn stored(shape: &[usize], dtype: DType, endian: Endian, bytes: Vec<u8>) -> Tensor {
        Tensor::new(shape, dtype, endian, TensorData::Owned(bytes.into())).unwrap()
    }

    #[test]
    fn whole_numbers_keep_their_digits() {
        let numbers = [i64::MAX, -3, 1 << 53 | 1, 0];
        let little = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        let tensor = stored(&[2, 2], DType::I64, Endian::Little, little);
        assert_eq!(tensor.to_i64().unwrap(), numbers);
        let turned = tensor.permute(&[1, 0]).unwrap();
        assert_eq!(turned.to_i64().unwrap(), [i64::MAX, 1 << 53 | 1, -3, 0]);
        let big = numbers.iter().flat_map(|n| n.to_be_bytes()).collect();
        assert_eq!(
            stored(&[4], DType::I64, Endian::Big, big).to_i64().unwrap(),
            numbers
        );
        let bytes = stored(&[2], DType::I8, Endian::Little, vec![0xff, 1]);
        assert_eq!(bytes.to_i64().unwrap(), [-1, 1]);
        assert!(Tensor::vector(&[1.0]).to_i64().is_err());
    }

    #[test]
    fn reals_of_double_precision_keep_their_digits() {
        let tensor = stored(&[1], DType::F64, Endian::Little, 0.1f64.to_le_bytes().to_vec());
        assert_eq!(tensor.to_f64().unwrap(), [0.1]);
        assert_eq!(Tensor::filled(&[3], 0.5).to_f64().unwrap(), [0.5; 3]);
    }
}
