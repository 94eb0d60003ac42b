//! Activation functions.

use super::{Array, Result, array, elements};
use caribou_ir::op::{Activate, Activation, PRelu};
use ndarray::Axis;

/// The function in f64: the judge must not add errors of its own.
pub(super) fn activate(op: &Activate, x: Array) -> Array {
    // The most common ones need no detour.
    match op.function {
        Activation::Linear => x,
        Activation::Relu => elements::map(x, |x| if x > 0.0 || x.is_nan() { x } else { 0.0 }),
        other => elements::map(x, |x| other.at(f64::from(x)) as f32),
    }
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
