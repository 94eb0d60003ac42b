//! `optimizer/vars/<i>` of a `model.weights.h5`, which numbers the variables in the order in which the optimizer made them.
//!
//! First come single numbers (the steps, and in Keras 3 the learning rate unless it follows a schedule), then, for all
//! trained variables one after the other: the moving average, the accumulated gradient, the vectors of the rule side by
//! side, and last the largest second moment. See `build` of the classes in keras/src/optimizers/ of both versions.

use super::{Read, StateError, of_parameter, slots, steps};
use crate::hdf5::Group;
use crate::training::optimizer::Extra;
use caribou_ir::{Tensor, TrainingState, UpdaterKind};

/// Where the variables are; those of the optimizer inside a LossScaleOptimizer come first.
const PLACES: [&str; 2] = ["optimizer/inner_optimizer/vars", "optimizer/vars"];

/// The state of an optimizer of this kind that has trained these variables; `None` when the archive holds no optimizer.
pub(super) fn read(
    root: &Group<'_>,
    trained: &[(String, Tensor)],
    kind: &UpdaterKind,
    extra: &Extra,
) -> Result<Option<Read>, StateError> {
    for place in PLACES {
        let Some(group) = root.group(place)? else { continue };
        let mut tensors = Vec::new();
        while let Some(tensor) = group.tensor(&tensors.len().to_string())? {
            tensors.push(tensor);
        }
        return Ok(Some(Read {
            state: matched(place, &tensors, trained, kind, extra)?,
            lost: Vec::new(),
        }));
    }
    Ok(None)
}

fn matched(
    place: &str,
    tensors: &[Tensor],
    trained: &[(String, Tensor)],
    kind: &UpdaterKind,
    extra: &Extra,
) -> Result<TrainingState, StateError> {
    let counter = tensors.first().ok_or_else(|| {
        StateError::Unmatched(format!(
            "{place} holds nothing: the optimizer has not taken a step"
        ))
    })?;
    let mut state = TrainingState {
        iterations: steps(place, counter)? / extra.accumulation_steps.max(1),
        ..TrainingState::default()
    };
    let kept = slots(kind).len();
    if kept == 0 {
        return Ok(state);
    }
    let behind = usize::from(matches!(kind, UpdaterKind::AmsGrad { .. }));
    let together = kept - behind;
    let (before, count) = (extra.vectors(), trained.len());
    let vectors = count * (before + together + behind);
    // Keras 3 keeps the product of Nadam's momenta, at the end.
    let nadam = matches!(kind, UpdaterKind::Nadam { .. });
    let front = tensors.len().checked_sub(vectors).map(|numbers| match numbers {
        2.. if nadam => numbers - 1,
        _ => numbers,
    });
    let all = front
        .filter(|front| (1..=2).contains(front))
        .and_then(|front| tensors.get(front..front + vectors))
        .ok_or_else(|| {
            StateError::Unmatched(format!(
                "{count} trained variables have {vectors} vectors, besides the numbers of steps, and {place} holds \
                 {} variables",
                tensors.len()
            ))
        })?;
    let (_, rule) = all.split_at(count * before);
    let (rule, largest) = rule.split_at(count * together);
    for (i, (name, parameter)) in trained.iter().enumerate() {
        let side_by_side = &rule[i * together..][..together];
        let own = side_by_side.iter().chain(largest.get(i)).cloned();
        state
            .parameters
            .push(of_parameter(name, parameter, own.collect())?);
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Variables of the optimizer: a single number, or a vector of equal elements.
    fn stored(values: &[(usize, f32)]) -> Vec<Tensor> {
        let tensor = |&(size, value): &(usize, f32)| match size {
            0 => Tensor::filled(&[], value),
            size => Tensor::filled(&[size], value),
        };
        values.iter().map(tensor).collect()
    }

    fn variables(sizes: &[usize]) -> Vec<(String, Tensor)> {
        let variable = |&size: &usize| (format!("of {size}"), Tensor::filled(&[size], 0.0));
        sizes.iter().map(variable).collect()
    }

    fn adam(amsgrad: bool) -> UpdaterKind {
        let (beta1, beta2, epsilon) = (0.9, 0.999, 1e-7);
        match amsgrad {
            false => UpdaterKind::Adam {
                beta1,
                beta2,
                epsilon,
            },
            true => UpdaterKind::AmsGrad {
                beta1,
                beta2,
                epsilon,
            },
        }
    }

    fn firsts(state: &TrainingState) -> Vec<Vec<f32>> {
        let first = |tensor: &Tensor| tensor.to_vec().unwrap()[0];
        let slots = |parameter: &caribou_ir::ParameterState| parameter.slots.iter().map(first).collect();
        state.parameters.iter().map(slots).collect()
    }

    #[test]
    fn vectors_follow_each_other_by_variable_and_the_largest_moments_come_last() {
        let tensors = stored(&[
            (0, 7.0),
            (0, 0.1),
            (2, 1.0),
            (2, 2.0),
            (3, 3.0),
            (3, 4.0),
            (2, 5.0),
            (3, 6.0),
        ]);
        let state = matched(
            "vars",
            &tensors,
            &variables(&[2, 3]),
            &adam(true),
            &Extra::default(),
        )
        .unwrap();
        assert_eq!(state.iterations, 7);
        assert_eq!(firsts(&state), [[1.0, 2.0, 5.0], [3.0, 4.0, 6.0]]);
    }

    #[test]
    fn averages_of_the_weights_come_first() {
        let tensors = stored(&[
            (0, 7.0),
            (2, 8.0),
            (3, 9.0),
            (2, 1.0),
            (2, 2.0),
            (3, 3.0),
            (3, 4.0),
        ]);
        let extra = Extra {
            average: true,
            accumulation_steps: 1,
        };
        let state = matched("vars", &tensors, &variables(&[2, 3]), &adam(false), &extra).unwrap();
        assert_eq!(firsts(&state), [[1.0, 2.0], [3.0, 4.0]]);
    }

    #[test]
    fn what_does_not_fit_is_not_guessed() {
        let tensors = stored(&[(0, 7.0), (0, 0.1), (2, 1.0), (2, 2.0), (3, 3.0), (3, 4.0)]);
        for sizes in [&[2][..], &[3, 2], &[2, 3, 4]] {
            let read = matched(
                "vars",
                &tensors,
                &variables(sizes),
                &adam(false),
                &Extra::default(),
            );
            assert!(matches!(read, Err(StateError::Unmatched(_))), "{sizes:?}");
        }
        assert!(matched("vars", &[], &[], &adam(false), &Extra::default()).is_err());
    }
}
