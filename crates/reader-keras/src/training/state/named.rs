//! `optimizer_weights` of `.h5` files, which lists its vectors by name.
//!
//! Keras 2.11 and later calls the first moment of `dense/kernel` `Adam/m/dense/kernel`, before it was
//! `Adam/dense/kernel/m` (or `training/Adam/…`), and Keras 3 has `adam/dense_kernel_momentum`.

use super::{Read, StateError, of_parameter, slots, steps};
use crate::hdf5::{Group, Hdf5Error};
use crate::weights::Weights;
use caribou_ir::{Tensor, TrainingState, UpdaterKind};
use std::cell::RefCell;
use std::collections::HashSet;

/// The datasets of the optimizer by name, without the `:0` of TensorFlow.
struct Stored {
    tensors: Vec<(String, Tensor)>,
    /// The names that were asked for.
    used: RefCell<HashSet<String>>,
}

impl Stored {
    /// The vector `slot` of the variable called `variable`: of several whose names end so, the one with the
    /// shortest, whose variable is not an inner one of the same name.
    fn find(&self, variable: &str, slot: &str) -> Option<&Tensor> {
        let new = format!("/{slot}/{variable}");
        let old = format!("/{variable}/{slot}");
        // Keras 3 has a name for the optimizer and the whole path of the variable.
        let flat = format!("{}_{slot}", variable.replace('/', "_"));
        let named = |name: &str| {
            name.ends_with(&new)
                || name.ends_with(&old)
                || name.rsplit_once('/').is_some_and(|(_, last)| last == flat)
        };
        let found = self
            .tensors
            .iter()
            .filter(|(name, _)| named(name))
            .min_by_key(|(name, _)| name.len());
        found.map(|(name, tensor)| {
            self.used.borrow_mut().insert(name.clone());
            tensor
        })
    }

    /// The names of vectors of these slots that no variable was found for.
    fn left(&self, slots: &[&[&str]]) -> Vec<&str> {
        let used = self.used.borrow();
        let of_slot = |name: &str| {
            slots.iter().copied().flatten().any(|slot| {
                name.contains(&format!("/{slot}/"))
                    || name.ends_with(&format!("/{slot}"))
                    || name.ends_with(&format!("_{slot}"))
            })
        };
        let names = self.tensors.iter().map(|(name, _)| name.as_str());
        names
            .filter(|name| !used.contains(*name) && of_slot(name))
            .map(|name| name.trim_start_matches('/'))
            .collect()
    }

    /// The number of steps so far.
    fn iterations(&self) -> Result<Option<u64>, StateError> {
        let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
        let counter = |name: &str| matches!(&*last(name), "iteration" | "iterations" | "iter");
        let found = self.tensors.iter().find(|(name, _)| counter(name));
        found.map(|(name, tensor)| steps(name, tensor)).transpose()
    }
}

/// The state of an optimizer of this kind; `None` when the file holds no optimizer.
pub(super) fn read(
    root: &Group<'_>,
    weights: &[Weights],
    kind: &UpdaterKind,
) -> Result<Option<Read>, StateError> {
    let Some(group) = root.group("optimizer_weights")? else {
        return Ok(None);
    };
    let mut stored = Stored {
        tensors: Vec::new(),
        used: RefCell::default(),
    };
    for name in group.strings("weight_names")?.unwrap_or_default() {
        let tensor = group.tensor(&name)?.ok_or_else(|| {
            Hdf5Error::Damaged(format!(
                "the optimizer lists {name}, and there is no such dataset"
            ))
        })?;
        let plain = name.split(':').next().unwrap_or_default().to_owned();
        stored.tensors.push((format!("/{plain}"), tensor));
    }
    let Some(iterations) = stored.iterations()? else {
        return Ok(None);
    };
    let slots = slots(kind);
    let mut parameters = Vec::new();
    for (name, parameter) in weights.iter().flat_map(Weights::listed) {
        let found: Option<Vec<Tensor>> = slots
            .iter()
            .map(|names| names.iter().find_map(|slot| stored.find(name, slot)).cloned())
            .collect();
        // What has no slots is not trained: statistics, and frozen layers.
        let Some(found) = found else { continue };
        parameters.push(of_parameter(name, parameter, found)?);
    }
    let vectors = stored
        .tensors
        .iter()
        .any(|(_, tensor)| !tensor.shape().is_empty());
    if parameters.is_empty() && !slots.is_empty() && vectors {
        let message = "none of its vectors has the name of a parameter";
        return Err(StateError::Unmatched(message.into()));
    }
    let left = stored.left(slots);
    let lost = match left[..] {
        [] => Vec::new(),
        [first, ..] => vec![format!(
            "no parameter is known for {} of the vectors of the optimizer ({first}, …)",
            left.len()
        )],
    };
    Ok(Some(Read {
        state: TrainingState {
            iterations,
            parameters,
            ..TrainingState::default()
        },
        lost,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(names: &[&str]) -> Stored {
        let tensors = names.iter().enumerate();
        Stored {
            tensors: tensors
                .map(|(i, name)| ((*name).to_owned(), Tensor::vector(&[i as f32])))
                .collect(),
            used: RefCell::default(),
        }
    }

    #[test]
    fn slots_are_found_by_the_names_of_all_versions() {
        for (name, variable, slot) in [
            ("/Adam/m/dense/kernel", "dense/kernel", "m"),
            ("/Adam/dense/kernel/m", "dense/kernel", "m"),
            ("/training/Adam/dense/kernel/m", "dense/kernel", "m"),
            (
                "/adam/sequential_dense_kernel_momentum",
                "sequential/dense/kernel",
                "momentum",
            ),
            ("/adam/dense_kernel_momentum", "dense/kernel", "momentum"),
        ] {
            assert!(stored(&[name]).find(variable, slot).is_some(), "{name}");
        }
        for (name, slot) in [
            ("/adam/my_dense/kernel/m", "m"),
            ("/adam/my_dense_kernel_momentum", "momentum"),
            ("/Adam/m/dense/kernel", "v"),
        ] {
            assert!(stored(&[name]).find("dense/kernel", slot).is_none(), "{name}");
        }
    }

    #[test]
    fn an_inner_variable_of_the_same_name_is_another() {
        let stored = stored(&["/Adam/m/tower/dense/kernel", "/Adam/m/dense/kernel"]);
        let found = stored.find("dense/kernel", "m").unwrap().to_vec().unwrap();
        assert_eq!(found, [1.0]);
        assert_eq!(stored.left(&[&["m"]]), ["Adam/m/tower/dense/kernel"]);
    }

    #[test]
    fn rates_and_products_are_no_vectors_of_parameters() {
        let stored = stored(&["/adam/iteration", "/adam/learning_rate", "/nadam/u_product"]);
        assert!(stored.left(&[&["m", "momentum"]]).is_empty());
    }
}
