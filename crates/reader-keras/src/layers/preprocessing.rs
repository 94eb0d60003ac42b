//! Preprocessing: numbers rescaled, images cut and resized, and what acts in training only.

use super::operator::{Number, array, elementwise};
use super::{CONFIG, Call, OPTION, Outputs, TRAINING, config};
use crate::version::Generation;
use caribou_ir::op::{
    Coordinates, ElementwiseKind, Identity, Interpolation, Resize, ResizeTarget, Slice, SliceAxis, Unary,
    UnaryKind,
};
use caribou_ir::{Finding, Tensor, ValueId};

/// What Keras divides by at least.
const EPSILON: f32 = 1e-7;

/// A number or an array of the configuration.
fn numbers(call: &Call<'_>, key: &str, default: f32) -> Result<Tensor, Box<Finding>> {
    match call.config.get(key) {
        None => Ok(Tensor::filled(&[], default)),
        Some(value) => {
            array(value).ok_or_else(|| call.refuse(CONFIG, format!("{key}: expected a number or an array")))
        }
    }
}

fn elements(call: &Call<'_>, tensor: &Tensor) -> Result<Vec<f32>, Box<Finding>> {
    tensor
        .to_vec()
        .map_err(|error| call.refuse(super::WEIGHT, error.to_string()))
}

/// `scale * x + offset`.
pub(super) fn rescaling(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let (scale, offset) = (numbers(call, "scale", 1.0)?, numbers(call, "offset", 0.0)?);
    if let ([scale], [offset]) = (&elements(call, &scale)?[..], &elements(call, &offset)?[..]) {
        let kind = UnaryKind::Affine {
            scale: f64::from(*scale),
            shift: f64::from(*offset),
        };
        return Ok(vec![call.apply(Unary { kind }, &[x])?]);
    }
    let y = elementwise(
        call,
        ElementwiseKind::Multiply,
        Number::Value(x),
        Number::Known(scale),
    )?;
    Ok(vec![elementwise(
        call,
        ElementwiseKind::Add,
        Number::Value(y),
        Number::Known(offset),
    )?])
}

/// `(x - mean) / max(sqrt(variance), 1e-7)` with statistics along some axes, or the inverse of it.
pub(super) fn normalization(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let shape = call.shape(x);
    let rank = shape.rank();
    let kept = match call.config.get("axis") {
        None => Vec::new(),
        Some(_) => config!(call, axes_or("axis", &[-1])),
    };
    let mut kept: Vec<usize> = kept
        .into_iter()
        .map(|axis| call.axis(axis, rank))
        .collect::<Result<_, _>>()?;
    kept.sort_unstable();
    if kept.contains(&0) {
        return Err(call.refuse(OPTION, "statistics of each example of a batch"));
    }
    let sizes: Vec<usize> = kept
        .iter()
        .map(|&axis| call.size(x, axis))
        .collect::<Result<_, _>>()?;
    let whole: Vec<usize> = (0..rank)
        .map(|axis| {
            if kept.contains(&axis) {
                shape.size(axis).unwrap_or(1)
            } else {
                1
            }
        })
        .collect();
    let statistics = |call: &Call<'_>, key: &str| -> Result<Vec<f32>, Box<Finding>> {
        if call.config.get("mean").is_none() {
            return elements(call, &call.weight(key, &sizes)?);
        }
        let given = numbers(call, key, 0.0)?;
        let values = elements(call, &given)?;
        let n: usize = sizes.iter().product();
        // One for all, or those of the last axes again and again.
        match values.len() {
            0 => Err(call.refuse(CONFIG, format!("{key}: expected numbers"))),
            count if n.is_multiple_of(count) && (count == 1 || trailing(&given.shape(), &sizes)) => {
                Ok(values.iter().copied().cycle().take(n).collect())
            }
            count => Err(call.refuse(CONFIG, format!("{key}: expected {n} numbers, found {count}"))),
        }
    };
    let mean = statistics(call, "mean")?;
    let deviation: Vec<f32> = statistics(call, "variance")?
        .into_iter()
        .map(|variance| variance.sqrt().max(EPSILON))
        .collect();
    let known = |call: &Call<'_>, values: &[f32]| {
        Tensor::from_f32(&whole, values)
            .map(Number::Known)
            .map_err(|error| call.refuse(super::WEIGHT, error.to_string()))
    };
    let (mean, deviation) = (known(call, &mean)?, known(call, &deviation)?);
    let x = Number::Value(x);
    let y = if config!(call, flag_or("invert", false)) {
        let y = elementwise(call, ElementwiseKind::Multiply, x, deviation)?;
        elementwise(call, ElementwiseKind::Add, Number::Value(y), mean)?
    } else {
        let y = elementwise(call, ElementwiseKind::Subtract, x, mean)?;
        elementwise(call, ElementwiseKind::Divide, Number::Value(y), deviation)?
    };
    Ok(vec![y])
}

/// Whether the sizes other than one in front are the last of `sizes`.
fn trailing(shape: &[usize], sizes: &[usize]) -> bool {
    let first = shape.iter().position(|&size| size != 1).unwrap_or(shape.len());
    sizes.ends_with(&shape[first..])
}

/// The height and width of `[N, C, H, W]`.
fn image(call: &Call<'_>, x: ValueId) -> Result<[usize; 2], Box<Finding>> {
    if call.rank(x) != 4 {
        return Err(call.refuse(super::MISFIT, format!("expected images, found {}", call.shape(x))));
    }
    Ok([call.size(x, 2)?, call.size(x, 3)?])
}

fn target(call: &Call<'_>) -> Result<[usize; 2], Box<Finding>> {
    let sizes = [config!(call, size("height")), config!(call, size("width"))];
    if sizes.contains(&0) {
        return Err(call.refuse(CONFIG, "height and width must not be zero"));
    }
    Ok(sizes)
}

fn interpolation(call: &Call<'_>) -> Result<Interpolation, Box<Finding>> {
    let name = config!(call, text_or("interpolation", "bilinear"));
    super::spatial::interpolation(name)
        .ok_or_else(|| call.refuse(OPTION, format!("interpolation {name} is not supported")))
}

fn resized(
    call: &mut Call<'_>,
    x: ValueId,
    interpolation: Interpolation,
    size: [usize; 2],
) -> Result<ValueId, Box<Finding>> {
    let op = Resize {
        interpolation,
        coordinates: Coordinates::HalfPixel,
        target: ResizeTarget::Sizes(size.to_vec()),
    };
    call.apply(op, &[x])
}

fn cropped(
    call: &mut Call<'_>,
    x: ValueId,
    start: [usize; 2],
    size: [usize; 2],
) -> Result<ValueId, Box<Finding>> {
    let axes = (0..2)
        .map(|i| SliceAxis::range(i + 2, start[i] as i64, Some((start[i] + size[i]) as i64)))
        .collect();
    call.apply(Slice { axes }, &[x])
}

/// The largest part in the middle that has the target's proportions, resized (Keras' `smart_resize`).
fn to_proportions(
    call: &mut Call<'_>,
    x: ValueId,
    interpolation: Interpolation,
    target: [usize; 2],
) -> Result<ValueId, Box<Finding>> {
    let from = image(call, x)?;
    // In single precision, as Keras computes it.
    let scaled =
        |length: usize, by: usize, over: usize| (length.saturating_mul(by) as f32 / over as f32) as usize;
    let part = [
        from[0].min(scaled(from[1], target[0], target[1])).max(1),
        from[1].min(scaled(from[0], target[1], target[0])).max(1),
    ];
    let start = [(from[0] - part[0]) / 2, (from[1] - part[1]) / 2];
    let x = if part == from {
        x
    } else {
        cropped(call, x, start, part)?
    };
    resized(call, x, interpolation, target)
}

/// Images of another size.
pub(super) fn resizing(call: &mut Call<'_>) -> Outputs {
    for option in ["pad_to_aspect_ratio", "antialias"] {
        if config!(call, flag_or(option, false)) {
            return Err(call.refuse(OPTION, format!("{option} is not supported")));
        }
    }
    let (size, interpolation) = (target(call)?, interpolation(call)?);
    let x = call.input()?;
    let x = call.channels_ahead(x)?;
    image(call, x)?;
    let y = match config!(call, flag_or("crop_to_aspect_ratio", false)) {
        true => to_proportions(call, x, interpolation, size)?,
        false => resized(call, x, interpolation, size)?,
    };
    Ok(vec![call.channels_behind(y)?])
}

/// The middle of an image; a smaller one is enlarged first.
pub(super) fn center_crop(call: &mut Call<'_>) -> Outputs {
    let size = target(call)?;
    let x = call.input()?;
    let x = call.channels_ahead(x)?;
    let from = image(call, x)?;
    let y = if from[0] >= size[0] && from[1] >= size[1] {
        let start = [(from[0] - size[0]) / 2, (from[1] - size[1]) / 2];
        cropped(call, x, start, size)?
    } else {
        to_proportions(call, x, Interpolation::Linear, size)?
    };
    Ok(vec![call.channels_behind(y)?])
}

/// At inference, the middle of the image in the right proportions, resized.
pub(super) fn random_crop(call: &mut Call<'_>) -> Outputs {
    note(
        call,
        "it crops at random in training only, which was not carried over",
    );
    let size = target(call)?;
    let x = call.input()?;
    let x = call.channels_ahead(x)?;
    if call.generation == Generation::Three && image(call, x)? != size {
        return Err(call.refuse(
            OPTION,
            "outside of training, older versions of Keras 3 resize its images and newer ones leave them as they are; \
             take the layer out of the model, or use CenterCrop or Resizing",
        ));
    }
    let y = to_proportions(call, x, Interpolation::Linear, size)?;
    Ok(vec![call.channels_behind(y)?])
}

/// Layers that change images at random in training, and do nothing at inference.
pub(super) fn random(call: &mut Call<'_>) -> Outputs {
    note(
        call,
        "it acts at random in training only, which was not carried over",
    );
    let x = call.input()?;
    Ok(vec![call.apply(Identity, &[x])?])
}

fn note(call: &mut Call<'_>, message: &str) {
    call.findings.push(Finding::note(TRAINING, &call.origin, message));
}
