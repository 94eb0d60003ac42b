//! What operators of the graph lead to a value.

use caribou_ir::op::{Activation, Constant, Elementwise, ElementwiseKind, Op, Reduce, Unary, UnaryKind};
use caribou_ir::{Graph, Tensor, ValueId};

/// The operator that makes a value, and what it reads.
pub(super) fn made(graph: &Graph, value: ValueId) -> Option<(&Op, &[ValueId])> {
    graph.producer(value).map(|node| (&node.op, &node.inputs[..]))
}

/// What a function of one number is taken of.
pub(super) fn unary(graph: &Graph, value: ValueId, kind: UnaryKind) -> Option<ValueId> {
    match made(graph, value)? {
        (Op::Unary(op), &[x]) if op.kind == kind => Some(x),
        _ => None,
    }
}

/// What an activation is taken of.
pub(super) fn activation(graph: &Graph, value: ValueId, function: Activation) -> Option<ValueId> {
    match made(graph, value)? {
        (Op::Activate(op), &[x]) if op.function == function => Some(x),
        _ => None,
    }
}

/// The two values that a function of two combines.
pub(super) fn pair(graph: &Graph, value: ValueId, kind: ElementwiseKind) -> Option<[ValueId; 2]> {
    match made(graph, value)? {
        (Op::Elementwise(Elementwise { kind: found }), &[a, b]) if *found == kind => Some([a, b]),
        _ => None,
    }
}

/// The same in either order.
pub(super) fn either(graph: &Graph, value: ValueId, kind: ElementwiseKind) -> Vec<[ValueId; 2]> {
    pair(graph, value, kind).map_or_else(Vec::new, |[a, b]| vec![[a, b], [b, a]])
}

/// `[scale, shift]` and `x` of `scale * x + shift`.
pub(super) fn affine(graph: &Graph, value: ValueId) -> Option<([f64; 2], ValueId)> {
    match made(graph, value)? {
        (Op::Unary(Unary { kind }), &[x]) => match *kind {
            UnaryKind::Affine { scale, shift } => Some(([scale, shift], x)),
            UnaryKind::Negate => Some(([-1.0, 0.0], x)),
            _ => None,
        },
        _ => None,
    }
}

/// The ends and the argument of a function that cuts off.
pub(super) fn clip(graph: &Graph, value: ValueId) -> Option<([f64; 2], ValueId)> {
    match made(graph, value)? {
        (
            Op::Unary(Unary {
                kind: UnaryKind::Clip { min, max },
            }),
            &[x],
        ) => Some(([*min, *max], x)),
        (Op::Activate(op), &[x]) => match op.function {
            Activation::Relu => Some(([0.0, f64::INFINITY], x)),
            Activation::BoundedRelu {
                max,
                slope: 0.0,
                threshold: 0.0,
            } => Some(([0.0, max.unwrap_or(f64::INFINITY)], x)),
            _ => None,
        },
        _ => None,
    }
}

/// A reduction and what it is taken of.
pub(super) fn reduce(graph: &Graph, value: ValueId) -> Option<(&Reduce, ValueId)> {
    match made(graph, value)? {
        (Op::Reduce(op), &[x]) => Some((op, x)),
        _ => None,
    }
}

/// A stored array.
pub(super) fn constant(graph: &Graph, value: ValueId) -> Option<&Tensor> {
    match made(graph, value)? {
        (Op::Constant(Constant { value }), _) => Some(value),
        _ => None,
    }
}

/// A product taken apart: its number, and its factors that are none, in the order of the product. A square is two factors.
pub(super) fn factors(graph: &Graph, value: ValueId) -> (f64, Vec<ValueId>) {
    let (mut number, mut list, mut open) = (1.0, Vec::new(), vec![value]);
    let mut steps = 0;
    while let Some(value) = open.pop() {
        steps += 1;
        if steps > 32 {
            list.push(value);
            continue;
        }
        if let Some(([scale, 0.0], x)) = affine(graph, value) {
            number *= scale;
            open.push(x);
        } else if let Some([a, b]) = pair(graph, value, ElementwiseKind::Multiply) {
            open.extend([b, a]);
        } else if let Some(x) = unary(graph, value, UnaryKind::Square) {
            open.extend([x, x]);
        } else if let Some(x) = activation(graph, value, Activation::Cube) {
            open.extend([x, x, x]);
        } else {
            list.push(value);
        }
    }
    (number, list)
}
