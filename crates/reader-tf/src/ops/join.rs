//! Values put one behind the other, along an axis or a new one.

use super::arithmetic::{Operand, beside};
use super::reshape::expanded;
use super::{Call, Found, Outputs, Row, any};
use crate::build::Held;
use crate::fold::Array;
use caribou_ir::op::{Concat, ElementwiseKind, Pad, PadMode};
use caribou_ir::{DType, ValueId};

pub(super) const TABLE: &[Row] = &[
    any("ConcatV2", &[], |call| concat(call, false)),
    any("Concat", &[], |call| concat(call, true)),
    any("Pack", &["axis"], pack),
];

fn concat(call: &mut Call<'_, '_>, axis_first: bool) -> Outputs {
    let place = if axis_first {
        0
    } else {
        call.inputs.len().saturating_sub(1)
    };
    let axis = call.integer(place)?;
    let mut items = call.inputs.clone();
    items.remove(place);
    joined(call, &items, axis)
}

/// Values, or arrays, one behind the other.
fn joined(call: &mut Call<'_, '_>, items: &[Held], axis: i64) -> Outputs {
    if let Some(arrays) = arrays(items) {
        let rank = arrays.first().map_or(0, Array::rank);
        let axis = call.axis(axis, rank)?;
        return Ok(vec![Held::Known(call.folded(Array::joined(&arrays, axis))?)]);
    }
    let rank = items.iter().find_map(|item| match item {
        Held::Value(value, _) => Some(call.rank(*value)),
        Held::Known(_) => None,
    });
    let axis = call.axis(axis, rank.unwrap_or(0))?;
    if axis == 0 {
        return Err(call.option("it puts examples one behind the other"));
    }
    let values: Option<Vec<ValueId>> = items
        .iter()
        .map(|item| match item {
            Held::Value(value, _) => Some(*value),
            Held::Known(_) => None,
        })
        .collect();
    let Some(values) = values else {
        let y = joined_with_arrays(call, items, axis)?;
        return call.gives(y);
    };
    let y = joined_values(call, &values, axis)?;
    call.gives(y)
}

/// Values one behind the other; nothing is added for a single one.
pub(super) fn joined_values(call: &mut Call<'_, '_>, values: &[ValueId], axis: usize) -> Found<ValueId> {
    match values {
        [only] => Ok(*only),
        _ => call.apply(Concat { axis }, values),
    }
}

/// Values and arrays that are the same for each example: zeros are put where the arrays are, and the arrays are added.
fn joined_with_arrays(call: &mut Call<'_, '_>, items: &[Held], axis: usize) -> Found<ValueId> {
    let mut values: Vec<(ValueId, [usize; 2])> = Vec::new();
    let (mut before, mut added) = (0, Vec::new());
    for item in items {
        match item {
            Held::Value(value, _) => {
                let shape = call.shape(*value);
                let sizes = shape.feature_sizes().ok_or_else(|| {
                    call.option(format!("{shape}, whose sizes are unknown, beside constants"))
                })?;
                let own: Vec<usize> = std::iter::once(1).chain(sizes).collect();
                added.push(Array::reals(DType::F32, &[], &[0.0]).and_then(|zero| zero.stretched(&own)));
                values.push((*value, [std::mem::take(&mut before), 0]));
            }
            Held::Known(array) => {
                let array = call.each_example(array)?;
                let size = array.shape().get(axis).copied().unwrap_or(0);
                match values.last_mut() {
                    Some((_, [_, behind])) => *behind += size,
                    None => before += size,
                }
                added.push(array.cast(DType::F32));
            }
        }
    }
    let mut padded = Vec::with_capacity(values.len());
    for (value, pad) in values {
        padded.push(match pad {
            [0, 0] => value,
            pad => {
                let mut pads = vec![[0, 0]; call.rank(value)];
                pads[axis] = pad;
                let mode = PadMode::Constant(0.0);
                call.apply(Pad { pads, mode }, &[value])?
            }
        });
    }
    let y = joined_values(call, &padded, axis)?;
    let added: Vec<Array> = added
        .into_iter()
        .map(|array| call.folded(array))
        .collect::<Result<_, _>>()?;
    let added = call.folded(Array::joined(&added, axis))?;
    if call.folded(added.as_reals())?.iter().all(|&number| number == 0.0) {
        return Ok(y);
    }
    let added = call.folded(added.tensor())?;
    beside(call, ElementwiseKind::Add, y, added, Operand::Second)
}

fn arrays(items: &[Held]) -> Option<Vec<Array>> {
    items
        .iter()
        .map(|item| match item {
            Held::Known(array) => Some(array.clone()),
            Held::Value(..) => None,
        })
        .collect()
}

fn pack(call: &mut Call<'_, '_>) -> Outputs {
    let axis = call.whole("axis", 0)?;
    let items = call.inputs.clone();
    if let Some(arrays) = arrays(&items) {
        let rank = arrays.first().map_or(0, Array::rank);
        let axis = call.axis(axis, rank + 1)?;
        let expanded: Vec<Array> = arrays
            .iter()
            .map(|array| {
                let mut shape = array.shape();
                shape.insert(axis.min(shape.len()), 1);
                call.folded(array.reshaped(&shape))
            })
            .collect::<Result<_, _>>()?;
        return Ok(vec![Held::Known(call.folded(Array::joined(&expanded, axis))?)]);
    }
    let mut axis_of_all = 0;
    let mut expanded_values = Vec::with_capacity(items.len());
    for item in &items {
        expanded_values.push(match item {
            &Held::Value(value, dtype) => {
                axis_of_all = call.axis(axis, call.rank(value) + 1)?;
                // Steps that are put one behind the other with time in front, which is moved behind the examples next.
                Held::Value(expanded(call, value, axis_of_all.max(1))?, dtype)
            }
            Held::Known(array) => {
                let array = call.each_example(array)?;
                let mut shape = array.shape();
                shape.insert(call.axis(axis, shape.len() + 1)?, 1);
                Held::Known(call.folded(array.reshaped(&shape))?)
            }
        });
    }
    if axis_of_all == 0 {
        if !call.moves_examples_back(0) || items.iter().any(|item| matches!(item, Held::Known(_))) {
            return Err(call.option("it puts a new axis before the examples"));
        }
        let steps = joined(call, &expanded_values, 1)?;
        let [Held::Value(steps, _)] = steps[..] else {
            return Ok(steps);
        };
        let permutation = [1, 0].into_iter().chain(2..call.rank(steps)).collect();
        let y = call.permuted(steps, permutation)?;
        return call.gives(y);
    }
    joined(call, &expanded_values, axis_of_all as i64)
}
