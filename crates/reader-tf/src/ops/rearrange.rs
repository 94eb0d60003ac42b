//! Other shapes and orders, values put together, padding.

use super::arithmetic::{Operand, beside};
use super::{Call, Found, MISFIT, Outputs, Row, any};
use crate::build::Held;
use crate::fold::{Array, Whole};
use caribou_ir::op::{Concat, ElementwiseKind, Pad, PadMode, Reshape, Size, Tile};
use caribou_ir::{DType, Dim, ValueId};

pub(super) const TABLE: &[Row] = &[
    any("Shape", &["out_type"], shape),
    any("ShapeN", &["out_type"], shape),
    any("Size", &["out_type"], size),
    any("Rank", &[], rank),
    any("Reshape", &[], reshape),
    any("Transpose", &[], transpose),
    any("ExpandDims", &[], expand_dims),
    any("Squeeze", &["squeeze_dims", "axis"], squeeze),
    any("ConcatV2", &[], |call| concat(call, false)),
    any("Concat", &[], |call| concat(call, true)),
    any("Pack", &["axis"], pack),
    any("Tile", &[], tile),
    any("Pad", &[], pad),
    any("PadV2", &[], pad),
    any("MirrorPad", &["mode"], pad),
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

fn transpose(call: &mut Call<'_, '_>) -> Outputs {
    let input = call.input(0)?.clone();
    let rank = match &input {
        Held::Value(x, _) => call.rank(*x),
        Held::Known(array) => array.rank(),
    };
    let permutation: Vec<usize> = call
        .integers(1)?
        .into_iter()
        .map(|axis| call.axis(axis, rank))
        .collect::<Result<_, _>>()?;
    match input {
        Held::Known(array) => Ok(vec![Held::Known(call.folded(array.permuted(&permutation))?)]),
        Held::Value(x, _) => {
            let (x, permutation) = match call.examples_behind(x) {
                Some((before, order)) => (before, permutation.iter().map(|&axis| order[axis]).collect()),
                None => (x, permutation),
            };
            if call.batch_first(x) && permutation.first() != Some(&0) && !call.moves_examples_back(0) {
                return Err(call.option("it moves the axis of the examples"));
            }
            let y = call.permuted(x, permutation)?;
            call.gives(y)
        }
    }
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

fn tile(call: &mut Call<'_, '_>) -> Outputs {
    let repeats: Vec<usize> = call
        .integers(1)?
        .into_iter()
        .map(|times| usize::try_from(times).map_err(|_| call.option(format!("{times} repeats"))))
        .collect::<Result<_, _>>()?;
    match call.input(0)?.clone() {
        Held::Known(array) => Ok(vec![Held::Known(call.folded(array.tiled(&repeats))?)]),
        Held::Value(x, _) => {
            if repeats.iter().all(|&times| times == 1) {
                return call.gives(x);
            }
            if repeats.first() != Some(&1) {
                return Err(call.option("it repeats the examples of a batch"));
            }
            let y = call.apply(Tile { repeats }, &[x])?;
            call.gives(y)
        }
    }
}

fn pad(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.value(0)?;
    let pads: Vec<usize> = call
        .integers(1)?
        .into_iter()
        .map(|cells| usize::try_from(cells).map_err(|_| call.option(format!("{cells} cells of padding"))))
        .collect::<Result<_, _>>()?;
    let pads: Vec<[usize; 2]> = pads.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
    if pads.iter().all(|pair| *pair == [0, 0]) {
        return call.gives(x);
    }
    if pads.first() != Some(&[0, 0]) {
        return Err(call.option("it adds examples to a batch"));
    }
    let mode = match &*call.node.op {
        "MirrorPad" => match call.text("mode", "")? {
            "REFLECT" => PadMode::Reflect,
            "SYMMETRIC" => PadMode::Symmetric,
            other => return Err(call.option(format!("padding mode {other:?}"))),
        },
        "PadV2" => {
            let value = call.known(2)?.scalar();
            PadMode::Constant(value.ok_or_else(|| call.option("it pads with an array"))?)
        }
        _ => PadMode::Constant(0.0),
    };
    let y = call.apply(Pad { pads, mode }, &[x])?;
    call.gives(y)
}
