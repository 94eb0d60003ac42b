//! Shapes, and values under other ones.

use super::{Call, Found, MISFIT, Outputs, Row, any};
use crate::build::Held;
use crate::fold::{Array, Whole};
use caribou_ir::op::{Reshape, Size};
use caribou_ir::{DType, Dim, ValueId};

pub(super) const TABLE: &[Row] = &[
    any("Shape", &["out_type"], shape),
    any("ShapeN", &["out_type"], shape),
    any("Size", &["out_type"], size),
    any("Rank", &[], rank),
    any("Reshape", &[], reshape),
    any("ExpandDims", &[], expand_dims),
    any("Squeeze", &["squeeze_dims", "axis"], squeeze),
];

fn sizes(call: &Call<'_, '_>, place: usize) -> Vec<Whole> {
    match &call.inputs[place] {
        Held::Value(value, _) => call
            .graph()
            .shape(*value)
            .dims()
            .iter()
            .map(|&dim| Whole::of(dim))
            .collect(),
        Held::Known(array) => {
            let mut sizes: Vec<Whole> = array
                .shape()
                .iter()
                .map(|&size| Whole::known(size as i64))
                .collect();
            if let (true, Some(first)) = (call.repeated[place], sizes.first_mut()) {
                *first = Whole::of(Dim::BATCH);
            }
            sizes
        }
    }
}

fn shape(call: &mut Call<'_, '_>) -> Outputs {
    let dtype = call.kind("out_type", DType::I32)?;
    (0..call.inputs.len())
        .map(|place| {
            let sizes = sizes(call, place);
            call.folded(Array::wholes(dtype, vec![sizes.len()], sizes))
                .map(Held::Known)
        })
        .collect()
}

fn size(call: &mut Call<'_, '_>) -> Outputs {
    let dtype = call.kind("out_type", DType::I32)?;
    call.input(0)?;
    let sizes = sizes(call, 0);
    let count = sizes
        .iter()
        .fold(Whole::known(1), |product, size| product.times(size));
    Ok(vec![Held::Known(call.folded(Array::wholes(
        dtype,
        vec![],
        vec![count],
    ))?)])
}

fn rank(call: &mut Call<'_, '_>) -> Outputs {
    call.input(0)?;
    let rank = sizes(call, 0).len() as i64;
    Ok(vec![Held::Known(call.folded(Array::wholes(
        DType::I32,
        vec![],
        vec![Whole::known(rank)],
    ))?)])
}

fn reshape(call: &mut Call<'_, '_>) -> Outputs {
    let sizes = call.wholes(1)?;
    match call.input(0)?.clone() {
        Held::Known(array) => {
            let mut shape = call.folded(known_sizes(&sizes))?;
            if let Some(place) = shape.iter().position(|&size| size < 0) {
                let others: i64 = shape.iter().filter(|&&size| size >= 0).product();
                if others == 0 || array.len() as i64 % others != 0 {
                    return Err(call.refuse(MISFIT, format!("a constant can't be reshaped to {shape:?}")));
                }
                shape[place] = array.len() as i64 / others;
            }
            let shape: Vec<usize> = shape.into_iter().map(|size| size.max(0) as usize).collect();
            Ok(vec![Held::Known(call.folded(array.reshaped(&shape))?)])
        }
        Held::Value(x, _) => {
            let y = reshaped(call, x, &sizes)?;
            call.gives(y)
        }
    }
}

fn known_sizes(sizes: &[Whole]) -> Result<Vec<i64>, String> {
    sizes
        .iter()
        .map(|size| {
            size.number()
                .ok_or_else(|| "a constant takes a shape that is unknown".to_owned())
        })
        .collect()
}

/// The value under another shape; -1 for what is left.
fn reshaped(call: &mut Call<'_, '_>, x: ValueId, sizes: &[Whole]) -> Found<ValueId> {
    let from = call.shape(x);
    if let Some(target) = of_each_example(call, x, sizes) {
        return finished(call, x, target);
    }
    let several = |call: &Call<'_, '_>| call.option("several sizes of its shape are unknown");
    let mut target = Vec::with_capacity(sizes.len());
    for (axis, size) in sizes.iter().enumerate() {
        let same = |dim: &Dim| size.is(*dim);
        target.push(match size.number() {
            Some(-1) => Size::Rest,
            Some(size) => {
                Size::Fixed(usize::try_from(size).map_err(|_| call.option(format!("a size of {size}")))?)
            }
            None if from.dims().get(axis).is_some_and(same) => Size::Keep(axis),
            None => from.dims().iter().position(same).map_or(Size::Rest, Size::Keep),
        });
    }
    if target.iter().filter(|size| matches!(size, Size::Rest)).count() > 1 {
        return Err(several(call));
    }
    // What is left may be the batch itself: then it stays where it is.
    if let (Some(Size::Rest), Some(&Dim::BATCH), Some(features)) =
        (target.first(), from.dims().first(), from.features())
    {
        let fixed: Option<Vec<usize>> = target[1..]
            .iter()
            .map(|size| match *size {
                Size::Fixed(size) => Some(size),
                Size::Keep(axis) => from.size(axis),
                Size::Rest => None,
            })
            .collect();
        if fixed.is_some_and(|sizes| sizes.iter().product::<usize>() == features) {
            target[0] = Size::Keep(0);
        }
    }
    finished(call, x, target)
}

/// The target where the file fixes the number of examples, and the shape says it again.
fn of_each_example(call: &Call<'_, '_>, x: ValueId, sizes: &[Whole]) -> Option<Vec<Size>> {
    let from = call.graph().shape(x);
    let batch = call.builder.batch? as i64;
    let features = from.features()? as i64;
    let (first, rest) = sizes.split_first()?;
    let numbers: Vec<i64> = rest.iter().map(Whole::number).collect::<Option<_>>()?;
    if from.dims().first() != Some(&Dim::BATCH) || first.number() != Some(batch) {
        return None;
    }
    let known: i64 = numbers.iter().filter(|&&size| size >= 0).product();
    let open = numbers.iter().any(|&size| size < 0);
    let fits = if open {
        known > 0 && features % known == 0
    } else {
        known == features
    };
    if !fits {
        return None;
    }
    let rest = numbers.iter().map(|&size| match usize::try_from(size) {
        Ok(size) => Size::Fixed(size),
        Err(_) => Size::Rest,
    });
    Some(std::iter::once(Size::Keep(0)).chain(rest).collect())
}

fn finished(call: &mut Call<'_, '_>, x: ValueId, mut target: Vec<Size>) -> Found<ValueId> {
    let from = call.shape(x);
    let same = target.len() == from.rank()
        && target.iter().enumerate().all(|(axis, size)| match *size {
            Size::Keep(other) => other == axis,
            Size::Fixed(size) => from.size(axis) == Some(size),
            Size::Rest => false,
        });
    if same {
        return Ok(x);
    }
    // The usual form of a flatten.
    if let ([Size::Keep(0), Size::Fixed(size)], true) = (&target[..], from.rank() > 2)
        && from.features() == Some(*size)
    {
        target[1] = Size::Rest;
    }
    // Back to the shape that the value had before.
    let y = call.apply(Reshape { target }, &[x])?;
    if let Some(node) = call.graph().producer(x)
        && matches!(node.op, caribou_ir::Op::Reshape(_))
        && let [before] = node.inputs[..]
        && call.shape(before) == call.shape(y)
    {
        return Ok(before);
    }
    Ok(y)
}

fn expand_dims(call: &mut Call<'_, '_>) -> Outputs {
    let axis = call.integer(1)?;
    match call.input(0)?.clone() {
        Held::Known(array) => {
            let mut shape = array.shape();
            shape.insert(call.axis(axis, array.rank() + 1)?, 1);
            Ok(vec![Held::Known(call.folded(array.reshaped(&shape))?)])
        }
        Held::Value(x, _) => {
            let axis = call.axis(axis, call.rank(x) + 1)?;
            let y = expanded(call, x, axis)?;
            call.gives(y)
        }
    }
}

/// The value with a new axis of size one.
pub(crate) fn expanded(call: &mut Call<'_, '_>, x: ValueId, axis: usize) -> Found<ValueId> {
    if axis == 0 {
        return Err(call.option("it puts a new axis before the examples"));
    }
    let mut target: Vec<Size> = (0..call.rank(x)).map(Size::Keep).collect();
    target.insert(axis, Size::Fixed(1));
    finished(call, x, target)
}

fn squeeze(call: &mut Call<'_, '_>) -> Outputs {
    let mut listed = call.list("squeeze_dims")?;
    listed.extend(call.list("axis")?);
    let input = call.input(0)?.clone();
    let rank = match &input {
        Held::Value(x, _) => call.rank(*x),
        Held::Known(array) => array.rank(),
    };
    let mut gone: Vec<usize> = listed
        .into_iter()
        .map(|axis| call.axis(axis, rank))
        .collect::<Result<_, _>>()?;
    match input {
        Held::Known(array) => {
            let shape = array.shape();
            let kept = |(axis, &size): (usize, &usize)| {
                let squeezed = if gone.is_empty() {
                    size == 1
                } else {
                    gone.contains(&axis)
                };
                (!squeezed).then_some(size)
            };
            let shape: Vec<usize> = shape.iter().enumerate().filter_map(kept).collect();
            Ok(vec![Held::Known(call.folded(array.reshaped(&shape))?)])
        }
        Held::Value(x, _) => {
            let shape = call.shape(x);
            if gone.is_empty() {
                if (1..rank).any(|axis| shape.size(axis).is_none()) {
                    return Err(call.option(format!("which axes of {shape} have size one is not known")));
                }
                gone = (1..rank).filter(|&axis| shape.size(axis) == Some(1)).collect();
            }
            if gone.contains(&0) {
                return Err(call.option("it takes the axis of the examples away"));
            }
            if let Some(axis) = gone
                .iter()
                .find(|&&axis| !matches!(shape.size(axis), Some(1) | None))
            {
                return Err(call.refuse(MISFIT, format!("axis {axis} of {shape} is not of size one")));
            }
            if let [axis] = gone[..]
                && let Some(y) = crate::idioms::of_one_row(call, x, axis)?
            {
                return call.gives(y);
            }
            let target = (0..rank)
                .filter(|axis| !gone.contains(axis))
                .map(Size::Keep)
                .collect();
            let y = call.apply(Reshape { target }, &[x])?;
            call.gives(y)
        }
    }
}
