//! `normalizer.bin`: statistics that a program applies to arrays before it feeds them.

use super::array::{ArrayType, read_header, row_header};
use caribou_ir::{DType, Endian, Normalizer, Tensor, TensorData};
use std::sync::Arc;

/// What the entry starts with, and its version.
const MARK: (&str, i32) = ("NORMALIZER", 1);

/// The entry of DL4J's `NormalizerStandardize`, `NormalizerMinMaxScaler` or `ImagePreProcessingScaler` with these numbers,
/// of inputs and not of labels.
pub fn normalizer_entry(normalizer: &Normalizer) -> Vec<u8> {
    let mut bytes = Vec::new();
    text(&mut bytes, MARK.0);
    bytes.extend(MARK.1.to_be_bytes());
    match normalizer {
        Normalizer::Standardize { mean, deviation } => {
            text(&mut bytes, "STANDARDIZE");
            bytes.push(0);
            rows(&mut bytes, [mean, deviation]);
        }
        Normalizer::MinMax {
            minimum,
            maximum,
            target,
        } => {
            text(&mut bytes, "MIN_MAX");
            bytes.push(0);
            bytes.extend(target.iter().flat_map(|number| number.to_be_bytes()));
            rows(&mut bytes, [minimum, maximum]);
        }
        Normalizer::Image { low, high, pixel } => {
            text(&mut bytes, "IMAGE_MIN_MAX");
            bytes.extend([low, high, pixel].iter().flat_map(|number| number.to_be_bytes()));
        }
    }
    bytes
}

fn rows(bytes: &mut Vec<u8>, rows: [&Vec<f32>; 2]) {
    for numbers in rows {
        bytes.extend(row_header(ArrayType::Float, numbers.len()));
        bytes.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    }
}

/// A string as Java's `writeUTF` writes one of ASCII.
fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u16).to_be_bytes());
    bytes.extend(text.as_bytes());
}

/// Why an entry gives no normaliser.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NormalizerError(String);

/// The normaliser of an entry, and whether it has statistics of labels besides, which are not read.
///
/// # Errors
/// When the entry is damaged, or of a kind that treats several inputs.
pub fn read_normalizer(bytes: &[u8]) -> Result<(Normalizer, bool), NormalizerError> {
    let mut entry = Entry(bytes);
    let mark = entry.text()?;
    let version = i32::from_be_bytes(entry.array()?);
    if (mark.as_str(), version) != MARK {
        return Err(NormalizerError(format!(
            "expected {} {}, found {mark:?} {version}",
            MARK.0, MARK.1
        )));
    }
    let kind = entry.text()?;
    match kind.as_str() {
        "STANDARDIZE" => {
            let [labels] = entry.array()?;
            let (mean, deviation) = (entry.row()?, entry.row()?);
            same_length(&mean, &deviation)?;
            Ok((Normalizer::Standardize { mean, deviation }, labels != 0))
        }
        "MIN_MAX" => {
            let [labels] = entry.array()?;
            let target = [entry.double()?, entry.double()?];
            let (minimum, maximum) = (entry.row()?, entry.row()?);
            same_length(&minimum, &maximum)?;
            let normalizer = Normalizer::MinMax {
                minimum,
                maximum,
                target,
            };
            Ok((normalizer, labels != 0))
        }
        "IMAGE_MIN_MAX" => {
            let [low, high, pixel] = [entry.double()?, entry.double()?, entry.double()?];
            Ok((Normalizer::Image { low, high, pixel }, false))
        }
        other => Err(NormalizerError(format!(
            "normalizers of type {other} are not read"
        ))),
    }
}

fn same_length(a: &[f32], b: &[f32]) -> Result<(), NormalizerError> {
    if a.len() == b.len() {
        return Ok(());
    }
    Err(NormalizerError(format!(
        "its two rows have {} and {} numbers",
        a.len(),
        b.len()
    )))
}

/// What is left of an entry.
struct Entry<'b>(&'b [u8]);

impl Entry<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8], NormalizerError> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or_else(|| NormalizerError("it ends too early".into()))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], NormalizerError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn double(&mut self) -> Result<f64, NormalizerError> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    fn text(&mut self) -> Result<String, NormalizerError> {
        let length = u16::from_be_bytes(self.array()?);
        let bytes = self.take(usize::from(length))?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    }

    fn row(&mut self) -> Result<Vec<f32>, NormalizerError> {
        let failed = |error: &dyn std::fmt::Display| NormalizerError(error.to_string());
        let header = read_header(self.0).map_err(|error| failed(&error))?;
        let dtype = match header.dtype {
            ArrayType::Float => DType::F32,
            ArrayType::Double => DType::F64,
            ArrayType::Half => DType::F16,
            ArrayType::Bfloat16 => DType::BF16,
        };
        self.take(header.payload)?;
        let bytes: Arc<[u8]> = Arc::from(self.take(header.elements * header.dtype.size())?);
        Tensor::new(&[header.elements], dtype, Endian::Big, TensorData::Owned(bytes))
            .and_then(|row| row.to_vec())
            .map_err(|error| failed(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for normalizer in [
            Normalizer::Standardize {
                mean: vec![1.0, -2.5],
                deviation: vec![0.5, 3.0],
            },
            Normalizer::MinMax {
                minimum: vec![0.0],
                maximum: vec![16.0],
                target: [-1.0, 1.0],
            },
            Normalizer::Image {
                low: 0.0,
                high: 1.0,
                pixel: 255.0,
            },
        ] {
            let bytes = normalizer_entry(&normalizer);
            assert_eq!(read_normalizer(&bytes), Ok((normalizer, false)));
            for end in 0..bytes.len() {
                assert!(read_normalizer(&bytes[..end]).is_err(), "{end}");
            }
        }
    }

    #[test]
    fn rows_of_different_lengths_and_kinds_for_several_inputs_are_refused() {
        let uneven = Normalizer::Standardize {
            mean: vec![1.0],
            deviation: vec![1.0, 2.0],
        };
        assert!(read_normalizer(&normalizer_entry(&uneven)).is_err());
        let mut bytes = Vec::new();
        text(&mut bytes, "NORMALIZER");
        bytes.extend(1i32.to_be_bytes());
        text(&mut bytes, "MULTI_STANDARDIZE");
        let error = read_normalizer(&bytes).unwrap_err().to_string();
        assert!(error.contains("MULTI_STANDARDIZE"), "{error}");
    }
}
