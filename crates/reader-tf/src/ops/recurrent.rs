//! Recurrent layers that loops were read as.

use super::{Call, MISFIT, Outputs, Row, real};
use crate::build::Held;
use crate::graph::Recurrence;
use crate::loops::{RECURRENT, Slot};
use caribou_ir::op::{Direction, Reverse, Slice, SliceAxis};
use std::sync::Arc;

pub(super) const TABLE: &[Row] = &[real(RECURRENT, &[], recurrent)];

/// The layer, with all that is read of it.
fn recurrent(call: &mut Call<'_, '_>) -> Outputs {
    let Some(recurrence) = call.node.recurrence.clone() else {
        return Err(call.refuse(MISFIT, "a recurrent layer without a cell"));
    };
    let Recurrence {
        op,
        time_major,
        steps,
        at_most,
    } = Arc::unwrap_or_clone(recurrence);
    let x = call.value(0)?;
    if call.rank(x) != 3 {
        let message = format!(
            "it reads steps of {} axes, two are expected: examples and features",
            call.rank(x).saturating_sub(1)
        );
        return Err(call.refuse(MISFIT, message));
    }
    let x = if time_major {
        call.permuted(x, vec![1, 0, 2])?
    } else {
        x
    };
    if let Some(steps) = steps
        && call.size(x, 1)? != steps
    {
        let message = format!(
            "its loop takes {steps} steps, and its input has {}",
            call.size(x, 1)?
        );
        return Err(call.refuse(MISFIT, message));
    }
    if let Some(length) = at_most
        && call.graph().shape(x).size(1).is_none_or(|steps| steps > length)
    {
        let message = format!(
            "lengths of {length} of its sequences, which may have more steps: their shape is {}",
            call.graph().shape(x)
        );
        let finding = call.refuse(MISFIT, message);
        return Err(Box::new(finding.with_help(
            "tell how many steps there are (--input NAME=SHAPE), and bind the lengths to no fewer",
        )));
    }
    let mut inputs = vec![x];
    if op.initial {
        for place in 1..call.inputs.len() {
            inputs.push(call.value(place)?);
        }
    }
    let backwards = matches!(op.direction, Direction::Reverse);
    let read = |call: &Call<'_, '_>, slot: usize| call.is_read(slot);
    let mut op = op;
    op.states = read(call, Slot::MEMORY);
    let made = call.push(op, &inputs)?;
    let Some(&in_order) = made.first() else {
        return Err(call.refuse(MISFIT, "a recurrent layer without outputs"));
    };
    let mut outputs = vec![in_order; Slot::COUNT];
    if read(call, Slot::TIME_MAJOR) || read(call, Slot::SEQUENCE) {
        let made_order = match backwards {
            true => call.apply(Reverse { axis: 1 }, &[in_order])?,
            false => in_order,
        };
        outputs[Slot::SEQUENCE] = made_order;
        if read(call, Slot::TIME_MAJOR) {
            outputs[Slot::TIME_MAJOR] = call.permuted(made_order, vec![1, 0, 2])?;
        }
    }
    if read(call, Slot::LAST) || read(call, Slot::LAST_STEP) {
        let axes = vec![SliceAxis::index(1, if backwards { 0 } else { -1 })];
        let last = call.apply(Slice { axes }, &[in_order])?;
        outputs[Slot::LAST] = last;
        if read(call, Slot::LAST_STEP) {
            return Err(call.refuse(MISFIT, "its last output is used as a sequence of one step"));
        }
    }
    if let (true, Some(&memory)) = (read(call, Slot::MEMORY), made.get(2)) {
        outputs[Slot::MEMORY] = memory;
    }
    let dtype = call.input(0)?.dtype();
    Ok(outputs
        .into_iter()
        .map(|value| Held::Value(value, dtype))
        .collect())
}
