//! Patches of an image as the channels of their place.

use super::conv::Frame;
use super::join::joined_values;
use super::{Call, MISFIT, Outputs, Row, any};
use caribou_ir::op::{Pad, PadMode, Padding, Slice, SliceAxis, SpaceToDepth};

pub(super) const TABLE: &[Row] = &[any(
    "ExtractImagePatches",
    &["ksizes", "strides", "rates", "padding"],
    patches,
)];

/// The most cells of a patch.
const CELLS: usize = 256;

/// The cells of each patch one behind the other, row by row, each with all of its channels: one part of the image, strided,
/// for each cell of the patch.
fn patches(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.value(0)?;
    let frame = Frame {
        axes: 2,
        channels_first: false,
    };
    let [kernel, strides, rates] = [
        frame.spatial(call, "ksizes")?,
        frame.spatial(call, "strides")?,
        frame.spatial(call, "rates")?,
    ];
    if call.rank(x) != 4 || kernel.iter().product::<usize>() > CELLS {
        return Err(call.option(format!("patches of {kernel:?} cells of {}", call.shape(x))));
    }
    let size = [call.size(x, 1)?, call.size(x, 2)?];
    let extent = |axis: usize| (kernel[axis] - 1) * rates[axis] + 1;
    let padding = match call.text("padding", "")? {
        "SAME" => Padding::Same,
        _ => Padding::none(2),
    };
    let mut pads = vec![[0, 0]; 4];
    let mut counts = [0; 2];
    for axis in 0..2 {
        let sides = padding.resolve(axis, Some(size[axis]), extent(axis), strides[axis]);
        let sides = sides.ok_or_else(|| call.refuse(MISFIT, "padding of a size that is unknown"))?;
        pads[axis + 1] = sides;
        let room = (size[axis] + sides[0] + sides[1]).checked_sub(extent(axis));
        let room = room.ok_or_else(|| call.refuse(MISFIT, "a patch that is larger than the image"))?;
        counts[axis] = room / strides[axis] + 1;
    }
    let padded = pads.iter().any(|pad| *pad != [0, 0]);
    // Patches side by side are blocks.
    let [block, other] = kernel[..] else {
        return Err(call.refuse(MISFIT, "a patch of two axes is expected"));
    };
    if block == other
        && kernel == strides
        && rates == [1, 1]
        && !padded
        && size.iter().all(|n| n % block == 0)
    {
        let x = frame.ahead(call, x)?;
        let y = call.apply(SpaceToDepth { block }, &[x])?;
        let y = frame.behind(call, y)?;
        return call.gives(y);
    }
    let x = match padded {
        true => {
            let mode = PadMode::Constant(0.0);
            call.apply(Pad { pads, mode }, &[x])?
        }
        false => x,
    };
    let mut parts = Vec::with_capacity(kernel.iter().product());
    for row in 0..kernel[0] {
        for column in 0..kernel[1] {
            let cut = |axis: usize, place: usize| {
                let start = place * rates[axis];
                SliceAxis {
                    axis: axis + 1,
                    start: start as i64,
                    end: Some((start + (counts[axis] - 1) * strides[axis] + 1) as i64),
                    step: strides[axis] as i64,
                    squeeze: false,
                }
            };
            let axes = vec![cut(0, row), cut(1, column)];
            parts.push(call.apply(Slice { axes }, &[x])?);
        }
    }
    let y = joined_values(call, &parts, 3)?;
    call.gives(y)
}
