//! Bias correction: what rounding adds to the mean of an output is taken off its bias.

use crate::OptimizeError;
use crate::weights::Weight;
use caribou_ir::op::Op;
use caribou_ir::{Graph, NodeId, Tensor};
use std::collections::HashMap;

/// For each node the mean of each channel that it reads, over given examples and all places.
pub type InputMeans = HashMap<NodeId, Vec<f64>>;

/// `b' = b + sum over i of (w[o, i] - w'[o, i]) * mean[i]` (Nagel et al. 2019, "Data-Free Quantization"), for convolutions and
/// fully connected layers. Places at the border, which see padding, are taken for others.
pub(super) fn correct_bias(
    graph: &mut Graph,
    weight: &Weight,
    before: &[f32],
    after: &[f32],
    means: &InputMeans,
) -> Result<(), OptimizeError> {
    let Some(means) = means.get(&weight.node) else {
        return Ok(());
    };
    let (rows, columns) = weight.matrix();
    let (bias, groups) = match graph.op_mut(weight.node) {
        Op::Conv(conv) => (&mut conv.bias, conv.groups),
        Op::Dense(dense) => (&mut dense.bias, 1),
        _ => return Ok(()),
    };
    let read = OptimizeError::tensor(&weight.origin);
    let inputs = means.len() / groups.max(1);
    if inputs == 0 || columns % inputs != 0 {
        return Ok(());
    }
    let cells = columns / inputs;
    let mut values = match bias {
        Some(bias) => bias.to_vec().map_err(read)?,
        None => vec![0.0; rows],
    };
    for (o, value) in values.iter_mut().enumerate() {
        let group = o / (rows / groups).max(1);
        let row = o * columns..(o + 1) * columns;
        let shift: f64 = before[row.clone()]
            .iter()
            .zip(&after[row])
            .enumerate()
            .map(|(i, (&a, &b))| (f64::from(a) - f64::from(b)) * means[group * inputs + i / cells])
            .sum();
        *value = (f64::from(*value) + shift) as f32;
    }
    *bias = Some(Tensor::vector(&values));
    Ok(())
}
