//! Parts of values along their axes.

use super::{Call, Found, MISFIT, Outputs, Row, any};
use crate::build::Held;
use crate::fold::Array;
use caribou_ir::op::{Reshape, Slice, SliceAxis};
use caribou_ir::{Dim, ValueId};

pub(super) const TABLE: &[Row] = &[
    any(
        "StridedSlice",
        &[
            "begin_mask",
            "end_mask",
            "ellipsis_mask",
            "new_axis_mask",
            "shrink_axis_mask",
        ],
        strided_slice,
    ),
    any("Slice", &[], slice),
];

/// What is taken of each axis, and what axes the result has.
struct Part {
    cuts: Vec<SliceAxis>,
    /// The axes of the result: whether each is a new one. Those that vanish are none of them.
    made: Vec<bool>,
}

/// The masks of a strided slice, a bit an entry.
struct Masks {
    begin: i64,
    end: i64,
    ellipsis: i64,
    new_axis: i64,
    shrink: i64,
}

fn part(call: &Call<'_, '_>, rank: usize) -> Found<Part> {
    let masks = Masks {
        begin: call.whole("begin_mask", 0)?,
        end: call.whole("end_mask", 0)?,
        ellipsis: call.whole("ellipsis_mask", 0)?,
        new_axis: call.whole("new_axis_mask", 0)?,
        shrink: call.whole("shrink_axis_mask", 0)?,
    };
    let (begin, end) = (call.wholes(1)?, call.wholes(2)?);
    let strides = call.integers(3)?;
    let entries = begin.len();
    if end.len() != entries || strides.len() != entries || entries > 32 {
        return Err(call.refuse(MISFIT, "begin, end and strides are not of one length"));
    }
    let set = |mask: i64, entry: usize| mask >> entry & 1 == 1;
    // A bit of the ellipsis goes before one of a new axis, and that before one of a vanishing axis.
    let is_new = |entry: usize| set(masks.new_axis, entry) && !set(masks.ellipsis, entry);
    let named = (0..entries)
        .filter(|&entry| !set(masks.ellipsis, entry) && !is_new(entry))
        .count();
    let rest = rank
        .checked_sub(named)
        .ok_or_else(|| call.refuse(MISFIT, format!("it names {named} of {rank} axes")))?;
    let mut part = Part {
        cuts: Vec::new(),
        made: Vec::new(),
    };
    let mut axis = 0;
    for entry in 0..entries {
        if set(masks.ellipsis, entry) {
            part.made.extend(std::iter::repeat_n(false, rest));
            axis += rest;
        } else if is_new(entry) {
            part.made.push(true);
        } else if set(masks.shrink, entry) {
            let index = begin[entry]
                .number()
                .ok_or_else(|| call.option("the place that it takes depends on a size that is unknown"))?;
            part.cuts.push(SliceAxis::index(axis, index));
            axis += 1;
        } else {
            part.made.push(false);
            let step = strides[entry];
            let end_of =
                |mask: i64, list: &[crate::fold::Whole]| match (set(mask, entry), list[entry].number()) {
                    (true, _) => Ok(None),
                    (false, Some(number)) => Ok(Some(number)),
                    (false, None) => {
                        Err(call.option("the part that it takes depends on a size that is unknown"))
                    }
                };
            if step == 0 {
                return Err(call.refuse(MISFIT, "a step of zero"));
            }
            let start = end_of(masks.begin, &begin)?;
            // To the end of an axis whose size is not known is to the end.
            let stop = match end_of(masks.end, &end) {
                Err(_) if step > 0 && is_size_of(call, &end[entry], axis) => None,
                other => other?,
            };
            if start.is_some_and(|start| start != 0) || stop.is_some() || step != 1 {
                part.cuts.push(SliceAxis {
                    axis,
                    start: start.unwrap_or(if step > 0 { 0 } else { -1 }),
                    end: stop,
                    step,
                    squeeze: false,
                });
            }
            axis += 1;
        }
    }
    part.made.extend(std::iter::repeat_n(false, rank - axis));
    Ok(part)
}

/// Whether a strided slice leaves the first of `rank` axes as it is.
pub(super) fn leaves_first_axis(call: &Call<'_, '_>, rank: usize) -> Found<bool> {
    let part = part(call, rank)?;
    Ok(part.made.first() == Some(&false) && part.cuts.iter().all(|cut| cut.axis != 0))
}

/// Whether a number is the size of an axis of input 0.
fn is_size_of(call: &Call<'_, '_>, number: &crate::fold::Whole, axis: usize) -> bool {
    match call.inputs.first() {
        Some(Held::Value(value, _)) => call
            .graph()
            .shape(*value)
            .dims()
            .get(axis)
            .is_some_and(|&dim| number.is(dim)),
        Some(Held::Known(_)) => axis == 0 && call.repeated[0] && number.is(Dim::BATCH),
        None => false,
    }
}

fn strided_slice(call: &mut Call<'_, '_>) -> Outputs {
    match call.input(0)?.clone() {
        Held::Known(array) => {
            let part = part(call, array.rank())?;
            Ok(vec![Held::Known(known_part(call, &array, &part)?)])
        }
        Held::Value(x, _) => {
            let part = part(call, call.rank(x))?;
            let y = value_part(call, x, part)?;
            call.gives(y)
        }
    }
}

/// The part of an array.
fn known_part(call: &Call<'_, '_>, array: &Array, part: &Part) -> Found<Array> {
    let mut y = array.clone();
    for cut in &part.cuts {
        let size = y.shape()[cut.axis];
        if cut.squeeze && !(-(size as i64)..size as i64).contains(&cut.start) {
            return Err(call.refuse(MISFIT, format!("place {} of {size}", cut.start)));
        }
        let (start, count) = cut.resolve(size);
        y = call.folded(y.cut(cut.axis, start, count, cut.step as isize))?;
    }
    let shape = y.shape();
    let mut old =
        (0..shape.len()).filter(|axis| !part.cuts.iter().any(|cut| cut.squeeze && cut.axis == *axis));
    let shape: Vec<usize> = part
        .made
        .iter()
        .map(|&new| {
            if new {
                1
            } else {
                old.next().map_or(1, |axis| shape[axis])
            }
        })
        .collect();
    call.folded(y.reshaped(&shape))
}

/// The part of a value.
fn value_part(call: &mut Call<'_, '_>, x: ValueId, part: Part) -> Found<ValueId> {
    let shape = call.shape(x);
    let whole = |cut: &SliceAxis| {
        !cut.squeeze
            && cut.step == 1
            && shape
                .size(cut.axis)
                .is_some_and(|size| cut.resolve(size) == (0, size))
    };
    let cuts: Vec<SliceAxis> = part.cuts.iter().filter(|cut| !whole(cut)).copied().collect();
    if cuts.iter().any(|cut| cut.axis == 0) && call.batch_first(x) {
        return Err(call.option("it takes some examples of a batch and leaves others out"));
    }
    let mut y = cut(call, x, cuts)?;
    if part.made.contains(&true) {
        if part.made[0] {
            return Err(call.option("it puts a new axis before the examples"));
        }
        y = call.apply(Reshape::with_new_axes(&part.made), &[y])?;
    }
    Ok(y)
}

/// What is left of a value after these cuts. Where its examples stand behind other axes, these are cut in front of that, and
/// the examples must come first in what is left.
pub(super) fn cut(call: &mut Call<'_, '_>, x: ValueId, mut axes: Vec<SliceAxis>) -> Found<ValueId> {
    let behind = call.examples_behind(x);
    if axes.is_empty() && behind.is_none() {
        return Ok(x);
    }
    let Some((before, order)) = behind else {
        return call.apply(Slice { axes }, &[x]);
    };
    let gone: Vec<usize> = axes
        .iter()
        .filter(|cut| cut.squeeze)
        .map(|cut| order[cut.axis])
        .collect();
    let left: Vec<usize> = order
        .iter()
        .copied()
        .filter(|axis| !gone.contains(axis))
        .collect();
    if left.first() != Some(&0) {
        return Err(call.option("it leaves the examples of a batch behind other axes"));
    }
    axes.iter_mut().for_each(|cut| cut.axis = order[cut.axis]);
    axes.sort_by_key(|cut| cut.axis);
    let y = call.apply(Slice { axes }, &[before])?;
    let place = |axis: usize| axis - gone.iter().filter(|&&other| other < axis).count();
    call.permuted(y, left.into_iter().map(place).collect())
}

/// `size` elements from `begin` on each axis; -1 for all that are left.
fn slice(call: &mut Call<'_, '_>) -> Outputs {
    let (begin, size) = (call.integers(1)?, call.wholes(2)?);
    let input = call.input(0)?.clone();
    let shape: Vec<Dim> = match &input {
        Held::Value(x, _) => call.shape(*x).dims().to_vec(),
        Held::Known(array) => array.shape().into_iter().map(Dim::Fixed).collect(),
    };
    if begin.len() != shape.len() || size.len() != shape.len() {
        return Err(call.refuse(
            MISFIT,
            format!("begin and size must have {} numbers", shape.len()),
        ));
    }
    let mut cuts = Vec::new();
    for (axis, &start) in begin.iter().enumerate() {
        let count = size[axis].number();
        let all = count == Some(-1) || size[axis].is(shape[axis]);
        if start == 0 && all {
            continue;
        }
        let count = match (all, count) {
            (true, _) => None,
            (false, Some(count)) if count >= 0 => Some(count),
            _ => return Err(call.option("the part that it takes depends on a size that is unknown")),
        };
        // A fixed number of examples is that of the file.
        if axis == 0 && start == 0 && count == call.builder.batch.map(|n| n as i64) && count.is_some() {
            continue;
        }
        if start < 0 {
            return Err(call.refuse(MISFIT, format!("a start at {start}")));
        }
        cuts.push(SliceAxis::range(axis, start, count.map(|count| start + count)));
    }
    let part = Part {
        cuts,
        made: vec![false; shape.len()],
    };
    match input {
        Held::Known(array) => Ok(vec![Held::Known(known_part(call, &array, &part)?)]),
        Held::Value(x, _) => {
            let y = value_part(call, x, part)?;
            call.gives(y)
        }
    }
}
