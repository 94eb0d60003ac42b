//! Layers that `keras.applications` defines for its own networks.

use super::conv::viewed;
use super::{CONFIG, Call, MISFIT, Outputs, config};
use crate::weights::UNNAMED;
use caribou_ir::op::{
    Constant, Conv, Elementwise, ElementwiseKind, Noise, NoiseKind, Padding, Unary, UnaryKind,
};

/// `a + scale * b` (InceptionResNetV2's `CustomScaleLayer`).
pub(super) fn custom_scale(call: &mut Call<'_>) -> Outputs {
    let scale = call.config.get("scale").and_then(serde_json::Value::as_f64);
    let scale = scale.ok_or_else(|| call.refuse(CONFIG, "scale: expected a number"))?;
    let &[a, b] = call.inputs else {
        return Err(call.refuse(MISFIT, "expected two inputs"));
    };
    let kind = UnaryKind::Affine { scale, shift: 0.0 };
    let scaled = call.apply(Unary { kind }, &[b])?;
    let kind = ElementwiseKind::Add;
    Ok(vec![call.apply(Elementwise { kind }, &[a, scaled])?])
}

/// `gamma * x` along the last axis (ConvNeXt's `LayerScale`).
pub(super) fn layer_scale(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let size = call.size(x, call.rank(x) - 1)?;
    let configured = config!(call, size("projection_dim"));
    if configured != size {
        let message =
            format!("projection_dim: expected {size}, the last axis of its input, found {configured}");
        return Err(call.refuse(CONFIG, message));
    }
    // Keras 3 gives it no name.
    let unnamed = |missing| call.weight(UNNAMED, &[size]).map_err(|_| missing);
    let value = call.weight("gamma", &[size]).or_else(unnamed)?;
    let rank = call.rank(x);
    if rank > 2 {
        // A convolution of size one, each channel by itself: its kernel learns.
        let axes = rank - 2;
        let kernel: Vec<usize> = [size, 1]
            .into_iter()
            .chain(std::iter::repeat_n(1, axes))
            .collect();
        let op = Conv {
            weight: viewed(call, value.reshape(&kernel))?,
            bias: None,
            strides: vec![1; axes],
            dilations: vec![1; axes],
            padding: Padding::none(axes),
            groups: size,
        };
        let y = call.channels_ahead(x)?;
        let y = call.apply(op, &[y])?;
        return Ok(vec![call.channels_behind(y)?]);
    }
    call.lost_in_training("its factors of a row stay as they are when training goes on");
    let gamma = call.apply(Constant { value }, &[])?;
    let kind = ElementwiseKind::Multiply;
    Ok(vec![call.apply(Elementwise { kind }, &[x, gamma])?])
}

/// Whole examples of a branch dropped, in training only (ConvNeXt's `StochasticDepth`).
pub(super) fn stochastic_depth(call: &mut Call<'_>) -> Outputs {
    call.lost_in_training("DL4J has no layer that drops whole examples: training goes on without it");
    let kind = NoiseKind::Other;
    let x = call.input()?;
    Ok(vec![call.apply(Noise { kind }, &[x])?])
}
