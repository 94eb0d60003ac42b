//! Functions of one number, and softmax.

use super::{Call, MISFIT, TRAINING, Tops};
use caribou_ir::op::{Activation, PRelu, Softmax};
use caribou_ir::{Finding, Tensor};

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
    let axis = call.inner_axis(parameters.axis(), x)?;
    let (x, time_first) = call.examples_first(x)?;
    // Steps are behind the examples then.
    let axis = if time_first { axis.max(1) } else { axis };
    let y = call.apply(Softmax { axis }, &[x])?;
    Ok(vec![call.put_back(y, time_first)?])
}

/// `ELU`.
pub(super) fn elu(call: &mut Call<'_>) -> Tops {
    let alpha = f64::from(call.parameters.elu_param.unwrap_or_default().alpha());
    each(call, Activation::Elu { alpha })
}

/// `PReLU`, with a slope for each channel or one for all.
pub(super) fn prelu(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.prelu_param.clone().unwrap_or_default();
    let x = call.input()?;
    let rank = call.rank(x);
    if rank < 2 {
        return Err(call.refuse(MISFIT, format!("its bottom {} has no channels", call.shape(x))));
    }
    let count = if parameters.channel_shared() {
        1
    } else {
        call.size(x, 1)?
    };
    let slope = call.blob(0, &[count])?;
    // Stock DL4J can't train a slope that all axes share: it is given for each channel, or for each cell of only one.
    let features = call.shape(x).feature_sizes();
    let mut shape = vec![1; rank - 1];
    shape[0] = call.size(x, 1)?;
    if shape[0] == 1 {
        shape = features.unwrap_or(shape);
    }
    let slope = match count {
        1 => {
            if shape.iter().product::<usize>() > 1 {
                let message =
                    "one slope for all became several that are equal: training in DL4J may tell them apart";
                call.findings
                    .push(Finding::warning(TRAINING, &call.origin, message));
            }
            let values = slope.to_vec();
            let values = values.map_err(|error| call.refuse(MISFIT, error.to_string()))?;
            Tensor::filled(&shape, values.first().copied().unwrap_or(0.0)).to_owned_f32()
        }
        _ => slope.reshape(&shape),
    };
    let slope = slope.map_err(|error| call.refuse(MISFIT, error.to_string()))?;
    Ok(vec![call.apply(PRelu { slope }, &[x])?])
}
