//! Arrays that a program makes.

use super::{Call, Found, Outputs, Row, any};
use crate::build::Held;
use crate::fold::{self, Array, Whole, round};
use caribou_ir::DType;
use caribou_ir::op::Tile;

pub(super) const TABLE: &[Row] = &[
    any("Fill", &[], fill),
    any("Range", &[], range),
    any("BroadcastTo", &[], broadcast_to),
    any("BroadcastArgs", &[], broadcast_args),
    any("InvertPermutation", &[], invert),
    any("MatrixBandPart", &["Tindex"], band),
];

/// The most elements that are made of one number.
const MOST: usize = 1 << 24;

fn known_sizes(call: &Call<'_, '_>, place: usize) -> Found<Vec<usize>> {
    let sizes: Vec<usize> = call
        .integers(place)?
        .into_iter()
        .map(|size| usize::try_from(size).map_err(|_| call.option(format!("a size of {size}"))))
        .collect::<Result<_, _>>()?;
    match sizes.iter().try_fold(1usize, |n, &size| n.checked_mul(size)) {
        Some(count) if count <= MOST => Ok(sizes),
        _ => Err(call.option(format!("an array of shape {sizes:?} is larger than the limit"))),
    }
}

fn fill(call: &mut Call<'_, '_>) -> Outputs {
    let sizes = known_sizes(call, 0)?;
    let number = call.known(1)?.clone();
    let one = call.folded(number.reshaped(&[]))?;
    Ok(vec![Held::Known(call.folded(one.stretched(&sizes))?)])
}

fn range(call: &mut Call<'_, '_>) -> Outputs {
    let dtype = call.known(0)?.dtype();
    if dtype.is_float() {
        return range_of_fractions(call, dtype);
    }
    let (start, limit, step) = (call.integer(0)?, call.integer(1)?, call.integer(2)?);
    let mut values = Vec::new();
    let mut at = start;
    while (step > 0 && at < limit) || (step < 0 && at > limit) {
        if values.len() >= MOST {
            return Err(call.option("a range that is larger than the limit"));
        }
        values.push(Whole::known(at));
        at = at
            .checked_add(step)
            .ok_or_else(|| call.option("a range beyond 64 bits"))?;
    }
    Ok(vec![Held::Known(call.folded(Array::wholes(
        dtype,
        vec![values.len()],
        values,
    ))?)])
}

/// Fractions of equal distance, rounded at each step as TensorFlow does.
fn range_of_fractions(call: &Call<'_, '_>, dtype: DType) -> Outputs {
    let end = |place: usize| {
        let number = call.known(place)?.scalar().filter(|number| number.is_finite());
        number.ok_or_else(|| call.option("a range between what are no single numbers"))
    };
    let (start, limit, step) = (end(0)?, end(1)?, end(2)?);
    let count = (round(dtype, round(dtype, limit - start) / step)).ceil();
    if !(0.0..=MOST as f64).contains(&count) {
        return Err(call.option(format!("a range of {count} fractions")));
    }
    let mut at = start;
    let values: Vec<f64> = (0..count as usize)
        .map(|_| {
            let own = at;
            at = round(dtype, at + step);
            own
        })
        .collect();
    let array = Array::reals(dtype, &[values.len()], &values);
    Ok(vec![Held::Known(call.folded(array)?)])
}

/// An array or a value stretched to a shape.
fn broadcast_to(call: &mut Call<'_, '_>) -> Outputs {
    match call.input(0)?.clone() {
        Held::Known(array) => {
            let sizes = known_sizes(call, 1)?;
            Ok(vec![Held::Known(call.folded(array.stretched(&sizes))?)])
        }
        Held::Value(x, _) => {
            let shape = call.shape(x);
            let sizes = call.wholes(1)?;
            if sizes.len() != shape.rank() {
                return Err(call.option(format!("{shape} is stretched to {} axes", sizes.len())));
            }
            let mut repeats = Vec::new();
            for (size, &dim) in sizes.iter().zip(shape.dims()) {
                repeats.push(match (size.is(dim), dim.fixed(), size.number()) {
                    (true, ..) => 1,
                    (_, Some(1), Some(times)) => {
                        usize::try_from(times).map_err(|_| call.option(format!("a size of {times}")))?
                    }
                    // The number of examples that the file gives.
                    (_, None, Some(number)) if Some(number) == call.builder.batch.map(|n| n as i64) => 1,
                    _ => return Err(call.option(format!("{shape} is stretched to sizes that are unknown"))),
                });
            }
            let y = match repeats.iter().all(|&times| times == 1) {
                true => x,
                false => call.apply(Tile { repeats }, &[x])?,
            };
            call.gives(y)
        }
    }
}

/// The shape that two shapes broadcast to.
fn broadcast_args(call: &mut Call<'_, '_>) -> Outputs {
    let (a, b) = (call.wholes(0)?, call.wholes(1)?);
    let dtype = call.known(0)?.dtype();
    let rank = a.len().max(b.len());
    let one = Whole::known(1);
    let at = |list: &[Whole], axis: usize| {
        (axis + list.len())
            .checked_sub(rank)
            .map_or(one.clone(), |axis| list[axis].clone())
    };
    let sizes: Vec<Whole> = (0..rank)
        .map(|axis| match (at(&a, axis), at(&b, axis)) {
            (x, y) if y.number() == Some(1) || x.same(&y) == Some(true) => x,
            (x, y) if x.number() == Some(1) => y,
            _ => Whole::any(),
        })
        .collect();
    Ok(vec![Held::Known(call.folded(Array::wholes(
        dtype,
        vec![rank],
        sizes,
    ))?)])
}

fn invert(call: &mut Call<'_, '_>) -> Outputs {
    let list = call.integers(0)?;
    let dtype = call.known(0)?.dtype();
    let inverse: Option<Vec<Whole>> = (0..list.len() as i64)
        .map(|i| {
            list.iter()
                .position(|&place| place == i)
                .map(|place| Whole::known(place as i64))
        })
        .collect();
    let inverse = inverse.ok_or_else(|| call.option("its input is no permutation"))?;
    Ok(vec![Held::Known(call.folded(Array::wholes(
        dtype,
        vec![list.len()],
        inverse,
    ))?)])
}

/// Zeros in place of what is too far below the diagonal of a matrix, or above it; a negative number is any distance.
fn band(call: &mut Call<'_, '_>) -> Outputs {
    let array = call.known(0)?.clone();
    let (below, above) = (call.integer(1)?, call.integer(2)?);
    let shape = array.shape();
    let [.., rows, columns] = shape[..] else {
        return Err(call.option("a band of what is no matrix"));
    };
    let near = |distance: i64, most: i64| most < 0 || distance <= most;
    let kept: Vec<Whole> = (0..rows * columns)
        .map(|i| {
            let (row, column) = ((i / columns) as i64, (i % columns) as i64);
            Whole::known((near(row - column, below) && near(column - row, above)).into())
        })
        .collect();
    let kept = call.folded(Array::wholes(DType::Bool, vec![rows, columns], kept))?;
    let zero = call.folded(match array.dtype().is_float() {
        true => Array::reals(array.dtype(), &[], &[0.0]),
        false => Array::wholes(array.dtype(), vec![], vec![Whole::known(0)]),
    })?;
    Ok(vec![Held::Known(
        call.folded(fold::chosen(&kept, &array, &zero))?,
    )])
}
