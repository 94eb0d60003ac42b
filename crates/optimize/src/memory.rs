//! What an optimiser remembers of weights that a pass has changed.
//!
//! A weight that keeps its bytes keeps what is remembered of it, whatever became of the operators around it. A weight whose
//! numbers were changed in place, pruned, clipped or quantized, is still the same weight: what is remembered of each of
//! its elements stays, but for one rule. A velocity, or a mean of gradients, would move an element that was pruned away
//! from zero again, so that of a pruned element becomes zero; means of squares only scale steps, and stay. Everything else
//! is dropped: what was folded, scaled or resized is another weight.

use caribou_ir::op::Operator;
use caribou_ir::{DType, Endian, Updater};
use caribou_ir::{Graph, ParameterState, ReadAt, Tensor, TensorData, TensorError, Training, TrainingState};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a pass did to the weights that it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Numbers were changed in place: each element is what it was to its layer.
    InPlace,
    /// The same, and elements that are zero now are to stay zero.
    Pruned,
    /// Operators were rewritten: weights that are others now have nothing to do with those before.
    Rewritten,
}

/// What is left of a state.
#[derive(Debug)]
pub struct Followed {
    /// The state of the new graph's parameters.
    pub state: TrainingState,
    /// The layers of which something was remembered that no longer fits.
    pub dropped: BTreeSet<String>,
}

/// What an optimiser remembers of the parameters of `before`, for those of `after`.
///
/// # Errors
/// When what is remembered does not fit the parameters that it belongs to.
pub fn follow(
    training: &Training,
    state: &TrainingState,
    before: &Graph,
    after: &Graph,
    change: Change,
) -> Result<Followed, TensorError> {
    let known = |tensor: &Tensor| {
        let mut all = state.parameters.iter();
        all.find(|known| known.parameter.shares_storage(tensor))
    };
    let (old, new) = (named(before), named(after));
    let mut parameters: Vec<ParameterState> = Vec::new();
    let mut dropped = BTreeSet::new();
    for (place, tensor) in &new {
        let followed = match known(tensor) {
            // Two nodes may read the same parameter.
            Some(same)
                if parameters
                    .iter()
                    .any(|other| other.parameter.shares_storage(&same.parameter)) =>
            {
                continue;
            }
            Some(same) => Some(same.clone()),
            None => match old.get(place).and_then(|old| Some((*old, known(old)?))) {
                Some((old, known)) if change != Change::Rewritten && old.shape() == tensor.shape() => {
                    let directed = directed(training, place.layer);
                    let pruned = change == Change::Pruned && directed;
                    Some(moved(old, tensor, known, pruned)?)
                }
                _ => None,
            },
        };
        parameters.extend(followed);
    }
    for (place, tensor) in &old {
        if let Some(known) = known(tensor) {
            let kept = new.get(place).is_some_and(|new| {
                let mut all = parameters.iter();
                all.any(|other| other.parameter.shares_storage(new))
            });
            let elsewhere = || {
                let mut all = parameters.iter();
                all.any(|other| other.parameter.shares_storage(&known.parameter))
            };
            if !kept && !elsewhere() {
                dropped.insert(place.layer.to_owned());
            }
        }
    }
    Ok(Followed {
        state: TrainingState { parameters, ..*state },
        dropped,
    })
}

/// Whether the optimiser of a layer keeps a direction.
fn directed(training: &Training, layer: &str) -> bool {
    let own = training
        .layers
        .get(layer)
        .and_then(|layer| layer.updater.as_ref());
    own.or(training.updater.as_ref())
        .is_some_and(|updater: &Updater| updater.kind.keeps_direction())
}

/// A parameter by its layer, its role, and its number among those of the same names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place<'g> {
    layer: &'g str,
    role: &'g str,
    number: usize,
}

fn named(graph: &Graph) -> BTreeMap<Place<'_>, &Tensor> {
    let mut named = BTreeMap::new();
    for (_, node) in graph.nodes() {
        for (role, tensor) in node.op.parameters() {
            let mut place = Place {
                layer: &node.origin.layer,
                role,
                number: 0,
            };
            while named.contains_key(&place) {
                place.number += 1;
            }
            named.insert(place, tensor);
        }
    }
    named
}

/// What is remembered of `old`, for `new` in its place.
fn moved(
    old: &Tensor,
    new: &Tensor,
    known: &ParameterState,
    pruned: bool,
) -> Result<ParameterState, TensorError> {
    let as_new = |(i, slot): (usize, &Tensor)| {
        let slot = new.as_stored(&old.same_view_of(slot)?)?;
        match pruned && i == 0 {
            true => masked(&slot, &new.as_stored(new)?),
            false => Ok(slot),
        }
    };
    Ok(ParameterState {
        parameter: new.clone(),
        slots: known
            .slots
            .iter()
            .enumerate()
            .map(as_new)
            .collect::<Result<_, _>>()?,
    })
}

/// `values` with zeros where `weights` has them.
fn masked(values: &Tensor, weights: &Tensor) -> Result<Tensor, TensorError> {
    let data = TensorData::Deferred(Arc::new(Masked {
        values: values.clone(),
        weights: weights.clone(),
    }));
    Tensor::new(&values.shape(), DType::F32, Endian::Little, data)
}

struct Masked {
    values: Tensor,
    weights: Tensor,
}

impl ReadAt for Masked {
    fn len(&self) -> usize {
        4 * self.values.len()
    }

    fn read(&self) -> Result<Vec<u8>, TensorError> {
        let (values, weights) = (self.values.to_vec()?, self.weights.to_vec()?);
        let kept = values.iter().zip(&weights).map(|(&value, &weight)| match weight {
            0.0 => 0.0f32,
            _ => value,
        });
        Ok(kept.flat_map(f32::to_le_bytes).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caribou_ir::op::{Dense, Op};
    use caribou_ir::{Layout, NodeId, Origin, Shape, UpdaterKind};

    fn numbers(shape: &[usize], from: f32) -> Tensor {
        let count: usize = shape.iter().product();
        Tensor::from_values(shape, (0..count).map(|i| from + i as f32).collect::<Vec<_>>()).unwrap()
    }

    /// A dense layer whose kernel is stored the other way round, and what is remembered of it.
    fn network() -> (Graph, Training, TrainingState) {
        let stored = numbers(&[2, 3], 1.0);
        let bias = numbers(&[2], 1.0);
        let mut graph = Graph::new();
        let x = graph.input("x", Shape::batched(&[3]), Layout::Plain);
        let op = Dense {
            weight: stored.permute(&[1, 0]).unwrap(),
            bias: Some(bias.clone()),
        };
        let y = graph.apply(op, &[x], &Origin::new("dense", "Dense")).unwrap();
        graph.output("y", y, Layout::Plain);
        let of = |parameter: &Tensor, from: f32| ParameterState {
            parameter: parameter.clone(),
            slots: vec![
                numbers(&parameter.shape(), from),
                numbers(&parameter.shape(), from + 50.0),
            ],
        };
        let state = TrainingState {
            iterations: 7,
            epochs: 2,
            parameters: vec![of(&stored, 100.0), of(&bias, 200.0)],
        };
        let kind = UpdaterKind::Adam {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        };
        let training = Training {
            updater: Some(Updater::new(kind, 0.1)),
            ..Training::default()
        };
        (graph, training, state)
    }

    fn first(graph: &Graph) -> NodeId {
        graph.nodes().next().unwrap().0
    }

    /// The graph with another kernel, stored in another order than before.
    fn with_kernel(graph: &Graph, values: &[f32]) -> Graph {
        let mut graph = graph.clone();
        let id = first(&graph);
        let Op::Dense(dense) = graph.op_mut(id) else {
            panic!("the network is a dense layer")
        };
        dense.weight = Tensor::from_f32(&[3, 2], values).unwrap();
        graph
    }

    #[test]
    fn changed_weights_keep_what_is_remembered_but_for_the_direction_of_zeros() {
        let (graph, training, state) = network();
        let changed = with_kernel(&graph, &[1.0, 0.0, 2.0, 5.0, 0.0, 6.0]);
        for (change, velocity) in [
            (Change::InPlace, [100.0, 103.0, 101.0, 104.0, 102.0, 105.0]),
            (Change::Pruned, [100.0, 0.0, 101.0, 104.0, 0.0, 105.0]),
        ] {
            let followed = follow(&training, &state, &graph, &changed, change).unwrap();
            assert!(followed.dropped.is_empty());
            assert_eq!((followed.state.iterations, followed.state.epochs), (7, 2));
            let Op::Dense(dense) = &changed.node(first(&changed)).op else {
                panic!("the network is a dense layer")
            };
            let mut all = followed.state.parameters.iter();
            let kernel = all
                .find(|known| known.parameter.shares_storage(&dense.weight))
                .unwrap();
            let seen = |slot: usize| {
                let view = dense.weight.same_view_of(&kernel.slots[slot]).unwrap();
                view.to_vec().unwrap()
            };
            assert_eq!(seen(0), velocity);
            assert_eq!(seen(1), [150.0, 153.0, 151.0, 154.0, 152.0, 155.0]);
            assert_eq!(followed.state.parameters.len(), 2, "the bias is as it was");
        }
    }

    #[test]
    fn what_no_longer_fits_is_dropped_by_name() {
        let (graph, training, state) = network();
        let changed = with_kernel(&graph, &[1.0; 6]);
        let followed = follow(&training, &state, &graph, &changed, Change::Rewritten).unwrap();
        assert_eq!(Vec::from_iter(followed.dropped), ["dense"]);
        assert_eq!(followed.state.parameters.len(), 1);
        let same = follow(&training, &state, &graph, &graph, Change::Rewritten).unwrap();
        assert!(same.dropped.is_empty() && same.state.parameters.len() == 2);
    }
}
