//! Cells added to, taken from or repeated along the spatial axes.

use super::{CONFIG, Call, OPTION, Outputs, config};
use caribou_ir::op::{
    Coordinates, Interpolation, Kernel, Pad, PadMode, Resize, ResizeTarget, Slice, SliceAxis,
};

/// The first spatial axis of the layer's input.
fn first_axis(call: &Call<'_>) -> Result<usize, Box<caribou_ir::Finding>> {
    Ok(if call.channels_first()? { 2 } else { 1 })
}

/// ZeroPadding of one to three axes.
pub(super) fn zero_padding(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let axes = call.spatial_axes();
    let first = first_axis(call)?;
    let mut pads = vec![[0, 0]; call.rank(x)];
    for (i, pair) in config!(call, pairs("padding", axes)).into_iter().enumerate() {
        *pads
            .get_mut(first + i)
            .ok_or_else(|| call.refuse(CONFIG, "its input has too few axes"))? = pair;
    }
    Ok(vec![call.apply(
        Pad {
            pads,
            mode: PadMode::Constant(0.0),
        },
        &[x],
    )?])
}

/// Cropping of one to three axes.
pub(super) fn cropping(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let axes = call.spatial_axes();
    let first = first_axis(call)?;
    let cut = |(i, [before, after]): (usize, [usize; 2])| {
        let end = if after == 0 { None } else { Some(-(after as i64)) };
        SliceAxis::range(first + i, before as i64, end)
    };
    let cuts = config!(call, pairs("cropping", axes))
        .into_iter()
        .enumerate()
        .map(cut)
        .collect();
    Ok(vec![call.apply(Slice { axes: cuts }, &[x])?])
}

/// Interpolation by the name that TensorFlow has for it.
pub(super) fn interpolation(name: &str) -> Option<Interpolation> {
    Some(match name {
        "nearest" => Interpolation::Nearest,
        "bilinear" => Interpolation::Linear,
        "bicubic" => Interpolation::Kernel(Kernel::Cubic),
        "lanczos3" => Interpolation::Kernel(Kernel::Lanczos(3)),
        "lanczos5" => Interpolation::Kernel(Kernel::Lanczos(5)),
        "gaussian" => Interpolation::Kernel(Kernel::Gaussian),
        "mitchellcubic" => Interpolation::Kernel(Kernel::Mitchell),
        "area" => Interpolation::Kernel(Kernel::Area),
        _ => return None,
    })
}

/// UpSampling of one to three axes.
pub(super) fn upsampling(call: &mut Call<'_>) -> Outputs {
    let axes = call.spatial_axes();
    // By whole factors, the area of an output cell is part of one input cell.
    let interpolation = match config!(call, text_or("interpolation", "nearest")) {
        "area" => Interpolation::Nearest,
        other => interpolation(other)
            .ok_or_else(|| call.refuse(OPTION, format!("interpolation {other} is not supported")))?,
    };
    let factors = config!(call, sizes("size", axes));
    let x = call.input()?;
    let x = call.channels_ahead(x)?;
    let op = Resize {
        interpolation,
        coordinates: Coordinates::HalfPixel,
        target: ResizeTarget::Factors(factors),
    };
    let y = call.apply(op, &[x])?;
    Ok(vec![call.channels_behind(y)?])
}
