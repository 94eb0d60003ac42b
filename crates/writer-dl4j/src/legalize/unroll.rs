//! Recurrent layers taken apart into one small network a step, where the number of steps is known.
//!
//! `x W + b` is one dense layer over all steps, which stays a single copy. What depends on the state before, `h R`, is
//! a dense layer at each step with a copy of `R`. The states of the steps are remembered, so that a step taken of the
//! result is the state itself.

use super::{Composed, Failure, Step};
use caribou_ir::op::{
    Activation, Cell, Concat, Dense, Direction, ElementwiseKind, Gru, Lstm, Merge, Recurrent, Reshape,
    SimpleRnn, Slice, SliceAxis,
};
use caribou_ir::{Code, Finding, Tensor, TensorError, ValueId};

/// Copies of weights that were one in the source.
const UNTIED: Code = Code("D0110");

/// Whether stock DL4J has a layer for the cell.
pub(crate) fn has_layer(cell: &Cell) -> bool {
    let known = |function: Activation| crate::lower::has_class(function);
    match cell {
        Cell::Lstm(cell) => cell.peephole.is_none() && known(cell.activation) && known(cell.gate),
        Cell::Simple(cell) => known(cell.activation),
        Cell::Gru(_) => false,
    }
}

/// Takes the layer apart when DL4J has none for its cell, and it has no more steps than the user allows.
pub(super) fn recurrent(step: &mut Step<'_>, op: &Recurrent, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    let stock = match &op.direction {
        Direction::Bidirectional { backward, .. } => has_layer(&op.cell) && has_layer(backward),
        _ => has_layer(&op.cell),
    };
    let steps = step.graph.shape(x).size(1);
    let (false, Some(steps), Some(max)) = (stock, steps, step.options.unroll_recurrent) else {
        return Ok(None);
    };
    if steps == 0 || steps > max {
        return Ok(None);
    }
    let states = match &op.direction {
        Direction::Forward => unrolled(step, &op.cell, x, steps, false)?,
        Direction::Reverse => unrolled(step, &op.cell, x, steps, true)?,
        Direction::Bidirectional { backward, merge } => {
            let forward = unrolled(step, &op.cell, x, steps, false)?;
            let backward = unrolled(step, backward, x, steps, true)?;
            let pairs = forward.into_iter().zip(backward);
            pairs
                .map(|(a, b)| merged(step, *merge, &[a, b]))
                .collect::<Result<_, _>>()?
        }
    };
    let units = step.graph.shape(states[0]).size(1).unwrap_or(0);
    let flat = match states[..] {
        [state] => state,
        _ => step.apply(Concat { axis: 1 }, &states)?,
    };
    let y = step.apply(Reshape::features(&[steps, units]), &[flat])?;
    step.steps.insert(y, states);
    step.rewrite(
        "unroll-recurrent",
        format!("DL4J has no layer for this cell; its {steps} steps are layers of their own"),
    );
    step.findings.push(
        Finding::note(
            UNTIED,
            step.origin,
            format!("its recurrent weights are written {steps} times, once a step"),
        )
        .with_help("the copies are no longer tied when training goes on"),
    );
    Ok(Some(vec![y]))
}

fn merged(step: &mut Step<'_>, merge: Merge, pair: &[ValueId]) -> Result<ValueId, Failure> {
    match merge {
        Merge::Concat => step.apply(Concat { axis: 1 }, pair),
        Merge::Add => step.elementwise(ElementwiseKind::Add, pair),
        Merge::Multiply => step.elementwise(ElementwiseKind::Multiply, pair),
        Merge::Average => step.elementwise(ElementwiseKind::Average, pair),
    }
}

/// A single step of states that are known one by one.
pub(super) fn slice(step: &mut Step<'_>, op: &Slice, inputs: &[ValueId]) -> Composed {
    let ([x], [cut]) = (inputs, &op.axes[..]) else {
        return Ok(None);
    };
    let Some(states) = step.steps.get(x).filter(|_| cut.axis == 1 && cut.squeeze) else {
        return Ok(None);
    };
    let (index, _) = cut.resolve(states.len());
    Ok(states.get(index).map(|&state| vec![state]))
}

/// The columns of one gate of every step: `[N, T * G * H]`, cut into `[N, H]`.
struct Steps {
    flat: ValueId,
    units: usize,
    gates: usize,
}

impl Steps {
    /// The gates `range` of step `t`.
    fn gates(&self, step: &mut Step<'_>, t: usize, range: [usize; 2]) -> Result<ValueId, Failure> {
        let start = (t * self.gates + range[0]) * self.units;
        columns(step, self.flat, start, (range[1] - range[0]) * self.units)
    }
}

fn columns(step: &mut Step<'_>, x: ValueId, start: usize, count: usize) -> Result<ValueId, Failure> {
    if start == 0 && step.graph.shape(x).size(1) == Some(count) {
        return Ok(x);
    }
    let cut = SliceAxis::range(1, start as i64, Some((start + count) as i64));
    step.apply(Slice { axes: vec![cut] }, &[x])
}

/// The state of each step of `x`, in the order of the steps of `x`.
fn unrolled(
    step: &mut Step<'_>,
    cell: &Cell,
    x: ValueId,
    steps: usize,
    backwards: bool,
) -> Result<Vec<ValueId>, Failure> {
    let units = cell.units();
    let gates = cell.gates();
    let (weight, bias) = match cell {
        Cell::Lstm(cell) => (&cell.weight, cell.bias.clone()),
        Cell::Gru(cell) => (&cell.weight, input_bias(cell)?),
        Cell::Simple(cell) => (&cell.weight, cell.bias.clone()),
    };
    let dense = Dense {
        weight: weight.clone(),
        bias,
    };
    let z = step.apply(dense, &[x])?;
    let steps_of_x = Steps {
        flat: step.apply(Reshape::flatten(), &[z])?,
        units,
        gates,
    };
    let mut states = vec![steps_of_x.flat; steps];
    let mut before: Option<ValueId> = None;
    let mut memory: Option<ValueId> = None;
    for i in 0..steps {
        let t = if backwards { steps - 1 - i } else { i };
        let state = match cell {
            Cell::Simple(cell) => simple(step, cell, &steps_of_x, t, before)?,
            Cell::Gru(cell) => gru(step, cell, &steps_of_x, t, before)?,
            Cell::Lstm(cell) => {
                let (state, next) = lstm(step, cell, &steps_of_x, t, before.zip(memory))?;
                memory = Some(next);
                state
            }
        };
        states[t] = state;
        before = Some(state);
    }
    Ok(states)
}

/// `W`'s bias with that part of the recurrent bias that is added to the same sum: all of it but the candidate's,
/// which the reset gate multiplies.
fn input_bias(cell: &Gru) -> Result<Option<Tensor>, Failure> {
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

fn simple(
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
fn lstm(
    step: &mut Step<'_>,
    cell: &Lstm,
    x: &Steps,
    t: usize,
    before: Option<(ValueId, ValueId)>,
) -> Result<(ValueId, ValueId), Failure> {
    let units = x.units;
    if cell.peephole.is_some() {
        return Err(Failure::Inexpressible(
            "an LSTM with peepholes can't be unrolled".into(),
        ));
    }
    let z = x.gates(step, t, [0, 4])?;
    let z = with_state(step, z, before.map(|(h, _)| h), cell.recurrent.clone())?;
    let gate = |step: &mut Step<'_>, i: usize, function: Activation| {
        let z = columns(step, z, i * units, units)?;
        step.activate(function, z)
    };
    let input = gate(step, 0, cell.gate)?;
    let candidate = gate(step, 2, cell.activation)?;
    let mut memory = step.elementwise(ElementwiseKind::Multiply, &[input, candidate])?;
    if let Some((_, old)) = before {
        let forget = gate(step, 1, cell.gate)?;
        let kept = step.elementwise(ElementwiseKind::Multiply, &[forget, old])?;
        memory = step.elementwise(ElementwiseKind::Add, &[kept, memory])?;
    }
    let output = gate(step, 3, cell.gate)?;
    let shown = step.activate(cell.activation, memory)?;
    let state = step.elementwise(ElementwiseKind::Multiply, &[output, shown])?;
    Ok((state, memory))
}

/// See [`Gru`]; `z h + (1 - z) c` is computed as `c + z (h - c)`.
fn gru(
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
