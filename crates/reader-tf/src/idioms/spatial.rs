//! Spatial operators in other words: dilation through blocks of examples, and operators on sequences through images of
//! one row.

use super::pattern::made;
use crate::ops::{Call, Found};
use caribou_ir::ValueId;
use caribou_ir::op::{Conv, ConvTranspose, Op, Padding, Pool, Reshape, Size, Transpose};

/// A convolution of blocks of examples whose blocks are put together again: one with dilation. `x` is `[N, C, D…]`,
/// before it is put together.
pub(crate) fn dilated(
    call: &mut Call<'_, '_>,
    x: ValueId,
    blocks: &[usize],
    crops: &[[usize; 2]],
) -> Found<Option<ValueId>> {
    let graph = call.graph();
    let Some((Op::Conv(conv), &[inner])) = made(graph, x) else {
        return Ok(None);
    };
    let Some((Op::SpaceToBatch(before), &[source])) = made(graph, inner) else {
        return Ok(None);
    };
    let ones = |list: &[usize]| list.iter().all(|&n| n == 1);
    if before.blocks != blocks || !ones(&conv.strides) || !ones(&conv.dilations) {
        return Ok(None);
    }
    let kernel = conv.weight.shape();
    let mut sides = Vec::with_capacity(blocks.len());
    for (axis, &block) in blocks.iter().enumerate() {
        let own = conv
            .padding
            .resolve(axis, None, kernel[axis + 2], 1)
            .unwrap_or_default();
        let mut side = [0; 2];
        for end in 0..2 {
            match (before.pads[axis][end] + block * own[end]).checked_sub(crops[axis][end]) {
                Some(cells) => side[end] = cells,
                None => return Ok(None),
            }
        }
        sides.push(side);
    }
    // The usual form of the padding that keeps the size.
    let same = sides.iter().enumerate().all(|(axis, &side)| {
        let extent = blocks[axis] * (kernel[axis + 2] - 1) + 1;
        Padding::Same.resolve(axis, None, extent, 1) == Some(side)
    });
    let op = Conv {
        dilations: blocks.to_vec(),
        padding: if same {
            Padding::Same
        } else {
            Padding::Explicit(sides)
        },
        ..conv.clone()
    };
    let y = call.apply(op, &[source])?;
    call.lift("a dilated convolution");
    Ok(Some(y))
}

/// `Squeeze` behind operators on images that are one row high: the same on a sequence. `gone` is the axis that it takes
/// away, of `[N, H, W, C]`.
pub(crate) fn of_one_row(call: &mut Call<'_, '_>, x: ValueId, gone: usize) -> Found<Option<ValueId>> {
    let shape = call.shape(x);
    if shape.rank() != 4 || !(1..=2).contains(&gone) {
        return Ok(None);
    }
    let Some((Op::Transpose(turn), &[ahead])) = made(call.graph(), x) else {
        return Ok(None);
    };
    if *turn != Transpose::channels_last(4) {
        return Ok(None);
    }
    let nodes = call.graph().nodes().len();
    match without(call, ahead, gone, 0)? {
        Some(y) => {
            let y = call.apply(Transpose::channels_last(3), &[y])?;
            call.lift("operators on sequences");
            Ok(Some(y))
        }
        None => {
            call.builder.graph.truncate(nodes);
            Ok(None)
        }
    }
}

/// The value `[N, C, H, W]` without the axis of size one, where all that leads to it from a sequence can be done without;
/// `gone` counts as in `[N, H, W, C]`.
fn without(call: &mut Call<'_, '_>, x: ValueId, gone: usize, depth: usize) -> Found<Option<ValueId>> {
    let Some(node) = call.graph().producer(x) else {
        return Ok(None);
    };
    let (op, origin) = (node.op.clone(), node.origin.clone());
    let [input] = node.inputs[..] else {
        return Ok(None);
    };
    let place = gone - 1;
    if depth > 16 {
        return Ok(None);
    }
    let op: Op = match op {
        Op::Transpose(turn) if turn == Transpose::channels_first(4) => {
            let Some((Op::Reshape(Reshape { target }), &[sequence])) = made(call.graph(), input) else {
                return Ok(None);
            };
            let inserted = target.len() == 4
                && call.rank(sequence) == 3
                && (0..4).all(|axis| match target[axis] {
                    Size::Fixed(1) => axis == gone,
                    Size::Keep(old) => axis != gone && old == axis - usize::from(axis > gone),
                    _ => false,
                });
            if !inserted {
                return Ok(None);
            }
            return call
                .permuted(sequence, Transpose::channels_first(3).permutation)
                .map(Some);
        }
        Op::Conv(op) => {
            let Some(padding) = one_less(
                &op.padding,
                place,
                op.weight.shape()[place + 2],
                op.strides[place],
            ) else {
                return Ok(None);
            };
            Conv {
                weight: call.viewed(op.weight.reshape(&less(&op.weight.shape(), place + 2)))?,
                strides: less(&op.strides, place),
                dilations: less(&op.dilations, place),
                padding,
                ..op
            }
            .into()
        }
        Op::ConvTranspose(op) => {
            let alone = op.weight.shape()[place + 2] == 1
                && op.strides[place] == 1
                && op.crops[place] == [0, 0]
                && op.output_padding[place] == 0;
            if !alone {
                return Ok(None);
            }
            ConvTranspose {
                weight: call.viewed(op.weight.reshape(&less(&op.weight.shape(), place + 2)))?,
                strides: less(&op.strides, place),
                dilations: less(&op.dilations, place),
                crops: less(&op.crops, place),
                output_padding: less(&op.output_padding, place),
                ..op
            }
            .into()
        }
        Op::Pool(op) => {
            let Some(padding) = one_less(&op.padding, place, op.kernel[place], op.strides[place]) else {
                return Ok(None);
            };
            Pool {
                kernel: less(&op.kernel, place),
                strides: less(&op.strides, place),
                dilations: less(&op.dilations, place),
                padding,
                ..op
            }
            .into()
        }
        Op::Activate(op) => op.into(),
        Op::Unary(op) => op.into(),
        _ => return Ok(None),
    };
    let Some(input) = without(call, input, gone, depth + 1)? else {
        return Ok(None);
    };
    let own = std::mem::replace(&mut call.origin, origin);
    let y = call.apply(op, &[input]);
    call.origin = own;
    y.map(Some)
}

fn less<T: Clone>(list: &[T], place: usize) -> Vec<T> {
    let mut list = list.to_vec();
    list.remove(place);
    list
}

/// The padding of the other axes, where that of this one adds nothing: its window is one cell. A stride on one cell goes
/// nowhere.
fn one_less(padding: &Padding, place: usize, kernel: usize, _stride: usize) -> Option<Padding> {
    if kernel != 1 {
        return None;
    }
    match padding {
        Padding::Explicit(sides) if sides[place] == [0, 0] => Some(Padding::Explicit(less(sides, place))),
        Padding::Same => Some(Padding::Same),
        _ => None,
    }
}
