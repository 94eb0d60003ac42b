//! Recurrent layers over sequences `[N, T, F]`.

use super::{Activation, Operator, check_parameter, known};
use crate::{Dim, Infer, Shape, ShapeError, Tensor};

/// Long short-term memory (Hochreiter and Schmidhuber 1997; Gers et al. 2000). With the column blocks i, f, c, o of
/// `z = x W + h R + b`: `c' = g(z_f) * c + g(z_i) * a(z_c)`, `h' = g(z_o) * a(c')`. States start at zero.
#[derive(Debug, Clone)]
pub struct Lstm {
    /// `W`, `[F, 4 H]`.
    pub weight: Tensor,
    /// `R`, `[H, 4 H]`.
    pub recurrent: Tensor,
    /// `b`, `[4 H]`.
    pub bias: Option<Tensor>,
    /// Connections from the cell state to the gates.
    pub peephole: Option<Peephole>,
    /// `a`.
    pub activation: Activation,
    /// `g`.
    pub gate: Activation,
}

/// What an LSTM's gates see of its cell state; each `[H]`. The input and forget gate see the old state, the output
/// gate the new one.
#[derive(Debug, Clone)]
pub struct Peephole {
    /// Added to `z_i`, times the old state.
    pub input: Tensor,
    /// Added to `z_f`, times the old state.
    pub forget: Tensor,
    /// Added to `z_o`, times the new state.
    pub output: Tensor,
}

/// Gated recurrent unit (Cho et al. 2014), column blocks z, r, h: `z = g(x W_z + h R_z + b_z)`, `r` likewise,
/// `h' = z * h + (1 - z) * a(x W_h + r * (h R_h + c_h) + b_h)` when the reset comes after the product, else
/// `a(x W_h + (r * h) R_h + b_h)`.
#[derive(Debug, Clone)]
pub struct Gru {
    /// `W`, `[F, 3 H]`.
    pub weight: Tensor,
    /// `R`, `[H, 3 H]`.
    pub recurrent: Tensor,
    /// `b`, `[3 H]`.
    pub bias: Option<Tensor>,
    /// The bias of `h R`, `[3 H]`; only with `reset_after`.
    pub recurrent_bias: Option<Tensor>,
    /// Whether the reset gate is applied after the product with `R`.
    pub reset_after: bool,
    /// `a`.
    pub activation: Activation,
    /// `g`.
    pub gate: Activation,
}

/// The plain recurrent layer: `h' = a(x W + h R + b)`.
#[derive(Debug, Clone)]
pub struct SimpleRnn {
    /// `W`, `[F, H]`.
    pub weight: Tensor,
    /// `R`, `[H, H]`.
    pub recurrent: Tensor,
    /// `b`, `[H]`.
    pub bias: Option<Tensor>,
    /// `a`.
    pub activation: Activation,
}

/// What is computed at each step.
#[derive(Debug, Clone)]
pub enum Cell {
    /// See [`Lstm`].
    Lstm(Lstm),
    /// See [`Gru`].
    Gru(Gru),
    /// See [`SimpleRnn`].
    Simple(SimpleRnn),
}

macro_rules! tensors {
    ($cell:expr, $($reference:tt)+) => {
        match $cell {
            Cell::Lstm(cell) => {
                let mut list = vec![("weight", $($reference)+ cell.weight), ("recurrent", $($reference)+ cell.recurrent)];
                if let Some(bias) = $($reference)+ cell.bias { list.push(("bias", bias)); }
                if let Some(peephole) = $($reference)+ cell.peephole {
                    list.push(("peephole input", $($reference)+ peephole.input));
                    list.push(("peephole forget", $($reference)+ peephole.forget));
                    list.push(("peephole output", $($reference)+ peephole.output));
                }
                list
            }
            Cell::Gru(cell) => {
                let mut list = vec![("weight", $($reference)+ cell.weight), ("recurrent", $($reference)+ cell.recurrent)];
                if let Some(bias) = $($reference)+ cell.bias { list.push(("bias", bias)); }
                if let Some(bias) = $($reference)+ cell.recurrent_bias { list.push(("recurrent bias", bias)); }
                list
            }
            Cell::Simple(cell) => {
                let mut list = vec![("weight", $($reference)+ cell.weight), ("recurrent", $($reference)+ cell.recurrent)];
                if let Some(bias) = $($reference)+ cell.bias { list.push(("bias", bias)); }
                list
            }
        }
    };
}

impl Cell {
    /// How many blocks of `H` columns the weights have.
    pub const fn gates(&self) -> usize {
        match self {
            Self::Lstm(_) => 4,
            Self::Gru(_) => 3,
            Self::Simple(_) => 1,
        }
    }

    /// How many states go from step to step: `h`, and for an LSTM `c`.
    pub const fn states(&self) -> usize {
        match self {
            Self::Lstm(_) => 2,
            Self::Gru(_) | Self::Simple(_) => 1,
        }
    }

    /// `H`, the size of the state.
    pub fn units(&self) -> usize {
        let recurrent = match self {
            Self::Lstm(cell) => &cell.recurrent,
            Self::Gru(cell) => &cell.recurrent,
            Self::Simple(cell) => &cell.recurrent,
        };
        recurrent.shape().first().copied().unwrap_or(0)
    }

    /// The stored parameters with their roles.
    pub fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        tensors!(self, &)
    }

    /// The same, to change them.
    pub fn parameters_mut(&mut self) -> Vec<(&'static str, &mut Tensor)> {
        tensors!(self, &mut)
    }

    fn check(&self, features: usize) -> Result<usize, ShapeError> {
        let units = self.units();
        let columns = units * self.gates();
        for (role, tensor) in self.parameters() {
            let expected = match role {
                "weight" => vec![features, columns],
                "recurrent" => vec![units, columns],
                "bias" | "recurrent bias" => vec![columns],
                _ => vec![units],
            };
            check_parameter(role, tensor, &expected)?;
        }
        Ok(units)
    }
}

/// How the outputs of two directions become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    /// Side by side on the last axis, forward first.
    Concat,
    /// The sum.
    Add,
    /// The product.
    Multiply,
    /// The mean.
    Average,
}

/// The order in which the steps are taken.
#[derive(Debug, Clone)]
pub enum Direction {
    /// From the first step to the last.
    Forward,
    /// From the last to the first; output `t` belongs to input `t`.
    Reverse,
    /// Both, with the cell of the reverse direction, and each output merged with its counterpart.
    Bidirectional {
        /// The cell that goes from the last step to the first.
        backward: Cell,
        /// How the two outputs become one.
        merge: Merge,
    },
}

/// What a step gives whose mask is zero. Its states are those of the step before in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskedStep {
    /// The output of the step before; zeros where there is none.
    Repeat,
    /// Zeros.
    Zero,
}

/// A [`Cell`] run over the steps of `[N, T, F]`: `[N, T, H]`, or `[N, T, 2 H]` when two directions are put side by
/// side. The last output alone is a [`super::Slice`] of it.
///
/// The inputs are the sequence, then the mask `[N, T]` of zeros and ones when there is one, then the first states,
/// `h` and for an LSTM `c`, each `[N, H]`, when they are not zero. The outputs are the sequence, then the states
/// after the last step taken, when they are asked for. In both directions at once there is only the sequence.
#[derive(Debug, Clone)]
pub struct Recurrent {
    /// The cell of the forward direction (of the only one, where there is one).
    pub cell: Cell,
    /// The order of the steps.
    pub direction: Direction,
    /// Whether there is a mask, and what a masked step gives.
    pub mask: Option<MaskedStep>,
    /// Whether the first states are inputs.
    pub initial: bool,
    /// Whether the last states are outputs.
    pub states: bool,
}

impl Recurrent {
    /// The cell over a whole sequence, from states of zero.
    pub fn new(cell: Cell, direction: Direction) -> Self {
        Self {
            cell,
            direction,
            mask: None,
            initial: false,
            states: false,
        }
    }

    /// Whether the sequence is its only input and output.
    pub fn is_plain(&self) -> bool {
        self.mask.is_none() && !self.initial && !self.states
    }

    /// The inputs by their meaning: the sequence, the mask, the first states.
    pub fn inputs<'v, T>(&self, inputs: &'v [T]) -> Option<(&'v T, Option<&'v T>, &'v [T])> {
        let (x, rest) = inputs.split_first()?;
        let (mask, rest) = match self.mask {
            Some(_) => rest.split_first().map(|(mask, rest)| (Some(mask), rest))?,
            None => (None, rest),
        };
        let expected = if self.initial { self.cell.states() } else { 0 };
        (rest.len() == expected).then_some((x, mask, rest))
    }
}

impl Operator for Recurrent {
    fn name(&self) -> &'static str {
        match self.cell {
            Cell::Lstm(_) => "Lstm",
            Cell::Gru(_) => "Gru",
            Cell::Simple(_) => "SimpleRnn",
        }
    }

    fn infer(&self, inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let (input, mask, initial) = self.inputs(inputs).ok_or_else(|| {
            ShapeError::new(format!(
                "{} inputs do not fit a recurrent layer, its mask and its states",
                inputs.len()
            ))
        })?;
        let [batch, time, _] = input.dims()[..] else {
            return Err(ShapeError::new(format!("expected [N, T, F], found {input}")));
        };
        let features = known(input, 2, "the number of features")?;
        let mut units = self.cell.check(features)?;
        if let Direction::Bidirectional { backward, merge } = &self.direction {
            let other = backward.check(features)?;
            match merge {
                Merge::Concat => units += other,
                _ if units != other => {
                    return Err(ShapeError::new(format!(
                        "directions of {units} and {other} units can't be merged"
                    )));
                }
                _ => {}
            }
            if !self.is_plain() {
                return Err(ShapeError::new("masks and states belong to one direction"));
            }
        }
        let state = Shape::new([batch, Dim::Fixed(units)]);
        let fits = |found: &Shape, expected: &[Dim]| {
            let same = |(a, b): (&Dim, &Dim)| a.fixed().zip(b.fixed()).is_none_or(|(a, b)| a == b);
            found.rank() == expected.len() && found.dims().iter().zip(expected).all(same)
        };
        if let Some(mask) = mask.filter(|mask| !fits(mask, &[batch, time])) {
            return Err(ShapeError::new(format!(
                "a mask of shape {mask} does not fit {input}"
            )));
        }
        if let Some(found) = initial.iter().find(|found| !fits(found, state.dims())) {
            return Err(ShapeError::new(format!(
                "expected a state of shape {state}, found {found}"
            )));
        }
        let mut outputs = vec![Shape::new([batch, time, Dim::Fixed(units)])];
        if self.states {
            outputs.extend(std::iter::repeat_n(state, self.cell.states()));
        }
        Ok(outputs)
    }

    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        let mut list = self.cell.parameters();
        if let Direction::Bidirectional { backward, .. } = &self.direction {
            list.extend(backward.parameters());
        }
        list
    }

    fn parameters_mut(&mut self) -> Vec<(&'static str, &mut Tensor)> {
        let mut list = self.cell.parameters_mut();
        if let Direction::Bidirectional { backward, .. } = &mut self.direction {
            list.extend(backward.parameters_mut());
        }
        list
    }

    fn multiply_adds(&self, inputs: &[&Shape], _outputs: &[&Shape]) -> Option<u64> {
        let steps = inputs.first()?.size(1)? as u64;
        let matrices = self
            .parameters()
            .into_iter()
            .filter(|(_, tensor)| tensor.rank() == 2);
        Some(matrices.map(|(_, tensor)| tensor.len() as u64 * steps).sum())
    }
}
