//! The weights of all layers, by the names of the layers.

mod hdf5;
mod network;
mod wire;

pub(crate) use hdf5::is_weights as is_hdf5_weights;
pub(crate) use network::{is_blob, is_network, network};

use crate::net::{Layer, Net};
use crate::schema::param_spec::DimCheckMode;
use caribou_ir::{Code, Finding, Findings, Limits, Severity, Source, Tensor, TensorError};
use std::collections::{HashMap, HashSet};

/// Blobs that no layer reads.
const UNUSED: Code = Code("C0201");

/// What no file of weights has.
const FOREIGN: Code = Code("C0202");

/// Why a file of weights could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WeightError {
    /// It is no such file, or a damaged one.
    #[error("byte {offset}: {what}")]
    Damaged { offset: u64, what: String },
    /// It is no such HDF5 file, or a damaged one.
    #[error("{0}")]
    Hdf5(String),
    /// A limit was reached.
    #[error("{0}")]
    Limit(String),
    /// The bytes do not fit.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

/// One stored array.
#[derive(Debug, Clone)]
pub(crate) struct Blob {
    pub(crate) tensor: Tensor,
    /// Whether its shape is the oldest kind, four sizes with ones in front.
    legacy_shape: bool,
}

/// The sizes without those that are one, in order.
fn squeezed(shape: &[usize]) -> Vec<usize> {
    shape.iter().copied().filter(|&size| size != 1).collect()
}

impl Blob {
    /// The blob under the shape that a layer expects. Axes of size one may be missing or too many, as they are in files
    /// of the oldest kind; with `permissive` the number of elements alone counts.
    fn shaped(&self, expected: &[usize], permissive: bool) -> Option<Tensor> {
        let found = self.tensor.shape();
        let count = expected
            .iter()
            .try_fold(1usize, |count, &size| count.checked_mul(size));
        let fits = found == expected
            || squeezed(&found) == squeezed(expected)
            || (permissive && count == Some(self.tensor.len()));
        self.tensor.reshape(expected).ok().filter(|_| fits)
    }
}

/// The one blob of a `.binaryproto`.
pub(crate) fn mean(source: &Source, limits: &Limits) -> Result<Tensor, WeightError> {
    wire::single(source, limits).map(|blob| blob.tensor)
}

/// The blobs of a network's layers.
pub(crate) enum Weights {
    /// There is no file: zeros stand in their place.
    Untrained,
    /// From a file, in its order.
    Stored {
        layers: Vec<(String, Vec<Option<Blob>>)>,
        by_name: HashMap<String, usize>,
    },
}

impl Weights {
    /// Of a network without any.
    pub(crate) fn none() -> Self {
        Self::stored(Vec::new())
    }

    /// The weights of a file.
    ///
    /// # Errors
    /// When it is damaged, or no file of weights.
    pub(crate) fn open(
        source: &Source,
        limits: &Limits,
        findings: &mut Findings,
    ) -> Result<Self, WeightError> {
        if hdf5::is_hdf5(source.bytes()) {
            return hdf5::layers(source, limits).map(Self::stored);
        }
        let stored = wire::stored(source, limits)?;
        if let Some((at, field)) = stored.foreign {
            let message = format!(
                "{}: byte {at}: the field {field} is none of a network's; it was passed over",
                source.path().display()
            );
            let help = "check that the file arrived whole, and that it holds the weights of a Caffe network";
            findings.push(Finding::new(Severity::Warning, FOREIGN, None, message).with_help(help));
        }
        let layers = stored.layers.into_iter();
        Ok(Self::stored(
            layers
                .map(|layer| (layer.name, layer.blobs.into_iter().map(Some).collect()))
                .collect(),
        ))
    }

    fn stored(layers: Vec<(String, Vec<Option<Blob>>)>) -> Self {
        // Of two layers of one name the later one overwrites the earlier, as Caffe copies them one after the other.
        let by_name = layers
            .iter()
            .enumerate()
            .map(|(index, (name, _))| (name.clone(), index))
            .collect();
        Self::Stored { layers, by_name }
    }

    /// How many blobs the file has for a layer; `None` when nothing is known of it.
    pub(crate) fn count(&self, layer: &Layer) -> Option<usize> {
        match self {
            Self::Untrained => None,
            Self::Stored { layers, by_name } => by_name.get(&layer.name).map(|&index| layers[index].1.len()),
        }
    }

    /// Blob `index` of a layer as it is stored.
    pub(crate) fn raw(&self, net: &Net, layer: &Layer, index: usize) -> Option<&Blob> {
        let Self::Stored { layers, by_name } = self else {
            return None;
        };
        let at = |layer: &Layer, index: usize| {
            let &position = by_name.get(&layer.name)?;
            Some((position, layers[position].1.get(index)?.as_ref()?))
        };
        let Some(shared) = layer.shared(index) else {
            return at(layer, index).map(|(_, blob)| blob);
        };
        // One array under several names of layers: the one that is copied last stays.
        let owners = net.layers.iter().flat_map(|layer| {
            let positions = (0..layer.parameters.param.len()).map(move |index| (layer, index));
            positions.filter(|(layer, index)| {
                layer
                    .shared(*index)
                    .is_some_and(|spec| spec.name() == shared.name())
            })
        });
        owners
            .filter_map(|(layer, index)| at(layer, index))
            .max_by_key(|(position, _)| *position)
            .map(|(_, blob)| blob)
    }

    /// Blob `index` of a layer, which must have the shape `expected`.
    ///
    /// # Errors
    /// A line that says what is wrong.
    pub(crate) fn blob(
        &self,
        net: &Net,
        layer: &Layer,
        index: usize,
        expected: &[usize],
    ) -> Result<Tensor, String> {
        if matches!(self, Self::Untrained) {
            return Ok(Tensor::filled(expected, 0.0));
        }
        let Some(blob) = self.raw(net, layer, index) else {
            return Err(match self.count(layer) {
                None => "the file of weights has no layer of this name".to_owned(),
                Some(count) => format!("the file of weights has {count} blobs for it, and none at {index}"),
            });
        };
        let permissive = layer
            .shared(index)
            .is_some_and(|spec| spec.share_mode() == DimCheckMode::Permissive);
        blob.shaped(expected, permissive).ok_or_else(|| {
            let kind = if blob.legacy_shape {
                "num, channels, height, width "
            } else {
                ""
            };
            format!(
                "expected blob {index} of shape {expected:?}, the file of weights has {kind}{:?}",
                blob.tensor.shape()
            )
        })
    }

    /// Says which layers of the file the network does not have.
    pub(crate) fn report_unused(&self, net: &Net, findings: &mut Findings) {
        let Self::Stored { layers, .. } = self else {
            return;
        };
        let names: HashSet<&str> = net.layers.iter().map(|layer| layer.name.as_str()).collect();
        let unused: Vec<&str> = layers
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| !names.contains(name))
            .collect();
        if let Some(first) = unused.first() {
            let message = match unused.len() {
                1 => format!(
                    "the weights of layer {first} are not used: the network has no layer of this name"
                ),
                count => format!(
                    "the weights of {count} layers are not used, as the network has none of these names: {}",
                    unused.join(", ")
                ),
            };
            findings.push(Finding::new(Severity::Warning, UNUSED, None, message));
        }
    }
}
