//! What every per-channel scale and shift has in common.

use crate::OptimizeError;
use crate::draft::Draft;
use caribou_ir::op::{BatchNorm, ElementwiseKind, Op, UnaryKind};
use caribou_ir::{Shape, Tensor, ValueId};

/// `y = scale * x + shift`, along one axis or with one number for all.
#[derive(Debug, Clone)]
pub(super) struct Affine {
    /// The axis that the numbers run along; `None` where there is one for all.
    pub(super) axis: Option<usize>,
    pub(super) scale: Vec<f64>,
    pub(super) shift: Vec<f64>,
    /// The value it is applied to.
    pub(super) input: ValueId,
}

/// All elements, as `f64`.
pub(super) fn doubles(tensor: &Tensor) -> Result<Vec<f64>, caribou_ir::TensorError> {
    Ok(tensor.to_vec()?.into_iter().map(f64::from).collect())
}

/// `1 / sqrt(variance + epsilon)` for each channel.
pub(super) fn reciprocal_deviations(norm: &BatchNorm) -> Result<Vec<f64>, caribou_ir::TensorError> {
    let variance = doubles(&norm.variance)?;
    Ok(variance.iter().map(|v| 1.0 / (v + norm.epsilon).sqrt()).collect())
}

/// A tensor's numbers, `default` for each of `count` where there is none.
pub(super) fn or(
    tensor: Option<&Tensor>,
    default: f64,
    count: usize,
) -> Result<Vec<f64>, caribou_ir::TensorError> {
    tensor.map_or_else(|| Ok(vec![default; count]), doubles)
}

/// The node's function, if it is affine with finite numbers that are not steep.
pub(super) fn affine(draft: &Draft, position: usize) -> Result<Option<Affine>, OptimizeError> {
    let Some(node) = draft.node(position) else {
        return Ok(None);
    };
    let read = OptimizeError::tensor(&node.origin);
    let affine = match &node.op {
        Op::BatchNorm(norm) => {
            let factor = reciprocal_deviations(norm).map_err(&read)?;
            let scale = or(norm.scale.as_ref(), 1.0, factor.len()).map_err(&read)?;
            let offset = or(norm.offset.as_ref(), 0.0, factor.len()).map_err(&read)?;
            let mean = doubles(&norm.mean).map_err(&read)?;
            let scale: Vec<f64> = scale.iter().zip(&factor).map(|(g, f)| g * f).collect();
            let shift = offset
                .iter()
                .zip(&scale)
                .zip(&mean)
                .map(|((b, s), m)| b - s * m)
                .collect();
            Affine {
                axis: Some(norm.axis),
                scale,
                shift,
                input: node.inputs[0],
            }
        }
        Op::Unary(unary) => {
            let (scale, shift) = match unary.kind {
                UnaryKind::Affine { scale, shift } => (scale, shift),
                UnaryKind::Negate => (-1.0, 0.0),
                _ => return Ok(None),
            };
            Affine {
                axis: None,
                scale: vec![scale],
                shift: vec![shift],
                input: node.inputs[0],
            }
        }
        Op::Elementwise(elementwise) => {
            let &[a, b] = node.inputs.as_slice() else {
                return Ok(None);
            };
            let (constant, input, constant_first) = match (stored(draft, a), stored(draft, b)) {
                (None, Some(constant)) => (constant, a, false),
                (Some(constant), None) => (constant, b, true),
                _ => return Ok(None),
            };
            let shape = draft.shape(input);
            if draft.shape(node.outputs[0]) != shape {
                return Ok(None);
            }
            let Some(axis) = varying_axis(&constant.shape(), shape) else {
                return Ok(None);
            };
            let numbers = doubles(constant).map_err(&read)?;
            let count = numbers.len();
            let (scale, shift) = match (elementwise.kind, constant_first) {
                (ElementwiseKind::Add, _) => (vec![1.0; count], numbers),
                (ElementwiseKind::Multiply, _) => (numbers, vec![0.0; count]),
                (ElementwiseKind::Subtract, false) => {
                    (vec![1.0; count], numbers.into_iter().map(|n| -n).collect())
                }
                (ElementwiseKind::Subtract, true) => (vec![-1.0; count], numbers),
                (ElementwiseKind::Divide, false) => {
                    (numbers.into_iter().map(|n| 1.0 / n).collect(), vec![0.0; count])
                }
                _ => return Ok(None),
            };
            Affine {
                axis,
                scale,
                shift,
                input,
            }
        }
        _ => return Ok(None),
    };
    let gentle =
        affine.scale.iter().all(|n| n.abs() <= STEEPEST) && affine.shift.iter().all(|n| n.is_finite());
    Ok(gentle.then_some(affine))
}

/// Above this factor a function is left as it is. Steep ones tell numbers from one another (`x - v` from zero, in masks),
/// and with a shift taken through them, `s * x - s * v`, rounding would decide.
const STEEPEST: f64 = 1024.0;

/// The stored value that `value` is, if it is one.
pub(super) fn stored<'d>(draft: &'d Draft, value: ValueId) -> Option<&'d Tensor> {
    match &draft.node(draft.producer(value)?)?.op {
        Op::Constant(constant) => Some(&constant.value),
        _ => None,
    }
}

/// The one axis of `shape` that a constant of `sizes` varies along, `Some(None)` where it is one number. Sizes are aligned
/// at the last axis; the batch axis is none that a stored value may vary along.
fn varying_axis(sizes: &[usize], shape: &Shape) -> Option<Option<usize>> {
    let missing = shape.rank().checked_sub(sizes.len())?;
    let mut varying = sizes.iter().enumerate().filter(|&(_, &size)| size != 1);
    match (varying.next(), varying.next()) {
        (None, _) => Some(None),
        (Some((axis, &size)), None) => {
            let axis = axis + missing;
            (axis > 0 && shape.size(axis) == Some(size)).then_some(Some(axis))
        }
        _ => None,
    }
}

impl Affine {
    /// The numbers for each of `count` channels.
    pub(super) fn per_channel(&self, count: usize) -> (Vec<f64>, Vec<f64>) {
        match self.axis {
            Some(_) => (self.scale.clone(), self.shift.clone()),
            None => (vec![self.scale[0]; count], vec![self.shift[0]; count]),
        }
    }

    /// Whether nothing is added.
    pub(super) fn is_scale(&self) -> bool {
        self.shift.iter().all(|&shift| shift == 0.0)
    }

    /// Whether nothing is multiplied.
    pub(super) fn is_shift(&self) -> bool {
        self.scale.iter().all(|&scale| scale == 1.0)
    }

    /// This one, then `next`: `next.scale * (scale * x + shift) + next.shift`. `None` where they run along different axes.
    pub(super) fn then(&self, next: &Self) -> Option<Self> {
        let axis = match (self.axis, next.axis) {
            (Some(a), Some(b)) if a != b => return None,
            (a, b) => a.or(b),
        };
        let count = self.scale.len().max(next.scale.len());
        let (s1, t1) = self.per_channel(count);
        let (s2, t2) = next.per_channel(count);
        if s1.len() != s2.len() {
            return None;
        }
        Some(Self {
            axis,
            scale: s1.iter().zip(&s2).map(|(a, b)| a * b).collect(),
            shift: t1
                .iter()
                .zip(&s2)
                .zip(&t2)
                .map(|((t1, s2), t2)| s2 * t1 + t2)
                .collect(),
            input: self.input,
        })
    }
}
