//! The weights of a layer, found by the scopes it is in and by the variable's own name.
//!
//! Files differ in how they say which dataset is which variable: `.h5` files list names ([`named`]), the
//! `model.weights.h5` of a `.keras` archive numbers objects and their variables ([`positioned`], with the order of the
//! variables of each class in [`variables`]).

mod keras1;
mod named;
mod positioned;
mod variables;

use crate::config::{Layer, Model};
use crate::hdf5::{Group, Hdf5Error};
use crate::version::Generation;
use caribou_ir::Tensor;
use named::Named;
pub(crate) use named::UNNAMED;
use positioned::Positioned;

/// Why a weight was not found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WeightError {
    /// The file has no such dataset.
    #[error("the file has no weight {variable} for this layer (it lists: {listed})")]
    Missing { variable: String, listed: String },
    /// Several datasets answer to the name.
    #[error("the file has {found} weights {variable} for this layer, and nothing tells which is meant")]
    Ambiguous { variable: String, found: usize },
    /// The variables of the layer are not those that its class has.
    #[error("expected the variables {expected} for this layer, found {found} datasets at {place}")]
    Count {
        expected: String,
        found: usize,
        place: String,
    },
    /// The place of the layer belongs to another one.
    #[error("the weights at {place} are those of a layer called {found}")]
    OtherLayer { place: String, found: String },
    /// The weight is of another shape than the configuration says.
    #[error("expected weight {variable} of shape {expected:?}, found {found:?}")]
    Shape {
        variable: String,
        expected: Vec<usize>,
        found: Vec<usize>,
    },
}

/// Where the weights of a model are.
pub(crate) enum WeightStore<'f> {
    /// One group a layer of the outermost model, in this one or one level down.
    ByName(Group<'f>),
    /// The same, with the names, orders and shapes of Keras 1.
    Keras1(Group<'f>),
    /// Numbered objects under this group, which [`WeightStore::placed`] is still to find.
    Numbered(Group<'f>),
    /// The same, with the objects of the layers found by their places.
    ByPosition(Group<'f>, Positioned),
    /// Nowhere: they are what they would be before the first step of training, and zero where that is random.
    Untrained,
}

impl WeightStore<'_> {
    /// The store with the numbered objects looked up, which have the order of the layers of `model`.
    pub(crate) fn placed(self, model: &Model, generation: Generation) -> Result<Self, Hdf5Error> {
        Ok(match self {
            Self::Numbered(root) => {
                let layers = Positioned::of_model(&root, model, generation)?;
                Self::ByPosition(root, layers)
            }
            other => other,
        })
    }

    /// The weights of a layer of the outermost model and, when it is a model itself, of all its layers.
    pub(crate) fn of_layer(&self, layer: &Layer) -> Result<Weights, Hdf5Error> {
        Ok(match self {
            Self::ByName(root) => Weights::Named(Named::of_layer(root, &layer.name)?),
            Self::Keras1(root) => Weights::Named(Named::of_layer(root, &layer.name)?.upgraded(layer)?),
            Self::Numbered(_) => Weights::default(),
            Self::ByPosition(_, all) => Weights::Positioned(all.clone()),
            Self::Untrained => Weights::Untrained,
        })
    }
}

/// The datasets that a layer is looked up in: those of the outermost layer that it is in, or of the whole model.
#[derive(Clone)]
pub(crate) enum Weights {
    Named(Named),
    Positioned(Positioned),
    /// None, and initial values take their place.
    Untrained,
}

impl Default for Weights {
    fn default() -> Self {
        Self::Named(Named::default())
    }
}

impl Weights {
    /// The variable `variable` of the innermost layer of `scopes`, which must have the shape `expected`. The scopes
    /// begin with the layer of the outermost model.
    pub(crate) fn find(
        &self,
        scopes: &[&str],
        variable: &str,
        expected: &[usize],
    ) -> Result<Tensor, WeightError> {
        let tensor = match self {
            Self::Named(named) => named.find(scopes, variable)?,
            Self::Positioned(positioned) => positioned.find(scopes, variable)?,
            Self::Untrained if expected.contains(&usize::MAX) => {
                return Err(WeightError::Missing {
                    variable: variable.to_owned(),
                    listed: listed(std::iter::empty()),
                });
            }
            Self::Untrained => return Ok(Tensor::filled(expected, initial(variable))),
        };
        let shape = tensor.shape();
        if shape == expected {
            return Ok(tensor.clone());
        }
        Err(WeightError::Shape {
            variable: variable.to_owned(),
            expected: expected.to_vec(),
            found: shape,
        })
    }

    /// Every weight that the file lists by a name, without the `:0` of TensorFlow.
    pub(crate) fn listed(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        let named = match self {
            Self::Named(named) => Some(named.listed()),
            Self::Positioned(_) | Self::Untrained => None,
        };
        named.into_iter().flatten()
    }

    /// The shape of the variable, where there is exactly one of this name in the scopes.
    pub(crate) fn shape(&self, scopes: &[&str], variable: &str) -> Option<Vec<usize>> {
        match self.find(scopes, variable, &[usize::MAX]) {
            Err(WeightError::Shape { found, .. }) => Some(found),
            _ => None,
        }
    }
}

/// The first few of the names that there are, for a message.
fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.take(6).collect();
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// The value of a variable before training, zero where Keras draws it at random: a normalisation must not be divided by
/// zero, nor multiplied by it.
fn initial(variable: &str) -> f32 {
    match variable {
        "moving_variance" | "variance" | "gamma" | "scale" => 1.0,
        _ => 0.0,
    }
}
