//! Pooling to a number of cells that is given (Keras 3.12 and later), whatever the size of the input.
//!
//! Cell `i` of `n` is the pool of the cells from `floor(i size / n)` to `ceil((i + 1) size / n)` of the input. Where `n`
//! divides the size these are the windows of a plain pooling; else each is cut out by itself, one axis after the other:
//! both the mean and the maximum of a box are those of its rows.

use super::{CONFIG, Call, Outputs, config};
use caribou_ir::op::{
    AverageDivisor, Concat, Padding, Pool, PoolKind, Reduce, ReduceKind, Rounding, Slice, SliceAxis,
};
use caribou_ir::{Finding, ValueId};

/// Cells that are pooled one by one, at most.
const MOST_CELLS: usize = 64;

/// AdaptiveAveragePooling and AdaptiveMaxPooling of one to three axes.
pub(super) fn adaptive(call: &mut Call<'_>) -> Outputs {
    let axes = call.spatial_axes();
    let x = call.input()?;
    let cells = config!(call, sizes("output_size", axes));
    if cells.contains(&0) {
        return Err(call.refuse(CONFIG, "output_size must not be zero"));
    }
    let maximum = call.layer.class.starts_with("AdaptiveMax");
    let mut y = call.channels_ahead(x)?;
    let sizes: Vec<usize> = (0..axes)
        .map(|axis| call.size(y, axis + 2))
        .collect::<Result<_, _>>()?;
    let even = |axis: usize| sizes[axis].is_multiple_of(cells[axis]);
    let kernel: Vec<usize> = (0..axes)
        .map(|axis| if even(axis) { sizes[axis] / cells[axis] } else { 1 })
        .collect();
    if kernel.iter().any(|&size| size > 1) {
        let op = Pool {
            kind: match maximum {
                true => PoolKind::Max,
                false => PoolKind::Average(AverageDivisor::InputCells),
            },
            strides: kernel.clone(),
            kernel,
            dilations: vec![1; axes],
            padding: Padding::none(axes),
            rounding: Rounding::Floor,
        };
        y = call.apply(op, &[y])?;
    }
    let kind = if maximum {
        ReduceKind::Max
    } else {
        ReduceKind::Mean
    };
    for axis in (0..axes).filter(|&axis| !even(axis)) {
        y = one_by_one(call, y, axis + 2, cells[axis], kind)?;
    }
    Ok(vec![call.channels_behind(y)?])
}

/// Pools an axis to `cells` cells, each cut out by itself.
fn one_by_one(
    call: &mut Call<'_>,
    x: ValueId,
    axis: usize,
    cells: usize,
    kind: ReduceKind,
) -> Result<ValueId, Box<Finding>> {
    let size = call.size(x, axis)?;
    if cells > MOST_CELLS {
        let message = format!(
            "pooling {size} cells to {cells}, which does not divide them, is supported for {MOST_CELLS} cells at most"
        );
        return Err(call.refuse(super::OPTION, message));
    }
    let mut parts = Vec::with_capacity(cells);
    for cell in 0..cells {
        let (from, to) = (cell * size / cells, ((cell + 1) * size).div_ceil(cells));
        let cut = Slice {
            axes: vec![SliceAxis::range(axis, from as i64, Some(to as i64))],
        };
        let part = call.apply(cut, &[x])?;
        let reduce = Reduce {
            kind,
            axes: vec![axis],
            keep_dims: true,
        };
        parts.push(if to - from > 1 {
            call.apply(reduce, &[part])?
        } else {
            part
        });
    }
    match parts[..] {
        [part] => Ok(part),
        _ => call.apply(Concat { axis }, &parts),
    }
}
