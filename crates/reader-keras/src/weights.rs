//! The weights of a layer, found by the names that the file itself lists.

mod keras1;

use crate::config::Layer;
use crate::hdf5::{Group, Hdf5Error};
use caribou_ir::Tensor;

/// Where the weights of a model are.
pub(crate) enum WeightStore<'f> {
    /// One group a layer of the outermost model, in this one or one level down.
    ByName(Group<'f>),
    /// The same, with the names, orders and shapes of Keras 1.
    Keras1(Group<'f>),
    /// Nowhere: they are what they would be before the first step of training, and zero where that is random.
    Untrained,
}

impl WeightStore<'_> {
    /// The weights of a layer of the outermost model and, when it is a model itself, of all its layers.
    pub(crate) fn of_layer(&self, layer: &Layer) -> Result<Weights, Hdf5Error> {
        match self {
            Self::ByName(root) => Weights::of_layer(root, &layer.name),
            Self::Keras1(root) => {
                let listed = Weights::of_layer(root, &layer.name)?;
                Ok(Weights {
                    entries: keras1::upgrade(layer, listed.entries)?,
                    untrained: false,
                })
            }
            Self::Untrained => Ok(Weights {
                entries: Vec::new(),
                untrained: true,
            }),
        }
    }
}

/// The datasets of one outermost layer: a nested model keeps those of all its layers here.
#[derive(Default)]
pub(crate) struct Weights {
    entries: Vec<Entry>,
    /// Whether there are none, and initial values take their place.
    untrained: bool,
}

struct Entry {
    /// The name as listed, such as `bidirectional/forward_lstm/lstm_cell/kernel:0`.
    name: String,
    tensor: Tensor,
}

impl Entry {
    /// The variable's own name: the last part, without the `:0` of TensorFlow.
    fn variable(&self) -> &str {
        let last = self.name.rsplit('/').next().unwrap_or(&self.name);
        last.split(':').next().unwrap_or(last)
    }

    /// Whether the layer called `scope` is on the way to the variable.
    fn within(&self, scope: &str) -> bool {
        self.name.starts_with(&format!("{scope}/")) || self.name.contains(&format!("/{scope}/"))
    }
}

/// Why a weight was not found.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WeightError {
    /// The file has no such dataset.
    #[error("the file has no weight {variable} for this layer (it lists: {listed})")]
    Missing { variable: String, listed: String },
    /// Several datasets answer to the name.
    #[error("the file has {found} weights {variable} for this layer, and nothing tells which is meant")]
    Ambiguous { variable: String, found: usize },
    /// The weight is of another shape than the configuration says.
    #[error("expected weight {variable} of shape {expected:?}, found {found:?}")]
    Shape {
        variable: String,
        expected: Vec<usize>,
        found: Vec<usize>,
    },
}

impl Weights {
    /// Lists the datasets of the layer `name` of the file.
    fn of_layer(root: &Group<'_>, name: &str) -> Result<Self, Hdf5Error> {
        // Files made by `save` keep the weights one level down, those made by `save_weights` at the root.
        let home = root.group("model_weights")?;
        let home = home.as_ref().unwrap_or(root);
        let Some(group) = home.group(name)? else {
            return Ok(Self::default());
        };
        let names = group.strings("weight_names")?.unwrap_or_default();
        let mut entries = Vec::with_capacity(names.len());
        for name in names {
            let tensor = group.tensor(&name)?.ok_or_else(|| {
                Hdf5Error::Damaged(format!("weight_names lists {name}, and there is no such dataset"))
            })?;
            entries.push(Entry { name, tensor });
        }
        Ok(Self {
            entries,
            untrained: false,
        })
    }

    /// The variable `variable` of the innermost layer of `scopes`, which must have the shape `expected`.
    pub(crate) fn find(
        &self,
        scopes: &[&str],
        variable: &str,
        expected: &[usize],
    ) -> Result<Tensor, WeightError> {
        if self.untrained && !expected.contains(&usize::MAX) {
            return Ok(Tensor::filled(expected, initial(variable)));
        }
        let named = || self.entries.iter().filter(|entry| entry.variable() == variable);
        let mut found: Vec<&Entry> = named().collect();
        // The outermost scope is the group itself; only where it holds several variables of this name do the
        // inner ones have to tell them apart: the layer's own first. Names of the models between need not be in
        // the path, since the layers of a functional model are named without it.
        for (i, scope) in scopes.iter().rev().enumerate() {
            if found.len() > 1 && (i == 0 || found.iter().any(|entry| entry.within(scope))) {
                found.retain(|entry| entry.within(scope));
            }
        }
        match found[..] {
            [entry] => {
                let shape = entry.tensor.shape();
                if shape == expected {
                    return Ok(entry.tensor.clone());
                }
                Err(WeightError::Shape {
                    variable: variable.to_owned(),
                    expected: expected.to_vec(),
                    found: shape,
                })
            }
            [] => {
                let listed: Vec<&str> = self
                    .entries
                    .iter()
                    .take(6)
                    .map(|entry| entry.name.as_str())
                    .collect();
                let listed = if listed.is_empty() {
                    "none".to_owned()
                } else {
                    listed.join(", ")
                };
                Err(WeightError::Missing {
                    variable: variable.to_owned(),
                    listed,
                })
            }
            _ => Err(WeightError::Ambiguous {
                variable: variable.to_owned(),
                found: found.len(),
            }),
        }
    }

    /// Every weight, by the name that the file lists it under, without the `:0` of TensorFlow.
    pub(crate) fn listed(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        let plain = |entry: &'_ Entry| entry.name.split(':').next().unwrap_or_default().len();
        self.entries
            .iter()
            .map(move |entry| (&entry.name[..plain(entry)], &entry.tensor))
    }

    /// The shape of the variable, where there is exactly one of this name in the scopes.
    pub(crate) fn shape(&self, scopes: &[&str], variable: &str) -> Option<Vec<usize>> {
        match self.find(scopes, variable, &[usize::MAX]) {
            Err(WeightError::Shape { found, .. }) => Some(found),
            _ => None,
        }
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
