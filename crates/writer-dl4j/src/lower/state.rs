//! What the optimisers of the layers remember of each parameter.
//!
//! DL4J keeps what an optimiser remembers in one vector. Parameters that follow each other and have the same optimiser
//! form a block, and a block holds each of the optimiser's vectors whole, in the order of the parameters. The statistics
//! of batch normalisation and the parameters of frozen layers have no optimiser: they end a block and take no space.

use super::training::Optimiser;
use super::{Kind, Placed};
use crate::format::Updater;
use caribou_ir::{Code, Finding, Findings, Severity, Tensor, TensorError, Training, TrainingState};
use std::collections::BTreeSet;

/// What the optimiser remembers of a parameter is not known.
const NO_STATE: Code = Code("D0125");

/// What the optimisers remember, in the order of the archive.
pub(crate) struct State {
    pub(crate) iterations: u64,
    pub(crate) epochs: u64,
    pub(crate) vectors: Vec<Vector>,
}

/// `scale` times the elements of a tensor.
pub(crate) struct Vector {
    /// The layer whose parameter it belongs to.
    pub(crate) layer: String,
    pub(crate) tensor: Tensor,
    pub(crate) scale: f32,
}

/// A parameter, or a piece of one, with the optimiser that moves it.
struct Member<'v> {
    layer: &'v str,
    tensor: &'v Tensor,
    updater: &'v Updater,
    scale: f32,
}

/// The state of the written network: for each block, one after the other, the optimiser's vectors.
///
/// # Errors
/// When what belongs to a parameter can't be viewed as the parameter is, or nothing tells which optimiser moves it.
pub(super) fn state(
    vertices: &[Placed],
    optimiser: &Optimiser,
    training: &Training,
    source: &TrainingState,
    findings: &mut Findings,
) -> Result<State, TensorError> {
    let members = members(vertices, optimiser, training)?;
    let known = |member: &Member| {
        let mut known = source.parameters.iter();
        known.find(|known| known.parameter.shares_storage(member.tensor))
    };
    let mut vectors = Vec::new();
    let mut unknown: BTreeSet<&str> = BTreeSet::new();
    for block in members.chunk_by(|a, b| a.updater == b.updater) {
        for slot in 0..block[0].updater.vectors().unwrap_or(0) {
            for member in block {
                let (tensor, scale) = match known(member).and_then(|known| known.slots.get(slot)) {
                    Some(vector) => (member.tensor.same_view_of(vector)?, member.scale),
                    None => {
                        unknown.insert(member.layer);
                        let start = member.updater.starts_with() as f32;
                        (Tensor::filled(&member.tensor.shape(), start), 1.0)
                    }
                };
                vectors.push(Vector {
                    layer: member.layer.to_owned(),
                    tensor,
                    scale,
                });
            }
        }
    }
    if !members.iter().any(|member| known(member).is_some()) {
        // Only the steps are known: the optimisers start anew.
        vectors.clear();
    } else if !unknown.is_empty() {
        let message = format!(
            "what the optimiser remembers of parameters of {} is not in the source, and starts anew",
            Vec::from_iter(unknown).join(", ")
        );
        findings.push(Finding::new(Severity::Warning, NO_STATE, None, message));
    }
    Ok(State {
        iterations: source.iterations + optimiser.start.more(),
        epochs: source.epochs,
        vectors,
    })
}

/// All parameters in the order of the archive.
fn members<'v>(
    vertices: &'v [Placed],
    optimiser: &Optimiser,
    training: &Training,
) -> Result<Vec<Member<'v>>, TensorError> {
    let mut members = Vec::new();
    for placed in vertices {
        let Kind::Layer { layer, .. } = &placed.kind else {
            continue;
        };
        let names = layer.stored_variables();
        // The gates of a recurrent layer are pieces of one parameter each.
        let pieces = placed.parameters.len() / names.len().max(1);
        let own = training.layers.get(&*placed.source);
        for (i, tensor) in placed.parameters.iter().enumerate() {
            let name = names.get(i / pieces.max(1)).copied();
            let updater = name.and_then(|name| layer.updater_of(name));
            let (Some(name), Some(updater)) = (name, updater) else {
                return Err(TensorError::Read(format!(
                    "nothing tells which optimiser moves parameter {i} of {}",
                    placed.name
                )));
            };
            let biases = own.and_then(|own| own.bias_updater.as_ref());
            let special = biases
                .filter(|_| name.ends_with('b'))
                .or(own.and_then(|own| own.updater.as_ref()));
            let special = special.map(|updater| Optimiser::of(updater, optimiser.start));
            let optimiser = special.as_ref().unwrap_or(optimiser);
            members.push(Member {
                layer: &placed.name,
                tensor,
                updater,
                scale: optimiser.scale,
            });
        }
    }
    Ok(members)
}
