//! Reductions.

use super::{Array, Result};
use caribou_ir::op::{ArgMax, Reduce, ReduceKind};
use ndarray::{ArrayD, Axis};

pub(super) fn reduce(op: &Reduce, x: &Array) -> Result<Array> {
    let mut values: ArrayD<f64> = x.mapv(f64::from);
    match op.kind {
        ReduceKind::L2 | ReduceKind::SumOfSquares => values.mapv_inplace(|x| x * x),
        ReduceKind::L1 => values.mapv_inplace(f64::abs),
        _ => {}
    }
    let mut count = 1;
    for &axis in op.axes.iter().rev() {
        count *= values.shape()[axis];
        let fold = |start: f64, f: fn(f64, f64) -> f64| values.fold_axis(Axis(axis), start, |&a, &b| f(a, b));
        values = match op.kind {
            ReduceKind::Max => fold(f64::NEG_INFINITY, |a, b| if b > a || b.is_nan() { b } else { a }),
            ReduceKind::Min => fold(f64::INFINITY, |a, b| if b < a || b.is_nan() { b } else { a }),
            ReduceKind::Product => fold(1.0, |a, b| a * b),
            _ => values.sum_axis(Axis(axis)),
        };
        if op.keep_dims {
            values = values.insert_axis(Axis(axis));
        }
    }
    Ok(values.mapv(|x| match op.kind {
        ReduceKind::Mean => (x / f64::from(count as u32)) as f32,
        ReduceKind::L2 => x.sqrt() as f32,
        _ => x as f32,
    }))
}

pub(super) fn arg_max(op: &ArgMax, x: &Array) -> Result<Array> {
    let y = x.map_axis(Axis(op.axis), |lane| {
        let best = lane
            .iter()
            .enumerate()
            .fold((0, f32::NEG_INFINITY), |best, (i, &x)| {
                if x > best.1 || (op.select_last && x == best.1) {
                    (i, x)
                } else {
                    best
                }
            });
        best.0 as f32
    });
    Ok(if op.keep_dims {
        y.insert_axis(Axis(op.axis))
    } else {
        y
    })
}
