//! Parts of values.

use super::{Call, Found, MISFIT, Outputs, Row, any};
use crate::build::Held;
use crate::fold::Array;
use caribou_ir::op::{Embedding, Gather, Reshape, Reverse, Size, Slice, SliceAxis, Split};
use caribou_ir::{DType, Dim, ValueId};

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
    any("Gather", &["validate_indices", "batch_dims"], |call| {
        gather(call, false)
    }),
    any("ResourceGather", &["validate_indices", "batch_dims"], |call| {
        gather(call, false)
    }),
    any("GatherV2", &["batch_dims"], |call| gather(call, true)),
    any("ReverseV2", &[], reverse),
    any("ReverseSequence", &["seq_dim", "batch_dim"], reverse_sequence),
    any("Split", &["num_split"], split),
    any("SplitV", &["num_split"], split_v),
    any("Unpack", &["num", "axis"], unpack),
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
fn cut(call: &mut Call<'_, '_>, x: ValueId, mut axes: Vec<SliceAxis>) -> Found<ValueId> {
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

fn reverse(call: &mut Call<'_, '_>) -> Outputs {
    match call.input(0)?.clone() {
        Held::Known(mut array) => {
            for axis in call.integers(1)? {
                let axis = call.axis(axis, array.rank())?;
                array = call.folded(array.reversed(axis))?;
            }
            Ok(vec![Held::Known(array)])
        }
        Held::Value(mut y, _) => {
            for axis in call.integers(1)? {
                let axis = call.axis(axis, call.rank(y))?;
                if axis == 0 {
                    return Err(call.option("it reverses the examples of a batch"));
                }
                y = call.apply(Reverse { axis }, &[y])?;
            }
            call.gives(y)
        }
    }
}

/// Sequences whose lengths are all that of the axis.
fn reverse_sequence(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.value(0)?;
    let (axis, batch) = (call.whole("seq_dim", 0)?, call.whole("batch_dim", 0)?);
    let axis = call.axis(axis, call.rank(x))?;
    let lengths = call.integers(1)?;
    let size = call.size(x, axis)?;
    if axis == 0 || batch != 0 || lengths.iter().any(|&length| length != size as i64) {
        let message = format!("it reverses the first {lengths:?} of {size} elements of axis {axis}");
        return Err(call.option(message));
    }
    let y = call.apply(Reverse { axis }, &[x])?;
    call.gives(y)
}

/// A number of equal pieces.
fn split(call: &mut Call<'_, '_>) -> Outputs {
    let axis = call.integer(0)?;
    let count = call.whole("num_split", 0)?;
    pieces(call, 1, axis, |size| {
        let n = usize::try_from(count)
            .ok()
            .filter(|&n| n > 0 && n <= 1024 && size % n == 0)?;
        Some(vec![size / n; n])
    })
}

/// Pieces of these sizes, of which one may be -1.
fn split_v(call: &mut Call<'_, '_>) -> Outputs {
    let axis = call.integer(2)?;
    let given = call.integers(1)?;
    pieces(call, 0, axis, |size| {
        let sum: i64 = given.iter().filter(|&&size| size >= 0).sum();
        let sizes: Option<Vec<usize>> = given
            .iter()
            .map(|&part| usize::try_from(if part == -1 { size as i64 - sum } else { part }).ok())
            .collect();
        sizes.filter(|sizes| sizes.iter().sum::<usize>() == size)
    })
}

fn pieces(
    call: &mut Call<'_, '_>,
    place: usize,
    axis: i64,
    sizes: impl Fn(usize) -> Option<Vec<usize>>,
) -> Outputs {
    let wrong =
        |call: &Call<'_, '_>, size: usize| call.refuse(MISFIT, format!("{size} elements can't be split so"));
    match call.input(place)?.clone() {
        Held::Known(array) => {
            let axis = call.axis(axis, array.rank())?;
            let size = array.shape()[axis];
            let sizes = sizes(size).ok_or_else(|| wrong(call, size))?;
            let mut start = 0;
            sizes
                .iter()
                .map(|&count| {
                    start += count;
                    call.folded(array.cut(axis, start - count, count, 1))
                        .map(Held::Known)
                })
                .collect()
        }
        Held::Value(x, _) => {
            let axis = call.axis(axis, call.rank(x))?;
            if axis == 0 {
                return Err(call.option("it splits a batch"));
            }
            let size = call.size(x, axis)?;
            let sizes = sizes(size).ok_or_else(|| wrong(call, size))?;
            if sizes.len() == 1 {
                return call.gives(x);
            }
            let values = call.push(Split { axis, sizes }, &[x])?;
            call.gives_all(values)
        }
    }
}

/// Every element of one axis by itself; the axis vanishes.
fn unpack(call: &mut Call<'_, '_>) -> Outputs {
    let axis = call.whole("axis", 0)?;
    match call.input(0)?.clone() {
        Held::Known(array) => {
            let axis = call.axis(axis, array.rank())?;
            let mut shape = array.shape();
            let size = shape.remove(axis);
            (0..size.min(1024))
                .map(|i| {
                    let element = call.folded(array.cut(axis, i, 1, 1))?;
                    call.folded(element.reshaped(&shape)).map(Held::Known)
                })
                .collect()
        }
        Held::Value(x, _) => {
            let axis = call.axis(axis, call.rank(x))?;
            if axis == 0 && call.batch_first(x) {
                return Err(call.option("it takes a batch apart"));
            }
            let size = call.size(x, axis)?;
            if size > 1024 {
                return Err(call.option(format!("{size} outputs are too many")));
            }
            let values = (0..size)
                .map(|i| cut(call, x, vec![SliceAxis::index(axis, i as i64)]))
                .collect::<Result<_, _>>()?;
            call.gives_all(values)
        }
    }
}
