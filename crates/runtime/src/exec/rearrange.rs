//! Blocks of cells moved between axes: reshapes around a transposition.

use super::{Array, Result, elements, select};
use caribou_ir::op::{
    BatchToSpace, DepthToSpace, Pad, PadMode, Slice, SliceAxis, SpaceToBatch, SpaceToDepth,
};
use ndarray::IxDyn;

/// Reshape, permute, reshape.
fn moved(x: &Array, split: &[usize], order: &[usize], joined: &[usize]) -> Result<Array> {
    let x = x
        .as_standard_layout()
        .into_owned()
        .into_shape_with_order(IxDyn(split))?;
    Ok(elements::permute(&x, order)?.into_shape_with_order(IxDyn(joined))?)
}

pub(super) fn space_to_depth(op: &SpaceToDepth, x: &Array) -> Result<Array> {
    let &[n, c, h, w] = x.shape() else {
        return Err(super::ExecError::new("expected an image"));
    };
    let b = op.block;
    moved(
        x,
        &[n, c, h / b, b, w / b, b],
        &[0, 3, 5, 1, 2, 4],
        &[n, b * b * c, h / b, w / b],
    )
}

pub(super) fn depth_to_space(op: &DepthToSpace, x: &Array) -> Result<Array> {
    let &[n, c, h, w] = x.shape() else {
        return Err(super::ExecError::new("expected an image"));
    };
    let b = op.block;
    moved(
        x,
        &[n, b, b, c / (b * b), h, w],
        &[0, 3, 4, 1, 5, 2],
        &[n, c / (b * b), h * b, w * b],
    )
}

pub(super) fn space_to_batch(op: &SpaceToBatch, x: &Array) -> Result<Array> {
    let pads = [[0, 0]; 2].into_iter().chain(op.pads.iter().copied()).collect();
    let x = select::pad(
        &Pad {
            pads,
            mode: PadMode::Constant(0.0),
        },
        x,
    )?;
    let axes = op.blocks.len();
    let (n, c) = (x.shape()[0], x.shape()[1]);
    let mut split = vec![n, c];
    let mut joined = vec![n * op.blocks.iter().product::<usize>(), c];
    for (size, block) in x.shape()[2..].iter().zip(&op.blocks) {
        split.extend([size / block, *block]);
        joined.push(size / block);
    }
    let order: Vec<usize> = (0..axes)
        .map(|axis| 3 + 2 * axis)
        .chain([0, 1])
        .chain((0..axes).map(|axis| 2 + 2 * axis))
        .collect();
    moved(&x, &split, &order, &joined)
}

pub(super) fn batch_to_space(op: &BatchToSpace, x: &Array) -> Result<Array> {
    let axes = op.blocks.len();
    let block: usize = op.blocks.iter().product();
    let (n, c) = (x.shape()[0] / block.max(1), x.shape()[1]);
    let mut split = op.blocks.clone();
    split.extend([n, c]);
    split.extend(&x.shape()[2..]);
    let mut order = vec![axes, axes + 1];
    let mut joined = vec![n, c];
    for axis in 0..axes {
        order.extend([axes + 2 + axis, axis]);
        joined.push(x.shape()[axis + 2] * op.blocks[axis]);
    }
    let y = moved(x, &split, &order, &joined)?;
    let cut = |(axis, crop): (usize, &[usize; 2])| {
        SliceAxis::range(
            axis + 2,
            crop[0] as i64,
            if crop[1] == 0 {
                None
            } else {
                Some(-(crop[1] as i64))
            },
        )
    };
    select::slice(
        &Slice {
            axes: op.crops.iter().enumerate().map(cut).collect(),
        },
        &y,
    )
}
