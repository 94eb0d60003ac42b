//! Transposed convolution.

use super::conv::{Kernel, each_bottom, groups, kernel};
use super::{Call, Tops};
use caribou_ir::op::ConvTranspose;

/// `Deconvolution`: the gradient of a convolution; its kernel is `[in, out / group, K…]`.
pub(super) fn deconvolution(call: &mut Call<'_>) -> Tops {
    let groups = groups(call);
    let Kernel { window, weight, bias } = kernel(call, groups, |channels, out| [channels, out / groups])?;
    let op = ConvTranspose {
        weight,
        bias,
        output_padding: vec![0; window.strides.len()],
        strides: window.strides,
        dilations: window.dilations,
        crops: window.pads,
        groups,
    };
    each_bottom(call, &op.into())
}
