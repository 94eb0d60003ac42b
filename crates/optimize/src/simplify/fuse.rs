//! One scale and shift in place of two.

use super::affine::{Affine, affine, doubles, reciprocal_deviations, stored};
use crate::OptimizeError;
use crate::draft::Draft;
use caribou_ir::op::{BatchNorm, Constant, ElementwiseKind, Op, Operator, Unary, UnaryKind};
use caribou_ir::{Rewrite, Tensor, TensorError};

/// `fuse-affine`.
pub(super) fn fuse_affines(draft: &mut Draft) -> Result<(), OptimizeError> {
    for second in draft.positions() {
        let Some(after) = affine(draft, second)? else {
            continue;
        };
        let Some(first) = draft.producer(after.input) else {
            continue;
        };
        if draft.sole_consumer(after.input) != Some(second) {
            continue;
        }
        let Some(before) = affine(draft, first)? else {
            continue;
        };
        let Some(both) = before.then(&after) else { continue };
        let Some(kept) = put(draft, first, second, &before, &after, &both)? else {
            continue;
        };
        let gone = if kept == first { second } else { first };
        let input = if kept == first { after.input } else { before.input };
        let (Some(gone_node), Some(kept_node)) = (draft.node(gone), draft.node(kept)) else {
            continue;
        };
        let reason = format!("its {} became part of {}", gone_node.op.name(), kept_node.origin);
        let rewrite = Rewrite::new("fuse-affine", &gone_node.origin, reason);
        draft.bypass(gone, input);
        draft.rewrites.push(rewrite);
    }
    Ok(())
}

/// Makes one of the two nodes compute both, and tells which; `None` where neither can.
fn put(
    draft: &mut Draft,
    first: usize,
    second: usize,
    before: &Affine,
    after: &Affine,
    both: &Affine,
) -> Result<Option<usize>, OptimizeError> {
    for position in [second, first] {
        let Some(node) = draft.node_mut(position) else {
            continue;
        };
        if let Op::BatchNorm(norm) = &mut node.op {
            if both.axis != Some(norm.axis) {
                continue;
            }
            set_norm(norm, both).map_err(OptimizeError::tensor(&node.origin))?;
            return Ok(Some(position));
        }
    }
    if before.axis.is_none() && after.axis.is_none() {
        let scalar = |draft: &Draft, position: usize| {
            draft
                .node(position)
                .is_some_and(|node| matches!(node.op, Op::Unary(_)))
        };
        let Some(position) = [second, first]
            .into_iter()
            .find(|&position| scalar(draft, position))
        else {
            return put_constant(draft, first, second, before, after, both);
        };
        if let Some(node) = draft.node_mut(position) {
            node.op = Op::Unary(Unary {
                kind: UnaryKind::Affine {
                    scale: both.scale[0],
                    shift: both.shift[0],
                },
            });
        }
        return Ok(Some(position));
    }
    put_constant(draft, first, second, before, after, both)
}

/// The same for products with a stored value, and for sums with one.
fn put_constant(
    draft: &mut Draft,
    first: usize,
    second: usize,
    before: &Affine,
    after: &Affine,
    both: &Affine,
) -> Result<Option<usize>, OptimizeError> {
    let (kind, numbers) = if before.is_scale() && after.is_scale() {
        (ElementwiseKind::Multiply, &both.scale)
    } else if before.is_shift() && after.is_shift() {
        (ElementwiseKind::Add, &both.shift)
    } else {
        return Ok(None);
    };
    for position in [second, first] {
        let Some(node) = draft.node(position) else {
            continue;
        };
        if !matches!(&node.op, Op::Elementwise(elementwise) if elementwise.kind == kind) {
            continue;
        }
        let Some(&value) = node.inputs.iter().find(|&&value| stored(draft, value).is_some()) else {
            continue;
        };
        let rank = draft.shape(node.outputs[0]).rank();
        let origin = node.origin.clone();
        let (Some(producer), Some(_)) = (draft.producer(value), draft.sole_consumer(value)) else {
            continue;
        };
        let mut sizes = vec![1; rank - both.axis.unwrap_or(rank - 1)];
        sizes[0] = numbers.len();
        let numbers: Vec<f32> = numbers.iter().map(|&number| number as f32).collect();
        let value = Tensor::from_f32(&sizes, &numbers).map_err(OptimizeError::tensor(&origin))?;
        if let Some(node) = draft.node_mut(producer) {
            node.op = Op::Constant(Constant { value });
        }
        return Ok(Some(position));
    }
    Ok(None)
}

/// Keeps the statistics, and changes what stands around them: `scale' / sqrt(variance + epsilon)` is the factor.
fn set_norm(norm: &mut BatchNorm, both: &Affine) -> Result<(), TensorError> {
    let factors = reciprocal_deviations(norm)?;
    let mean = doubles(&norm.mean)?;
    let scale: Vec<f32> = both
        .scale
        .iter()
        .zip(&factors)
        .map(|(s, f)| (s / f) as f32)
        .collect();
    let offset: Vec<f32> = both
        .shift
        .iter()
        .zip(&both.scale)
        .zip(&mean)
        .map(|((t, s), m)| (t + s * m) as f32)
        .collect();
    norm.scale = Some(Tensor::vector(&scale));
    norm.offset = Some(Tensor::vector(&offset));
    Ok(())
}
