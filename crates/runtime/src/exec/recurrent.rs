//! Recurrent layers, step by step.

use super::linear::product;
use super::{Array, ExecError, Result, array};
use caribou_ir::Tensor;
use caribou_ir::op::{Cell, Direction, MaskedStep, Merge, Recurrent};
use ndarray::{Array2, Array3, ArrayView2, Axis, Ix2, Ix3, concatenate, s};

pub(super) fn recurrent(op: &Recurrent, inputs: &[&Array]) -> Result<Vec<Array>> {
    let Some((x, mask, initial)) = op.inputs(inputs) else {
        return Err(ExecError::new("the inputs do not fit a recurrent layer"));
    };
    let x = x.view().into_dimensionality::<Ix3>()?.to_owned();
    let mask = match (mask, op.mask) {
        (Some(mask), Some(masked)) => Some((mask.view().into_dimensionality::<Ix2>()?, masked)),
        _ => None,
    };
    let zeros = || Array2::<f32>::zeros((x.dim().0, op.cell.units()));
    let mut start = [zeros(), zeros()];
    for (start, state) in start.iter_mut().zip(initial) {
        start.assign(&state.view().into_dimensionality::<Ix2>()?);
    }
    let forward = |reverse: bool| run(&op.cell, &x, reverse, mask.as_ref(), start.clone());
    let (y, states) = match &op.direction {
        Direction::Forward => forward(false)?,
        Direction::Reverse => forward(true)?,
        Direction::Bidirectional { backward, merge } => {
            let other = {
                let zeros = || Array2::zeros((x.dim().0, backward.units()));
                run(backward, &x, true, None, [zeros(), zeros()])?
            };
            let (a, b) = (forward(false)?.0, other.0);
            let y = match merge {
                Merge::Concat => concatenate(Axis(2), &[a.view(), b.view()])?,
                Merge::Add => a + b,
                Merge::Multiply => a * b,
                Merge::Average => (a + b) / 2.0,
            };
            (y, start.clone())
        }
    };
    let mut outputs = vec![y.as_standard_layout().into_owned().into_dyn()];
    if op.states {
        outputs.extend(
            states
                .into_iter()
                .take(op.cell.states())
                .map(ndarray::ArrayBase::into_dyn),
        );
    }
    Ok(outputs)
}

fn matrix(tensor: &Tensor) -> Result<Array2<f32>> {
    Ok(array(tensor)?.into_dimensionality::<Ix2>()?)
}

fn row(tensor: &Option<Tensor>, n: usize) -> Result<Vec<f32>> {
    Ok(match tensor {
        Some(tensor) => tensor.to_vec()?,
        None => vec![0.0; n],
    })
}

/// The mask and what a masked step gives.
type Mask<'m> = (ArrayView2<'m, f32>, MaskedStep);

/// All outputs of a cell, and its last states; output `t` belongs to input `t` in either direction.
fn run(
    cell: &Cell,
    x: &Array3<f32>,
    reverse: bool,
    mask: Option<&Mask<'_>>,
    start: [Array2<f32>; 2],
) -> Result<(Array3<f32>, [Array2<f32>; 2])> {
    let (batch, steps, features) = x.dim();
    let units = cell.units();
    let columns = units * cell.gates();
    let (weight, recurrent, bias) = match cell {
        Cell::Lstm(cell) => (&cell.weight, &cell.recurrent, &cell.bias),
        Cell::Gru(cell) => (&cell.weight, &cell.recurrent, &cell.bias),
        Cell::Simple(cell) => (&cell.weight, &cell.recurrent, &cell.bias),
    };
    let (weight, recurrent, bias) = (matrix(weight)?, matrix(recurrent)?, row(bias, columns)?);
    let flat = x.to_shape((batch * steps, features))?;
    let z = product(flat.view(), &weight) + ndarray::ArrayView1::from(&bias);
    let z = z.into_shape_with_order((batch, steps, columns))?;
    let mut outputs = Array3::zeros((batch, steps, units));
    let [mut h, c] = start;
    let mut c = c.mapv(f64::from);
    let mut shown = Array2::<f32>::zeros((batch, units));
    for step in 0..steps {
        let t = if reverse { steps - 1 - step } else { step };
        let z = z.slice(s![.., t, ..]);
        let before = (h.clone(), c.clone());
        h = match cell {
            Cell::Simple(cell) => {
                let f = |x| cell.activation.at(x);
                (&z + &h.dot(&recurrent)).mapv(|z| f(f64::from(z)) as f32)
            }
            Cell::Lstm(cell) => {
                let (f, g) = (|x| cell.activation.at(x), |x| cell.gate.at(x));
                let z = &z + &h.dot(&recurrent);
                let peephole = match &cell.peephole {
                    Some(p) => Some([p.input.to_vec()?, p.forget.to_vec()?, p.output.to_vec()?]),
                    None => None,
                };
                let seen = |gate: usize, unit: usize, c: f64| {
                    peephole
                        .as_ref()
                        .map_or(0.0, |peephole| f64::from(peephole[gate][unit]) * c)
                };
                let mut next = Array2::zeros((batch, units));
                for n in 0..batch {
                    for u in 0..units {
                        let at = |block: usize| f64::from(z[[n, block * units + u]]);
                        let old = c[[n, u]];
                        let state = g(at(1) + seen(1, u, old)) * old + g(at(0) + seen(0, u, old)) * f(at(2));
                        c[[n, u]] = state;
                        next[[n, u]] = (g(at(3) + seen(2, u, state)) * f(state)) as f32;
                    }
                }
                next
            }
            Cell::Gru(cell) => {
                let (f, g) = (|x| cell.activation.at(x), |x| cell.gate.at(x));
                let inner = row(&cell.recurrent_bias, columns)?;
                let r = h.dot(&recurrent) + ndarray::ArrayView1::from(&inner);
                let gate = |n: usize, column: usize| g(f64::from(z[[n, column]]) + f64::from(r[[n, column]]));
                let candidate = if cell.reset_after {
                    Array2::from_shape_fn((batch, units), |(n, u)| {
                        gate(n, units + u) as f32 * r[[n, 2 * units + u]]
                    })
                } else {
                    let reset =
                        Array2::from_shape_fn((batch, units), |(n, u)| gate(n, units + u) as f32 * h[[n, u]]);
                    reset.dot(&recurrent.slice(s![.., 2 * units..]))
                };
                Array2::from_shape_fn((batch, units), |(n, u)| {
                    let update = gate(n, u);
                    let new = f(f64::from(z[[n, 2 * units + u]]) + f64::from(candidate[[n, u]]));
                    (update * f64::from(h[[n, u]]) + (1.0 - update) * new) as f32
                })
            }
        };
        match mask {
            None => shown.assign(&h),
            Some((mask, masked)) => {
                for n in 0..batch {
                    if mask[[n, t]] != 0.0 {
                        shown.row_mut(n).assign(&h.row(n));
                        continue;
                    }
                    h.row_mut(n).assign(&before.0.row(n));
                    c.row_mut(n).assign(&before.1.row(n));
                    if *masked == MaskedStep::Zero {
                        shown.row_mut(n).fill(0.0);
                    }
                }
            }
        }
        outputs.slice_mut(s![.., t, ..]).assign(&shown);
    }
    if outputs.is_empty() && steps > 0 {
        return Err(ExecError::new("a recurrent layer without units"));
    }
    Ok((outputs, [h, c.mapv(|c| c as f32)]))
}
