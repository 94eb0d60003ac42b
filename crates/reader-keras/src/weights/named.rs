//! Weights found by the names that the file itself lists in `weight_names`.

use super::{WeightError, keras1, listed};
use crate::config::Layer;
use crate::hdf5::{Group, Hdf5Error};
use caribou_ir::Tensor;
use std::sync::Arc;

/// What Keras 3 calls a variable to which its layer gives no name: `variable`, `variable_1` and so on.
pub(crate) const UNNAMED: &str = "variable";

/// The datasets of one outermost layer: a nested model keeps those of all its layers here.
#[derive(Default, Clone)]
pub(crate) struct Named {
    entries: Arc<[Entry]>,
}

#[derive(Clone)]
pub(super) struct Entry {
    /// The name as listed, such as `bidirectional/forward_lstm/lstm_cell/kernel:0`.
    pub(super) name: String,
    pub(super) tensor: Tensor,
}

impl Entry {
    /// The name without the `:0` of TensorFlow.
    fn path(&self) -> &str {
        self.name.split(':').next().unwrap_or(&self.name)
    }

    /// The variable's own name: the last part of the path.
    pub(super) fn variable(&self) -> &str {
        let last = self.name.rsplit('/').next().unwrap_or(&self.name);
        last.split(':').next().unwrap_or(last)
    }

    /// Whether this is the variable's own name.
    fn is(&self, variable: &str) -> bool {
        let own = self.variable();
        let number = own.strip_prefix(UNNAMED).and_then(|rest| rest.strip_prefix('_'));
        own == variable
            || variable == UNNAMED
                && number.is_some_and(|number| number.bytes().all(|digit| digit.is_ascii_digit()))
    }

    /// Whether the layer called `scope` is on the way to the variable.
    fn within(&self, scope: &str) -> bool {
        self.name.starts_with(&format!("{scope}/")) || self.name.contains(&format!("/{scope}/"))
    }
}

impl Named {
    /// Lists the datasets of the layer `name`.
    pub(super) fn of_layer(root: &Group<'_>, name: &str) -> Result<Self, Hdf5Error> {
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
            entries: entries.into(),
        })
    }

    /// The same weights of a layer of Keras 1, whose configuration is in the words of Keras 2 already.
    pub(super) fn upgraded(self, layer: &Layer) -> Result<Self, Hdf5Error> {
        let entries = keras1::upgrade(layer, self.entries.to_vec())?;
        Ok(Self {
            entries: entries.into(),
        })
    }

    pub(super) fn listed(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.entries.iter().map(|entry| (entry.path(), &entry.tensor))
    }

    /// The only dataset of the variable's name. Where there are several, the scopes have to tell them apart; the
    /// outermost of them is the group itself, which not all names repeat.
    pub(super) fn find(&self, scopes: &[&str], variable: &str) -> Result<&Tensor, WeightError> {
        let mut found: Vec<&Entry> = self.entries.iter().filter(|entry| entry.is(variable)).collect();
        // The layer's own comes first. Names of the models between need not be in the path, since the layers of a
        // functional model are named without it.
        for (i, scope) in scopes.iter().rev().enumerate() {
            if found.len() > 1 && (i == 0 || found.iter().any(|entry| entry.within(scope))) {
                found.retain(|entry| entry.within(scope));
            }
        }
        // Names may hold slashes: the end of `conv/bn` is no mention of the layer `bn`.
        if let (Some(scope), 2..) = (scopes.last(), found.len()) {
            let path = format!("{scope}/{variable}");
            if found.iter().any(|entry| entry.path() == path) {
                found.retain(|entry| entry.path() == path);
            }
        }
        match found[..] {
            [entry] => Ok(&entry.tensor),
            [] => Err(WeightError::Missing {
                variable: variable.to_owned(),
                listed: listed(self.entries.iter().map(|entry| entry.name.as_str())),
            }),
            _ => Err(WeightError::Ambiguous {
                variable: variable.to_owned(),
                found: found.len(),
            }),
        }
    }
}
