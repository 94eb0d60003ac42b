//! Operations that pass on what they read.

use super::{Call, OPTION, Outputs, Row, any};
use crate::build::Held;
use crate::fold::{Array, Elements, Whole};
use caribou_ir::DType;

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
        Held::Known(array) => {
            let cast = cast_array(&array, to);
            Ok(vec![Held::Known(call.folded(cast)?)])
        }
        Held::Value(x, from) => {
            // Indices that are fed as fractions: Keras cuts them off, and the programs that feed others are none to convert.
            let indices = matches!(to, DType::I32 | DType::I64)
                && call.graph().producer(x).is_none()
                && call.is_read_as_indices();
            let keeps = from == to || to.is_float() || holds(to, from) || indices;
            if !keeps {
                let message = format!("a conversion of {from} to {to} cuts its numbers off");
                return Err(call.refuse(OPTION, message));
            }
            Ok(vec![Held::Value(x, to)])
        }
    }
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

fn cast_array(array: &Array, to: DType) -> Result<Array, String> {
    let shape = array.shape();
    match (array.elements()?, to) {
        (Elements::Whole(values), DType::Bool) => {
            let values = values
                .iter()
                .map(|v| v.map(|v| Some(i64::from(v != 0))))
                .collect();
            Array::wholes(to, shape, values)
        }
        (Elements::Whole(_), to) if to.is_float() => Array::reals(to, &shape, &array.as_reals()?),
        (Elements::Whole(values), to) => Array::wholes(to, shape, values),
        (Elements::Real(values), to) if to.is_float() => match array {
            Array::Stored { tensor, .. } if to == DType::F32 && array.dtype() == to => {
                Ok(Array::stored(tensor.clone()))
            }
            _ => Array::reals(to, &shape, &values),
        },
        (Elements::Real(values), to) => {
            let whole = |value: &f64| {
                let cut = value.trunc();
                match to {
                    DType::Bool => Ok(Whole::known(i64::from(*value != 0.0))),
                    _ if cut.abs() < 9e15 => Ok(Whole::known(cut as i64)),
                    _ => Err(format!("{value} is no whole number of 64 bits")),
                }
            };
            let values: Result<Vec<Whole>, String> = values.iter().map(whole).collect();
            Array::wholes(to, shape, values?)
        }
    }
}
