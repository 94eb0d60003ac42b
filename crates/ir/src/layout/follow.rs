//! Operators that can be done in whatever order the axes are in.

use super::{Order, Placed, Sinker, identity, inverse, is_identity};
use crate::op::{
    ArgMax, BatchNorm, Concat, Constant, Gather, L2Normalize, LayerNorm, LogSoftmax, Op, PRelu, Pad, Reduce,
    Reshape, Reverse, Slice, SliceAxis, Softmax, Split, Tile, Transpose,
};
use crate::{Node, ShapeError, Tensor, TensorError, ValueId};

fn failed(error: TensorError) -> ShapeError {
    ShapeError::new(error.to_string())
}

/// `order` without the axes `removed` of the old value: those that stay are counted anew on both sides.
fn without(order: &[usize], removed: &[usize]) -> Vec<usize> {
    let gone: Vec<usize> = removed.iter().map(|&axis| order[axis]).collect();
    order
        .iter()
        .enumerate()
        .filter(|(axis, _)| !removed.contains(axis))
        .map(|(_, &axis)| axis - gone.iter().filter(|&&other| other < axis).count())
        .collect()
}

impl Sinker<'_> {
    /// Does the node in the order that its inputs are in. Whether it could.
    pub(super) fn follow(&mut self, node: &Node) -> Result<bool, ShapeError> {
        match &node.op {
            Op::Elementwise(_) | Op::Concat(_) => return self.several(node),
            _ => {}
        }
        let [input] = node.inputs[..] else {
            return Ok(false);
        };
        let Placed {
            value,
            order: Order::Axes(order),
        } = self.placed(input)
        else {
            return Ok(false);
        };
        if is_identity(&order) {
            return Ok(false);
        }
        let sorted = |axes: &[usize]| {
            let mut axes: Vec<usize> = axes.iter().map(|&axis| order[axis]).collect();
            axes.sort_unstable();
            axes
        };
        let back = inverse(&order);
        let mut after = order.clone();
        let op: Op = match &node.op {
            Op::Noise(op) if op.kind.is_by_channel() => return Ok(false),
            Op::Activate(_) | Op::Unary(_) | Op::Noise(_) | Op::Identity(_) => node.op.clone(),
            Op::Softmax(op) => Softmax { axis: order[op.axis] }.into(),
            Op::LogSoftmax(op) => LogSoftmax { axis: order[op.axis] }.into(),
            Op::Reverse(op) => Reverse { axis: order[op.axis] }.into(),
            Op::BatchNorm(op) => BatchNorm {
                axis: order[op.axis],
                ..op.clone()
            }
            .into(),
            Op::Gather(op) => Gather {
                axis: order[op.axis],
                indices: op.indices.clone(),
            }
            .into(),
            Op::Split(op) => Split {
                axis: order[op.axis],
                sizes: op.sizes.clone(),
            }
            .into(),
            Op::Pad(op) => Pad {
                pads: back.iter().map(|&axis| op.pads[axis]).collect(),
                mode: op.mode,
            }
            .into(),
            Op::Tile(op) => Tile {
                repeats: back.iter().map(|&axis| op.repeats[axis]).collect(),
            }
            .into(),
            Op::L2Normalize(op) => L2Normalize {
                axes: sorted(&op.axes),
                epsilon: op.epsilon,
            }
            .into(),
            Op::PRelu(op) if order[0] == 0 => {
                let axes: Vec<usize> = back[1..].iter().map(|&axis| axis - 1).collect();
                PRelu {
                    slope: op.slope.permute(&axes).map_err(failed)?,
                }
                .into()
            }
            Op::LayerNorm(op) => {
                let axes = sorted(&op.axes);
                let places: Vec<usize> = axes
                    .iter()
                    .filter_map(|&axis| op.axes.iter().position(|&old| order[old] == axis))
                    .collect();
                let permute =
                    |tensor: &Option<Tensor>| tensor.as_ref().map(|t| t.permute(&places)).transpose();
                LayerNorm {
                    axes,
                    scale: permute(&op.scale).map_err(failed)?,
                    offset: permute(&op.offset).map_err(failed)?,
                    ..op.clone()
                }
                .into()
            }
            Op::Reduce(op) => {
                if !op.keep_dims {
                    after = without(&order, &op.axes);
                }
                Reduce {
                    axes: sorted(&op.axes),
                    ..op.clone()
                }
                .into()
            }
            Op::ArgMax(op) => {
                if !op.keep_dims {
                    after = without(&order, &[op.axis]);
                }
                ArgMax {
                    axis: order[op.axis],
                    ..*op
                }
                .into()
            }
            Op::Slice(op) => {
                let gone: Vec<usize> = op
                    .axes
                    .iter()
                    .filter(|cut| cut.squeeze)
                    .map(|cut| cut.axis)
                    .collect();
                after = without(&order, &gone);
                Slice {
                    axes: op
                        .axes
                        .iter()
                        .map(|cut| SliceAxis {
                            axis: order[cut.axis],
                            ..*cut
                        })
                        .collect(),
                }
                .into()
            }
            _ => return Ok(false),
        };
        let orders = vec![Order::Axes(after); node.outputs.len()];
        self.emit(node, op, &[value], Some(&orders))?;
        Ok(true)
    }

    /// An operator on several values, brought to one order: the first that is not the source's.
    fn several(&mut self, node: &Node) -> Result<bool, ShapeError> {
        let rank = self.old.shape(node.outputs[0]).rank();
        let order = node
            .inputs
            .iter()
            .find_map(|&input| match self.placed(input).order {
                Order::Axes(order) if order.len() == rank && !is_identity(&order) => Some(order),
                _ => None,
            });
        let Some(order) = order else { return Ok(false) };
        let op: Op = match &node.op {
            Op::Concat(op) => Concat { axis: order[op.axis] }.into(),
            other => other.clone(),
        };
        let inputs: Result<Vec<ValueId>, ShapeError> = node
            .inputs
            .iter()
            .map(|&input| self.aligned(input, &order, node))
            .collect();
        self.emit(node, op, &inputs?, Some(&[Order::Axes(order)]))?;
        Ok(true)
    }

    /// The value with the axes of `order`, so that it broadcasts as it did.
    fn aligned(&mut self, old: ValueId, order: &[usize], node: &Node) -> Result<ValueId, ShapeError> {
        let rank = order.len();
        let placed = self.placed(old);
        if placed.order == Order::Axes(order.to_vec()) {
            return Ok(placed.value);
        }
        let back = inverse(order);
        let shape = self.old.shape(old).clone();
        let missing = rank - shape.rank();
        if let Some(Op::Constant(constant)) = self.old.producer(old).map(|node| &node.op) {
            let full: Vec<usize> = std::iter::repeat_n(1, missing)
                .chain(constant.value.shape())
                .collect();
            let value = constant
                .value
                .reshape(&full)
                .and_then(|t| t.permute(&back))
                .map_err(failed)?;
            return self.new.apply(Constant { value }, &[], &node.origin);
        }
        let straight = self.straight(old, &node.origin)?;
        if missing > 0 {
            // A value of fewer axes than the result aligns at the last one, whatever becomes of the batch.
            let sizes = shape
                .dims()
                .iter()
                .enumerate()
                .map(|(axis, _)| crate::op::Size::Keep(axis));
            let target = std::iter::repeat_n(crate::op::Size::Fixed(1), missing)
                .chain(sizes)
                .collect();
            let full = self.new.apply(Reshape { target }, &[straight], &node.origin)?;
            return self
                .new
                .apply(Transpose { permutation: back }, &[full], &node.origin);
        }
        if back == identity(rank) {
            return Ok(straight);
        }
        // Straight first, then into the order: where the value was in a third order, the two become one.
        let permutation = match placed.order {
            Order::Axes(from) => back.iter().map(|&axis| from[axis]).collect::<Vec<_>>(),
            Order::Flattened { .. } => {
                return self
                    .new
                    .apply(Transpose { permutation: back }, &[straight], &node.origin);
            }
        };
        self.new
            .apply(Transpose { permutation }, &[placed.value], &node.origin)
    }
}
