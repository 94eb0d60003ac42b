//! Recurrent layers taken apart into one small network a step, where the number of steps is known.
//!
//! `x W + b` is one dense layer over all steps, which stays a single copy. What depends on the state before, `h R`, is
//! a dense layer at each step with a copy of `R`. The states of the steps are remembered, so that a step taken of the
//! result is the state itself.

use super::cell::{Steps, columns, gru, input_bias, lstm, simple};
use super::{Composed, Failure, Step, gate};
use caribou_ir::op::{
    Cell, Concat, Dense, Direction, ElementwiseKind, MaskedStep, Merge, Recurrent, Reshape, Size, Slice,
    Tile, Transpose,
};
use caribou_ir::{Code, Finding, ValueId};

/// Copies of weights that were one in the source.
const UNTIED: Code = Code("D0110");

/// Whether stock DL4J has a layer for the cell.
pub(crate) fn has_layer(cell: &Cell) -> bool {
    let known = crate::lower::has_class;
    match cell {
        Cell::Lstm(cell) => known(cell.activation) && known(cell.gate),
        Cell::Simple(cell) => known(cell.activation),
        Cell::Gru(_) => false,
    }
}

/// Whether stock DL4J has a layer for the operator as it is.
pub(crate) fn is_stock(op: &Recurrent) -> bool {
    let other = match &op.direction {
        Direction::Bidirectional { backward, .. } => has_layer(backward),
        _ => true,
    };
    op.is_plain() && other && has_layer(&op.cell)
}

/// Takes the layer apart when DL4J has none for it, and it has no more steps than the user allows.
pub(super) fn recurrent(step: &mut Step<'_>, op: &Recurrent, inputs: &[ValueId]) -> Composed {
    if !is_stock(op)
        && let Some(equal) = gate::with_stock_gates(op)?
        && is_stock(&equal)
    {
        step.rewrite(
            "hard-sigmoid-by-scaling",
            "DL4J's hard sigmoid has the slope 0.2: the weights of the gates are scaled to what makes it equal",
        );
        return Ok(Some(vec![step.leaf(equal, inputs)?]));
    }
    let Some((&x, mask, initial)) = op.inputs(inputs) else {
        return Ok(None);
    };
    let steps = step.graph.shape(x).size(1);
    let (false, Some(steps), Some(max)) = (is_stock(op), steps, step.options.unroll_recurrent) else {
        return Ok(None);
    };
    if steps == 0 || steps > max {
        return Ok(None);
    }
    let mask = match (mask, op.mask) {
        (Some(&mask), Some(masked)) => Some(Mask::new(step, mask, op.cell.units(), masked)?),
        _ => None,
    };
    let initial = match *initial {
        [] => None,
        [h, ref rest @ ..] => Some(State {
            h,
            c: rest.first().copied(),
            shown: None,
        }),
    };
    let run = |step: &mut Step<'_>, cell: &Cell, backwards: bool| {
        let run = Run {
            steps,
            backwards,
            mask: mask.as_ref(),
            initial,
        };
        unrolled(step, cell, x, &run)
    };
    let (states, last) = match &op.direction {
        Direction::Forward => run(step, &op.cell, false)?,
        Direction::Reverse => run(step, &op.cell, true)?,
        Direction::Bidirectional { backward, merge } => {
            let (forward, last) = run(step, &op.cell, false)?;
            let (backward, _) = run(step, backward, true)?;
            let pairs = forward.into_iter().zip(backward);
            let merged: Result<_, Failure> = pairs.map(|(a, b)| merged(step, *merge, &[a, b])).collect();
            (merged?, last)
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
        format!("DL4J has no layer for this; its {steps} steps are layers of their own"),
    );
    step.findings.push(
        Finding::note(
            UNTIED,
            step.origin,
            format!("its recurrent weights are written {steps} times, once a step"),
        )
        .with_help("the copies are no longer tied when training goes on"),
    );
    let mut outputs = vec![y];
    if op.states {
        outputs.push(last.h);
        outputs.extend(last.c);
    }
    Ok(Some(outputs))
}

/// What goes from step to step: the states, and what was shown last where that is not `h`.
#[derive(Clone, Copy)]
struct State {
    h: ValueId,
    c: Option<ValueId>,
    shown: Option<ValueId>,
}

/// How a cell is run.
struct Run<'m> {
    steps: usize,
    backwards: bool,
    mask: Option<&'m Mask>,
    initial: Option<State>,
}

/// The mask and its complement, `[N, T * H]`: each of its numbers stands once for each unit.
struct Mask {
    keep: ValueId,
    hold: ValueId,
    units: usize,
    masked: MaskedStep,
}

impl Mask {
    fn new(step: &mut Step<'_>, mask: ValueId, units: usize, masked: MaskedStep) -> Result<Self, Failure> {
        let row = Reshape {
            target: vec![Size::Keep(0), Size::Fixed(1), Size::Keep(1)],
        };
        let mask = step.apply(row, &[mask])?;
        let repeats = vec![1, units, 1];
        let mask = step.apply(Tile { repeats }, &[mask])?;
        let permutation = vec![0, 2, 1];
        let mask = step.apply(Transpose { permutation }, &[mask])?;
        let keep = step.apply(Reshape::flatten(), &[mask])?;
        let hold = step.affine(keep, -1.0, 1.0)?;
        Ok(Self {
            keep,
            hold,
            units,
            masked,
        })
    }

    /// `new` where step `t` counts, else `old`; zeros where there is no `old`.
    fn choose(
        &self,
        step: &mut Step<'_>,
        t: usize,
        new: ValueId,
        old: Option<ValueId>,
    ) -> Result<ValueId, Failure> {
        let keep = columns(step, self.keep, t * self.units, self.units)?;
        let new = step.elementwise(ElementwiseKind::Multiply, &[keep, new])?;
        let Some(old) = old else { return Ok(new) };
        let hold = columns(step, self.hold, t * self.units, self.units)?;
        let old = step.elementwise(ElementwiseKind::Multiply, &[hold, old])?;
        step.elementwise(ElementwiseKind::Add, &[new, old])
    }
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

/// What each step shows, in the order of the steps of `x`, and the last states.
fn unrolled(
    step: &mut Step<'_>,
    cell: &Cell,
    x: ValueId,
    run: &Run<'_>,
) -> Result<(Vec<ValueId>, State), Failure> {
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
    let x = Steps {
        flat: step.apply(Reshape::flatten(), &[z])?,
        units: cell.units(),
        gates: cell.gates(),
    };
    let mut shown = vec![x.flat; run.steps];
    let mut state = run.initial;
    for i in 0..run.steps {
        let t = if run.backwards { run.steps - 1 - i } else { i };
        let before = state.map(|state| state.h);
        let memory = state.and_then(|state| state.c);
        let (mut h, mut c) = match cell {
            Cell::Simple(cell) => (simple(step, cell, &x, t, before)?, None),
            Cell::Gru(cell) => (gru(step, cell, &x, t, before)?, None),
            Cell::Lstm(cell) => {
                let (h, c) = lstm(step, cell, &x, t, before, memory)?;
                (h, Some(c))
            }
        };
        let new = h;
        if let Some(mask) = run.mask {
            h = mask.choose(step, t, h, before)?;
            c = match c {
                Some(c) => Some(mask.choose(step, t, c, memory)?),
                None => None,
            };
        }
        // A masked step shows the state before, unless zeros are wanted or no step has been taken yet.
        shown[t] = match run.mask {
            Some(mask) if mask.masked == MaskedStep::Zero => mask.choose(step, t, new, None)?,
            Some(mask) if run.initial.is_some() => {
                mask.choose(step, t, new, state.and_then(|state| state.shown))?
            }
            _ => h,
        };
        state = Some(State {
            h,
            c,
            shown: Some(shown[t]),
        });
    }
    let last = state.ok_or_else(|| Failure::Inexpressible("a recurrent layer without steps".into()))?;
    Ok((shown, last))
}
