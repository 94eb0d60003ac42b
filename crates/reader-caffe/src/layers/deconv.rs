//! Transposed convolution.

use super::conv::{spatial_axes, window};
use super::{Call, Tops};
use caribou_ir::op::ConvTranspose;

/// `Deconvolution`: the gradient of a convolution; its kernel is `[in, out / group, K…]`.
pub(super) fn deconvolution(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.convolution_param.clone().unwrap_or_default();
    let axes = spatial_axes(call, parameters.axis())?;
    let window = window(call, &parameters, axes)?;
    let (out, groups) = (parameters.num_output() as usize, parameters.group() as usize);
    let channels = call.size(call.inputs[0], 1)?;
    if out == 0 || groups == 0 || !channels.is_multiple_of(groups) || !out.is_multiple_of(groups) {
        return Err(call.misconfigured(format!(
            "{channels} channels and num_output {out} can't be divided into {groups} groups"
        )));
    }
    let mut shape = vec![channels, out / groups];
    shape.extend(&window.kernel);
    let weight = call.blob(0, &shape)?;
    let bias = parameters.bias_term().then(|| call.blob(1, &[out])).transpose()?;
    let op = ConvTranspose {
        weight,
        bias,
        strides: window.strides,
        dilations: window.dilations,
        crops: window.pads,
        output_padding: vec![0; axes],
        groups,
    };
    let inputs = call.inputs.to_vec();
    inputs
        .iter()
        .map(|&input| call.apply(op.clone(), &[input]))
        .collect()
}
