//! Parts of a variable: which part of it a slice is, and the key that it is stored under.

use crate::schema::TensorSliceProto;

/// A box within a tensor: the first element and the number of elements of each axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slice(pub(crate) Vec<(usize, usize)>);

impl Slice {
    /// The slice that a protobuf message describes; an axis without a length is there in full.
    pub(super) fn of(proto: &TensorSliceProto, shape: &[usize]) -> Option<Self> {
        let axes = proto.extent.iter().zip(shape).map(|(extent, &size)| {
            let start = usize::try_from(extent.start).ok()?;
            match extent.length {
                0 | -1 => (start == 0).then_some((0, size)),
                length => {
                    let length = usize::try_from(length).ok()?;
                    (start.checked_add(length)? <= size).then_some((start, length))
                }
            }
        });
        (proto.extent.len() == shape.len())
            .then(|| axes.collect::<Option<Vec<_>>>())
            .flatten()
            .map(Self)
    }

    /// The slice in a text such as `20 10 0,10:-`: the sizes of the whole, then each axis, `-` for one in full. `None` where
    /// the text is empty, which means the whole; an error where it is none of these.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, String> {
        let wrong = || format!("{text} is no part of a variable");
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let Some(axes) = words.pop() else {
            return Ok(None);
        };
        let sizes: Vec<usize> = words
            .iter()
            .map(|word| word.parse().map_err(|_| wrong()))
            .collect::<Result<_, _>>()?;
        let axes: Vec<&str> = axes.split(':').collect();
        if axes.len() != sizes.len() {
            return Err(wrong());
        }
        let axis = |(axis, size): (&str, usize)| {
            if axis == "-" {
                return Some((0, size));
            }
            let (start, length) = axis.split_once(',')?;
            let (start, length): (usize, usize) = (start.parse().ok()?, length.parse().ok()?);
            (start.checked_add(length)? <= size).then_some((start, length))
        };
        let axes: Option<Vec<_>> = axes.into_iter().zip(sizes).map(axis).collect();
        axes.map(|axes| Some(Self(axes))).ok_or_else(wrong)
    }

    /// The sizes of the slice.
    pub(super) fn sizes(&self) -> Vec<usize> {
        self.0.iter().map(|&(_, length)| length).collect()
    }

    /// Whether two slices have an element in common.
    pub(super) fn meets(&self, other: &Self) -> bool {
        let axes = self.0.iter().zip(&other.0);
        axes.into_iter().all(|(&(a, n), &(b, m))| a < b + m && b < a + n)
    }
}

/// The key of a part: an order-preserving code of the name and the bounds, as they are stated (-1 for an axis in full).
pub(super) fn key(name: &str, proto: &TensorSliceProto) -> Vec<u8> {
    let mut key = vec![0];
    for byte in name.bytes() {
        match byte {
            0 => key.extend([0, 0xff]),
            0xff => key.extend([0xff, 0]),
            byte => key.push(byte),
        }
    }
    key.extend([0, 1]);
    let dims = proto.extent.len() as u64;
    let bytes = dims.to_be_bytes();
    let used = 8 - (dims.leading_zeros() / 8) as usize;
    key.push(used as u8);
    key.extend(&bytes[8 - used..]);
    for extent in &proto.extent {
        signed(extent.start, &mut key);
        // A length is a choice of its field: where it is not set, the axis is there in full.
        signed(if extent.length == 0 { -1 } else { extent.length }, &mut key);
    }
    key
}

/// A signed number, such that codes are ordered as numbers are: as many leading ones (zeros, of a negative one) as it has
/// bytes, then the number.
fn signed(value: i64, key: &mut Vec<u8>) {
    let magnitude = if value < 0 { !value } else { value };
    let bits = 64 - magnitude.leading_zeros() as usize;
    let length = (bits + 1).div_ceil(7).max(1);
    let mut bytes = [if value < 0 { 0xff } else { 0 }; 10];
    bytes[2..].copy_from_slice(&value.to_be_bytes());
    let first = bytes.len() - length;
    for bit in 0..length {
        bytes[first + bit / 8] ^= 0x80 >> (bit % 8);
    }
    key.extend(&bytes[first..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_from_text() {
        assert_eq!(Slice::parse(""), Ok(None));
        assert_eq!(
            Slice::parse("20 10 5,10:-"),
            Ok(Some(Slice(vec![(5, 10), (0, 10)])))
        );
        assert!(Slice::parse("20 10 15,10:-").is_err());
        assert!(Slice::parse("20 10 -").is_err());
        assert!(Slice::parse("20 x -").is_err());
    }

    #[test]
    fn codes_of_numbers_are_ordered() {
        let numbers = [
            i64::MIN,
            -70_000,
            -8193,
            -8192,
            -65,
            -64,
            -1,
            0,
            1,
            63,
            64,
            8191,
            8192,
            70_000,
            i64::MAX,
        ];
        let codes: Vec<Vec<u8>> = numbers
            .iter()
            .map(|&number| {
                let mut code = Vec::new();
                signed(number, &mut code);
                code
            })
            .collect();
        assert!(codes.is_sorted());
        assert_eq!(
            (&codes[6][..], &codes[7][..], &codes[10][..]),
            (&[0x7f][..], &[0x80][..], &[0xc0, 0x40][..])
        );
    }
}
