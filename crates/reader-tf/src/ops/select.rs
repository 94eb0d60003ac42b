//! Elements at listed places of an axis, rows of a table.

use super::slice::cut;
use super::{Call, Found, MISFIT, Outputs, Row, any};
use crate::build::Held;
use crate::fold::Array;
use caribou_ir::op::{Embedding, Gather, Reshape, Size, SliceAxis};
use caribou_ir::{DType, ValueId};

pub(super) const TABLE: &[Row] = &[
    any("Gather", &["validate_indices", "batch_dims"], |call| {
        gather(call, false)
    }),
    any("ResourceGather", &["validate_indices", "batch_dims"], |call| {
        gather(call, false)
    }),
    any("GatherV2", &["batch_dims"], |call| gather(call, true)),
];

/// Rows of a table, or elements at known places of one axis.
fn gather(call: &mut Call<'_, '_>, with_axis: bool) -> Outputs {
    if call.whole("batch_dims", 0)? != 0 {
        return Err(call.option("places that differ from example to example"));
    }
    let axis = if with_axis { call.integer(2)? } else { 0 };
    match (call.input(0)?.clone(), call.input(1)?.clone()) {
        (Held::Known(table), Held::Value(indices, _)) => embedding(call, &table, indices, axis),
        (Held::Known(array), Held::Known(_)) => {
            let axis = call.axis(axis, array.rank())?;
            let (places, shape) = places(call, array.shape()[axis])?;
            let gathered = call.folded(array.gathered(axis, &places))?;
            let mut full = array.shape();
            full.splice(axis..=axis, shape);
            Ok(vec![Held::Known(call.folded(gathered.reshaped(&full))?)])
        }
        (Held::Value(x, _), Held::Known(_)) => {
            let axis = call.axis(axis, call.rank(x))?;
            let behind = call.batch_behind(x);
            if axis == 0 && !behind {
                return Err(call.option("it takes some examples of a batch and leaves others out"));
            }
            let size = call.size(x, axis)?;
            let (indices, shape) = places(call, size)?;
            let y = match shape[..] {
                [] => cut(call, x, vec![SliceAxis::index(axis, indices[0] as i64)])?,
                [_] if behind => {
                    return Err(call.option("it leaves the examples of a batch behind other axes"));
                }
                [_] => call.apply(Gather { axis, indices }, &[x])?,
                _ => return Err(call.option("places on several axes")),
            };
            call.gives(y)
        }
        _ => Err(call.option("it looks values of the model up at places that depend on its inputs")),
    }
}

/// The places that input 1 lists, counted from the start, and the shape of the list.
fn places(call: &Call<'_, '_>, size: usize) -> Found<(Vec<usize>, Vec<usize>)> {
    let shape = call.known(1)?.shape();
    let places = call
        .integers(1)?
        .into_iter()
        .map(|place| {
            usize::try_from(place)
                .ok()
                .filter(|&place| place < size)
                .ok_or_else(|| call.refuse(MISFIT, format!("place {place} of {size}")))
        })
        .collect::<Result<_, _>>()?;
    Ok((places, shape))
}

fn embedding(call: &mut Call<'_, '_>, table: &Array, indices: ValueId, axis: i64) -> Outputs {
    let rank = table.rank();
    if call.axis(axis, rank)? != 0 || rank != 2 || !table.dtype().is_float() {
        return Err(call.option(format!(
            "it looks up parts of a constant of shape {:?}",
            table.shape()
        )));
    }
    if !call.is_input(indices) {
        return Err(call.option("its indices are computed by other operations, not read from an input"));
    }
    let table = call.folded(table.tensor())?;
    let origin = call.origin.clone();
    let column = call.builder.column(indices, &origin);
    let mut y = call.apply(Embedding { table }, &[column.unwrap_or(indices)])?;
    if column.is_some() {
        let target = vec![Size::Keep(0), Size::Keep(2)];
        y = call.apply(Reshape { target }, &[y])?;
    }
    Ok(vec![Held::Value(y, DType::F32)])
}
