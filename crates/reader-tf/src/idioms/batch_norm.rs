//! Batch normalisation with stored statistics, written as arithmetic: `x * s + (beta - mean * s)` with
//! `s = gamma * rsqrt(variance + epsilon)` (`tf.nn.batch_normalization`), and `(x - mean) / sqrt(variance + epsilon) *
//! gamma + beta` in its orders. The statistics are found where the constants come from, so that the layer stays one that
//! can be trained.

use super::Lifted;
use crate::build::Held;
use crate::fold::Array;
use crate::graph::{Node, Output};
use crate::literal::meant;
use crate::ops::{Call, Found};
use caribou_ir::op::BatchNorm;
use caribou_ir::{Tensor, ValueId};

/// Factors of a known array, each to the power one or minus one.
type Terms = Vec<(Output, i32)>;

/// The parts of a normalisation.
struct Parts {
    x: Output,
    mean: Option<Output>,
    terms: Terms,
    offset: Option<Output>,
}

/// The root that scales, taken apart.
struct Scale {
    variance: Output,
    epsilon: f64,
    gamma: Option<Output>,
}

/// Looks back from the last operation of a normalisation.
struct Search<'c, 'a, 'f> {
    call: &'c Call<'a, 'f>,
}

impl<'f> Search<'_, '_, 'f> {
    fn node(&self, output: Output) -> &'f Node {
        &self.call.builder.flat.nodes[output.node]
    }

    fn known(&self, output: Output) -> Option<&Array> {
        match self.call.builder.held(output)? {
            Held::Known(array) => Some(array),
            Held::Value(..) => None,
        }
    }

    /// The output behind operations that change nothing of a known array but its shape.
    fn plain(&self, output: Output) -> Output {
        let mut output = self.call.through(output);
        for _ in 0..8 {
            let node = self.node(output);
            let shapes = matches!(
                &*node.op,
                "Reshape" | "ExpandDims" | "Squeeze" | "BroadcastTo" | "Cast"
            );
            match node.inputs.first() {
                Some(&next) if shapes && self.known(output).is_some() => output = self.call.through(next),
                _ => break,
            }
        }
        output
    }

    /// The operation that makes an output, with its two inputs, where it is one of `ops`.
    fn pair(&self, output: Output, ops: &[&str]) -> Option<(&'f str, [Output; 2])> {
        let node = self.node(self.call.through(output));
        match node.inputs[..] {
            [a, b] if ops.contains(&&*node.op) => Some((&*node.op, [a, b])),
            _ => None,
        }
    }

    /// Adds the factors of a known array to `terms`.
    fn factors(&self, output: Output, power: i32, terms: &mut Terms, depth: usize) {
        let output = self.plain(output);
        let node = self.node(output);
        match (&*node.op, &node.inputs[..]) {
            ("Mul", &[a, b]) if depth < 8 => {
                self.factors(a, power, terms, depth + 1);
                self.factors(b, power, terms, depth + 1);
            }
            ("RealDiv" | "Div", &[a, b]) if depth < 8 => {
                self.factors(a, power, terms, depth + 1);
                self.factors(b, -power, terms, depth + 1);
            }
            ("Reciprocal" | "Inv", &[a]) if depth < 8 => self.factors(a, -power, terms, depth + 1),
            _ => terms.push((output, power)),
        }
    }

    /// The root of the variance among the factors, and gamma, which is what else there may be.
    fn scale(&self, terms: &Terms) -> Option<Scale> {
        let mut scale = None;
        let mut gamma = None;
        for &(output, power) in terms {
            let node = self.node(output);
            let root = match (&*node.op, power) {
                ("Rsqrt", 1) | ("Sqrt", -1) => Some(*node.inputs.first()?),
                ("Pow", 1) if self.known(node.inputs[1])?.scalar() == Some(-0.5) => Some(node.inputs[0]),
                ("Pow", -1) if self.known(node.inputs[1])?.scalar() == Some(0.5) => Some(node.inputs[0]),
                _ => None,
            };
            match (root, &scale) {
                (Some(sum), None) => {
                    let (_, [a, b]) = self.pair(self.plain(sum), &["Add", "AddV2"])?;
                    let (variance, epsilon) = match (self.known(a)?.len(), self.known(b)?.len()) {
                        (_, 1) => (a, b),
                        (1, _) => (b, a),
                        _ => return None,
                    };
                    scale = Some((self.plain(variance), meant(self.known(epsilon)?.scalar()? as f32)));
                }
                (Some(_), Some(_)) => return None,
                (None, _) if power == 1 && gamma.is_none() => gamma = Some(output),
                (None, _) => return None,
            }
        }
        let (variance, epsilon) = scale?;
        Some(Scale {
            variance,
            epsilon,
            gamma,
        })
    }

    /// A value and a known array that an operation combines, in either order.
    fn with_known(&self, [a, b]: [Output; 2]) -> Option<(Output, Output)> {
        match (self.known(a).is_some(), self.known(b).is_some()) {
            (false, true) => Some((a, b)),
            (true, false) => Some((b, a)),
            _ => None,
        }
    }

    /// `x * s + t` with `t = beta - mean * s`.
    fn scaled_and_shifted(&self, end: Output) -> Option<Parts> {
        let (op, inputs) = self.pair(end, &["Add", "AddV2", "Sub"])?;
        let (product, shift) = self.with_known(inputs)?;
        if op == "Sub" && product != inputs[0] {
            return None;
        }
        let (_, factors) = self.pair(product, &["Mul"])?;
        let (x, scale) = self.with_known(factors)?;
        let mut terms = Vec::new();
        self.factors(scale, 1, &mut terms, 0);
        let shift = self.plain(shift);
        let node = self.node(shift);
        let (offset, centre) = match (op, &*node.op, &node.inputs[..]) {
            ("Sub", ..) => (None, shift),
            (_, "Sub", &[beta, centre]) => (Some(beta), centre),
            (_, "Neg", &[centre]) => (None, centre),
            _ => return None,
        };
        let mut of_centre = Vec::new();
        self.factors(centre, 1, &mut of_centre, 0);
        for term in &terms {
            let place = of_centre.iter().position(|other| other == term)?;
            of_centre.remove(place);
        }
        let [(mean, 1)] = of_centre[..] else { return None };
        Some(Parts {
            x,
            mean: Some(mean),
            terms,
            offset: offset.map(|offset| self.plain(offset)),
        })
    }

    /// `(x - mean)`, then factors, then an offset.
    fn step_by_step(&self, end: Output) -> Option<Parts> {
        let mut at = end;
        let mut offset = None;
        if let Some((_, inputs)) = self.pair(at, &["Add", "AddV2"]) {
            let (value, array) = self.with_known(inputs)?;
            offset = Some(self.plain(array));
            at = value;
        }
        let mut terms = Vec::new();
        for _ in 0..4 {
            let Some((op, inputs)) = self.pair(at, &["Mul", "RealDiv", "Div"]) else {
                break;
            };
            let (value, array) = self.with_known(inputs)?;
            if op != "Mul" && value != inputs[0] {
                return None;
            }
            self.factors(array, if op == "Mul" { 1 } else { -1 }, &mut terms, 0);
            at = value;
        }
        let (_, [x, mean]) = self.pair(at, &["Sub"])?;
        self.known(mean)?;
        if self.known(x).is_some() || terms.is_empty() {
            return None;
        }
        Some(Parts {
            x,
            mean: Some(self.plain(mean)),
            terms,
            offset,
        })
    }
}

/// The axis of a value that a known array runs along; `None` where it is one number or several axes.
fn axis_of(array: &Array, rank: usize) -> Option<usize> {
    let shape = array.shape();
    let long: Vec<usize> = (0..shape.len()).filter(|&axis| shape[axis] != 1).collect();
    match long[..] {
        [place] => (place + rank).checked_sub(shape.len()),
        _ => None,
    }
}

pub(super) fn stored_statistics(call: &mut Call<'_, '_>) -> Lifted {
    let end = Output {
        node: call.index,
        slot: 0,
    };
    let search = Search { call };
    let Some(parts) = search
        .scaled_and_shifted(end)
        .or_else(|| search.step_by_step(end))
    else {
        return Ok(None);
    };
    let Some(scale) = search.scale(&parts.terms) else {
        return Ok(None);
    };
    let Some(Held::Value(x, _)) = call.builder.held(parts.x) else {
        return Ok(None);
    };
    let x = *x;
    let Some(axis) = axis(call, &parts, x) else {
        return Ok(None);
    };
    let Some(channels) = call.shape(x).size(axis) else {
        return Ok(None);
    };
    let mean = match parts.mean {
        Some(mean) => vector(call, mean, channels)?,
        None => Some(Tensor::filled(&[channels], 0.0)),
    };
    let (Some(mean), Some(variance)) = (mean, vector(call, scale.variance, channels)?) else {
        return Ok(None);
    };
    let mut learned = [None, None];
    for (place, output) in [scale.gamma, parts.offset].into_iter().enumerate() {
        if let Some(output) = output {
            match vector(call, output, channels)? {
                Some(tensor) => learned[place] = Some(tensor),
                None => return Ok(None),
            }
        }
    }
    let [gamma, offset] = learned;
    let op = BatchNorm {
        axis,
        scale: gamma,
        offset,
        mean,
        variance,
        epsilon: scale.epsilon,
        momentum: crate::ops::MOMENTUM,
    };
    let y = call.apply(op, &[x])?;
    call.lift("batch normalisation");
    call.gives(y).map(Some)
}

/// The axis that the arrays which are combined with the value run along. It is that of the arrays as the operations read
/// them, whose shapes say it.
fn axis(call: &Call<'_, '_>, parts: &Parts, x: ValueId) -> Option<usize> {
    let rank = call.rank(x);
    let mut axes = Vec::new();
    let mut open = vec![Output {
        node: call.index,
        slot: 0,
    }];
    // From the end back to x: every known array that is met says its axis.
    while let Some(output) = open.pop() {
        let output = call.through(output);
        if output == call.through(parts.x) || axes.len() > 8 {
            continue;
        }
        for &input in &call.builder.flat.nodes[output.node].inputs {
            match call.builder.held(input) {
                Some(Held::Known(array)) if array.len() > 1 => axes.push(axis_of(array, rank)?),
                Some(Held::Known(_)) => {}
                _ => open.push(input),
            }
        }
    }
    let first = *axes.first()?;
    (first > 0 && axes.iter().all(|&axis| axis == first)).then_some(first)
}

/// A known array as one number for each channel.
fn vector(call: &Call<'_, '_>, output: Output, channels: usize) -> Found<Option<Tensor>> {
    let Some(Held::Known(array)) = call.builder.held(output) else {
        return Ok(None);
    };
    if array.len() != channels || !array.dtype().is_float() {
        return Ok(None);
    }
    let array = call.folded(array.reshaped(&[channels]))?;
    call.folded(array.tensor()).map(Some)
}
