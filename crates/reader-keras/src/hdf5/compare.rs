//! Both libraries on one file: every group, attribute and dataset, byte for byte.

use super::{Attribute, AttributeValue, Dataset, Hdf5Error, Image, Node, library, mapped};
use caribou_ir::{DType, Endian, Limits, Source, TensorData};
use std::io::Write;
use std::path::Path;

/// What was compared, and where the libraries do not agree.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// Groups, the root included.
    pub groups: usize,
    /// Attributes of groups and datasets.
    pub attributes: usize,
    /// Datasets.
    pub datasets: usize,
    /// Bytes of all datasets.
    pub bytes: usize,
    /// One line for each difference.
    pub differences: Vec<String>,
}

/// Reads the HDF5 file of a model with both libraries.
///
/// # Errors
/// When one of them can't read it.
pub fn compare_libraries(source: &Source, limits: &Limits) -> Result<Comparison, String> {
    let failed = |error: Hdf5Error| error.to_string();
    let mut comparison = Comparison::default();
    let mut compare = |image: Image, path: &Path| {
        let mine = mapped::open(image, limits)?;
        let theirs = library::open(path)?;
        comparison.group("", &*mine, &*theirs)
    };
    if crate::archive::is_archive(source.bytes()) {
        // The C library opens paths only, and an entry of an archive has none.
        let archive = crate::archive::open(source, limits).map_err(|error| error.to_string())?;
        let mut file = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
        file.write_all(archive.weights.as_ref())
            .and_then(|()| file.flush())
            .map_err(|error| error.to_string())?;
        compare(archive.weights, file.path()).map_err(failed)?;
    } else {
        compare(Image::whole(source), source.path()).map_err(failed)?;
    }
    Ok(comparison)
}

impl Comparison {
    fn group(&mut self, path: &str, mine: &dyn Node, theirs: &dyn Node) -> Result<(), Hdf5Error> {
        self.groups += 1;
        self.attributes(path, mine.attributes()?, theirs.attributes()?);
        let (mut a, mut b) = (mine.members()?, theirs.members()?);
        for members in [&mut a, &mut b] {
            members.groups.sort();
            members.datasets.sort();
        }
        if a != b {
            self.differences.push(format!("{path}: members {a:?} and {b:?}"));
            return Ok(());
        }
        for name in &a.datasets {
            let path = format!("{path}/{name}");
            self.attributes(
                &path,
                mine.dataset_attributes(name)?,
                theirs.dataset_attributes(name)?,
            );
            match (mine.dataset(name)?, theirs.dataset(name)?) {
                (Some(mine), Some(theirs)) => self.dataset(&path, &mine, &theirs)?,
                _ => self
                    .differences
                    .push(format!("{path}: one library can't open it")),
            }
        }
        for name in &a.groups {
            let path = format!("{path}/{name}");
            match (mine.group(name)?, theirs.group(name)?) {
                (Some(mine), Some(theirs)) => self.group(&path, &*mine, &*theirs)?,
                _ => self
                    .differences
                    .push(format!("{path}: one library can't open it")),
            }
        }
        Ok(())
    }

    fn attributes(&mut self, path: &str, mut mine: Vec<Attribute>, mut theirs: Vec<Attribute>) {
        mine.sort_by(|a, b| a.name.cmp(&b.name));
        theirs.sort_by(|a, b| a.name.cmp(&b.name));
        self.attributes += mine.len();
        if mine != theirs {
            let brief = |attributes: &[Attribute]| -> Vec<String> {
                let length = |value: &AttributeValue| match value {
                    AttributeValue::Strings(strings) => format!("{} strings", strings.len()),
                    AttributeValue::Bytes(bytes) => format!("{bytes:?}"),
                };
                let one = |a: &Attribute| format!("{} {:?} {}", a.name, a.shape, length(&a.value));
                attributes.iter().map(one).collect()
            };
            self.differences.push(format!(
                "{path}: attributes {:?} and {:?}",
                brief(&mine),
                brief(&theirs)
            ));
        }
    }

    fn dataset(&mut self, path: &str, mine: &Dataset, theirs: &Dataset) -> Result<(), Hdf5Error> {
        self.datasets += 1;
        let kind = |dataset: &Dataset| dataset.element.as_ref().ok().map(|&(dtype, _)| dtype);
        if mine.shape != theirs.shape || kind(mine) != kind(theirs) {
            self.differences.push(format!(
                "{path}: {:?} of {:?} and {:?} of {:?}",
                mine.shape, mine.element, theirs.shape, theirs.element
            ));
            return Ok(());
        }
        let (a, b) = (bytes(mine)?, bytes(theirs)?);
        self.bytes += a.len();
        if a != b {
            self.differences.push(format!("{path}: other bytes"));
        }
        Ok(())
    }
}

/// The bytes of a dataset, the least significant of each element first.
fn bytes(dataset: &Dataset) -> Result<Vec<u8>, Hdf5Error> {
    let mut bytes = match &dataset.data {
        TensorData::Owned(bytes) => bytes.to_vec(),
        TensorData::Part { bytes, range } => bytes[range.clone()].to_vec(),
        TensorData::Floats(values) => values.iter().flat_map(|value| value.to_ne_bytes()).collect(),
        TensorData::Mapped { map, range } => map[range.clone()].to_vec(),
        TensorData::Deferred(read) => read
            .read()
            .map_err(|error| Hdf5Error::Damaged(error.to_string()))?,
    };
    if let Ok((dtype, Endian::Big)) = &dataset.element {
        bytes
            .chunks_exact_mut(DType::size(*dtype))
            .for_each(<[u8]>::reverse);
    }
    Ok(bytes)
}
