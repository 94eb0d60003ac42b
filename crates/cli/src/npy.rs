//! Arrays on disk that are larger than memory: `.npy` files that are mapped, and `.npz` files that are written row by row.

use crate::failure::Failure;
use caribou_ir::Source;
use caribou_runtime::Array;
use ndarray::{ArrayViewD, Axis, Slice};
use ndarray_npy::ViewNpyExt;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use tempfile::NamedTempFile;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Entries from this size on need the long form of a zip.
const LARGE: u64 = u32::MAX as u64 / 2;

macro_rules! rows {
    ($($variant:ident $type:ty),*) => {
        /// An array of numbers in a mapped file.
        pub(crate) enum Rows<'m> {
            $($variant(ArrayViewD<'m, $type>),)*
        }

        impl<'m> Rows<'m> {
            /// The array in a `.npy` file.
            pub(crate) fn of(source: &'m Source) -> Result<Self, Failure> {
                let mut why = String::new();
                $(match ArrayViewD::<$type>::view_npy(source.bytes()) {
                    Ok(view) => return Ok(Self::$variant(view)),
                    Err(error) if why.is_empty() => why = error.to_string(),
                    Err(_) => {}
                })*
                Err(Failure::Usage(format!(
                    "{}: it is no .npy array of numbers in this machine's byte order: {why}",
                    source.path().display()
                )))
            }

            pub(crate) fn shape(&self) -> &[usize] {
                match self {
                    $(Self::$variant(view) => view.shape(),)*
                }
            }

            /// Some of the rows, in memory.
            pub(crate) fn rows(&self, range: Range<usize>) -> Array {
                match self {
                    $(Self::$variant(view) => {
                        view.slice_axis(Axis(0), Slice::from(range)).mapv(|value| value as f32)
                    })*
                }
            }
        }
    };
}
rows!(F32 f32, F64 f64, I64 i64, I32 i32, U8 u8, I8 i8, I16 i16, U16 u16, U32 u32, U64 u64);

/// What stands before the elements of an array of 32-bit numbers in C order.
fn header(shape: &[usize]) -> Vec<u8> {
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({sizes}), }}");
    // The elements begin at a multiple of 64.
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    text.extend(std::iter::repeat_n(' ', length - text.len() - 1));
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

/// An `.npz` file whose arrays grow side by side. A zip takes one entry after the other: the first array goes there at
/// once, the others wait beside it.
pub(crate) struct Npz<'f> {
    zip: ZipWriter<BufWriter<&'f mut File>>,
    names: Vec<String>,
    waiting: Vec<BufWriter<NamedTempFile>>,
    rows: usize,
    shapes: Vec<Vec<usize>>,
}

impl<'f> Npz<'f> {
    /// Arrays of these names, with this many rows when all are there; `directory` has room for those that wait.
    pub(crate) fn new(
        file: &'f mut File,
        names: Vec<String>,
        rows: usize,
        directory: &Path,
    ) -> std::io::Result<Self> {
        let waiting = names
            .iter()
            .skip(1)
            .map(|_| NamedTempFile::new_in(directory).map(BufWriter::new))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            zip: ZipWriter::new(BufWriter::with_capacity(1 << 20, file)),
            names,
            waiting,
            rows,
            shapes: Vec::new(),
        })
    }

    fn begin(&mut self, position: usize) -> std::io::Result<()> {
        let shape: Vec<usize> = [self.rows]
            .into_iter()
            .chain(self.shapes[position].iter().copied())
            .collect();
        let bytes = shape.iter().map(|&size| size as u64).product::<u64>() * 4;
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(bytes > LARGE);
        self.zip
            .start_file(format!("{}.npy", self.names[position]), options)?;
        self.zip.write_all(&header(&shape))
    }

    /// The next rows of all arrays.
    pub(crate) fn push(&mut self, arrays: &[Array]) -> std::io::Result<()> {
        let first = self.shapes.is_empty();
        if first {
            self.shapes = arrays.iter().map(|array| array.shape()[1..].to_vec()).collect();
            self.begin(0)?;
        }
        for (i, array) in arrays.iter().enumerate() {
            if array.shape()[1..] != self.shapes[i] {
                return Err(std::io::Error::other(
                    "the batches have outputs of different shapes",
                ));
            }
            let bytes: Vec<u8> = array.iter().flat_map(|value| value.to_le_bytes()).collect();
            match i.checked_sub(1) {
                None => self.zip.write_all(&bytes)?,
                Some(other) => self.waiting[other].write_all(&bytes)?,
            }
        }
        Ok(())
    }

    /// Ends the file.
    pub(crate) fn finish(mut self) -> std::io::Result<()> {
        for (i, waiting) in std::mem::take(&mut self.waiting).into_iter().enumerate() {
            self.begin(i + 1)?;
            let mut file = waiting
                .into_inner()
                .map_err(std::io::IntoInnerError::into_error)?;
            file.seek(SeekFrom::Start(0))?;
            let mut block = vec![0; 1 << 20];
            loop {
                match file.read(&mut block)? {
                    0 => break,
                    count => self.zip.write_all(&block[..count])?,
                }
            }
        }
        self.zip.finish()?.flush()
    }
}
