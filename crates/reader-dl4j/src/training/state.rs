//! What the optimisers remember, by parameter.
//!
//! `updaterState.bin` is one vector. Parameters that follow each other and have the same optimiser form a block, and a block
//! holds each of the optimiser's vectors whole, in the order of the parameters.

use super::{Part, parts};
use crate::parameters::{Copied, Taken};
use caribou_ir::{ParameterState, Tensor, TensorError};
use caribou_writer_dl4j::format::{Configuration, Updater};

/// A parameter in its block.
struct Member<'t> {
    taken: &'t Taken,
    /// Where it begins in the block.
    at: usize,
}

/// What is remembered of each parameter that an optimiser remembers something of.
///
/// # Errors
/// When an optimiser is not known, or the vector is not as long as the parameters and their optimisers want it.
pub(crate) fn parameters(
    configuration: &Configuration,
    taken: &[Taken],
    copied: &[Copied],
    state: &Tensor,
) -> Result<Vec<ParameterState>, String> {
    let parts = parts(configuration);
    let updaters = updaters(&parts, taken)?;
    let mut known = Vec::new();
    let mut start = 0;
    let mut first = 0;
    while first < taken.len() {
        let updater = updaters[first];
        let same = updaters[first..].iter().take_while(|other| **other == updater);
        let end = first + same.count();
        let mut size = 0;
        let members: Vec<Member> = taken[first..end]
            .iter()
            .map(|taken| {
                let at = size;
                size += taken.tensor.len();
                Member { taken, at }
            })
            .collect();
        let vectors = updater
            .vectors()
            .ok_or("an updater is not known, nor how much it remembers")?;
        let wanted = start + vectors * size;
        if wanted > state.len() {
            return Err(format!(
                "it has {} numbers, and at least {wanted} are expected",
                state.len()
            ));
        }
        for member in members.iter().filter(|_| vectors > 0) {
            let slots = (0..vectors).map(|vector| {
                let at = start + vector * size + member.at;
                state.part(at, at + member.taken.tensor.len())
            });
            let slots = slots.collect::<Result<Vec<_>, _>>();
            let remembered = slots.and_then(|slots| of(member.taken, copied, slots));
            known.push(remembered.map_err(|error| error.to_string())?);
        }
        start = wanted;
        first = end;
    }
    match start == state.len() {
        true => Ok(known),
        false => Err(format!(
            "it has {} numbers, and {start} are expected",
            state.len()
        )),
    }
}

/// What belongs to a parameter, and in its order where the graph has a copy in another order.
fn of(taken: &Taken, copied: &[Copied], slots: Vec<Tensor>) -> Result<ParameterState, TensorError> {
    let copy = copied
        .iter()
        .find(|copied| copied.of.shares_storage(&taken.tensor));
    Ok(match copy {
        Some(copied) => ParameterState {
            parameter: copied.copy.clone(),
            slots: slots
                .iter()
                .map(|slot| copied.like(slot))
                .collect::<Result<_, _>>()?,
        },
        None => ParameterState {
            parameter: taken.tensor.clone(),
            slots,
        },
    })
}

/// The optimiser of each parameter.
fn updaters<'p>(parts: &'p [Part], taken: &[Taken]) -> Result<Vec<&'p Updater>, String> {
    let mut updaters = Vec::with_capacity(taken.len());
    for part in parts {
        for name in part.layer.stored_variables() {
            let found = taken.get(updaters.len());
            let updater = part.layer.updater_of(name);
            let (Some(found), Some(updater)) = (found, updater) else {
                return Err(format!(
                    "{}: nothing tells which updater its {name} has",
                    part.name
                ));
            };
            if *found.layer != *part.name {
                return Err(format!(
                    "{}: its parameters are not told from those of {}",
                    part.name, found.layer
                ));
            }
            updaters.push(updater);
        }
    }
    match updaters.len() == taken.len() {
        true => Ok(updaters),
        false => Err(format!(
            "{} parameters have an updater, and there are {}",
            updaters.len(),
            taken.len()
        )),
    }
}
