//! Scaled dot-product attention, head by head.

use super::{Array, ExecError, Result, activation, linear};
use caribou_ir::op::{Attention, Dense, Projection};
use ndarray::{Array2, Array3, Ix3, s};

fn projected(projection: &Option<Projection>, x: &Array) -> Result<Array> {
    match projection {
        Some(Projection { weight, bias }) => linear::dense(
            &Dense {
                weight: weight.clone(),
                bias: bias.clone(),
            },
            x,
        ),
        None => Ok(x.clone()),
    }
}

pub(super) fn attention(op: &Attention, inputs: &[&Array]) -> Result<Array> {
    let [q, k, v] = inputs else {
        return Err(ExecError::new("attention has three inputs"));
    };
    let q = projected(&op.query, q)?.into_dimensionality::<Ix3>()?;
    let k = projected(&op.key, k)?.into_dimensionality::<Ix3>()?;
    let v = projected(&op.value, v)?.into_dimensionality::<Ix3>()?;
    let (batch, steps, columns) = q.dim();
    let (size, value_size) = (columns / op.heads, v.dim().2 / op.heads);
    let mut y = Array3::<f32>::zeros((batch, steps, v.dim().2));
    for n in 0..batch {
        for head in 0..op.heads {
            let columns = head * size..(head + 1) * size;
            let products = q
                .slice(s![n, .., columns.clone()])
                .dot(&k.slice(s![n, .., columns]).t());
            let scores = Array2::from_shape_fn(products.raw_dim(), |(t, s)| match op.causal && s > t {
                true => f32::NEG_INFINITY,
                false => (f64::from(products[[t, s]]) * op.scale) as f32,
            });
            let weights =
                activation::softmax(1, &scores.into_dyn(), false)?.into_dimensionality::<ndarray::Ix2>()?;
            let values = head * value_size..(head + 1) * value_size;
            y.slice_mut(s![n, .., values.clone()])
                .assign(&weights.dot(&v.slice(s![n, .., values])));
        }
    }
    projected(&op.output, &y.into_dyn())
}
