//! What is known of the sign of a value, whatever the inputs are.

use caribou_ir::op::{Activation, ElementwiseKind, Op, Operator, ReduceKind, UnaryKind};
use caribou_ir::{Graph, Tensor, ValueId};

/// Nodes that are looked at before the answer is no.
const NODES: usize = 200;
/// Elements of a parameter whose signs are looked at.
const ELEMENTS: usize = 1 << 12;

/// Whether no element of the value can be negative.
pub(super) fn is_non_negative(graph: &Graph, value: ValueId) -> bool {
    known(graph, value, &mut { NODES })
}

fn known(graph: &Graph, value: ValueId, left: &mut usize) -> bool {
    let Some(node) = graph.producer(value).filter(|_| *left > 0) else {
        return false;
    };
    *left -= 1;
    let mut all = |inputs: &[ValueId]| inputs.iter().all(|&input| known(graph, input, left));
    match &node.op {
        Op::Activate(op) => match op.function {
            Activation::Relu
            | Activation::Sigmoid
            | Activation::Softplus
            | Activation::Exponential
            | Activation::HardSigmoid { .. } => true,
            Activation::BoundedRelu { slope, threshold, .. } => slope == 0.0 && threshold >= 0.0,
            Activation::LeakyRelu { alpha } => alpha <= 0.0 || all(&node.inputs),
            Activation::Linear => all(&node.inputs),
            _ => false,
        },
        Op::Softmax(_) => true,
        Op::Constant(op) => positive(&op.value),
        Op::Unary(op) => match op.kind {
            UnaryKind::Square | UnaryKind::Abs | UnaryKind::Step { .. } => true,
            UnaryKind::Clip { min, .. } => min >= 0.0 || all(&node.inputs),
            UnaryKind::Affine { scale, shift } => {
                shift >= 0.0 && (scale == 0.0 || (scale > 0.0 && all(&node.inputs)))
            }
            _ => false,
        },
        Op::Elementwise(op) => match op.kind {
            ElementwiseKind::Multiply if matches!(node.inputs[..], [a, b] if a == b) => true,
            ElementwiseKind::Maximum => node.inputs.iter().any(|input| all(&[*input])),
            ElementwiseKind::Add
            | ElementwiseKind::Multiply
            | ElementwiseKind::Divide
            | ElementwiseKind::Average
            | ElementwiseKind::Minimum => all(&node.inputs),
            _ => false,
        },
        Op::Reduce(op) => {
            let squares = matches!(
                op.kind,
                ReduceKind::SumOfSquares | ReduceKind::L1 | ReduceKind::L2
            );
            squares || all(&node.inputs)
        }
        Op::Dense(_) | Op::Conv(_) => {
            node.op.parameters().iter().all(|(_, tensor)| positive(tensor)) && all(&node.inputs)
        }
        Op::Pool(_)
        | Op::LocalResponseNorm(_)
        | Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Identity(_)
        | Op::Slice(_)
        | Op::Split(_)
        | Op::Concat(_)
        | Op::Gather(_)
        | Op::Tile(_)
        | Op::Reverse(_)
        | Op::Resize(_) => all(&node.inputs),
        _ => false,
    }
}

fn positive(tensor: &Tensor) -> bool {
    tensor.len() <= ELEMENTS
        && tensor
            .to_vec()
            .is_ok_and(|values| values.iter().all(|&value| value >= 0.0))
}
