//! Gates with a hard sigmoid of any slope, by one of DL4J's slope: `clip(s z + 0.5)` is `clip(0.2 (5 s z) + 0.5)`, and `z`
//! is linear in the weights of the gate.

use super::Failure;
use caribou_ir::op::{Activation, Cell, Direction, Lstm, Recurrent};
use caribou_ir::{Tensor, TensorError};

/// The slope of DL4J's hard sigmoid.
const SLOPE: f64 = 0.2;

/// The columns of the candidate, which is no gate, among the blocks i, f, c, o.
const CANDIDATE: usize = 2;

/// The same layer with gates of DL4J's slope; `None` when they have it, or are no hard sigmoids.
pub(super) fn with_stock_gates(op: &Recurrent) -> Result<Option<Recurrent>, Failure> {
    let mut made = op.clone();
    let mut changed = scale(&mut made.cell)?;
    if let Direction::Bidirectional { backward, .. } = &mut made.direction {
        changed |= scale(backward)?;
    }
    Ok(changed.then_some(made))
}

fn scale(cell: &mut Cell) -> Result<bool, Failure> {
    let Cell::Lstm(cell) = cell else { return Ok(false) };
    let Activation::HardSigmoid { slope, offset: 0.5 } = cell.gate else {
        return Ok(false);
    };
    if slope == SLOPE || cell.peephole.is_some() {
        return Ok(false);
    }
    let units = cell.recurrent.shape()[0];
    let scaled = |tensor: &Tensor| {
        scaled(tensor, units, slope / SLOPE).map_err(|error| Failure::Inexpressible(error.to_string()))
    };
    *cell = Lstm {
        weight: scaled(&cell.weight)?,
        recurrent: scaled(&cell.recurrent)?,
        bias: cell.bias.as_ref().map(scaled).transpose()?,
        gate: Activation::HardSigmoid {
            slope: SLOPE,
            offset: 0.5,
        },
        peephole: None,
        activation: cell.activation,
    };
    Ok(true)
}

/// The columns of the gates times a factor.
fn scaled(tensor: &Tensor, units: usize, factor: f64) -> Result<Tensor, TensorError> {
    let shape = tensor.shape();
    let columns = shape.last().copied().unwrap_or(0);
    let candidate = CANDIDATE * units..(CANDIDATE + 1) * units;
    let mut values = tensor.to_vec()?;
    for (i, value) in values.iter_mut().enumerate() {
        if !candidate.contains(&(i % columns)) {
            *value = (f64::from(*value) * factor) as f32;
        }
    }
    Tensor::from_f32(&shape, &values)
}
