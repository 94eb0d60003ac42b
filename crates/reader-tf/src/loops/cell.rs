//! What a step of a loop computes: the cells of recurrent layers.

use super::affine::{Affine, Gate};
use super::frame::{Frame, Role};
use crate::graph::Output;
use caribou_ir::Tensor;
use caribou_ir::op::{Cell, Gru, Lstm, Peephole, SimpleRnn};

/// A cell, with what it reads and remembers.
pub(super) struct Found {
    pub(super) cell: Cell,
    /// What it reads besides its own state.
    pub(super) input: Output,
    /// Its output, within the loop.
    pub(super) output: Output,
    /// Which of the carried its states are: `h`, and for an LSTM `c`.
    pub(super) states: Vec<usize>,
}

/// Weights of a gate: of the input, of the state.
struct Split {
    weight: Tensor,
    recurrent: Tensor,
}

impl Frame<'_> {
    /// The cell whose `h` is what is carried at `h`.
    pub(super) fn cell(&self, h: usize) -> Option<Found> {
        self.lstm(h).or_else(|| self.gru(h)).or_else(|| self.simple(h))
    }

    /// What is carried, at the beginning of a step.
    fn before(&self, state: usize) -> Output {
        Output {
            node: self.carried[state].switch,
            slot: 1,
        }
    }

    /// The same at its end.
    fn after(&self, state: usize) -> Output {
        self.at(self.carried[state].next)
    }

    fn states(&self) -> impl Iterator<Item = usize> {
        (0..self.carried.len()).filter(|&i| self.carried[i].role == Role::State)
    }

    /// Both orders of what a commutative operation reads.
    fn both(&self, output: Output, ops: &[&str]) -> Option<[(Output, Output); 2]> {
        match self.op(self.at(output)) {
            (op, [a, b]) if ops.contains(&op) => Some([(*a, *b), (*b, *a)]),
            _ => None,
        }
    }

    /// The input, besides `h`, that affine forms read: the same for all.
    fn input_of(&self, affines: &[&Affine], h: Output, others: &[Output]) -> Option<Output> {
        let mut input = None;
        for leaf in affines
            .iter()
            .flat_map(|affine| &affine.products)
            .flat_map(|(leaves, _)| leaves)
        {
            if *leaf != h && !others.contains(leaf) && *input.get_or_insert(*leaf) != *leaf {
                return None;
            }
        }
        input
    }

    /// The matrices of an affine form of `[input, state]`.
    fn split(&self, affine: &Affine, input: Output, state: Output) -> Option<Split> {
        let (mut weight, mut recurrent) = (None, None);
        for (leaves, matrix) in &affine.products {
            let [rows, units] = matrix.shape()[..] else {
                return None;
            };
            match leaves[..] {
                [leaf] if leaf == input && weight.is_none() => weight = Some(matrix.clone()),
                [leaf] if leaf == state && recurrent.is_none() => recurrent = Some(matrix.clone()),
                [a, b] if a == input && b == state && weight.is_none() && recurrent.is_none() => {
                    let features = rows.checked_sub(units)?;
                    weight = Some(matrix.narrow(0, 0, features).ok()?);
                    recurrent = Some(matrix.narrow(0, features, rows).ok()?);
                }
                _ => return None,
            }
        }
        let (weight, recurrent) = (weight?, recurrent?);
        let [_, units] = weight.shape()[..] else {
            return None;
        };
        (recurrent.shape() == [units, units]).then_some(Split { weight, recurrent })
    }

    fn lstm(&self, h: usize) -> Option<Found> {
        let (old, output) = (self.before(h), self.after(h));
        let (c, function, gate) = self.both(output, &["Mul"])?.into_iter().find_map(|(a, b)| {
            let (function, inner, None) = self.activated(b) else {
                return None;
            };
            let c = self.states().find(|&c| c != h && self.after(c) == inner)?;
            Some((c, function, self.gate(a)?))
        })?;
        let (old_c, new_c) = (self.before(c), self.after(c));
        let Gate {
            function: g,
            affine: o,
        } = gate;
        let (f, i, candidate) =
            self.both(new_c, &["Add", "AddV2"])?
                .into_iter()
                .find_map(|(kept, added)| {
                    let f = self.both(kept, &["Mul"])?.into_iter().find_map(|(a, b)| {
                        let gate = self.gate(b).filter(|gate| gate.function == g)?;
                        (self.at(a) == old_c).then_some(gate)
                    })?;
                    let (i, candidate) = self.both(added, &["Mul"])?.into_iter().find_map(|(a, b)| {
                        let (i, candidate) = (self.gate(a)?, self.gate(b)?);
                        (i.function == g && candidate.function == function).then_some((i, candidate))
                    })?;
                    Some((f.affine, i.affine, candidate.affine))
                })?;
        let gates = [&i, &f, &candidate, &o];
        let input = self.input_of(&gates, old, &[])?;
        let parts: Vec<Split> = gates
            .iter()
            .map(|gate| self.split(gate, input, old))
            .collect::<Option<_>>()?;
        let units = parts.first()?.recurrent.shape()[0];
        let diagonal = |affine: &Affine, leaf: Output| match &affine.diagonals[..] {
            [] => Some(None),
            [(found, vector)] if *found == leaf && vector.len() == units => {
                Some(Some(vector.reshape(&[units]).ok()?))
            }
            _ => None,
        };
        if !candidate.diagonals.is_empty() {
            return None;
        }
        let peephole = match (diagonal(&i, old_c)?, diagonal(&f, old_c)?, diagonal(&o, new_c)?) {
            (None, None, None) => None,
            (Some(input), Some(forget), Some(output)) => Some(Peephole {
                input,
                forget,
                output,
            }),
            _ => return None,
        };
        let [weight, recurrent] = joined(&parts)?;
        Some(Found {
            cell: Cell::Lstm(Lstm {
                weight,
                recurrent,
                bias: biases(&gates, units)?,
                peephole,
                activation: function,
                gate: g,
            }),
            input,
            output,
            states: vec![h, c],
        })
    }

    fn gru(&self, h: usize) -> Option<Found> {
        let (old, output) = (self.before(h), self.after(h));
        let (z_gate, fresh) =
            self.both(output, &["Add", "AddV2"])?
                .into_iter()
                .find_map(|(kept, added)| {
                    let z = self
                        .both(kept, &["Mul"])?
                        .into_iter()
                        .find_map(|(z, state)| (self.at(state) == old).then_some(self.at(z)))?;
                    let fresh =
                        self.both(added, &["Mul"])?
                            .into_iter()
                            .find_map(|(rest, fresh)| match self.op(self.at(rest)) {
                                ("Sub", [one, gate])
                                    if self.number(*one) == Some(1.0) && self.at(*gate) == z =>
                                {
                                    Some(fresh)
                                }
                                _ => None,
                            })?;
                    Some((z, fresh))
                })?;
        let z = self.gate(z_gate)?;
        let (function, inner, None) = self.activated(fresh) else {
            return None;
        };
        // Reset behind the product with the matrix: a(x W + b + r * (h R + c)).
        let after = self
            .both(inner, &["Add", "AddV2"])
            .into_iter()
            .flatten()
            .find_map(|(x, product)| {
                let x = self.affine(x)?;
                let (r, h) = self.both(product, &["Mul"])?.into_iter().find_map(|(a, b)| {
                    let r = self.gate(a).filter(|gate| gate.function == z.function)?;
                    let h = self.affine(b)?;
                    h.products
                        .iter()
                        .all(|(leaves, _)| leaves[..] == [old])
                        .then_some((r, h))
                })?;
                Some((r.affine, x, h))
            });
        if let Some((r, x, h_part)) = after {
            let input = self.input_of(&[&z.affine, &r, &x], old, &[])?;
            let whole = x.clone_with(&h_part);
            let parts = [
                self.split(&z.affine, input, old)?,
                self.split(&r, input, old)?,
                self.split(&whole, input, old)?,
            ];
            let units = parts[0].recurrent.shape()[0];
            if [&z.affine, &r, &whole]
                .iter()
                .any(|affine| !affine.diagonals.is_empty())
            {
                return None;
            }
            let bias = biases(&[&z.affine, &r, &x], units)?;
            let recurrent_bias = h_part.bias(units).ok()?.map(|values| {
                let zeros = vec![0f32; 2 * units];
                Tensor::vector(&[zeros, values].concat())
            });
            let [weight, recurrent] = joined(&parts)?;
            return Some(Found {
                cell: Cell::Gru(Gru {
                    weight,
                    recurrent,
                    bias,
                    recurrent_bias,
                    reset_after: true,
                    activation: function,
                    gate: z.function,
                }),
                input,
                output,
                states: vec![h],
            });
        }
        // Reset before it: a(x W + (r * h) R + b).
        let candidate = self.affine(inner)?;
        let leaves = candidate.products.iter().flat_map(|(leaves, _)| leaves);
        let (reset, r) = leaves.into_iter().find_map(|&leaf| {
            let r = self
                .both(leaf, &["Mul"])?
                .into_iter()
                .find_map(|(r, state)| (self.at(state) == old).then(|| self.gate(r)).flatten())?;
            Some((leaf, r))
        })?;
        if r.function != z.function {
            return None;
        }
        let gates = [&z.affine, &r.affine, &candidate];
        let input = self.input_of(&gates, old, &[reset])?;
        let parts = [
            self.split(&z.affine, input, old)?,
            self.split(&r.affine, input, old)?,
            self.split(&candidate, input, reset)?,
        ];
        let units = parts[0].recurrent.shape()[0];
        if gates.iter().any(|affine| !affine.diagonals.is_empty()) {
            return None;
        }
        let [weight, recurrent] = joined(&parts)?;
        Some(Found {
            cell: Cell::Gru(Gru {
                weight,
                recurrent,
                bias: biases(&gates, units)?,
                recurrent_bias: None,
                reset_after: false,
                activation: function,
                gate: z.function,
            }),
            input,
            output,
            states: vec![h],
        })
    }

    fn simple(&self, h: usize) -> Option<Found> {
        let (old, output) = (self.before(h), self.after(h));
        let Gate { function, affine } = self.gate(output)?;
        let input = self.input_of(&[&affine], old, &[])?;
        let Split { weight, recurrent } = self.split(&affine, input, old)?;
        let units = recurrent.shape()[0];
        if !affine.diagonals.is_empty() {
            return None;
        }
        Some(Found {
            cell: Cell::Simple(SimpleRnn {
                weight,
                recurrent,
                bias: biases(&[&affine], units)?,
                activation: function,
            }),
            input,
            output,
            states: vec![h],
        })
    }

    /// Why no cell was found at `h`, as far as that can be told.
    pub(super) fn reason(&self, h: usize) -> &'static str {
        let mut open = vec![self.after(h)];
        let mut seen = std::collections::HashSet::new();
        while let Some(output) = open.pop() {
            let output = self.at(output);
            if !seen.insert(output) || seen.len() > 500 {
                continue;
            }
            let (op, inputs) = self.op(output);
            match op {
                "Select" | "SelectV2" | "Where" => {
                    return "it takes lengths of the sequences (sequence_length) or a mask, which are not supported";
                }
                "ClipByValue" => return "its state is clipped (cell_clip), which is not supported",
                "RandomUniform" | "StatelessRandomUniformV2" => {
                    return "random numbers are drawn at each step";
                }
                "Switch" => continue,
                _ => open.extend(inputs),
            }
        }
        "it is no cell that is known: BasicRNNCell, LSTMCell without a projection, GRUCell and those of Keras are"
    }
}

impl Affine {
    /// The sum of two forms, both kept.
    fn clone_with(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        sum.products.extend(other.products.iter().cloned());
        sum.diagonals.extend(other.diagonals.iter().cloned());
        sum
    }
}

/// The matrices of all gates, side by side.
fn joined(parts: &[Split]) -> Option<[Tensor; 2]> {
    let weights: Vec<&Tensor> = parts.iter().map(|part| &part.weight).collect();
    let recurrent: Vec<&Tensor> = parts.iter().map(|part| &part.recurrent).collect();
    Some([columns(&weights)?, columns(&recurrent)?])
}

/// Matrices of the same shape, side by side.
fn columns(parts: &[&Tensor]) -> Option<Tensor> {
    if let [single] = parts {
        return Some((*single).clone());
    }
    let shape = parts.first()?.shape();
    let [rows, units] = shape[..] else { return None };
    let values: Vec<Vec<f32>> = parts
        .iter()
        .map(|part| (part.shape() == shape).then(|| part.to_vec().ok()).flatten())
        .collect::<Option<_>>()?;
    let mut joined = Vec::with_capacity(rows.checked_mul(units)?.checked_mul(parts.len())?);
    for row in 0..rows {
        for values in &values {
            joined.extend_from_slice(&values[row * units..(row + 1) * units]);
        }
    }
    Tensor::from_f32(&[rows, units * parts.len()], &joined).ok()
}

/// The biases of all gates, one behind the other; nothing where no gate has one.
#[allow(clippy::option_option)]
fn biases(gates: &[&Affine], units: usize) -> Option<Option<Tensor>> {
    let each: Vec<Option<Vec<f32>>> = gates
        .iter()
        .map(|gate| gate.bias(units).ok())
        .collect::<Option<_>>()?;
    if each.iter().all(Option::is_none) {
        return Some(None);
    }
    let values: Vec<f32> = each
        .into_iter()
        .flat_map(|bias| bias.unwrap_or_else(|| vec![0.0; units]))
        .collect();
    Some(Some(Tensor::vector(&values)))
}
