//! Sums of products with constant matrices: what the gates of recurrent cells are made of.

use super::frame::{Frame, whole};
use crate::graph::Output;
use crate::literal::meant;
use caribou_ir::Tensor;
use caribou_ir::op::Activation;

/// `sum of [leaves side by side] W`, plus `sum of leaf * vector`, plus a bias.
#[derive(Debug, Clone, Default)]
pub(super) struct Affine {
    /// What stands side by side, and the matrix.
    pub(super) products: Vec<(Vec<Output>, Tensor)>,
    /// What is multiplied element by element.
    pub(super) diagonals: Vec<(Output, Tensor)>,
    /// Vectors, or single numbers.
    pub(super) biases: Vec<Tensor>,
}

/// A function of an affine form, or of some of its columns.
pub(super) struct Gate {
    pub(super) function: Activation,
    pub(super) affine: Affine,
}

/// Sums within sums that are followed.
const DEPTH: usize = 12;

impl Affine {
    /// The number of columns.
    fn width(&self) -> Option<usize> {
        self.products.first()?.1.shape().get(1).copied()
    }

    /// One of `count` equal blocks of columns.
    fn block(self, index: usize, count: usize) -> Option<Self> {
        let width = self.width()?;
        let length = width
            .checked_div(count)
            .filter(|length| length * count == width)?;
        self.columns(index.checked_mul(length)?, (index + 1).checked_mul(length)?)
    }

    /// Some of the columns.
    fn columns(self, start: usize, end: usize) -> Option<Self> {
        if start > end || end > self.width()? {
            return None;
        }
        let products = self.products.into_iter().map(|(leaves, weight)| {
            let weight = weight.narrow(1, start, end).ok()?;
            Some((leaves, weight))
        });
        let vector = |tensor: &Tensor| match tensor.len() {
            1 => Some(tensor.clone()),
            _ => tensor.narrow(tensor.rank().checked_sub(1)?, start, end).ok(),
        };
        let diagonals = self
            .diagonals
            .iter()
            .map(|(leaf, tensor)| Some((*leaf, vector(tensor)?)));
        Some(Self {
            products: products.collect::<Option<_>>()?,
            diagonals: diagonals.collect::<Option<_>>()?,
            biases: self.biases.iter().map(vector).collect::<Option<_>>()?,
        })
    }

    fn sum(mut self, other: Self) -> Self {
        self.products.extend(other.products);
        self.diagonals.extend(other.diagonals);
        self.biases.extend(other.biases);
        self
    }

    /// The sum of the biases, of `units` elements; `None` where there is none, an error where one does not fit.
    pub(super) fn bias(&self, units: usize) -> Result<Option<Vec<f32>>, ()> {
        if self.biases.is_empty() {
            return Ok(None);
        }
        let mut sum = vec![0f32; units];
        for bias in &self.biases {
            let values = bias.to_vec().map_err(|_| ())?;
            match values.len() {
                1 => sum.iter_mut().for_each(|sum| *sum += values[0]),
                n if n == units => sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value),
                _ => return Err(()),
            }
        }
        Ok(Some(sum))
    }
}

impl Frame<'_> {
    /// The affine form that an output is.
    pub(super) fn affine(&self, output: Output) -> Option<Affine> {
        self.affine_within(output, DEPTH)
    }

    fn affine_within(&self, output: Output, depth: usize) -> Option<Affine> {
        let depth = depth.checked_sub(1)?;
        let output = self.at(output);
        let node = self.node(output)?;
        match (&*node.op, &node.inputs[..]) {
            ("MatMul", [value, weight]) => {
                let flag = |name: &str| {
                    matches!(
                        node.attributes.get(name).and_then(|v| v.value.as_ref()),
                        Some(crate::schema::attr_value::Value::B(true))
                    )
                };
                let weight = self
                    .tensor(*weight)
                    .filter(|weight| weight.rank() == 2 && !flag("transpose_a"))?;
                let weight = if flag("transpose_b") {
                    weight.permute(&[1, 0]).ok()?
                } else {
                    weight
                };
                Some(Affine {
                    products: vec![(self.leaves(*value)?, weight)],
                    ..Affine::default()
                })
            }
            ("BiasAdd" | "Add" | "AddV2", [a, b]) => {
                let side = |output: Output| match self.tensor(output) {
                    Some(bias) if bias.dtype().is_float() => Some(Affine {
                        biases: vec![bias],
                        ..Affine::default()
                    }),
                    _ => self.affine_within(output, depth),
                };
                Some(side(*a)?.sum(side(*b)?))
            }
            ("Mul", [a, b]) => {
                let (leaf, vector) = match (self.tensor(*a), self.tensor(*b)) {
                    (None, Some(vector)) => (*a, vector),
                    (Some(vector), None) => (*b, vector),
                    _ => return None,
                };
                Some(Affine {
                    diagonals: vec![(self.at(leaf), vector)],
                    ..Affine::default()
                })
            }
            ("Split", [axis, value]) if matches!(self.number(*axis), Some(1.0 | -1.0)) => self
                .affine_within(*value, depth)?
                .block(output.slot, whole(node, "num_split")?),
            ("SplitV", [value, sizes, axis]) if matches!(self.number(*axis), Some(1.0 | -1.0)) => {
                let affine = self.affine_within(*value, depth)?;
                let mut sizes = self.integers(*sizes)?;
                let known: i64 = sizes.iter().filter(|&&size| size >= 0).sum();
                let rest = affine.width()? as i64 - known;
                sizes
                    .iter_mut()
                    .filter(|size| **size < 0)
                    .for_each(|size| *size = rest);
                let start: i64 = sizes.get(..output.slot)?.iter().sum();
                let end = start.checked_add(*sizes.get(output.slot)?)?;
                affine.columns(usize::try_from(start).ok()?, usize::try_from(end).ok()?)
            }
            ("StridedSlice", [value, begin, end, step]) => {
                // Some of the columns of all rows.
                let [begin, end, step] = [
                    self.integers(*begin)?,
                    self.integers(*end)?,
                    self.integers(*step)?,
                ];
                let mask = |name: &str| whole(node, name).unwrap_or(0);
                let plain = ["ellipsis_mask", "new_axis_mask", "shrink_axis_mask"]
                    .iter()
                    .all(|name| mask(name) == 0);
                let rows = mask("begin_mask") & 1 == 1 && mask("end_mask") & 1 == 1;
                if !plain || !rows || begin.len() != 2 || step != [1, 1] {
                    return None;
                }
                let affine = self.affine_within(*value, depth)?;
                let width = affine.width()? as i64;
                let wrap = |at: i64| if at < 0 { at + width } else { at };
                let bound = |at: i64, mask_name: &str, open: i64| {
                    if mask(mask_name) & 2 != 0 { open } else { wrap(at) }
                };
                let start = bound(begin[1], "begin_mask", 0);
                let stop = bound(*end.get(1)?, "end_mask", width).min(width);
                affine.columns(usize::try_from(start).ok()?, usize::try_from(stop).ok()?)
            }
            _ => None,
        }
    }

    /// What stands side by side in an output.
    fn leaves(&self, output: Output) -> Option<Vec<Output>> {
        let output = self.at(output);
        match self.op(output) {
            ("ConcatV2", [leaves @ .., axis]) if matches!(self.number(*axis), Some(1.0 | -1.0)) => {
                Some(leaves.iter().map(|leaf| self.at(*leaf)).collect())
            }
            _ => Some(vec![output]),
        }
    }

    /// A function of an affine form.
    pub(super) fn gate(&self, output: Output) -> Option<Gate> {
        let (function, inner, columns) = self.activated(output);
        let affine = self.affine(inner)?;
        let affine = match columns {
            Some((index, count)) => affine.block(index, count)?,
            None => affine,
        };
        Some(Gate { function, affine })
    }

    /// The function that makes an output, what it is applied to, and which block of columns of that the output is.
    pub(super) fn activated(&self, output: Output) -> (Activation, Output, Option<(usize, usize)>) {
        let output = self.at(output);
        if let ("Split", [axis, value]) = self.op(output)
            && matches!(self.number(*axis), Some(1.0 | -1.0))
            && let Some(count) = self.node(output).and_then(|node| whole(node, "num_split"))
        {
            let (function, inner, None) = self.activated(*value) else {
                return (Activation::Linear, output, None);
            };
            // A piece of what no function was applied to is an affine form by itself.
            return match function {
                Activation::Linear => (function, output, None),
                function => (function, inner, Some((output.slot, count))),
            };
        }
        let (op, inputs) = self.op(output);
        let function = match op {
            "Sigmoid" => Activation::Sigmoid,
            "Tanh" => Activation::Tanh,
            "Relu" => Activation::Relu,
            "Softplus" => Activation::Softplus,
            "Softsign" => Activation::Softsign,
            "Elu" => Activation::Elu { alpha: 1.0 },
            "Selu" => Activation::Selu,
            _ => {
                return match self.hard_sigmoid(output) {
                    Some((slope, offset, inner)) => (Activation::HardSigmoid { slope, offset }, inner, None),
                    None => (Activation::Linear, output, None),
                };
            }
        };
        match inputs.first() {
            Some(&inner) => (function, self.at(inner), None),
            None => (Activation::Linear, output, None),
        }
    }

    /// `max(min(slope * x + offset, 1), 0)`.
    fn hard_sigmoid(&self, output: Output) -> Option<(f64, f64, Output)> {
        let with_number = |op: &str, output: Output| {
            let (found, [a, b]) = self.op(self.at(output)) else {
                return None;
            };
            if found != op && !(op == "AddV2" && found == "Add") {
                return None;
            }
            match (self.number(*a), self.number(*b)) {
                (None, Some(number)) => Some((*a, number)),
                (Some(number), None) => Some((*b, number)),
                _ => None,
            }
        };
        let inner = match self.op(output) {
            ("ClipByValue", [value, low, high])
                if self.number(*low) == Some(0.0) && self.number(*high) == Some(1.0) =>
            {
                *value
            }
            _ => {
                let (inner, _) = with_number("Maximum", output).filter(|(_, number)| *number == 0.0)?;
                let (inner, _) = with_number("Minimum", inner).filter(|(_, number)| *number == 1.0)?;
                inner
            }
        };
        let (inner, offset) = with_number("AddV2", inner)?;
        let (inner, slope) = with_number("Mul", inner)?;
        Some((meant(slope as f32), meant(offset as f32), self.at(inner)))
    }
}
