//! Changes of resolution, and blocks of cells moved between axes.

use super::conv::Frame;
use super::{Call, Found, MISFIT, Outputs, Row, any, real};
use crate::fold::Whole;
use caribou_ir::ValueId;
use caribou_ir::op::{
    BatchToSpace, Coordinates, DepthToSpace, Interpolation, Kernel, Resize, ResizeTarget, SpaceToBatch,
    SpaceToDepth,
};

const CENTRES: &[&str] = &["align_corners", "half_pixel_centers"];

pub(super) const TABLE: &[Row] = &[
    real("ResizeBilinear", CENTRES, |call| {
        resize(call, Interpolation::Linear)
    }),
    real("ResizeNearestNeighbor", CENTRES, |call| {
        resize(call, Interpolation::Nearest)
    }),
    real("ResizeBicubic", CENTRES, |call| {
        resize(call, Interpolation::Kernel(Kernel::Cubic))
    }),
    real("ResizeArea", &["align_corners"], |call| {
        resize(call, Interpolation::Kernel(Kernel::Area))
    }),
    any("SpaceToDepth", &["block_size", "data_format"], |call| {
        let block = block(call)?;
        framed(call, SpaceToDepth { block })
    }),
    any("DepthToSpace", &["block_size", "data_format"], |call| {
        let block = block(call)?;
        framed(call, DepthToSpace { block })
    }),
    any("SpaceToBatchND", &[], space_to_batch),
    any("BatchToSpaceND", &[], batch_to_space),
];

fn resize(call: &mut Call<'_, '_>, interpolation: Interpolation) -> Outputs {
    let x = call.value(0)?;
    let frame = Frame {
        axes: 2,
        channels_first: false,
    };
    let (corners, half) = (
        call.flag("align_corners", false)?,
        call.flag("half_pixel_centers", false)?,
    );
    let coordinates = match (corners, half) {
        (false, true) => Coordinates::HalfPixel,
        (true, false) => Coordinates::AlignCorners,
        (false, false) => Coordinates::Asymmetric,
        (true, true) => return Err(call.option("align_corners together with half_pixel_centers")),
    };
    let sizes = call.wholes(1)?;
    let x = frame.ahead(call, x)?;
    let target = target(call, x, &sizes)?;
    let coordinates = match interpolation {
        // Kernels are at half-pixel places; areas are the same with every rule but that of the corners.
        Interpolation::Kernel(Kernel::Area) if !corners => Coordinates::HalfPixel,
        Interpolation::Kernel(_) if coordinates != Coordinates::HalfPixel => {
            return Err(call.option("a kernel of interpolation with other places than the centres of cells"));
        }
        // With whole factors every rule but that of the corners repeats each cell.
        Interpolation::Nearest if !corners && enlarges(call, x, &target) => Coordinates::HalfPixel,
        _ => coordinates,
    };
    let op = Resize {
        interpolation,
        coordinates,
        target,
    };
    let y = call.apply(op, &[x])?;
    let y = frame.behind(call, y)?;
    call.gives(y)
}

/// The size afterwards; factors where it is a multiple of the size before. `x` is `[N, C, H, W]`.
fn target(call: &Call<'_, '_>, x: ValueId, sizes: &[Whole]) -> Found<ResizeTarget> {
    let shape = call.shape(x);
    let factor = |axis: usize| {
        let size = Whole::of(shape.dims()[axis + 2]);
        let factor = sizes[axis].divided(&size)?.number()?;
        let whole = size.times(&Whole::known(factor)).same(&sizes[axis]) == Some(true);
        usize::try_from(factor).ok().filter(|&factor| whole && factor > 0)
    };
    if sizes.len() != 2 {
        return Err(call.refuse(MISFIT, "the size afterwards must be two numbers"));
    }
    if let (Some(height), Some(width)) = (factor(0), factor(1)) {
        return Ok(ResizeTarget::Factors(vec![height, width]));
    }
    let known: Option<Vec<usize>> = sizes
        .iter()
        .map(|size| usize::try_from(size.number()?).ok().filter(|&size| size > 0))
        .collect();
    match (known, shape.size(2), shape.size(3)) {
        (Some(sizes), Some(_), Some(_)) => Ok(ResizeTarget::Sizes(sizes)),
        _ => Err(call.option("the size that it resizes to, or from, is not known")),
    }
}

fn enlarges(call: &Call<'_, '_>, x: ValueId, target: &ResizeTarget) -> bool {
    match target {
        ResizeTarget::Factors(_) => true,
        ResizeTarget::Sizes(sizes) => {
            let shape = call.shape(x);
            (0..2).all(|axis| {
                shape
                    .size(axis + 2)
                    .is_some_and(|size| size > 0 && sizes[axis] % size == 0)
            })
        }
    }
}

fn block(call: &Call<'_, '_>) -> Found<usize> {
    usize::try_from(call.whole("block_size", 0)?)
        .ok()
        .filter(|&block| block > 0)
        .ok_or_else(|| call.refuse(MISFIT, "block_size is no size"))
}

fn framed(call: &mut Call<'_, '_>, op: impl Into<caribou_ir::Op>) -> Outputs {
    let x = call.value(0)?;
    let frame = Frame::of(call, 2)?;
    let x = frame.ahead(call, x)?;
    let y = call.apply(op, &[x])?;
    let y = frame.behind(call, y)?;
    call.gives(y)
}

/// Blocks and what is added to, or cut from, each spatial axis.
fn blocks(call: &Call<'_, '_>) -> Found<(Vec<usize>, Vec<[usize; 2]>)> {
    let size =
        |value: i64| usize::try_from(value).map_err(|_| call.refuse(MISFIT, format!("a size of {value}")));
    let blocks: Vec<usize> = call
        .integers(1)?
        .into_iter()
        .map(size)
        .collect::<Result<_, _>>()?;
    let cells: Vec<usize> = call
        .integers(2)?
        .into_iter()
        .map(size)
        .collect::<Result<_, _>>()?;
    let pairs: Vec<[usize; 2]> = cells.chunks_exact(2).map(|pair| [pair[0], pair[1]]).collect();
    if pairs.len() != blocks.len() || !(1..=3).contains(&blocks.len()) || blocks.contains(&0) {
        return Err(call.refuse(MISFIT, format!("blocks {blocks:?} with {cells:?}")));
    }
    Ok((blocks, pairs))
}

/// The axes of a value whose cells are put into blocks; the last axes are none of them.
fn block_frame(call: &Call<'_, '_>, x: ValueId, axes: usize) -> Found<Frame> {
    if call.rank(x) != axes + 2 {
        return Err(call.option(format!("blocks on {axes} axes of {}", call.shape(x))));
    }
    Ok(Frame {
        axes,
        channels_first: false,
    })
}

fn space_to_batch(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.value(0)?;
    let (blocks, pads) = blocks(call)?;
    let frame = block_frame(call, x, blocks.len())?;
    let x = frame.ahead(call, x)?;
    let y = call.apply(SpaceToBatch { blocks, pads }, &[x])?;
    let y = frame.behind(call, y)?;
    call.gives(y)
}

fn batch_to_space(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.value(0)?;
    let (blocks, crops) = blocks(call)?;
    let frame = block_frame(call, x, blocks.len())?;
    let x = frame.ahead(call, x)?;
    let y = match crate::idioms::dilated(call, x, &blocks, &crops)? {
        Some(y) => y,
        None => call.apply(BatchToSpace { blocks, crops }, &[x])?,
    };
    let y = frame.behind(call, y)?;
    call.gives(y)
}
