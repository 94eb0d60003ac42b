//! Values taken apart along an axis.

use super::slice::cut;
use super::{Call, MISFIT, Outputs, Row, any};
use crate::build::Held;
use caribou_ir::op::{SliceAxis, Split};

pub(super) const TABLE: &[Row] = &[
    any("Split", &["num_split"], split),
    any("SplitV", &["num_split"], split_v),
    any("Unpack", &["num", "axis"], unpack),
];

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
