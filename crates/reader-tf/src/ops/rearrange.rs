//! Axes in another order, elements of an axis in reverse, values repeated and padded.

use super::{Call, Outputs, Row, any};
use crate::build::Held;
use caribou_ir::op::{Pad, PadMode, Reverse, Tile};

pub(super) const TABLE: &[Row] = &[
    any("Transpose", &[], transpose),
    any("ReverseV2", &[], reverse),
    any("ReverseSequence", &["seq_dim", "batch_dim"], reverse_sequence),
    any("Tile", &[], tile),
    any("Pad", &[], pad),
    any("PadV2", &[], pad),
    any("MirrorPad", &["mode"], pad),
];

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
