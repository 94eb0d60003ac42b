//! ND4J arrays: a shape buffer and a data buffer, everything big-endian.

/// An array's element type and where its elements are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// ND4J's name of the element type.
    pub dtype: ArrayType,
    /// The number of elements.
    pub elements: usize,
    /// Where the elements begin.
    pub payload: usize,
}

/// The element types of parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArrayType {
    /// binary32.
    Float,
    /// binary64.
    Double,
    /// binary16.
    Half,
    /// The upper half of a binary32.
    Bfloat16,
}

impl ArrayType {
    const ALL: [Self; 4] = [Self::Float, Self::Double, Self::Half, Self::Bfloat16];

    /// ND4J's name, the bytes of one element, and the bit of the shape buffer that says the type.
    const fn facts(self) -> (&'static str, usize, i64) {
        match self {
            Self::Float => ("FLOAT", 4, 0x2000),
            Self::Double => ("DOUBLE", 8, 0x4000),
            Self::Half => ("HALF", 2, 0x1000),
            Self::Bfloat16 => ("BFLOAT16", 2, 0x800),
        }
    }

    /// ND4J's name.
    pub const fn name(self) -> &'static str {
        self.facts().0
    }

    /// Bytes of one element.
    pub const fn size(self) -> usize {
        self.facts().1
    }
}

/// Why bytes are no array.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArrayError {
    /// They end too early.
    #[error("the array ends at byte {at}, where {expected} was expected")]
    Truncated {
        /// Where.
        at: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// Something else stands there.
    #[error("expected {expected} at byte {at} of the array, found {found}")]
    Unexpected {
        /// Where.
        at: usize,
        /// What should stand there.
        expected: &'static str,
        /// What does.
        found: String,
    },
}

/// The bytes before the elements of a row vector `[1, n]` in C order, the one form that every version reads.
pub fn row_header(dtype: ArrayType, elements: usize) -> Vec<u8> {
    let n = elements as i64;
    let (name, _, bit) = dtype.facts();
    let mut bytes = Vec::with_capacity(128);
    buffer(&mut bytes, 8, "LONG");
    for long in [2, 1, n, n, 1, bit, 1, i64::from(b'c')] {
        bytes.extend(long.to_be_bytes());
    }
    buffer(&mut bytes, n, name);
    bytes
}

fn buffer(bytes: &mut Vec<u8>, length: i64, dtype: &str) {
    text(bytes, "MIXED_DATA_TYPES");
    bytes.extend(length.to_be_bytes());
    text(bytes, dtype);
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u16).to_be_bytes());
    bytes.extend(text.as_bytes());
}

struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Cursor<'b> {
    fn take(&mut self, n: usize, expected: &'static str) -> Result<&'b [u8], ArrayError> {
        let end = self.at.checked_add(n).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or(ArrayError::Truncated {
            at: self.at,
            expected,
        })?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn number(&mut self, n: usize, expected: &'static str) -> Result<i64, ArrayError> {
        let bytes = self.take(n, expected)?;
        let sign = if bytes[0] & 0x80 != 0 { -1i64 } else { 0 };
        Ok(bytes
            .iter()
            .fold(sign, |value, &byte| (value << 8) | i64::from(byte)))
    }

    fn text(&mut self, expected: &'static str) -> Result<&'b str, ArrayError> {
        let at = self.at;
        let length = self.number(2, expected)? as usize & 0xffff;
        std::str::from_utf8(self.take(length, expected)?).map_err(|_| ArrayError::Unexpected {
            at,
            expected,
            found: "bytes that are no text".into(),
        })
    }

    /// Length and element type of a buffer. Buffers of old versions have lengths of 32 bits.
    fn buffer(&mut self) -> Result<(usize, &'b str), ArrayError> {
        let at = self.at;
        let width = match self.text("an allocation mode")? {
            "MIXED_DATA_TYPES" | "LONG_SHAPE" => 8,
            "DIRECT" | "HEAP" | "JAVACPP" => 4,
            other => {
                let found = other.to_owned();
                return Err(ArrayError::Unexpected {
                    at,
                    expected: "an allocation mode",
                    found,
                });
            }
        };
        let at = self.at;
        let length = self.number(width, "a length")?;
        let length = usize::try_from(length).map_err(|_| ArrayError::Unexpected {
            at,
            expected: "a length",
            found: length.to_string(),
        })?;
        Ok((length, self.text("an element type")?))
    }
}

/// Reads what stands before the elements of the parameter vector, and checks that all of them are there.
///
/// # Errors
/// When the bytes are no array of real numbers, or too few.
pub fn read_header(bytes: &[u8]) -> Result<Header, ArrayError> {
    let mut cursor = Cursor { bytes, at: 0 };
    let (length, dtype) = cursor.buffer()?;
    let width = if dtype == "INT" { 4 } else { 8 };
    let room = length.saturating_mul(width);
    cursor.take(room, "a shape")?;
    let at = cursor.at;
    let (elements, name) = cursor.buffer()?;
    let known = ArrayType::ALL.iter().find(|dtype| dtype.name() == name);
    let &dtype = known.ok_or_else(|| ArrayError::Unexpected {
        at,
        expected: "FLOAT, DOUBLE, HALF or BFLOAT16 elements",
        found: name.to_owned(),
    })?;
    let payload = cursor.at;
    cursor.take(elements.saturating_mul(dtype.size()), "all elements")?;
    Ok(Header {
        dtype,
        elements,
        payload,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_three_is_as_long_as_nd4j_makes_it() {
        let mut bytes = row_header(ArrayType::Float, 3);
        assert_eq!(bytes.len() + 12, 141);
        assert!(bytes.starts_with(b"\x00\x10MIXED_DATA_TYPES\x00\x00\x00\x00\x00\x00\x00\x08\x00\x04LONG"));
        assert!(read_header(&bytes).is_err(), "the elements are missing");
        bytes.extend([0; 12]);
        let header = read_header(&bytes).unwrap();
        assert_eq!(
            header,
            Header {
                dtype: ArrayType::Float,
                elements: 3,
                payload: 129
            }
        );
    }

    #[test]
    fn lengths_are_checked_before_they_are_believed() {
        let mut bytes = row_header(ArrayType::Float, usize::MAX / 8);
        bytes.extend([0; 64]);
        assert!(matches!(read_header(&bytes), Err(ArrayError::Truncated { .. })));
        assert!(read_header(b"").is_err());
        assert!(read_header(&[0xff; 64]).is_err());
    }
}
