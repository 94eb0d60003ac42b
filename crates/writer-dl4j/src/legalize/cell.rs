//! One step of each cell, out of layers and element-wise operators.

use super::{Failure, Step};
use caribou_ir::op::{Activation, Dense, ElementwiseKind, Gru, Lstm, SimpleRnn, Slice, SliceAxis};
use caribou_ir::{Tensor, TensorError, ValueId};

/// The columns of one gate of every step: `[N, T * G * H]`, cut into `[N, H]`.
pub(super) struct Steps {
    pub(super) flat: ValueId,
    pub(super) units: usize,
    pub(super) gates: usize,
}

impl Steps {
    /// The gates `range` of step `t`.
    fn gates(&self, step: &mut Step<'_>, t: usize, range: [usize; 2]) -> Result<ValueId, Failure> {
        let start = (t * self.gates + range[0]) * self.units;
        columns(step, self.flat, start, (range[1] - range[0]) * self.units)
    }
}

/// The columns `start..start + count` of `[N, F]`.
pub(super) fn columns(
    step: &mut Step<'_>,
    x: ValueId,
    start: usize,
    count: usize,
) -> Result<ValueId, Failure> {
    if start == 0 && step.graph.shape(x).size(1) == Some(count) {
        return Ok(x);
    }
    let cut = SliceAxis::range(1, start as i64, Some((start + count) as i64));
    step.apply(Slice { axes: vec![cut] }, &[x])
}

/// `W`'s bias with that part of the recurrent bias that is added to the same sum: all of it but the candidate's,
/// which the reset gate multiplies.
pub(super) fn input_bias(cell: &Gru) -> Result<Option<Tensor>, Failure> {
    let units = cell.recurrent.shape()[0];
    let Some(inner) = &cell.recurrent_bias else {
        return Ok(cell.bias.clone());
    };
    let mut sum = match &cell.bias {
        Some(bias) => bias.to_vec().map_err(unread)?,
        None => vec![0.0; 3 * units],
    };
    let inner = inner.to_vec().map_err(unread)?;
    let gates = if cell.reset_after { 2 * units } else { 3 * units };
    for (sum, inner) in sum.iter_mut().zip(&inner).take(gates) {
        *sum += inner;
    }
    Ok(Some(Tensor::vector(&sum)))
}

fn unread(error: TensorError) -> Failure {
    Failure::Inexpressible(error.to_string())
}

/// The gates `range` of a tensor whose last axis holds a block of columns a gate.
fn block(tensor: &Tensor, units: usize, range: [usize; 2]) -> Result<Tensor, Failure> {
    tensor
        .narrow(tensor.rank() - 1, range[0] * units, range[1] * units)
        .map_err(unread)
}

/// `z + h R` for a range of gates; `z` alone while there is no state.
fn with_state(
    step: &mut Step<'_>,
    z: ValueId,
    before: Option<ValueId>,
    recurrent: Tensor,
) -> Result<ValueId, Failure> {
    let Some(h) = before else { return Ok(z) };
    let dense = Dense {
        weight: recurrent,
        bias: None,
    };
    let inner = step.apply(dense, &[h])?;
    step.elementwise(ElementwiseKind::Add, &[z, inner])
}

pub(super) fn simple(
    step: &mut Step<'_>,
    cell: &SimpleRnn,
    x: &Steps,
    t: usize,
    before: Option<ValueId>,
) -> Result<ValueId, Failure> {
    let z = x.gates(step, t, [0, 1])?;
    let z = with_state(step, z, before, cell.recurrent.clone())?;
    step.activate(cell.activation, z)
}

/// Keras' and ONNX' equations; see [`Lstm`].
pub(super) fn lstm(
    step: &mut Step<'_>,
    cell: &Lstm,
    x: &Steps,
    t: usize,
    before: Option<ValueId>,
    memory: Option<ValueId>,
) -> Result<(ValueId, ValueId), Failure> {
    let units = x.units;
    if cell.peephole.is_some() {
        return Err(Failure::Inexpressible(
            "an LSTM with peepholes can't be unrolled".into(),
        ));
    }
    let z = x.gates(step, t, [0, 4])?;
    let z = with_state(step, z, before, cell.recurrent.clone())?;
    let gate = |step: &mut Step<'_>, i: usize, function: Activation| {
        let z = columns(step, z, i * units, units)?;
        step.activate(function, z)
    };
    let input = gate(step, 0, cell.gate)?;
    let candidate = gate(step, 2, cell.activation)?;
    let mut new = step.elementwise(ElementwiseKind::Multiply, &[input, candidate])?;
    if let Some(old) = memory {
        let forget = gate(step, 1, cell.gate)?;
        let kept = step.elementwise(ElementwiseKind::Multiply, &[forget, old])?;
        new = step.elementwise(ElementwiseKind::Add, &[kept, new])?;
    }
    let output = gate(step, 3, cell.gate)?;
    let shown = step.activate(cell.activation, new)?;
    let state = step.elementwise(ElementwiseKind::Multiply, &[output, shown])?;
    Ok((state, new))
}

/// See [`Gru`]; `z h + (1 - z) c` is computed as `c + z (h - c)`.
pub(super) fn gru(
    step: &mut Step<'_>,
    cell: &Gru,
    x: &Steps,
    t: usize,
    before: Option<ValueId>,
) -> Result<ValueId, Failure> {
    let units = x.units;
    let z = x.gates(step, t, [0, 2])?;
    let z = with_state(step, z, before, block(&cell.recurrent, units, [0, 2])?)?;
    let update = columns(step, z, 0, units)?;
    let update = step.activate(cell.gate, update)?;
    let reset = columns(step, z, units, units)?;
    let reset = step.activate(cell.gate, reset)?;
    let weight = block(&cell.recurrent, units, [2, 3])?;
    let mut candidate = x.gates(step, t, [2, 3])?;
    let inner = if cell.reset_after {
        let bias = match &cell.recurrent_bias {
            Some(bias) => Some(block(bias, units, [2, 3])?),
            None => None,
        };
        // A state of zeros still leaves the bias to be reset.
        let h = match (before, &bias) {
            (None, Some(_)) => Some(step.affine(candidate, 0.0, 0.0)?),
            (before, _) => before,
        };
        match h {
            Some(h) => {
                let inner = step.apply(Dense { weight, bias }, &[h])?;
                Some(step.elementwise(ElementwiseKind::Multiply, &[reset, inner])?)
            }
            None => None,
        }
    } else {
        match before {
            Some(h) => {
                let kept = step.elementwise(ElementwiseKind::Multiply, &[reset, h])?;
                Some(step.apply(Dense { weight, bias: None }, &[kept])?)
            }
            None => None,
        }
    };
    if let Some(inner) = inner {
        candidate = step.elementwise(ElementwiseKind::Add, &[candidate, inner])?;
    }
    let candidate = step.activate(cell.activation, candidate)?;
    match before {
        Some(h) => {
            let difference = step.elementwise(ElementwiseKind::Subtract, &[h, candidate])?;
            let step_back = step.elementwise(ElementwiseKind::Multiply, &[update, difference])?;
            step.elementwise(ElementwiseKind::Add, &[candidate, step_back])
        }
        None => {
            let kept = step.affine(update, -1.0, 1.0)?;
            step.elementwise(ElementwiseKind::Multiply, &[kept, candidate])
        }
    }
}
