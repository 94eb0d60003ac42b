//! Other shapes and orders, values put together, padding.

use super::super::{Call, OPTION, Outputs, spatial};
use super::arguments::{Arguments, Number};
use super::arithmetic::{constant, is_batch};
use super::{Function, function};
use caribou_ir::op::{
    Concat, Coordinates, Pad, PadMode, Reshape, Resize, ResizeTarget, Size, Tile, Transpose,
};
use caribou_ir::{Finding, ValueId};

pub(super) const TABLE: &[Function] = &[
    function(&["shape"], &["input", "out_type"], shape),
    function(&["reshape"], &["tensor", "shape"], reshape),
    function(&["transpose"], &["a", "perm"], transpose),
    function(&["expand_dims"], &["input", "axis"], expand_dims),
    function(&["squeeze"], &["input", "axis"], squeeze),
    function(&["concat"], &["values", "axis"], concat),
    function(&["stack"], &["values", "axis"], stack),
    function(&["tile"], &["input", "multiples"], tile),
    function(&["repeat"], &["input", "repeats", "axis"], repeat),
    function(&["pad"], &["tensor", "paddings", "mode", "constant_values"], pad),
    function(
        &["image.resize"],
        &[
            "images",
            "size",
            "method",
            "preserve_aspect_ratio",
            "antialias",
            "data_format",
        ],
        resize,
    ),
    function(
        &["image.pad_to_bounding_box"],
        &[
            "image",
            "offset_height",
            "offset_width",
            "target_height",
            "target_width",
        ],
        pad_to_box,
    ),
];

/// The sizes of a value, as far as they are known.
fn shape(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "input")?;
    let sizes: Vec<f32> = call
        .shape(x)
        .dims()
        .iter()
        .map(|dim| dim.fixed().map_or(f32::NAN, |size| size as f32))
        .collect();
    Ok(vec![constant(call, &[sizes.len()], &sizes)?])
}

fn reshape(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "tensor")?;
    let from = call.shape(x);
    let sizes = arguments.sizes(call, "shape")?;
    let free = sizes
        .iter()
        .filter(|size| size.is_none_or(|size| size < 0))
        .count();
    let mut target = Vec::with_capacity(sizes.len());
    for (axis, size) in sizes.into_iter().enumerate() {
        target.push(match size {
            // The batch stays where it is; any other size that is unknown is what is left.
            None if axis == 0 && is_batch(from.dims()[0]) => Size::Keep(0),
            None | Some(-1) if axis > 0 || free == 1 => Size::Rest,
            Some(size) if size >= 0 => Size::Fixed(size as usize),
            _ => return Err(call.refuse(OPTION, "several sizes of its shape are unknown")),
        });
    }
    if target.iter().filter(|size| matches!(size, Size::Rest)).count() > 1 {
        return Err(call.refuse(OPTION, "several sizes of its shape are unknown"));
    }
    let y = call.apply(Reshape { target }, &[x])?;
    batch_stays(call, y)
}

/// Refuses shapes that mix examples.
fn batch_stays(call: &Call<'_>, y: ValueId) -> Outputs {
    match call.graph.shape(y).dims().first() {
        Some(&caribou_ir::Dim::BATCH) => Ok(vec![y]),
        _ => Err(call.refuse(
            OPTION,
            format!("its result {} does not keep the batch first", call.graph.shape(y)),
        )),
    }
}

fn transpose(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "a")?;
    let rank = call.rank(x);
    let permutation: Vec<usize> = match arguments.get("perm") {
        None => (0..rank).rev().collect(),
        Some(_) => arguments
            .integers(call, "perm")?
            .into_iter()
            .map(|axis| call.axis(axis, rank))
            .collect::<Result<_, _>>()?,
    };
    if permutation.first() != Some(&0) {
        return Err(call.refuse(OPTION, "it moves the batch axis"));
    }
    Ok(vec![call.apply(Transpose { permutation }, &[x])?])
}

fn expand_dims(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "input")?;
    let rank = call.rank(x);
    let axis = call.axis(arguments.integer_or(call, "axis", 0)?, rank + 1)?;
    Ok(vec![expanded(call, x, axis)?])
}

/// The value with a new axis of size one.
fn expanded(call: &mut Call<'_>, x: ValueId, axis: usize) -> Result<ValueId, Box<Finding>> {
    if axis == 0 {
        return Err(call.refuse(OPTION, "it puts a new axis before the batch"));
    }
    let mut target: Vec<Size> = (0..call.rank(x)).map(Size::Keep).collect();
    target.insert(axis, Size::Fixed(1));
    call.apply(Reshape { target }, &[x])
}

fn squeeze(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "input")?;
    let shape = call.shape(x);
    let gone: Vec<usize> = match arguments.get("axis") {
        None => (1..shape.rank())
            .filter(|&axis| shape.size(axis) == Some(1))
            .collect(),
        Some(_) => arguments
            .integers(call, "axis")?
            .into_iter()
            .map(|axis| call.axis(axis, shape.rank()))
            .collect::<Result<_, _>>()?,
    };
    if let Some(axis) = gone.iter().find(|&&axis| shape.size(axis) != Some(1)) {
        return Err(call.refuse(OPTION, format!("axis {axis} of {shape} is not of size one")));
    }
    let target = (0..shape.rank())
        .filter(|axis| !gone.contains(axis))
        .map(Size::Keep)
        .collect();
    Ok(vec![call.apply(Reshape { target }, &[x])?])
}

fn concat(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let items = arguments.items(call, "values")?;
    if let Some(known) = all_known(&items) {
        // Sizes put side by side.
        return sizes(call, &known);
    }
    let values = values(call, items)?;
    let rank = values.first().map_or(0, |&value| call.rank(value));
    let axis = call.axis(arguments.integer_or(call, "axis", 0)?, rank)?;
    if axis == 0 {
        return Err(call.refuse(OPTION, "it puts examples one behind the other"));
    }
    Ok(vec![call.apply(Concat { axis }, &values)?])
}

fn stack(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let items = arguments.items(call, "values")?;
    if let Some(known) = all_known(&items) {
        return sizes(call, &known);
    }
    let values = values(call, items)?;
    let rank = values.first().map_or(0, |&value| call.rank(value));
    let axis = call.axis(arguments.integer_or(call, "axis", 0)?, rank + 1)?;
    let expanded: Vec<ValueId> = values
        .into_iter()
        .map(|value| expanded(call, value, axis))
        .collect::<Result<_, _>>()?;
    Ok(vec![call.apply(Concat { axis }, &expanded)?])
}

fn all_known(items: &[Number]) -> Option<Vec<caribou_ir::Tensor>> {
    items
        .iter()
        .map(|item| match item {
            Number::Known(tensor) => Some(tensor.clone()),
            Number::Value(_) => None,
        })
        .collect()
}

fn sizes(call: &mut Call<'_>, parts: &[caribou_ir::Tensor]) -> Outputs {
    let mut all = Vec::new();
    for part in parts {
        if part.rank() > 1 {
            return Err(call.refuse(OPTION, "it puts constants together"));
        }
        all.extend(
            part.to_vec()
                .map_err(|error| call.refuse(OPTION, error.to_string()))?,
        );
    }
    Ok(vec![constant(call, &[all.len()], &all)?])
}

fn values(call: &Call<'_>, items: Vec<Number>) -> Result<Vec<ValueId>, Box<Finding>> {
    items
        .into_iter()
        .map(|item| match item {
            Number::Value(value) => Ok(value),
            Number::Known(_) => Err(call.refuse(OPTION, "it puts values and constants together")),
        })
        .collect()
}

fn tile(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "input")?;
    let repeats: Vec<usize> = arguments
        .integers(call, "multiples")?
        .into_iter()
        .map(|times| usize::try_from(times).map_err(|_| call.refuse(OPTION, format!("{times} repeats"))))
        .collect::<Result<_, _>>()?;
    if repeats.first() != Some(&1) {
        return Err(call.refuse(OPTION, "it repeats the examples of a batch"));
    }
    Ok(vec![call.apply(Tile { repeats }, &[x])?])
}

/// Each element of an axis several times in a row: a new axis, repeated, and joined with it.
fn repeat(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "input")?;
    let shape = call.shape(x);
    let axis = match arguments.get("axis") {
        None => return Err(call.refuse(OPTION, "it flattens a batch")),
        Some(_) => call.axis(arguments.integer_or(call, "axis", 0)?, shape.rank())?,
    };
    let times = usize::try_from(arguments.integer_or(call, "repeats", 1)?)
        .map_err(|_| call.refuse(OPTION, "a negative number of repeats"))?;
    if axis == 0 {
        return Err(call.refuse(OPTION, "it repeats the examples of a batch"));
    }
    let size = call.size(x, axis)?;
    let y = expanded(call, x, axis + 1)?;
    let mut repeats = vec![1; shape.rank() + 1];
    repeats[axis + 1] = times;
    let y = call.apply(Tile { repeats }, &[y])?;
    let target = (0..=shape.rank())
        .filter(|&i| i != axis + 1)
        .map(|i| {
            if i == axis {
                Size::Fixed(size * times)
            } else {
                Size::Keep(i)
            }
        })
        .collect();
    Ok(vec![call.apply(Reshape { target }, &[y])?])
}

fn pad(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "tensor")?;
    let pads: Vec<usize> = arguments
        .integers(call, "paddings")?
        .into_iter()
        .map(|cells| {
            usize::try_from(cells).map_err(|_| call.refuse(OPTION, format!("{cells} cells of padding")))
        })
        .collect::<Result<_, _>>()?;
    let pads: Vec<[usize; 2]> = pads.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
    if pads.first() != Some(&[0, 0]) {
        return Err(call.refuse(OPTION, "it adds examples to a batch"));
    }
    let mode = match arguments
        .text_or(call, "mode", "CONSTANT")?
        .to_uppercase()
        .as_str()
    {
        "CONSTANT" => PadMode::Constant(arguments.real_or(call, "constant_values", 0.0)?),
        "REFLECT" => PadMode::Reflect,
        "SYMMETRIC" => PadMode::Symmetric,
        other => return Err(call.refuse(OPTION, format!("padding mode {other}"))),
    };
    Ok(vec![call.apply(Pad { pads, mode }, &[x])?])
}

fn resize(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "images")?;
    if call.rank(x) != 4 {
        return Err(call.refuse(OPTION, "expected images"));
    }
    if arguments.flag(call, "preserve_aspect_ratio")? || arguments.flag(call, "antialias")? {
        return Err(call.refuse(OPTION, "preserve_aspect_ratio and antialias are not supported"));
    }
    super::network::channels_last(call, arguments)?;
    let method = arguments.text_or(call, "method", "bilinear")?;
    let interpolation = spatial::interpolation(method)
        .ok_or_else(|| call.refuse(OPTION, format!("method {method} is not supported")))?;
    let sizes: Vec<usize> = arguments
        .integers(call, "size")?
        .into_iter()
        .filter_map(|size| usize::try_from(size).ok())
        .collect();
    let x = call.permuted(x, Transpose::channels_first(4).permutation)?;
    let op = Resize {
        interpolation,
        coordinates: Coordinates::HalfPixel,
        target: ResizeTarget::Sizes(sizes),
    };
    let y = call.apply(op, &[x])?;
    Ok(vec![call.permuted(y, Transpose::channels_last(4).permutation)?])
}

fn pad_to_box(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "image")?;
    let number = |call: &Call<'_>, name: &str| {
        usize::try_from(arguments.integer_or(call, name, 0)?)
            .map_err(|_| call.refuse(OPTION, format!("{name} is negative")))
    };
    let mut pads = vec![[0, 0]; call.rank(x)];
    for (axis, offset, target) in [
        (1, "offset_height", "target_height"),
        (2, "offset_width", "target_width"),
    ] {
        let (before, total) = (number(call, offset)?, number(call, target)?);
        let behind = total.checked_sub(before + call.size(x, axis)?);
        let behind = behind.ok_or_else(|| call.refuse(OPTION, format!("{target} is too small")))?;
        *pads
            .get_mut(axis)
            .ok_or_else(|| call.refuse(OPTION, "expected images"))? = [before, behind];
    }
    let mode = PadMode::Constant(0.0);
    Ok(vec![call.apply(Pad { pads, mode }, &[x])?])
}
