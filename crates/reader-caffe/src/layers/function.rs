//! Functions of one number that are not called activations, and those that forks add.

use super::{Call, OPTION, Tops};
use caribou_ir::op::{
    Activation, Constant, Elementwise, ElementwiseKind, Identity, LogSoftmax, Op, Unary, UnaryKind,
};
use caribou_ir::{Finding, Tensor, ValueId};

type Made = Result<ValueId, Box<Finding>>;

fn unary(call: &mut Call<'_>, kind: UnaryKind, x: ValueId) -> Made {
    call.apply(Unary { kind }, &[x])
}

/// `scale * x + shift`; nothing is added for the identity.
pub(super) fn affine(call: &mut Call<'_>, x: ValueId, scale: f64, shift: f64) -> Made {
    if scale == 1.0 && shift == 0.0 {
        return Ok(x);
    }
    unary(call, UnaryKind::Affine { scale, shift }, x)
}

/// The value itself, under the layer's name where nothing was added to `x`.
fn named(call: &mut Call<'_>, x: ValueId, y: ValueId) -> Tops {
    Ok(vec![if x == y { call.apply(Identity, &[x])? } else { y }])
}

/// `AbsVal`.
pub(super) fn absolute(call: &mut Call<'_>) -> Tops {
    let x = call.input()?;
    Ok(vec![unary(call, UnaryKind::Abs, x)?])
}

/// `BNLL`: `ln(1 + exp x)`.
pub(super) fn bnll(call: &mut Call<'_>) -> Tops {
    let x = call.input()?;
    Ok(vec![call.apply(Activation::Softplus, &[x])?])
}

/// `Power`: `(shift + scale * x)^power`.
pub(super) fn power(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.power_param.unwrap_or_default();
    let (power, scale, shift) = (parameters.power(), parameters.scale(), parameters.shift());
    let x = call.input()?;
    // As Caffe computes it: a constant in single precision.
    if power == 0.0 || scale == 0.0 {
        let constant = if power == 0.0 { 1.0 } else { shift.powf(power) };
        let kind = UnaryKind::Affine {
            scale: 0.0,
            shift: f64::from(constant),
        };
        return Ok(vec![unary(call, kind, x)?]);
    }
    let base = affine(call, x, f64::from(scale), f64::from(shift))?;
    let y = match power {
        1.0 => base,
        2.0 => unary(call, UnaryKind::Square, base)?,
        0.5 => unary(call, UnaryKind::Sqrt, base)?,
        -0.5 => unary(call, UnaryKind::ReciprocalSqrt, base)?,
        -1.0 => unary(call, UnaryKind::Reciprocal, base)?,
        power => {
            let value = Tensor::filled(&[1], power);
            let exponent = call.apply(Constant { value }, &[])?;
            let kind = ElementwiseKind::Power;
            call.apply(Elementwise { kind }, &[base, exponent])?
        }
    };
    named(call, x, y)
}

/// The natural logarithm of a base, where minus one stands for e.
fn log_of_base(call: &Call<'_>, base: f32) -> Result<f64, Box<Finding>> {
    match base {
        -1.0 => Ok(1.0),
        base if base > 0.0 && base != 1.0 => Ok(f64::from(base).ln()),
        base => Err(call.misconfigured(format!("the base {base} is not positive, or one"))),
    }
}

/// `Exp`: `base^(shift + scale * x)`.
pub(super) fn exponential(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.exp_param.unwrap_or_default();
    let log = log_of_base(call, parameters.base())?;
    let x = call.input()?;
    let exponent = affine(
        call,
        x,
        log * f64::from(parameters.scale()),
        log * f64::from(parameters.shift()),
    )?;
    Ok(vec![call.apply(Activation::Exponential, &[exponent])?])
}

/// The logarithm of what a softmax or a sigmoid gives, which is a function of what these read, and has no logarithm of
/// its own. Where the probability is too small for a number, this is finite.
fn of_probability(call: &mut Call<'_>, x: ValueId) -> Result<Option<ValueId>, Box<Finding>> {
    let Some(node) = call.graph.producer(x) else {
        return Ok(None);
    };
    let (op, inputs) = (node.op.clone(), node.inputs.clone());
    Ok(match (op, &inputs[..]) {
        (Op::Softmax(op), &[z]) => Some(call.apply(LogSoftmax { axis: op.axis }, &[z])?),
        (Op::Activate(op), &[z]) if op.function == Activation::Sigmoid => {
            // ln sigmoid(z) = -ln(1 + exp(-z)).
            let minus = affine(call, z, -1.0, 0.0)?;
            let y = call.apply(Activation::Softplus, &[minus])?;
            Some(affine(call, y, -1.0, 0.0)?)
        }
        _ => None,
    })
}

/// `Log`: the logarithm of `shift + scale * x` to a base.
pub(super) fn logarithm(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.log_param.unwrap_or_default();
    let log = log_of_base(call, parameters.base())?;
    let x = call.input()?;
    let scale = f64::from(parameters.scale());
    if parameters.shift() == 0.0
        && scale > 0.0
        && let Some(y) = of_probability(call, x)?
    {
        let y = affine(call, y, 1.0 / log, scale.ln() / log)?;
        return Ok(vec![y]);
    }
    let inner = affine(call, x, scale, f64::from(parameters.shift()))?;
    let y = unary(call, UnaryKind::Log, inner)?;
    Ok(vec![affine(call, y, 1.0 / log, 0.0)?])
}

/// `Threshold`: one above it, else zero.
pub(super) fn threshold(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.threshold_param.unwrap_or_default();
    let x = call.input()?;
    let kind = UnaryKind::Step {
        threshold: f64::from(parameters.threshold()),
    };
    Ok(vec![unary(call, kind, x)?])
}

/// `ReLU6` of forks: cut at zero and at six.
pub(super) fn relu6(call: &mut Call<'_>) -> Tops {
    let x = call.input()?;
    let function = Activation::BoundedRelu {
        max: Some(6.0),
        slope: 0.0,
        threshold: 0.0,
    };
    Ok(vec![call.apply(function, &[x])?])
}

/// `Clip`: cut at both ends.
pub(super) fn clip(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.clip_param.unwrap_or_default();
    let (Some(min), Some(max)) = (parameters.min, parameters.max) else {
        return Err(call.misconfigured("min or max is missing"));
    };
    if min > max {
        return Err(call.refuse(
            OPTION,
            format!("its lower end {min} is above its upper end {max}"),
        ));
    }
    let x = call.input()?;
    let kind = UnaryKind::Clip {
        min: f64::from(min),
        max: f64::from(max),
    };
    Ok(vec![unary(call, kind, x)?])
}

/// `Swish`: `x * sigmoid(beta * x)`.
pub(super) fn swish(call: &mut Call<'_>) -> Tops {
    let beta = call.parameters.swish_param.unwrap_or_default().beta();
    let x = call.input()?;
    if beta == 1.0 {
        return Ok(vec![call.apply(Activation::Swish, &[x])?]);
    }
    let scaled = affine(call, x, f64::from(beta), 0.0)?;
    let gate = call.apply(Activation::Sigmoid, &[scaled])?;
    let kind = ElementwiseKind::Multiply;
    Ok(vec![call.apply(Elementwise { kind }, &[x, gate])?])
}

/// `HardSwish` of forks: `x * min(max(x + 3, 0), 6) / 6`.
pub(super) fn hard_swish(call: &mut Call<'_>) -> Tops {
    let x = call.input()?;
    Ok(vec![call.apply(Activation::HardSwish, &[x])?])
}
