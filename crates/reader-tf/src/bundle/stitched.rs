//! A tensor that was saved in parts, put together when it is read.

use super::Slice;
use caribou_ir::{DType, ReadAt, TensorError};
use memmap2::Mmap;
use std::ops::Range;
use std::sync::Arc;

/// The most parts of one tensor.
const PARTS: usize = 4096;

/// A part with its bytes.
pub(super) struct Part {
    pub(super) slice: Slice,
    pub(super) map: Arc<Mmap>,
    pub(super) range: Range<usize>,
}

/// All parts of a tensor.
pub(super) struct Stitched {
    shape: Vec<usize>,
    size: usize,
    bytes: usize,
    parts: Vec<Part>,
}

impl Stitched {
    /// The tensor of `shape` that `parts` make up.
    ///
    /// # Errors
    /// When the parts do not cover it, each element once.
    pub(super) fn new(shape: &[usize], dtype: DType, parts: Vec<Part>, limit: u64) -> Result<Self, String> {
        let size = dtype.size();
        let count = |sizes: &[usize]| sizes.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
        let bytes = count(shape).and_then(|count| count.checked_mul(size));
        let bytes = bytes
            .filter(|&bytes| bytes as u64 <= limit)
            .ok_or("it is larger than the limit (--limit inflated-bytes=NUMBER)")?;
        if parts.len() > PARTS {
            return Err(format!("it has {} parts, the limit is {PARTS}", parts.len()));
        }
        let mut covered = 0usize;
        for (i, part) in parts.iter().enumerate() {
            let expected = count(&part.slice.sizes()).and_then(|count| count.checked_mul(size));
            if expected != Some(part.range.len()) {
                return Err("a part has another size than it is said to have".into());
            }
            if parts[..i].iter().any(|other| other.slice.meets(&part.slice)) {
                return Err("two parts hold the same element".into());
            }
            covered = covered.saturating_add(part.range.len());
        }
        if covered != bytes {
            return Err(format!("its parts have {covered} bytes together, it has {bytes}"));
        }
        Ok(Self {
            shape: shape.to_vec(),
            size,
            bytes,
            parts,
        })
    }
}

impl ReadAt for Stitched {
    fn len(&self) -> usize {
        self.bytes
    }

    fn read(&self) -> Result<Vec<u8>, TensorError> {
        let mut whole = vec![0u8; self.bytes];
        for part in &self.parts {
            let outside = || TensorError::Read("a part of a tensor lies outside of its file".into());
            let bytes = part.map.get(part.range.clone()).ok_or_else(outside)?;
            let sizes = part.slice.sizes();
            let row = sizes.last().copied().unwrap_or(1) * self.size;
            if row == 0 {
                continue;
            }
            for (number, source) in bytes.chunks_exact(row).enumerate() {
                // Where the row stands in the whole: its position within the part, axis by axis, from the last.
                let (mut rest, mut stride, mut at) = (number, 1, 0);
                for axis in (0..sizes.len()).rev() {
                    let within = match axis + 1 == sizes.len() {
                        true => 0,
                        false => {
                            let within = rest % sizes[axis];
                            rest /= sizes[axis];
                            within
                        }
                    };
                    at += (part.slice.0[axis].0 + within) * stride;
                    stride *= self.shape[axis];
                }
                let at = at * self.size;
                whole
                    .get_mut(at..at + row)
                    .ok_or_else(outside)?
                    .copy_from_slice(source);
            }
        }
        Ok(whole)
    }
}
