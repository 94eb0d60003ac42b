//! Parts of values, as Python's brackets give them.

use super::super::{Call, OPTION, Outputs};
use super::arguments::{Arguments, Number};
use super::arithmetic::constant;
use super::{Function, function};
use crate::config::Operand;
use caribou_ir::op::{Gather, Reshape, Reverse, Slice, SliceAxis, Split};
use caribou_ir::{Finding, Tensor, ValueId};
use serde_json::Value;

pub(super) const TABLE: &[Function] = &[
    function(&["__operators__.getitem"], &["tensor", "slice_spec"], get_item),
    function(&["slice"], &["input_", "begin", "size"], slice),
    function(&["gather"], &["params", "indices", "axis", "batch_dims"], gather),
    function(&["reverse"], &["tensor", "axis"], reverse),
    function(&["split"], &["value", "num_or_size_splits", "axis", "num"], split),
    function(&["unstack"], &["value", "num", "axis"], unstack),
];

/// One entry between the brackets.
enum Entry {
    Index(i64),
    Range {
        start: Option<i64>,
        stop: Option<i64>,
        step: i64,
    },
    NewAxis,
    Rest,
}

fn entry(call: &Call<'_>, value: &Value) -> Result<Entry, Box<Finding>> {
    let unknown = || call.refuse(OPTION, format!("a part that is chosen by {value}"));
    if value.is_null() {
        return Ok(Entry::NewAxis);
    }
    if let Some(index) = value.as_i64() {
        return Ok(Entry::Index(index));
    }
    let mut object = value.as_object().ok_or_else(unknown)?;
    match object.get("class_name").and_then(Value::as_str) {
        Some("__ellipsis__") => return Ok(Entry::Rest),
        // Keras 3 writes the class of a slice.
        Some("__slice__") => {
            let config = object.get("config").and_then(Value::as_object);
            object = config.ok_or_else(unknown)?;
        }
        Some(_) => return Err(unknown()),
        None => {}
    }
    let end = |key: &str| match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_i64().map(Some).ok_or_else(unknown),
    };
    Ok(Entry::Range {
        start: end("start")?,
        stop: end("stop")?,
        step: end("step")?.unwrap_or(1),
    })
}

fn get_item(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let entries: Vec<Entry> = match arguments.get("slice_spec") {
        None => vec![Entry::NewAxis],
        Some(Operand::Plain(Value::Array(items))) => items
            .iter()
            .map(|item| entry(call, item))
            .collect::<Result<_, _>>()?,
        Some(Operand::Plain(only)) => vec![entry(call, only)?],
        Some(_) => return Err(call.refuse(OPTION, "the part that it takes depends on values of the model")),
    };
    match arguments.number(call, "tensor")? {
        Number::Value(x) => Ok(vec![part(call, x, &entries)?]),
        Number::Known(tensor) => Ok(vec![known_part(call, &tensor, &entries)?]),
    }
}

/// Elements of a list of sizes.
fn known_part(call: &mut Call<'_>, tensor: &Tensor, entries: &[Entry]) -> Result<ValueId, Box<Finding>> {
    let values = tensor
        .to_vec()
        .map_err(|error| call.refuse(OPTION, error.to_string()))?;
    let (cut, scalar) = match (entries, tensor.rank()) {
        ([Entry::Index(index)], 1) => (SliceAxis::index(0, *index), true),
        ([Entry::Range { start, stop, step: 1 }], 1) => {
            (SliceAxis::range(0, start.unwrap_or(0), *stop), false)
        }
        _ => return Err(call.refuse(OPTION, "a part of a constant")),
    };
    let (start, count) = cut.resolve(values.len());
    let part = values
        .get(start..start + count)
        .ok_or_else(|| call.refuse(OPTION, "a size that is not there"))?;
    let part = part.to_vec();
    let shape = if scalar { vec![] } else { vec![count] };
    constant(call, &shape, &part)
}

fn part(call: &mut Call<'_>, x: ValueId, entries: &[Entry]) -> Result<ValueId, Box<Finding>> {
    let rank = call.rank(x);
    let named = entries
        .iter()
        .filter(|entry| matches!(entry, Entry::Index(_) | Entry::Range { .. }))
        .count();
    let rest = rank
        .checked_sub(named)
        .ok_or_else(|| call.refuse(OPTION, format!("it names {named} of {rank} axes")))?;
    let mut cuts: Vec<SliceAxis> = Vec::new();
    // The axes of the result: whether each is one of the value or new.
    let mut made = Vec::new();
    let mut axis = 0;
    let mut ellipsis = false;
    for entry in entries {
        match *entry {
            Entry::NewAxis => made.push(true),
            Entry::Rest if ellipsis => return Err(call.refuse(OPTION, "two ellipses")),
            Entry::Rest => {
                ellipsis = true;
                made.extend(std::iter::repeat_n(false, rest));
                axis += rest;
            }
            Entry::Index(index) => {
                cuts.push(SliceAxis::index(axis, index));
                axis += 1;
            }
            Entry::Range { start, stop, step } => {
                made.push(false);
                if (start.is_some_and(|start| start != 0) || stop.is_some() || step != 1)
                    && !whole(call, x, axis, start, stop, step)
                {
                    cuts.push(range(call, axis, start, stop, step)?);
                }
                axis += 1;
            }
        }
    }
    made.extend(std::iter::repeat_n(false, rank - axis));
    if cuts.iter().any(|cut| cut.axis == 0) {
        return Err(call.refuse(OPTION, "it takes some examples of a batch and leaves others out"));
    }
    let mut y = x;
    if !cuts.is_empty() {
        y = call.apply(Slice { axes: cuts }, &[y])?;
    }
    if made.contains(&true) {
        if made[0] {
            return Err(call.refuse(OPTION, "it puts a new axis before the batch"));
        }
        y = call.apply(Reshape::with_new_axes(&made), &[y])?;
    }
    if y == x {
        y = call.apply(caribou_ir::op::Identity, &[x])?;
    }
    Ok(y)
}

/// Whether the range is all of an axis of known size.
fn whole(call: &Call<'_>, x: ValueId, axis: usize, start: Option<i64>, stop: Option<i64>, step: i64) -> bool {
    let size = call.graph.shape(x).size(axis);
    step == 1
        && size
            .is_some_and(|size| SliceAxis::range(axis, start.unwrap_or(0), stop).resolve(size) == (0, size))
}

fn range(
    call: &Call<'_>,
    axis: usize,
    start: Option<i64>,
    stop: Option<i64>,
    step: i64,
) -> Result<SliceAxis, Box<Finding>> {
    if step == 0 {
        return Err(call.refuse(OPTION, "a range of step zero"));
    }
    Ok(SliceAxis {
        axis,
        start: start.unwrap_or(if step > 0 { 0 } else { -1 }),
        end: stop,
        step,
        squeeze: false,
    })
}

/// `size` elements from `begin` on each axis; -1 for all that are left.
fn slice(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "input_")?;
    let begin = arguments.integers(call, "begin")?;
    let size = arguments.sizes(call, "size")?;
    let rank = call.rank(x);
    if begin.len() != rank || size.len() != rank {
        return Err(call.refuse(OPTION, format!("begin and size must have {rank} numbers")));
    }
    let mut cuts = Vec::new();
    for (axis, (&start, &count)) in begin.iter().zip(&size).enumerate() {
        let all = count.is_none_or(|count| count < 0);
        if start == 0 && (all || call.graph.shape(x).size(axis).map(|size| size as i64) == count) {
            continue;
        }
        if axis == 0 || start < 0 {
            return Err(call.refuse(OPTION, "it takes some examples of a batch and leaves others out"));
        }
        cuts.push(SliceAxis::range(
            axis,
            start,
            count.filter(|_| !all).map(|count| start + count),
        ));
    }
    Ok(vec![call.apply(Slice { axes: cuts }, &[x])?])
}

/// Elements at known places of one axis.
fn gather(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "params")?;
    if arguments.integer_or(call, "batch_dims", 0)? != 0 {
        return Err(call.refuse(OPTION, "places that differ from example to example"));
    }
    let axis = call.axis(arguments.integer_or(call, "axis", 0)?, call.rank(x))?;
    let places = arguments.known(call, "indices")?;
    if axis == 0 || places.rank() > 1 {
        return Err(call.refuse(OPTION, "it gathers examples of a batch, or along several axes"));
    }
    let indices = arguments.integers(call, "indices")?;
    if places.rank() == 0 {
        let cut = SliceAxis::index(axis, indices[0]);
        return Ok(vec![call.apply(Slice { axes: vec![cut] }, &[x])?]);
    }
    let indices = indices
        .into_iter()
        .map(|index| usize::try_from(index).map_err(|_| call.refuse(OPTION, format!("place {index}"))))
        .collect::<Result<_, _>>()?;
    Ok(vec![call.apply(Gather { axis, indices }, &[x])?])
}

fn reverse(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let mut y = arguments.value(call, "tensor")?;
    for axis in arguments.integers(call, "axis")? {
        let axis = call.axis(axis, call.rank(y))?;
        if axis == 0 {
            return Err(call.refuse(OPTION, "it reverses the examples of a batch"));
        }
        y = call.apply(Reverse { axis }, &[y])?;
    }
    Ok(vec![y])
}

/// Pieces of one axis: a number of equal ones, or these sizes, of which one may be -1.
fn split(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "value")?;
    let axis = call.axis(arguments.integer_or(call, "axis", 0)?, call.rank(x))?;
    if axis == 0 {
        return Err(call.refuse(OPTION, "it splits a batch"));
    }
    let size = call.size(x, axis)?;
    let wrong = || call.refuse(OPTION, format!("{size} elements can't be split so"));
    let listed = arguments.known(call, "num_or_size_splits")?.rank() > 0;
    let given = arguments.integers(call, "num_or_size_splits")?;
    let sizes: Vec<usize> = if listed {
        let sum: i64 = given.iter().filter(|&&size| size >= 0).sum();
        given
            .iter()
            .map(|&part| {
                usize::try_from(if part == -1 { size as i64 - sum } else { part }).map_err(|_| wrong())
            })
            .collect::<Result<_, _>>()?
    } else {
        let n = usize::try_from(given[0])
            .ok()
            .filter(|&n| n > 0 && size.is_multiple_of(n));
        let n = n.ok_or_else(wrong)?;
        vec![size / n; n]
    };
    push(call, Split { axis, sizes }, x)
}

fn push(call: &mut Call<'_>, op: Split, x: ValueId) -> Outputs {
    call.graph
        .push(op, &[x], &call.origin)
        .map_err(|error| call.refuse(super::super::MISFIT, error.to_string()))
}

/// Every element of one axis by itself; the axis vanishes.
fn unstack(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "value")?;
    let axis = call.axis(arguments.integer_or(call, "axis", 0)?, call.rank(x))?;
    if axis == 0 {
        return Err(call.refuse(OPTION, "it takes a batch apart"));
    }
    let size = call.size(x, axis)?;
    if size > 1024 {
        return Err(call.refuse(OPTION, format!("{size} outputs are too many")));
    }
    (0..size)
        .map(|i| {
            let cut = SliceAxis::index(axis, i as i64);
            call.apply(Slice { axes: vec![cut] }, &[x])
        })
        .collect()
}
