//! What the optimizer remembers: `optimizer_weights` of HDF5 files.
//!
//! Keras 2.11 and later calls the first moment of `dense/kernel` `Adam/m/dense/kernel`, before it was
//! `Adam/dense/kernel/m` (or `training/Adam/…`), and Keras 3 has `adam/…dense_kernel_momentum`.

use crate::hdf5::{Group, Hdf5Error};
use crate::weights::Weights;
use caribou_ir::{ParameterState, Tensor, TrainingState, UpdaterKind};

/// The vectors of each rule, by all names that Keras has had for them.
fn slots(kind: &UpdaterKind) -> &'static [&'static [&'static str]] {
    const FIRST: &[&str] = &["m", "momentum"];
    const SECOND: &[&str] = &["v", "velocity"];
    match kind {
        UpdaterKind::Sgd => &[],
        UpdaterKind::Momentum { .. } | UpdaterKind::Nesterovs { .. } => &[FIRST],
        UpdaterKind::Adam { .. } | UpdaterKind::Nadam { .. } => &[FIRST, SECOND],
        UpdaterKind::AmsGrad { .. } => &[FIRST, SECOND, &["vhat", "velocity_hat"]],
        UpdaterKind::AdaMax { .. } => &[FIRST, &["u", "v", "norm"]],
        UpdaterKind::RmsProp { .. } => &[&["velocity", "rms"]],
        UpdaterKind::AdaGrad { .. } => &[&["accumulator"]],
        UpdaterKind::AdaDelta { .. } => &[
            &["accumulated_grad", "accum_grad"],
            &["accumulated_delta_var", "accum_var"],
        ],
    }
}

/// The datasets of the optimizer by name, without the `:0` of TensorFlow.
struct Stored {
    tensors: Vec<(String, Tensor)>,
}

impl Stored {
    /// The vector `slot` of the variable called `variable`: of several whose names end so, the one with the
    /// shortest, whose variable is not an inner one of the same name.
    fn find(&self, variable: &str, slot: &str) -> Option<&Tensor> {
        let new = format!("/{slot}/{variable}");
        let old = format!("/{variable}/{slot}");
        let flat = format!("{}_{slot}", variable.replace('/', "_"));
        let named = |name: &str| {
            name.ends_with(&new)
                || name.ends_with(&old)
                || name
                    .strip_suffix(&flat)
                    .is_some_and(|front| front.is_empty() || front.ends_with(['/', '_']))
        };
        self.tensors
            .iter()
            .filter(|(name, _)| named(name))
            .min_by_key(|(name, _)| name.len())
            .map(|(_, tensor)| tensor)
    }

    /// The number of steps so far.
    fn iterations(&self) -> Result<Option<u64>, Hdf5Error> {
        let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
        let counter = |name: &str| matches!(&*last(name), "iteration" | "iterations" | "iter");
        let Some((name, tensor)) = self.tensors.iter().find(|(name, _)| counter(name)) else {
            return Ok(None);
        };
        let values = tensor.to_vec().map_err(|source| Hdf5Error::Tensor {
            name: name.clone(),
            source,
        })?;
        Ok(values.first().map(|&steps| steps.max(0.0) as u64))
    }
}

/// The state of an optimizer of this kind, for each of the weights that it has trained; `None` when the file holds no
/// optimizer.
///
/// # Errors
/// When the file lists what it does not hold.
pub(super) fn read(
    root: &Group<'_>,
    weights: &[Weights],
    kind: &UpdaterKind,
) -> Result<Option<TrainingState>, Hdf5Error> {
    let Some(group) = root.group("optimizer_weights")? else {
        return Ok(None);
    };
    let mut stored = Stored { tensors: Vec::new() };
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
    let mut parameters = Vec::new();
    for (name, parameter) in weights.iter().flat_map(Weights::listed) {
        let found: Option<Vec<Tensor>> = slots(kind)
            .iter()
            .map(|names| names.iter().find_map(|slot| stored.find(name, slot)).cloned())
            .collect();
        // What has no slots is not trained: statistics, and frozen layers.
        let Some(slots) = found else { continue };
        if slots.iter().any(|slot| slot.shape() != parameter.shape()) {
            return Err(Hdf5Error::Damaged(format!(
                "what the optimizer remembers of {name} has another shape than it"
            )));
        }
        parameters.push(ParameterState {
            parameter: parameter.clone(),
            slots,
        });
    }
    Ok(Some(TrainingState {
        iterations,
        parameters,
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
                "dense/kernel",
                "momentum",
            ),
            ("/adam/dense_kernel_momentum", "dense/kernel", "momentum"),
        ] {
            assert!(stored(&[name]).find(variable, slot).is_some(), "{name}");
        }
        assert!(
            stored(&["/adam/my_dense/kernel/m"])
                .find("dense/kernel", "m")
                .is_none()
        );
        assert!(
            stored(&["/Adam/m/dense/kernel"])
                .find("dense/kernel", "v")
                .is_none()
        );
    }

    #[test]
    fn an_inner_variable_of_the_same_name_is_another() {
        let stored = stored(&["/Adam/m/tower/dense/kernel", "/Adam/m/dense/kernel"]);
        let found = stored.find("dense/kernel", "m").unwrap().to_vec().unwrap();
        assert_eq!(found, [1.0]);
    }
}
