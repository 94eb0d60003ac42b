//! Functions of one number, and softmax.

use super::{Call, Tops};
use caribou_ir::op::{Activation, Softmax};

fn each(call: &mut Call<'_>, function: Activation) -> Tops {
    let x = call.input()?;
    Ok(vec![call.apply(function, &[x])?])
}

/// `ReLU`, with a slope below zero, or (in a fork) cut at six.
pub(super) fn relu(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.relu_param.unwrap_or_default();
    let alpha = f64::from(parameters.negative_slope());
    let function = match (parameters.relu6(), alpha == 0.0) {
        (true, _) => Activation::BoundedRelu {
            max: Some(6.0),
            slope: alpha,
            threshold: 0.0,
        },
        (false, true) => Activation::Relu,
        (false, false) => Activation::LeakyRelu { alpha },
    };
    each(call, function)
}

/// `Sigmoid`.
pub(super) fn sigmoid(call: &mut Call<'_>) -> Tops {
    each(call, Activation::Sigmoid)
}

/// `TanH`.
pub(super) fn tanh(call: &mut Call<'_>) -> Tops {
    each(call, Activation::Tanh)
}

/// `Softmax` along `axis`.
pub(super) fn softmax(call: &mut Call<'_>) -> Tops {
    let x = call.input()?;
    let parameters = call.parameters.softmax_param.unwrap_or_default();
    let axis = call.inner_axis(parameters.axis(), call.rank(x))?;
    Ok(vec![call.apply(Softmax { axis }, &[x])?])
}
