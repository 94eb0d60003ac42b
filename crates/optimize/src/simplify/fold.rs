//! Scales and shifts that become part of the weights before or behind them.

use super::affine::{Affine, affine};
use crate::OptimizeError;
use crate::draft::Draft;
use crate::kernel::Kernel;
use caribou_ir::op::{Op, Operator, Padding};
use caribou_ir::{Rewrite, Tensor, TensorError};

/// Puts other weights into a layer. A bias of zeros is none.
fn replace(op: &mut Op, weights: Vec<f32>, bias: Vec<f64>) -> Result<(), TensorError> {
    let bias: Vec<f32> = bias.into_iter().map(|value| value as f32).collect();
    let Some((weight, old)) = Kernel::tensors(op) else {
        return Ok(());
    };
    *weight = Tensor::from_values(&weight.shape(), weights)?;
    if old.is_some() || bias.iter().any(|&value| value != 0.0) {
        *old = Some(Tensor::vector(&bias));
    }
    Ok(())
}

/// The weights and the bias of a layer in memory.
fn load(weight: &Tensor, bias: Option<&Tensor>, out: usize) -> Result<(Vec<f32>, Vec<f64>), TensorError> {
    Ok((weight.to_vec()?, super::affine::or(bias, 0.0, out)?))
}

/// The axis of a layer's input that its kernel sums over, and of its output that the kernel makes.
fn feature_axis(op: &Op, rank: usize) -> usize {
    match op {
        Op::Dense(_) => rank - 1,
        _ => 1,
    }
}

/// `fold-affine-into-weights`: scales and shifts behind a layer, wherever nothing else sees the layer's output.
pub(super) fn fold_into_weights(draft: &mut Draft) -> Result<(), OptimizeError> {
    for position in draft.positions() {
        let Some(found) = affine(draft, position)? else {
            continue;
        };
        let Some(producer) = draft.producer(found.input) else {
            continue;
        };
        if draft.sole_consumer(found.input) != Some(position) {
            continue;
        }
        let rank = draft.shape(found.input).rank();
        let (Some(layer), Some(folded)) = (draft.node(producer), draft.node(position)) else {
            continue;
        };
        let Some((kernel, weight, bias)) = Kernel::of(&layer.op) else {
            continue;
        };
        if found
            .axis
            .is_some_and(|axis| axis != feature_axis(&layer.op, rank))
        {
            continue;
        }
        let read = OptimizeError::tensor(&layer.origin);
        let (mut weights, bias) = load(weight, bias, kernel.out).map_err(&read)?;
        let (scale, shift) = found.per_channel(kernel.out);
        kernel.scale(&mut weights, &scale, &vec![1.0; kernel.inputs]);
        let bias = bias
            .iter()
            .zip(&scale)
            .zip(&shift)
            .map(|((b, s), t)| b * s + t)
            .collect();
        let reason = format!(
            "its {} became part of the weights of {}",
            folded.op.name(),
            layer.origin
        );
        let rewrite = Rewrite::new("fold-affine-into-weights", &folded.origin, reason);
        if let Some(layer) = draft.node_mut(producer) {
            replace(&mut layer.op, weights, bias).map_err(&read)?;
        }
        draft.bypass(position, found.input);
        draft.rewrites.push(rewrite);
    }
    Ok(())
}

/// Where a scale and shift goes that stands before layers with weights.
struct Reader {
    /// The layer.
    position: usize,
    /// The numbers for each of its input channels.
    scale: Vec<f64>,
    shift: Vec<f64>,
}

/// `fold-affine-into-next-weights`: scales and shifts before layers, wherever all that read them can take them.
pub(super) fn fold_into_next_weights(draft: &mut Draft) -> Result<(), OptimizeError> {
    for position in draft.positions() {
        let Some(found) = affine(draft, position)? else {
            continue;
        };
        let Some(node) = draft.node(position) else {
            continue;
        };
        let output = node.outputs[0];
        let consumers = draft.consumers(output).to_vec();
        if draft.is_output(output) || consumers.is_empty() {
            continue;
        }
        let readers: Option<Vec<Reader>> = consumers
            .iter()
            .map(|&consumer| reader(draft, &found, consumer))
            .collect();
        let Some(readers) = readers else { continue };
        let (name, origin) = (node.op.name(), node.origin.clone());
        let mut into = Vec::new();
        for reader in readers {
            let Some(layer) = draft.node_mut(reader.position) else {
                continue;
            };
            let read = OptimizeError::tensor(&layer.origin);
            let Some((kernel, weight, bias)) = Kernel::of(&layer.op) else {
                continue;
            };
            let (mut weights, bias) = load(weight, bias, kernel.out).map_err(&read)?;
            let response = kernel.response(&weights, &reader.shift);
            let bias = bias.iter().zip(response).map(|(b, r)| b + r).collect();
            kernel.scale(&mut weights, &vec![1.0; kernel.out], &reader.scale);
            replace(&mut layer.op, weights, bias).map_err(&read)?;
            into.push(layer.origin.to_string());
        }
        let reason = format!("its {name} became part of the weights of {}", into.join(", "));
        draft.bypass(position, found.input);
        draft
            .rewrites
            .push(Rewrite::new("fold-affine-into-next-weights", &origin, reason));
    }
    Ok(())
}

/// How the layer at `consumer` would take the numbers; `None` where it can't.
fn reader(draft: &Draft, found: &Affine, consumer: usize) -> Option<Reader> {
    let node = draft.node(consumer)?;
    let shape = draft.shape(found.input);
    if let Op::Reshape(_) = &node.op {
        return flattened(draft, found, consumer);
    }
    let (kernel, ..) = Kernel::of(&node.op)?;
    let fits = found
        .axis
        .is_none_or(|axis| axis == feature_axis(&node.op, shape.rank()));
    // Padding stands behind the shift, so its zeros would have to be shifted too.
    let exact = match &node.op {
        Op::Dense(_) => true,
        Op::Conv(conv) => found.is_scale() || pads_nothing(&conv.padding, &conv.weight.shape()[2..]),
        _ => found.is_scale(),
    };
    let (scale, shift) = found.per_channel(kernel.inputs);
    (fits && exact && scale.len() == kernel.inputs).then_some(Reader {
        position: consumer,
        scale,
        shift,
    })
}

/// The same through a flatten that a fully connected layer reads: one number for each row of its kernel.
fn flattened(draft: &Draft, found: &Affine, flatten: usize) -> Option<Reader> {
    let output = *draft.node(flatten)?.outputs.first()?;
    let dense = draft.sole_consumer(output)?;
    let Op::Dense(layer) = &draft.node(dense)?.op else {
        return None;
    };
    let rows = *layer.weight.shape().first()?;
    let sizes = draft.shape(found.input).feature_sizes()?;
    let target = draft.shape(output);
    let flattens = target.rank() == 2
        && target.dims()[0] == draft.shape(found.input).dims()[0]
        && sizes.iter().product::<usize>() == rows;
    if !flattens {
        return None;
    }
    let inner: usize = found.axis.map_or(1, |axis| sizes[axis..].iter().product());
    let channel = |row: usize| (row / inner) % found.scale.len();
    Some(Reader {
        position: dense,
        scale: (0..rows).map(|row| found.scale[channel(row)]).collect(),
        shift: (0..rows).map(|row| found.shift[channel(row)]).collect(),
    })
}

/// Whether a window never sees a cell that the input does not have.
fn pads_nothing(padding: &Padding, kernel: &[usize]) -> bool {
    match padding {
        Padding::Explicit(sides) => sides.iter().all(|&side| side == [0, 0]),
        Padding::Same | Padding::Causal => kernel.iter().all(|&size| size == 1),
    }
}
