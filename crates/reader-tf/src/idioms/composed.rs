//! Activations with learned arrays, and those over an axis, that are written as arithmetic.

use super::pattern::{activation, affine, clip, constant, either, factors, made, pair, reduce, unary};
use crate::ops::{Call, Found};
use caribou_ir::op::{
    Activation, ElementwiseKind as Kind, L2Normalize, Op, PRelu, Reduce, ReduceKind, Softmax, UnaryKind,
};
use caribou_ir::{Graph, ValueId};

/// An operator on one value, and its name for the report.
type Match = Option<(Op, ValueId, &'static str)>;

/// The functions, each tried on the value that an operation makes.
const FUNCTIONS: &[fn(&Graph, ValueId) -> Match] = &[parametric, softmax, unit];

/// The value as one activation of another, where it is one.
pub(super) fn found(call: &mut Call<'_, '_>, value: ValueId) -> Found<Option<ValueId>> {
    let graph = call.graph();
    let of_its_shape = |&(_, x, _): &(Op, ValueId, &str)| graph.shape(x) == graph.shape(value);
    let found = FUNCTIONS
        .iter()
        .filter_map(|function| function(graph, value))
        .find(of_its_shape);
    let Some((op, x, what)) = found.or_else(|| mean(graph, value)) else {
        return Ok(None);
    };
    let y = call.apply(op, &[x])?;
    call.lift(what);
    Ok(Some(y))
}

/// What `min(x, 0)` times a factor is: the factor, a stored array that it is multiplied with too, and `x`.
fn negative_part(graph: &Graph, value: ValueId) -> Option<(f64, Option<ValueId>, ValueId)> {
    let (mut number, list) = factors(graph, value);
    let (array, part) = match list[..] {
        [part] => (None, part),
        [a, b] if constant(graph, a).is_some() => (Some(a), b),
        [a, b] if constant(graph, b).is_some() => (Some(b), a),
        _ => return None,
    };
    if let Some(x) = activation(graph, part, Activation::Relu) {
        // relu(-x) is -min(x, 0).
        let ([-1.0, 0.0], x) = affine(graph, x)? else {
            return None;
        };
        number = -number;
        return Some((number, array, x));
    }
    if let Some(([f64::NEG_INFINITY, 0.0], x)) = clip(graph, part) {
        return Some((number, array, x));
    }
    // x - |x| is 2 min(x, 0).
    let [x, size] = pair(graph, part, Kind::Subtract)?;
    (unary(graph, size, UnaryKind::Abs) == Some(x)).then_some((2.0 * number, array, x))
}

/// `relu(x) + alpha * min(x, 0)` with a number or a learned array.
fn parametric(graph: &Graph, value: ValueId) -> Match {
    let mut sums: Vec<(ValueId, ValueId, f64)> = either(graph, value, Kind::Add)
        .into_iter()
        .map(|[a, b]| (a, b, 1.0))
        .collect();
    sums.extend(pair(graph, value, Kind::Subtract).map(|[a, b]| (a, b, -1.0)));
    for (positive, other, sign) in sums {
        let Some(x) = activation(graph, positive, Activation::Relu) else {
            continue;
        };
        let Some((number, array, of)) = negative_part(graph, other) else {
            continue;
        };
        if of != x {
            continue;
        }
        let number = number * sign;
        let Some(array) = array.and_then(|array| constant(graph, array)) else {
            return Some((Activation::LeakyRelu { alpha: number }.into(), x, "a leaky ReLU"));
        };
        let mut shape = array.shape();
        let rank = graph.shape(x).rank();
        while shape.len() + 1 > rank && shape.first() == Some(&1) {
            shape.remove(0);
        }
        while shape.len() + 1 < rank {
            shape.insert(0, 1);
        }
        let slope = match number {
            1.0 => array.reshape(&shape).ok()?,
            _ => {
                let values: Vec<f32> = array.to_vec().ok()?.iter().map(|v| v * number as f32).collect();
                caribou_ir::Tensor::from_f32(&shape, &values).ok()?
            }
        };
        return Some((PRelu { slope }.into(), x, "a parametric ReLU"));
    }
    None
}

/// `exp(x - max x) / sum exp(x - max x)`.
fn softmax(graph: &Graph, value: ValueId) -> Match {
    let [power, sum] = pair(graph, value, Kind::Divide)?;
    let (op, of) = reduce(graph, sum)?;
    let [axis] = op.axes[..] else { return None };
    if op.kind != ReduceKind::Sum || !op.keep_dims || !same(graph, of, power) {
        return None;
    }
    let x = activation(graph, power, Activation::Exponential)?;
    let x = match pair(graph, x, Kind::Subtract) {
        Some([inner, most]) => match reduce(graph, most) {
            Some((
                Reduce {
                    kind: ReduceKind::Max,
                    axes,
                    keep_dims: true,
                },
                of,
            )) if of == inner && axes[..] == [axis] => inner,
            _ => x,
        },
        None => x,
    };
    Some((Softmax { axis }.into(), x, "softmax"))
}

/// Whether two values are the same, or made in the same way of the same values.
fn same(graph: &Graph, a: ValueId, b: ValueId) -> bool {
    let mut open = vec![(a, b)];
    let mut steps = 0;
    while let Some((a, b)) = open.pop() {
        if a == b {
            continue;
        }
        steps += 1;
        let (Some((op, of_a)), Some((other, of_b))) = (made(graph, a), made(graph, b)) else {
            return false;
        };
        let alike = match (op, other) {
            (Op::Activate(x), Op::Activate(y)) => x == y,
            (Op::Unary(x), Op::Unary(y)) => x == y,
            (Op::Elementwise(x), Op::Elementwise(y)) => x == y,
            (Op::Reduce(x), Op::Reduce(y)) => x == y,
            _ => false,
        };
        if !alike || of_a.len() != of_b.len() || steps > 16 {
            return false;
        }
        open.extend(of_a.iter().copied().zip(of_b.iter().copied()));
    }
    true
}

/// `x / sqrt(max(sum x^2, epsilon))`, and without the bound.
fn unit(graph: &Graph, value: ValueId) -> Match {
    let divided = pair(graph, value, Kind::Divide)
        .and_then(|[x, root]| unary(graph, root, UnaryKind::Sqrt).map(|sum| (x, sum)));
    let multiplied = either(graph, value, Kind::Multiply)
        .into_iter()
        .find_map(|[x, root]| unary(graph, root, UnaryKind::ReciprocalSqrt).map(|sum| (x, sum)));
    let (x, sum) = divided.or(multiplied)?;
    let (epsilon, sum) = match clip(graph, sum) {
        Some(([epsilon, f64::INFINITY], sum)) if epsilon > 0.0 => (epsilon.sqrt(), sum),
        _ => (0.0, sum),
    };
    let (op, squares) = reduce(graph, sum)?;
    let (number, list) = factors(graph, squares);
    if op.kind != ReduceKind::Sum || !op.keep_dims || number != 1.0 || list != [x, x] {
        return None;
    }
    let axes = op.axes.clone();
    Some((
        L2Normalize { axes, epsilon }.into(),
        x,
        "a division by the Euclidean norm",
    ))
}

/// A sum divided by how many elements are added up.
fn mean(graph: &Graph, value: ValueId) -> Match {
    let ([scale, 0.0], sum) = affine(graph, value)? else {
        return None;
    };
    let (op, x) = reduce(graph, sum)?;
    let sizes: Option<Vec<usize>> = op.axes.iter().map(|&axis| graph.shape(x).size(axis)).collect();
    let count: usize = sizes?.into_iter().product();
    // The factor may have been rounded to single precision.
    if op.kind != ReduceKind::Sum || (scale * count as f64 - 1.0).abs() > 1e-7 {
        return None;
    }
    let op = Reduce {
        kind: ReduceKind::Mean,
        ..op.clone()
    };
    Some((op.into(), x, "a mean"))
}
