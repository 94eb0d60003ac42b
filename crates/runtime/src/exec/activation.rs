//! Activation functions.

use super::elementwise::erf;
use super::{Array, Result, array};
use caribou_ir::op::{Activate, Activation, PRelu};
use ndarray::Axis;

/// The function in f64: the judge must not add errors of its own.
pub(super) fn function(function: Activation) -> impl Fn(f64) -> f64 + Copy {
    move |x: f64| match function {
        Activation::Linear => x,
        Activation::Relu => {
            if x.is_nan() {
                x
            } else {
                x.max(0.0)
            }
        }
        Activation::BoundedRelu {
            max,
            slope,
            threshold,
        } => {
            let y = if x >= threshold {
                x
            } else {
                slope * (x - threshold)
            };
            max.map_or(y, |max| if y > max { max } else { y })
        }
        Activation::LeakyRelu { alpha } => {
            if x > 0.0 {
                x
            } else {
                alpha * x
            }
        }
        Activation::ThresholdedRelu { theta } => {
            if x > theta {
                x
            } else {
                0.0
            }
        }
        Activation::Elu { alpha } => {
            if x > 0.0 {
                x
            } else {
                alpha * x.exp_m1()
            }
        }
        Activation::Selu => {
            1.050_700_987_355_480_5
                * if x > 0.0 {
                    x
                } else {
                    1.673_263_242_354_377_2 * x.exp_m1()
                }
        }
        Activation::Celu { alpha } => {
            if x > 0.0 {
                x
            } else {
                alpha * (x / alpha).exp_m1()
            }
        }
        Activation::Sigmoid => sigmoid(x),
        Activation::HardSigmoid { slope, offset } => (slope * x + offset).clamp(0.0, 1.0),
        Activation::Tanh => x.tanh(),
        Activation::HardTanh => x.clamp(-1.0, 1.0),
        Activation::RectifiedTanh => x.tanh().max(0.0),
        Activation::RationalTanh => {
            let y = (2.0 * x / 3.0).abs();
            1.7159 * x.signum() * (1.0 - 1.0 / (1.0 + y + y * y + 1.41645 * y.powi(4)))
        }
        Activation::Softplus => softplus(x),
        Activation::Softsign => x / (1.0 + x.abs()),
        Activation::Swish => x * sigmoid(x),
        Activation::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Activation::Mish => x * softplus(x).tanh(),
        Activation::Gelu => 0.5 * x * (1.0 + erf(x / std::f64::consts::SQRT_2)),
        Activation::GeluTanh => {
            0.5 * x * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
        }
        Activation::GeluSigmoid => x * sigmoid(1.702 * x),
        Activation::Exponential => x.exp(),
        Activation::Cube => x.powi(3),
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

pub(super) fn activate(op: &Activate, x: &Array) -> Result<Array> {
    // The most common ones need no detour.
    Ok(match op.function {
        Activation::Linear => x.clone(),
        Activation::Relu => x.mapv(|x| if x > 0.0 || x.is_nan() { x } else { 0.0 }),
        other => {
            let f = function(other);
            x.mapv(|x| f(f64::from(x)) as f32)
        }
    })
}

pub(super) fn prelu(op: &PRelu, x: &Array) -> Result<Array> {
    let slope = array(&op.slope)?.insert_axis(Axis(0));
    let slope = slope
        .broadcast(x.raw_dim())
        .ok_or_else(|| super::ExecError::new("the slopes do not fit the input"))?;
    let mut y = x.clone();
    ndarray::Zip::from(&mut y).and(&slope).for_each(|y, &slope| {
        if *y < 0.0 {
            *y *= slope;
        }
    });
    Ok(y)
}

pub(super) fn softmax(axis: usize, x: &Array, log: bool) -> Result<Array> {
    let mut y = x.clone();
    for mut lane in y.lanes_mut(Axis(axis)) {
        let max = lane
            .iter()
            .fold(f64::NEG_INFINITY, |max, &x| max.max(f64::from(x)));
        let sum: f64 = lane.iter().map(|&x| (f64::from(x) - max).exp()).sum();
        lane.mapv_inplace(|x| {
            let shifted = f64::from(x) - max;
            (if log {
                shifted - sum.ln()
            } else {
                shifted.exp() / sum
            }) as f32
        });
    }
    Ok(y)
}
