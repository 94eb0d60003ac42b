//! Functions on the axes of arrays that Keras 3 took from NumPy and TensorFlow has by other names.

use super::super::{Call, OPTION, Outputs};
use super::arguments::{Arguments, Number};
use super::arithmetic::{constant, elementwise};
use super::reduce::reduced_axes;
use super::{Function, function};
use caribou_ir::op::{
    Concat, ElementwiseKind as Kind, Identity, Reduce, ReduceKind, Slice, SliceAxis, Split, Tile, Transpose,
    Unary, UnaryKind,
};
use caribou_ir::{Finding, ValueId};

pub(super) const TABLE: &[Function] = &[
    function(&["ops.swapaxes"], &["x", "axis1", "axis2"], swap_axes),
    function(&["ops.moveaxis"], &["x", "source", "destination"], move_axes),
    function(&["ops.broadcast_to"], &["x", "shape"], broadcast),
    function(&["ops.roll"], &["x", "shift", "axis"], roll),
    function(&["ops.diff"], &["x", "n", "axis"], differences),
    function(&["ops.append"], &["x1", "x2", "axis"], append),
    function(&["ops.split"], &["x", "indices_or_sections", "axis"], split),
    function(&["ops.tril"], &["x", "k"], |call, arguments| {
        triangle(call, arguments, true)
    }),
    function(&["ops.triu"], &["x", "k"], |call, arguments| {
        triangle(call, arguments, false)
    }),
    function(&["ops.ptp"], &["input_tensor", "axis", "keepdims"], spread),
    function(
        &["ops.count_nonzero"],
        &["input_tensor", "axis", "keepdims"],
        count,
    ),
];

/// An axis that is not the batch.
fn inner_axis(
    call: &Call<'_>,
    arguments: &Arguments<'_>,
    name: &str,
    default: i64,
    rank: usize,
) -> Result<usize, Box<Finding>> {
    match call.axis(arguments.integer_or(call, name, default)?, rank)? {
        0 => Err(call.refuse(OPTION, "it acts along the batch")),
        axis => Ok(axis),
    }
}

fn transposed(call: &mut Call<'_>, x: ValueId, permutation: Vec<usize>) -> Outputs {
    if permutation.first() != Some(&0) {
        return Err(call.refuse(OPTION, "it moves the batch axis"));
    }
    Ok(vec![call.apply(Transpose { permutation }, &[x])?])
}

fn swap_axes(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "x")?;
    let rank = call.rank(x);
    let mut permutation: Vec<usize> = (0..rank).collect();
    permutation.swap(
        inner_axis(call, arguments, "axis1", 0, rank)?,
        inner_axis(call, arguments, "axis2", 0, rank)?,
    );
    transposed(call, x, permutation)
}

fn move_axes(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "x")?;
    let rank = call.rank(x);
    let axes = |call: &Call<'_>, name: &str| -> Result<Vec<usize>, Box<Finding>> {
        let given = arguments.integers(call, name)?;
        given.into_iter().map(|axis| call.axis(axis, rank)).collect()
    };
    let (from, to) = (axes(call, "source")?, axes(call, "destination")?);
    let distinct = |axes: &[usize]| (1..axes.len()).all(|i| !axes[..i].contains(&axes[i]));
    if from.len() != to.len() || !distinct(&from) || !distinct(&to) {
        return Err(call.refuse(OPTION, "source and destination do not fit each other"));
    }
    let mut rest = (0..rank).filter(|axis| !from.contains(axis));
    let permutation: Vec<usize> = (0..rank)
        .filter_map(|axis| match to.iter().position(|&other| other == axis) {
            Some(i) => from.get(i).copied(),
            None => rest.next(),
        })
        .collect();
    transposed(call, x, permutation)
}

/// Axes of size one repeated. The batch, which is not known, keeps its size.
fn broadcast(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "x")?;
    let (shape, target) = (call.shape(x), arguments.sizes(call, "shape")?);
    let wrong = || {
        call.refuse(
            OPTION,
            format!("{shape} does not become the shape that is asked for"),
        )
    };
    if target.len() != shape.rank() {
        return Err(wrong());
    }
    let mut repeats = vec![1; shape.rank()];
    for (axis, size) in target.into_iter().enumerate().skip(1) {
        match (shape.size(axis), size) {
            (Some(1), Some(size)) if size > 0 => repeats[axis] = size as usize,
            (known, Some(size)) if known.map(|known| known as i64) != Some(size) => return Err(wrong()),
            _ => {}
        }
    }
    Ok(vec![call.apply(Tile { repeats }, &[x])?])
}

fn cut(
    call: &mut Call<'_>,
    x: ValueId,
    axis: usize,
    start: usize,
    end: usize,
) -> Result<ValueId, Box<Finding>> {
    let axes = vec![SliceAxis::range(axis, start as i64, Some(end as i64))];
    call.apply(Slice { axes }, &[x])
}

fn roll(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let mut x = arguments.value(call, "x")?;
    if arguments.get("axis").is_none() {
        return Err(call.refuse(OPTION, "it flattens a batch"));
    }
    let (shifts, axes) = (
        arguments.integers(call, "shift")?,
        arguments.integers(call, "axis")?,
    );
    for (i, axis) in axes.into_iter().enumerate() {
        let axis = call.axis(axis, call.rank(x))?;
        let shift = shifts.get(i).or(shifts.last()).copied().unwrap_or(0);
        let size = call.size(x, axis)?;
        if axis == 0 || size == 0 {
            return Err(call.refuse(OPTION, "it acts along the batch"));
        }
        let shift = shift.rem_euclid(size as i64) as usize;
        x = match shift {
            0 => call.apply(Identity, &[x])?,
            shift => {
                let last = cut(call, x, axis, size - shift, size)?;
                let first = cut(call, x, axis, 0, size - shift)?;
                call.apply(Concat { axis }, &[last, first])?
            }
        };
    }
    Ok(vec![x])
}

/// Each element of an axis less the one before.
fn differences(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let mut x = arguments.value(call, "x")?;
    let axis = inner_axis(call, arguments, "axis", -1, call.rank(x))?;
    for _ in 0..arguments.integer_or(call, "n", 1)?.clamp(0, 16) {
        let size = call.size(x, axis)?;
        if size < 2 {
            return Err(call.refuse(OPTION, "nothing is left of an axis"));
        }
        let behind = cut(call, x, axis, 1, size)?;
        let before = cut(call, x, axis, 0, size - 1)?;
        x = elementwise(call, Kind::Subtract, Number::Value(behind), Number::Value(before))?;
    }
    Ok(vec![x])
}

fn append(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let (x, y) = (arguments.value(call, "x1")?, arguments.value(call, "x2")?);
    if arguments.get("axis").is_none() {
        return Err(call.refuse(OPTION, "it flattens a batch"));
    }
    let axis = inner_axis(call, arguments, "axis", 0, call.rank(x))?;
    Ok(vec![call.apply(Concat { axis }, &[x, y])?])
}

/// Pieces of one axis: a number of equal ones, or cut at these places.
fn split(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "x")?;
    let axis = inner_axis(call, arguments, "axis", 0, call.rank(x))?;
    let size = call.size(x, axis)?;
    let listed = arguments.known(call, "indices_or_sections")?.rank() > 0;
    let given = arguments.integers(call, "indices_or_sections")?;
    let mut sizes = Vec::new();
    if listed {
        let mut before = 0;
        for place in given {
            let place = if place < 0 { place + size as i64 } else { place };
            let place = usize::try_from(place).unwrap_or(0).clamp(before, size);
            sizes.push(place - before);
            before = place;
        }
        sizes.push(size - before);
    } else {
        let n = usize::try_from(given[0])
            .ok()
            .filter(|&n| n > 0 && size.is_multiple_of(n));
        let n = n.ok_or_else(|| call.refuse(OPTION, format!("{size} elements can't be split so")))?;
        sizes = vec![size / n; n];
    }
    call.push(Split { axis, sizes }, &[x])
}

/// The numbers on one side of a diagonal of the last two axes, and zeros on the other.
fn triangle(call: &mut Call<'_>, arguments: &Arguments<'_>, lower: bool) -> Outputs {
    let x = arguments.value(call, "x")?;
    let rank = call.rank(x);
    if rank < 3 {
        return Err(call.refuse(OPTION, "it takes a batch for the rows of a matrix"));
    }
    let k = arguments.integer_or(call, "k", 0)?;
    let (rows, columns) = (call.size(x, rank - 2)?, call.size(x, rank - 1)?);
    let mut values = Vec::with_capacity(rows * columns);
    for i in 0..rows as i64 {
        values.extend((0..columns as i64).map(|j| {
            let kept = if lower { j - i <= k } else { j - i >= k };
            f32::from(u8::from(kept))
        }));
    }
    let mask = constant(call, &[rows, columns], &values)?;
    let mask = super::arguments::known(call, mask)
        .ok_or_else(|| call.refuse(OPTION, "a mask that is no constant"))?;
    Ok(vec![elementwise(
        call,
        Kind::Multiply,
        Number::Value(x),
        Number::Known(mask),
    )?])
}

/// The largest less the smallest.
fn spread(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "input_tensor")?;
    let axes = reduced_axes(call, arguments, call.rank(x))?;
    let keep_dims = arguments.flag(call, "keepdims")?;
    let mut ends = Vec::with_capacity(2);
    for kind in [ReduceKind::Max, ReduceKind::Min] {
        let axes = axes.clone();
        let op = Reduce {
            kind,
            axes,
            keep_dims,
        };
        ends.push(Number::Value(call.apply(op, &[x])?));
    }
    let [max, min] = [ends[0].clone(), ends[1].clone()];
    Ok(vec![elementwise(call, Kind::Subtract, max, min)?])
}

/// How many numbers are not zero.
fn count(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "input_tensor")?;
    let x = super::logic::truth(call, x)?;
    let op = Reduce {
        kind: ReduceKind::Sum,
        axes: reduced_axes(call, arguments, call.rank(x))?,
        keep_dims: arguments.flag(call, "keepdims")?,
    };
    Ok(vec![call.apply(op, &[x])?])
}

/// `scale x + shift`.
pub(super) fn affine(call: &mut Call<'_>, x: ValueId, scale: f64, shift: f64) -> Outputs {
    let kind = UnaryKind::Affine { scale, shift };
    Ok(vec![call.apply(Unary { kind }, &[x])?])
}
