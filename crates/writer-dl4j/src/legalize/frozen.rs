//! Batch normalisations that stay as they are.
//!
//! Stock DL4J can't take gradients through a frozen one. Its statistics are stored, so that it is a scale and a shift of
//! each channel: `y = a x + b` with `a = scale / sqrt(variance + epsilon)` and `b = offset - a mean`.

use super::constant::{affine, elements, tensor};
use super::{Composed, Step};
use caribou_ir::op::{BatchNorm, Op, Operator};
use caribou_ir::{Graph, NodeId, Port, Producer, Training, ValueId};
use std::collections::HashSet;

/// The batch normalisations that are frozen, without those that are so far at the front of a chain that nothing before
/// them learns: no gradient goes through these.
pub(super) fn behind_learning(graph: &Graph, training: Option<&Training>) -> HashSet<NodeId> {
    let Some(training) = training else {
        return HashSet::new();
    };
    // A sequence in the source's order needs a vertex in front of a normalisation of its steps, so it is no chain.
    let sequence = |port: &Port| graph.shape(port.value).rank() == 3;
    let chain = graph.inputs().len() == 1
        && !graph.inputs().iter().any(sequence)
        && graph.outputs().len() == 1
        && graph.nodes().all(|(_, node)| node.inputs.len() == 1)
        && graph.consumers().iter().all(|readers| readers.len() < 2);
    let mut learning = !chain;
    let mut frozen = HashSet::new();
    // The nodes of a front that is used and not trained, through which no gradient goes either.
    let mut still = HashSet::new();
    for (id, node) in graph.nodes() {
        let own = training.layers.get(&*node.origin.layer);
        let stays = own.is_some_and(|layer| layer.frozen);
        let front = |value: &ValueId| match graph.value(*value).producer {
            Producer::Input(_) => true,
            Producer::Node(from, _) => still.contains(&from),
        };
        let constant = matches!(node.op, Op::Constant(_));
        if constant || (own.is_some_and(|layer| layer.inference) && node.inputs.iter().all(front)) {
            still.insert(id);
            continue;
        }
        match (&node.op, stays) {
            (Op::BatchNorm(_), true) if learning => {
                frozen.insert(id);
            }
            (op, false) if !op.parameters().is_empty() => learning = true,
            _ => {}
        }
    }
    frozen
}

pub(super) fn batch_norm(step: &mut Step<'_>, op: &BatchNorm, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    if !step.frozen {
        return Ok(None);
    }
    step.rewrite(
        "frozen-normalisation",
        "stock DL4J can't take gradients through a frozen batch normalisation: its stored statistics make it a scale and a shift",
    );
    let (mean, variance) = (elements(&op.mean)?, elements(&op.variance)?);
    let scale = op.scale.as_ref().map(elements).transpose()?;
    let offset = op.offset.as_ref().map(elements).transpose()?;
    let given = |list: &Option<Vec<f32>>, i: usize, default: f64| {
        list.as_ref().map_or(default, |list| f64::from(list[i]))
    };
    let (scales, shifts): (Vec<f32>, Vec<f32>) = (0..mean.len())
        .map(|i| {
            let a = given(&scale, i, 1.0) / (f64::from(variance[i]) + op.epsilon).sqrt();
            (a as f32, (given(&offset, i, 0.0) - a * f64::from(mean[i])) as f32)
        })
        .unzip();
    let mut shape = vec![1; step.graph.shape(x).rank()];
    shape[op.axis] = mean.len();
    let (scales, shifts) = (tensor(&shape, &scales)?, tensor(&shape, &shifts)?);
    Ok(Some(vec![affine(step, x, Some(&scales), Some(&shifts))?]))
}
