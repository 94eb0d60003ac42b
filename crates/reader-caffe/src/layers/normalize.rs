//! Normalisations by statistics of the example itself.

use super::{Call, MISFIT, Tops};
use caribou_ir::op::{
    Constant, Elementwise, ElementwiseKind, LayerNorm, NormEpsilon, Reduce, ReduceKind, Reshape, Size, Unary,
    UnaryKind,
};
use caribou_ir::{Finding, Tensor, ValueId};

/// `MVN`: `(x - mean) / (deviation + eps)` over the cells of each channel, or over all of an example.
pub(super) fn mean_variance(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.mvn_param.unwrap_or_default();
    let x = call.input()?;
    let rank = call.rank(x);
    let first = if parameters.across_channels() { 1 } else { 2 };
    if rank > 4 || rank <= first {
        return Err(call.refuse(MISFIT, format!("expected [N, C, H, W], found {}", call.shape(x))));
    }
    let op = LayerNorm {
        centring: caribou_ir::op::Centring::Values,
        axes: (first..rank).collect(),
        scale: None,
        offset: None,
        epsilon: f64::from(parameters.eps()),
        placement: NormEpsilon::OutsideRoot,
        divide: parameters.normalize_variance(),
    };
    let y = call.apply(op, &[x])?;
    if rank == 4 {
        return Ok(vec![y]);
    }
    // Caffe's top has four axes, whatever its bottom has.
    let mut target: Vec<Size> = (0..rank).map(Size::Keep).collect();
    target.resize(4, Size::Fixed(1));
    Ok(vec![call.apply(Reshape { target }, &[y])?])
}

/// A number for each channel beside `[N, C, D…]`, or one for all.
pub(super) fn beside(call: &mut Call<'_>, x: ValueId, values: &Tensor) -> Result<ValueId, Box<Finding>> {
    let mut shape = vec![1; call.rank(x) - 1];
    shape[0] = values.len();
    let value = values
        .reshape(&shape)
        .map_err(|error| call.refuse(MISFIT, error.to_string()))?;
    call.apply(Constant { value }, &[])
}

pub(super) fn elementwise(
    call: &mut Call<'_>,
    kind: ElementwiseKind,
    a: ValueId,
    b: ValueId,
) -> Result<ValueId, Box<Finding>> {
    call.apply(Elementwise { kind }, &[a, b])
}

/// `Normalize` of SSD: `scale * x / sqrt(sum of squares + eps)`, the sum over the channels of a cell or over all of an
/// example.
pub(super) fn unit_length(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.norm_param.clone().unwrap_or_default();
    let x = call.input()?;
    let rank = call.rank(x);
    if rank < 2 {
        return Err(call.refuse(MISFIT, format!("expected channels, found {}", call.shape(x))));
    }
    let scale = match parameters.channel_shared() {
        true => call.blob(0, &[1])?,
        false => {
            let channels = call.size(x, 1)?;
            call.blob(0, &[channels])?
        }
    };
    let squares = Reduce {
        kind: ReduceKind::SumOfSquares,
        axes: if parameters.across_spatial() {
            (1..rank).collect()
        } else {
            vec![1]
        },
        keep_dims: true,
    };
    let sum = call.apply(squares, &[x])?;
    let sum = super::function::affine(call, sum, 1.0, f64::from(parameters.eps()))?;
    let kind = UnaryKind::ReciprocalSqrt;
    let factor = call.apply(Unary { kind }, &[sum])?;
    let unit = elementwise(call, ElementwiseKind::Multiply, x, factor)?;
    let scale = beside(call, x, &scale)?;
    Ok(vec![elementwise(call, ElementwiseKind::Multiply, unit, scale)?])
}
