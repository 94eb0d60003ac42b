//! Operations that pass on what they read.

use super::{Call, OPTION, Outputs, Row, any};
use crate::build::Held;
use caribou_ir::op::Op;
use caribou_ir::{DType, ValueId};

pub(super) const TABLE: &[Row] = &[
    any("Identity", &[], same),
    any("StopGradient", &[], same),
    any("PreventGradient", &[], same),
    any("CheckNumerics", &[], same),
    any("Snapshot", &[], same),
    any("EnsureShape", &[], same),
    any("PlaceholderWithDefault", &[], same),
    any("IdentityN", &[], all),
    any("Cast", &["SrcT", "DstT", "Truncate"], cast),
];

fn same(call: &mut Call<'_, '_>) -> Outputs {
    Ok(vec![call.input(0)?.clone()])
}

fn all(call: &mut Call<'_, '_>) -> Outputs {
    Ok(call.inputs.clone())
}

fn cast(call: &mut Call<'_, '_>) -> Outputs {
    let to = call.kind("DstT", DType::F32)?;
    match call.input(0)?.clone() {
        Held::Known(array) => Ok(vec![Held::Known(call.folded(array.cast(to))?)]),
        Held::Value(x, from) => {
            // Indices that are fed as fractions: Keras cuts them off, and the programs that feed others are none to convert.
            let indices =
                matches!(to, DType::I32 | DType::I64) && is_fed(call, x) && call.is_read_as_indices();
            let keeps = from == to || to.is_float() || holds(to, from) || indices;
            if !keeps {
                let message = format!("a conversion of {from} to {to} cuts its numbers off");
                return Err(call.refuse(OPTION, message));
            }
            Ok(vec![Held::Value(x, to)])
        }
    }
}

/// Whether a value has the numbers of an input, at most in another shape or order: a layer at each step folds steps into the
/// batch.
fn is_fed(call: &Call<'_, '_>, x: ValueId) -> bool {
    let mut value = x;
    while let Some(node) = call.graph().producer(value) {
        match (&node.op, &node.inputs[..]) {
            (Op::Reshape(_) | Op::Transpose(_), &[before]) => value = before,
            _ => return false,
        }
    }
    true
}

/// Whether every number of type `from` is one of the whole type `to`.
fn holds(to: DType, from: DType) -> bool {
    if from.is_float() || to == DType::Bool {
        return false;
    }
    let ((min, max), (from_min, from_max)) = (crate::fold::range(to), crate::fold::range(from));
    // Positions and sizes as TensorFlow counts them fit both of its types for them.
    let both = |dtype| matches!(dtype, DType::I32 | DType::I64);
    (min <= from_min && from_max <= max) || (both(to) && both(from))
}
