//! Layers of forks that change the size of images.

use super::{Call, MISFIT, OPTION, Tops};
use caribou_ir::op::{Coordinates, Interpolation, Resize, ResizeTarget, Slice, SliceAxis};
use caribou_ir::{Finding, ValueId};

/// `Interp`: linear on both axes, the corners of the bottom, less what `pad_beg` and `pad_end` cut, on those of the top.
pub(super) fn interp(call: &mut Call<'_>) -> Tops {
    let p = call.parameters.interp_param.unwrap_or_default();
    let x = call.input()?;
    if call.rank(x) != 4 {
        return Err(call.refuse(MISFIT, format!("expected [N, C, H, W], found {}", call.shape(x))));
    }
    let x = cut(call, x, [p.pad_beg(), p.pad_end()])?;
    let whole = |value: i32, what: &str| match usize::try_from(value) {
        Ok(value) if value > 0 => Ok(value),
        _ => Err(call.misconfigured(format!("{what} must be at least one"))),
    };
    let zoom = whole(p.zoom_factor(), "zoom_factor")?;
    let shrink = whole(p.shrink_factor(), "shrink_factor")?;
    let size = |axis: usize, given: Option<i32>| {
        let from = call.size(x, axis)?;
        let factors = p.zoom_factor.is_some() || p.shrink_factor.is_some();
        match given {
            Some(given) if !factors => whole(given, "height and width"),
            Some(_) => Err(call.misconfigured("its size is given both by itself and by factors")),
            None => {
                let small = from.max(1).div_ceil(shrink);
                Ok(small + (small - 1) * (zoom - 1))
            }
        }
    };
    let sizes = vec![size(2, p.height)?, size(3, p.width)?];
    if p.height.is_some() != p.width.is_some() {
        return Err(call.misconfigured("one of height and width is missing"));
    }
    let op = Resize {
        interpolation: Interpolation::Linear,
        coordinates: Coordinates::AlignCorners,
        target: ResizeTarget::Sizes(sizes),
    };
    Ok(vec![call.apply(op, &[x])?])
}

/// The image without the rows and columns that a negative padding takes from its beginning and end.
fn cut(call: &mut Call<'_>, x: ValueId, pads: [i32; 2]) -> Result<ValueId, Box<Finding>> {
    if pads == [0, 0] {
        return Ok(x);
    }
    if pads.iter().any(|&pad| pad > 0) {
        return Err(
            call.misconfigured("pad_beg and pad_end must not be above zero: the image is cut, never padded")
        );
    }
    let [before, after] = pads.map(|pad| pad.unsigned_abs() as usize);
    let axes = [2, 3].map(|axis| {
        let size = call.size(x, axis)?;
        match size.checked_sub(after).filter(|&end| end > before) {
            Some(end) => Ok(SliceAxis::range(axis, before as i64, Some(end as i64))),
            None => Err(call.misconfigured(format!("nothing is left of the {size} cells of axis {axis}"))),
        }
    });
    let axes = axes.into_iter().collect::<Result<Vec<SliceAxis>, _>>()?;
    call.apply(Slice { axes }, &[x])
}

/// `Upsample` with one bottom: every cell repeated.
pub(super) fn upsample(call: &mut Call<'_>) -> Tops {
    let p = call.parameters.upsample_param.unwrap_or_default();
    if call.inputs.len() != 1 {
        return Err(call.refuse(
            OPTION,
            "it puts numbers where a pooling layer found them, which can't be expressed",
        ));
    }
    let x = call.input()?;
    if p.upsample_h.is_some() || p.upsample_w.is_some() || p.pad_out_h() || p.pad_out_w() {
        return Err(call.refuse(OPTION, "its size is given by other than a whole factor"));
    }
    let scale = p.scale.unwrap_or(0);
    let factors = vec![
        p.scale_h.unwrap_or(scale) as usize,
        p.scale_w.unwrap_or(scale) as usize,
    ];
    if factors.contains(&0) {
        return Err(call.misconfigured("scale is missing"));
    }
    let op = Resize {
        interpolation: Interpolation::Nearest,
        coordinates: Coordinates::Asymmetric,
        target: ResizeTarget::Factors(factors),
    };
    Ok(vec![call.apply(op, &[x])?])
}
