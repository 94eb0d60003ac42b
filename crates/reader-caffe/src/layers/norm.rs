//! Normalisations.

use super::{Call, MISFIT, OPTION, Tops, WEIGHT};
use crate::schema::lrn_parameter::NormRegion;
use caribou_ir::op::{
    AverageDivisor, BatchNorm, Constant, Elementwise, ElementwiseKind, LocalResponseNorm, Padding, Pool,
    PoolKind, Rounding, Unary, UnaryKind,
};
use caribou_ir::{Finding, Tensor, TensorError};

fn unreadable(call: &Call<'_>, error: &TensorError) -> Box<Finding> {
    call.refuse(WEIGHT, error.to_string())
}

/// `tensor` with every element multiplied by `factor`, in single precision as Caffe does it.
fn times(call: &Call<'_>, tensor: Tensor, factor: f32) -> Result<Tensor, Box<Finding>> {
    if factor == 1.0 {
        return Ok(tensor);
    }
    let values = tensor.to_vec().map_err(|error| unreadable(call, &error))?;
    let values: Vec<f32> = values.iter().map(|value| value * factor).collect();
    Ok(Tensor::vector(&values))
}

/// `BatchNorm`: sums of means and variances, and the number by which both are divided. NVIDIA's fork has gamma and beta
/// in the same layer.
pub(super) fn batch_norm(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.batch_norm_param.clone().unwrap_or_default();
    let x = call.input()?;
    // In training, where it always does, what it learned takes its place.
    if parameters.use_global_stats == Some(false) && !call.layer.is_training() {
        return Err(call.refuse(
            OPTION,
            "it normalises by the batch at hand (use_global_stats: false), not by what it learned",
        ));
    }
    if call.rank(x) < 2 {
        return Err(call.refuse(MISFIT, format!("its bottom {} has no channels", call.shape(x))));
    }
    let channels = call.size(x, 1)?;
    let mean = call.blob(0, &[channels])?;
    let variance = call.blob(1, &[channels])?;
    let sum = call.blob(2, &[1])?;
    let sum = if call.is_untrained() {
        1.0
    } else {
        let sum = sum.to_vec().map_err(|error| unreadable(call, &error))?;
        sum.first().copied().unwrap_or(0.0)
    };
    let factor = if sum == 0.0 { 0.0 } else { 1.0 / sum };
    let variance = if call.is_untrained() {
        Tensor::filled(&[channels], 1.0)
    } else {
        times(call, variance, factor)?
    };
    let (scale, offset) = match parameters.scale_bias() {
        true => (Some(call.blob(3, &[channels])?), Some(call.blob(4, &[channels])?)),
        false => (None, None),
    };
    let op = BatchNorm {
        axis: 1,
        scale,
        offset,
        mean: times(call, mean, factor)?,
        variance,
        epsilon: f64::from(parameters.eps()),
        momentum: f64::from(parameters.moving_average_fraction()),
    };
    Ok(vec![call.apply(op, &[x])?])
}

/// `LRN` over neighbouring channels, or over the neighbourhood of each cell within its channel.
pub(super) fn lrn(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.lrn_param.unwrap_or_default();
    let x = call.input()?;
    let size = parameters.local_size() as usize;
    if size.is_multiple_of(2) {
        return Err(call.misconfigured(format!("local_size must be odd, and is {size}")));
    }
    if call.rank(x) != 4 {
        return Err(call.refuse(MISFIT, format!("expected [N, C, H, W], found {}", call.shape(x))));
    }
    let (alpha, beta) = (f64::from(parameters.alpha()), f64::from(parameters.beta()));
    if parameters.norm_region() == NormRegion::AcrossChannels {
        let op = LocalResponseNorm {
            size,
            alpha: alpha / size as f64,
            beta,
            bias: f64::from(parameters.k()),
        };
        return Ok(vec![call.apply(op, &[x])?]);
    }
    // x * (1 + alpha * mean of squares)^-beta; k plays no part here.
    let square = call.apply(
        Unary {
            kind: UnaryKind::Square,
        },
        &[x],
    )?;
    let pad = (size - 1) / 2;
    let pool = Pool {
        kind: PoolKind::Average(AverageDivisor::PaddedCells),
        kernel: vec![size, size],
        strides: vec![1, 1],
        dilations: vec![1, 1],
        padding: Padding::Explicit(vec![[pad, pad]; 2]),
        rounding: Rounding::Ceil,
    };
    let mean = call.apply(pool, &[square])?;
    let kind = UnaryKind::Affine {
        scale: alpha,
        shift: 1.0,
    };
    let base = call.apply(Unary { kind }, &[mean])?;
    let value = Tensor::vector(&[-parameters.beta()]);
    let exponent = call.apply(Constant { value }, &[])?;
    let elementwise = |kind| Elementwise { kind };
    let factor = call.apply(elementwise(ElementwiseKind::Power), &[base, exponent])?;
    Ok(vec![
        call.apply(elementwise(ElementwiseKind::Multiply), &[x, factor])?,
    ])
}
