//! Layers that sum over input channels: convolutions, transposed ones, and fully connected layers.

use caribou_ir::Tensor;
use caribou_ir::op::Op;

/// Where the channels of a kernel stand: element `i` belongs to output channel `out(i)` and input channel `input(i)`.
pub(crate) struct Kernel {
    /// Output channels.
    pub(crate) out: usize,
    /// Input channels.
    pub(crate) inputs: usize,
    order: Order,
}

enum Order {
    /// `[O, I / groups, K…]`.
    Conv { groups: usize, cells: usize },
    /// `[I, O / groups, K…]`.
    Transposed { groups: usize, cells: usize },
    /// `[in, out]`.
    Dense,
}

impl Kernel {
    pub(crate) fn of(op: &Op) -> Option<(Self, &Tensor, Option<&Tensor>)> {
        let product = |sizes: &[usize]| sizes.iter().product::<usize>();
        match op {
            Op::Conv(conv) => {
                let shape = conv.weight.shape();
                let order = Order::Conv {
                    groups: conv.groups,
                    cells: product(&shape[2..]),
                };
                let (out, inputs) = (shape[0], shape[1] * conv.groups);
                Some((Self { out, inputs, order }, &conv.weight, conv.bias.as_ref()))
            }
            Op::ConvTranspose(conv) => {
                let shape = conv.weight.shape();
                let order = Order::Transposed {
                    groups: conv.groups,
                    cells: product(&shape[2..]),
                };
                let (out, inputs) = (shape[1] * conv.groups, shape[0]);
                Some((Self { out, inputs, order }, &conv.weight, conv.bias.as_ref()))
            }
            Op::Dense(dense) => {
                let shape = dense.weight.shape();
                let kernel = Self {
                    out: shape[1],
                    inputs: shape[0],
                    order: Order::Dense,
                };
                Some((kernel, &dense.weight, dense.bias.as_ref()))
            }
            _ => None,
        }
    }

    /// The output and the input channel of each run of neighbours, with the run's length, in C order.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (usize, usize, usize)> + '_ {
        let (rows, columns, cells) = match self.order {
            Order::Conv { groups, cells } => (self.out, self.inputs / groups, cells),
            Order::Transposed { groups, cells } => (self.inputs, self.out / groups, cells),
            Order::Dense => (self.inputs, self.out, 1),
        };
        (0..rows).flat_map(move |row| {
            (0..columns).map(move |column| match self.order {
                Order::Conv { groups, .. } => {
                    let group = row / (self.out / groups);
                    (row, group * columns + column, cells)
                }
                Order::Transposed { groups, .. } => {
                    let group = row / (self.inputs / groups);
                    (group * columns + column, row, cells)
                }
                Order::Dense => (column, row, cells),
            })
        })
    }

    /// Multiplies each element by the factors of its channels.
    pub(crate) fn scale(&self, weights: &mut [f32], out: &[f64], input: &[f64]) {
        let mut start = 0;
        for (o, i, cells) in self.runs() {
            let factor = out[o] * input[i];
            for weight in &mut weights[start..start + cells] {
                *weight = (f64::from(*weight) * factor) as f32;
            }
            start += cells;
        }
    }

    /// What an input that is `shift` everywhere adds to each output channel.
    pub(crate) fn response(&self, weights: &[f32], shift: &[f64]) -> Vec<f64> {
        let mut sums = vec![0f64; self.out];
        let mut start = 0;
        for (o, i, cells) in self.runs() {
            let run = &weights[start..start + cells];
            sums[o] += shift[i] * run.iter().map(|&weight| f64::from(weight)).sum::<f64>();
            start += cells;
        }
        sums
    }

    /// The largest magnitude of each channel, by the channel that `of` gives for an output and an input channel.
    pub(crate) fn ranges(
        &self,
        weights: &[f32],
        of: impl Fn(usize, usize) -> usize,
        count: usize,
    ) -> Vec<f64> {
        let mut ranges = vec![0f64; count];
        let mut start = 0;
        for (o, i, cells) in self.runs() {
            let range = &mut ranges[of(o, i)];
            for &weight in &weights[start..start + cells] {
                *range = range.max(f64::from(weight.abs()));
            }
            start += cells;
        }
        ranges
    }

    /// The weights and the bias of a layer, to change them.
    pub(crate) fn tensors(op: &mut Op) -> Option<(&mut Tensor, &mut Option<Tensor>)> {
        match op {
            Op::Conv(conv) => Some((&mut conv.weight, &mut conv.bias)),
            Op::ConvTranspose(conv) => Some((&mut conv.weight, &mut conv.bias)),
            Op::Dense(dense) => Some((&mut dense.weight, &mut dense.bias)),
            _ => None,
        }
    }
}
