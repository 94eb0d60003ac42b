//! The little that a model needs of HDF5, behind one small seam: the rest of the crate knows only [`ModelFile`],
//! [`Group`] and the [`Tensor`]s that they give. Behind it stands a [`Node`] of a
//! library: [`mapped`], in pure Rust over the mapped file or a part of it, or with the feature `libhdf5` the C library, a second opinion.

#[cfg(feature = "libhdf5")]
pub(crate) mod compare;
mod image;
#[cfg(feature = "libhdf5")]
mod library;
mod lzf;
mod mapped;

use caribou_ir::{DType, Endian, Limits, Tensor, TensorData, TensorError};
pub(crate) use image::Image;
use std::rc::Rc;

/// Why a file or a part of it could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Hdf5Error {
    /// It is no HDF5 file, or a damaged one.
    #[error("not a readable HDF5 file: {0}")]
    Damaged(String),
    /// A dataset is of a type that holds no weights.
    #[error("dataset {name} holds {found}, not numbers")]
    NotNumbers { name: String, found: String },
    /// The bytes are in another file, which is never opened.
    #[error("dataset {name} keeps its values in another file; only the named file is opened")]
    External { name: String },
    /// A limit was reached.
    #[error("{what} is {found} bytes, the limit is {limit}")]
    Limit { what: String, found: u64, limit: u64 },
    /// The bytes do not fit the shape.
    #[error("dataset {name}: {source}")]
    Tensor { name: String, source: TensorError },
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AttributeValue {
    /// Strings of fixed or variable length.
    Strings(Vec<String>),
    /// Anything else: the elements as they are stored.
    Bytes(Vec<u8>),
}

/// An attribute of a group or dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) name: String,
    pub(crate) shape: Vec<u64>,
    pub(crate) value: AttributeValue,
}

/// A dataset: what its elements are, and where their bytes come from.
pub(crate) struct Dataset {
    pub(crate) shape: Vec<usize>,
    /// The element type; what it is called when it is none of a tensor.
    pub(crate) element: Result<(DType, Endian), String>,
    pub(crate) data: TensorData,
}

/// The names of a group's members.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Members {
    pub(crate) groups: Vec<String>,
    pub(crate) datasets: Vec<String>,
}

/// A group, as one of the libraries sees it. Links to other files are followed by none.
pub(crate) trait Node {
    /// The member group `name`; `None` when there is none.
    fn group(&self, name: &str) -> Result<Option<Box<dyn Node>>, Hdf5Error>;

    /// The names of all members.
    fn members(&self) -> Result<Members, Hdf5Error>;

    /// The attribute `name`; `None` when there is none.
    fn attribute(&self, name: &str) -> Result<Option<Attribute>, Hdf5Error>;

    /// All attributes.
    #[cfg(feature = "libhdf5")]
    fn attributes(&self) -> Result<Vec<Attribute>, Hdf5Error>;

    /// The member dataset `name`; `None` when there is none.
    fn dataset(&self, name: &str) -> Result<Option<Dataset>, Hdf5Error>;

    /// All attributes of the member dataset `name`.
    #[cfg(feature = "libhdf5")]
    fn dataset_attributes(&self, name: &str) -> Result<Vec<Attribute>, Hdf5Error>;
}

/// An HDF5 file over the bytes of an [`Image`].
pub(crate) struct ModelFile {
    root: Box<dyn Node>,
    limits: Limits,
}

impl ModelFile {
    pub(crate) fn open(image: Image, limits: &Limits) -> Result<Self, Hdf5Error> {
        Ok(Self {
            root: mapped::open(image, limits)?,
            limits: limits.clone(),
        })
    }

    pub(crate) fn root(&self) -> Result<Group<'_>, Hdf5Error> {
        Ok(Group {
            node: Handle::Root(&*self.root),
            limits: &self.limits,
        })
    }
}

#[derive(Clone)]
enum Handle<'f> {
    Root(&'f dyn Node),
    Inner(Rc<dyn Node>),
}

/// A group with its attributes.
#[derive(Clone)]
pub(crate) struct Group<'f> {
    node: Handle<'f>,
    limits: &'f Limits,
}

impl<'f> Group<'f> {
    fn node(&self) -> &dyn Node {
        match &self.node {
            Handle::Root(node) => *node,
            Handle::Inner(node) => &**node,
        }
    }

    fn inner(&self, node: Box<dyn Node>) -> Group<'f> {
        Group {
            node: Handle::Inner(node.into()),
            limits: self.limits,
        }
    }

    /// The group at `path`; `None` when there is none.
    pub(crate) fn group(&self, path: &str) -> Result<Option<Group<'f>>, Hdf5Error> {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let Some(first) = parts.next() else {
            return Ok(None);
        };
        let Some(mut node) = self.node().group(first)? else {
            return Ok(None);
        };
        for part in parts {
            match node.group(part)? {
                Some(next) => node = next,
                None => return Ok(None),
            }
        }
        Ok(Some(self.inner(node)))
    }

    /// The names of the groups and datasets in this group.
    pub(crate) fn members(&self) -> Result<Members, Hdf5Error> {
        self.node().members()
    }

    /// A string attribute of fixed or variable length; `None` when there is none.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Hdf5Error> {
        Ok(self.strings(name)?.and_then(|strings| strings.into_iter().next()))
    }

    /// An attribute of strings. Keras splits one that is too large for an object header into `name0`, `name1`, ….
    pub(crate) fn strings(&self, name: &str) -> Result<Option<Vec<String>>, Hdf5Error> {
        if let Some(strings) = self.attribute(name)? {
            return Ok(Some(strings));
        }
        let mut all: Option<Vec<String>> = None;
        for part in 0.. {
            match self.attribute(&format!("{name}{part}"))? {
                Some(strings) => all.get_or_insert_default().extend(strings),
                None => break,
            }
        }
        Ok(all)
    }

    fn attribute(&self, name: &str) -> Result<Option<Vec<String>>, Hdf5Error> {
        let Some(attribute) = self.node().attribute(name)? else {
            return Ok(None);
        };
        if attribute.shape.contains(&0) {
            return Ok(Some(Vec::new()));
        }
        match attribute.value {
            AttributeValue::Strings(strings) => Ok(Some(strings)),
            AttributeValue::Bytes(_) => Err(Hdf5Error::Damaged(format!("attribute {name} holds no strings"))),
        }
    }

    /// The dataset at `path`, read lazily; `None` when there is none.
    pub(crate) fn tensor(&self, path: &str) -> Result<Option<Tensor>, Hdf5Error> {
        let path = path.trim_start_matches('/');
        let found = match path.rsplit_once('/') {
            Some((parents, leaf)) => match self.group(parents)? {
                Some(group) => group.node().dataset(leaf)?,
                None => None,
            },
            None => self.node().dataset(path)?,
        };
        let Some(dataset) = found else {
            return Ok(None);
        };
        let (dtype, endian) = dataset.element.map_err(|found| Hdf5Error::NotNumbers {
            name: path.to_owned(),
            found,
        })?;
        let elements = dataset
            .shape
            .iter()
            .try_fold(1u64, |product, &size| product.checked_mul(size as u64));
        let found = elements
            .and_then(|elements| elements.checked_mul(dtype.size() as u64))
            .unwrap_or(u64::MAX);
        if found > self.limits.inflated_bytes {
            return Err(Hdf5Error::Limit {
                what: format!("dataset {path}"),
                found,
                limit: self.limits.inflated_bytes,
            });
        }
        Tensor::new(&dataset.shape, dtype, endian, dataset.data)
            .map(Some)
            .map_err(|source| Hdf5Error::Tensor {
                name: path.to_owned(),
                source,
            })
    }
}
