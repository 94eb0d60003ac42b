//! What the optimizer remembers of each parameter: by name in `.h5` files ([`named`]), by number in the `model.weights.h5`
//! of a `.keras` archive ([`numbered`]).
//!
//! What can't be told to belong to a parameter is not guessed: the whole state, or what is left over of it, is told
//! to be lost.

mod named;
mod numbered;

use super::optimizer::Extra;
use crate::hdf5::Hdf5Error;
use crate::weights::{WeightStore, Weights};
use caribou_ir::{ParameterState, Tensor, TrainingState, UpdaterKind};

/// The state of an optimizer, and in words what of it has no place.
pub(super) struct Read {
    pub(super) state: TrainingState,
    pub(super) lost: Vec<String>,
}

/// Why there is no state.
#[derive(Debug, thiserror::Error)]
pub(super) enum StateError {
    /// The file can't be read.
    #[error(transparent)]
    File(#[from] Hdf5Error),
    /// It can't be told which vector belongs to which parameter.
    #[error("{0}")]
    Unmatched(String),
}

/// The vectors of each rule in the order in which an optimizer makes them, by all names that Keras has had for them.
fn slots(kind: &UpdaterKind) -> &'static [&'static [&'static str]] {
    const FIRST: &[&str] = &["m", "momentum"];
    const SECOND: &[&str] = &["v", "velocity"];
    match kind {
        UpdaterKind::Sgd | UpdaterKind::NoOp => &[],
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

/// The state of an optimizer of this kind, for each of the weights that it has trained; `None` when the file holds no
/// optimizer, or one that has not taken a step.
///
/// # Errors
/// When the file is damaged, or nothing tells which parameters the vectors belong to.
pub(super) fn read(
    store: &WeightStore<'_>,
    weights: &[Weights],
    kind: &UpdaterKind,
    extra: &Extra,
) -> Result<Option<Read>, StateError> {
    match store {
        WeightStore::ByName(root) => named::read(root, weights, kind),
        WeightStore::ByPosition(root, layers) => numbered::read(root, layers.trained(), kind, extra),
        WeightStore::Keras1(root) if root.group("optimizer_weights")?.is_some() => {
            let message = "files of Keras 1 do not say which parameters it belongs to";
            Err(StateError::Unmatched(message.into()))
        }
        WeightStore::Keras1(_) | WeightStore::Numbered(_) | WeightStore::Untrained => Ok(None),
    }
}

/// The vectors of one parameter, which must have its shape.
fn of_parameter(name: &str, parameter: &Tensor, slots: Vec<Tensor>) -> Result<ParameterState, StateError> {
    if let Some(slot) = slots.iter().find(|slot| slot.shape() != parameter.shape()) {
        return Err(StateError::Unmatched(format!(
            "what the optimizer remembers of {name} has the shape {:?}, and {name} has {:?}",
            slot.shape(),
            parameter.shape()
        )));
    }
    Ok(ParameterState {
        parameter: parameter.clone(),
        slots,
    })
}

/// The number of steps, from the variable that counts them.
fn steps(name: &str, counter: &Tensor) -> Result<u64, StateError> {
    let values = counter.to_vec().map_err(|source| Hdf5Error::Tensor {
        name: name.to_owned(),
        source,
    })?;
    match values[..] {
        [steps] if steps >= 0.0 => Ok(steps as u64),
        _ => Err(StateError::Unmatched(format!("{name} is no number of steps"))),
    }
}
