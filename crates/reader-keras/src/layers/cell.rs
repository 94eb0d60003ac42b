//! The cells of recurrent layers. Keras' column blocks are i, f, c, o for an LSTM and z, r, h for a GRU, as the graph's.

use super::{CONFIG, Call, OPTION, WEIGHT};
use crate::config::{Attributes, ConfigError};
use crate::version::Generation;
use caribou_ir::op::{Activation, Cell, Gru, Lstm, SimpleRnn};
use caribou_ir::{Finding, Tensor, TensorError};

/// The cell classes, those of whole layers among them: gates, and whether the weights are in cuDNN's order.
const CLASSES: &[(&str, Kind, bool)] = &[
    ("LSTM", Kind::Lstm, false),
    ("LSTMCell", Kind::Lstm, false),
    ("CuDNNLSTM", Kind::Lstm, true),
    ("GRU", Kind::Gru, false),
    ("GRUCell", Kind::Gru, false),
    ("CuDNNGRU", Kind::Gru, true),
    ("SimpleRNN", Kind::Simple, false),
    ("SimpleRNNCell", Kind::Simple, false),
];

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Lstm,
    Gru,
    Simple,
}

impl Kind {
    const fn gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::Gru => 3,
            Self::Simple => 1,
        }
    }
}

/// What a cell is read from: its class, its configuration, and the scopes of its weights within the call's own.
pub(super) struct Source<'c> {
    pub(super) class: &'c str,
    pub(super) config: &'c Attributes,
    pub(super) scopes: Vec<&'c str>,
}

impl Source<'_> {
    /// The cell on `features` features.
    pub(super) fn read(&self, call: &mut Call<'_>, features: usize) -> Result<Cell, Box<Finding>> {
        let Some(&(_, kind, cudnn)) = CLASSES.iter().find(|(class, ..)| *class == self.class) else {
            let message = format!("a recurrent cell of class {} is not supported", self.class);
            return Err(call.refuse(OPTION, message));
        };
        let units = self.checked(call, self.config.size("units"))?;
        for (key, what) in [
            ("dropout", "dropout of its inputs"),
            ("recurrent_dropout", "dropout of its states"),
        ] {
            if self.checked(call, self.config.number_or(key, 0.0))? != 0.0 {
                call.lost_in_training(format!("the {what} was not carried over"));
            }
        }
        let columns = kind.gates() * units;
        let mut weight = self.weight(call, "kernel", &[features, columns])?;
        let mut recurrent = self.weight(call, "recurrent_kernel", &[units, columns])?;
        if cudnn {
            let failed = |error: TensorError| call.refuse(WEIGHT, error.to_string());
            weight = of_cudnn(&weight, kind.gates(), false).map_err(failed)?;
            recurrent = of_cudnn(&recurrent, kind.gates(), true).map_err(failed)?;
        }
        let [bias, recurrent_bias] = self.biases(call, kind, units, cudnn)?;
        let activation = self.function(call, "activation", Activation::Tanh)?;
        Ok(match kind {
            Kind::Simple => Cell::Simple(SimpleRnn {
                weight,
                recurrent,
                bias,
                activation,
            }),
            Kind::Lstm => Cell::Lstm(Lstm {
                weight,
                recurrent,
                bias,
                peephole: None,
                activation,
                gate: self.function(call, "recurrent_activation", Activation::Sigmoid)?,
            }),
            Kind::Gru => Cell::Gru(Gru {
                weight,
                recurrent,
                bias,
                recurrent_bias,
                reset_after: cudnn || self.reset_after(call)?,
                activation,
                gate: self.function(call, "recurrent_activation", Activation::Sigmoid)?,
            }),
        })
    }

    /// The bias of `x W` and that of `h R`, as far as the cell has them.
    fn biases(
        &self,
        call: &Call<'_>,
        kind: Kind,
        units: usize,
        cudnn: bool,
    ) -> Result<[Option<Tensor>; 2], Box<Finding>> {
        if !self.checked(call, self.config.flag_or("use_bias", true))? {
            return Ok([None, None]);
        }
        let columns = kind.gates() * units;
        let failed = |error: TensorError| call.refuse(WEIGHT, error.to_string());
        let reset_after =
            kind == Kind::Gru && self.checked(call, self.config.flag_or("reset_after", false))?;
        if !cudnn && !reset_after {
            return Ok([Some(self.weight(call, "bias", &[columns])?), None]);
        }
        let shape: &[usize] = if cudnn { &[2 * columns] } else { &[2, columns] };
        let both = self
            .weight(call, "bias", shape)?
            .reshape(&[2, columns])
            .map_err(failed)?;
        let row = |i: usize| both.narrow(0, i, i + 1).and_then(|row| row.reshape(&[columns]));
        let (a, b) = (row(0).map_err(failed)?, row(1).map_err(failed)?);
        if kind == Kind::Gru {
            return Ok([Some(a), Some(b)]);
        }
        let (a, b) = (a.to_vec().map_err(failed)?, b.to_vec().map_err(failed)?);
        let sum: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
        Ok([Some(Tensor::vector(&sum)), None])
    }

    fn reset_after(&self, call: &Call<'_>) -> Result<bool, Box<Finding>> {
        let default = call.generation == Generation::Three;
        self.checked(call, self.config.flag_or("reset_after", default))
    }

    fn checked<T>(&self, call: &Call<'_>, read: Result<T, ConfigError>) -> Result<T, Box<Finding>> {
        read.map_err(|error| call.refuse(CONFIG, error.to_string()))
    }

    fn weight(&self, call: &Call<'_>, variable: &str, shape: &[usize]) -> Result<Tensor, Box<Finding>> {
        let scopes: Vec<&str> = call
            .scopes
            .iter()
            .copied()
            .chain(self.scopes.iter().copied())
            .collect();
        call.weights
            .find(&scopes, variable, shape)
            .map_err(|error| call.refuse(WEIGHT, error.to_string()))
    }

    fn function(&self, call: &Call<'_>, key: &str, default: Activation) -> Result<Activation, Box<Finding>> {
        // An absent function is Keras' default; a null one is the identity.
        let default = if self.config.0.contains_key(key) {
            Activation::Linear
        } else {
            default
        };
        crate::activation::pointwise(self.config.get(key), default, call.generation)
            .map_err(|what| call.refuse(OPTION, format!("{what} is not supported")))
    }
}

/// A kernel that cuDNN keeps transposed for each gate: the input kernel with its elements in C order where Keras has
/// them in Fortran order, the square recurrent one plainly transposed. The source is Keras' own conversion when it
/// loads such weights into the layers that run everywhere.
fn of_cudnn(kernel: &Tensor, gates: usize, square: bool) -> Result<Tensor, TensorError> {
    let shape = kernel.shape();
    let (rows, columns) = (shape[0], shape[1]);
    let units = columns / gates.max(1);
    let values = kernel.to_vec()?;
    let mut converted = vec![0.0; values.len()];
    for gate in 0..gates {
        for i in 0..rows {
            for j in 0..units {
                // Position `i, j` of the block in Keras' order is position `k` of cuDNN's block read in C order.
                let k = j * rows + i;
                let (row, column) = if square { (j, i) } else { (k / units, k % units) };
                converted[i * columns + gate * units + j] = values[row * columns + gate * units + column];
            }
        }
    }
    Tensor::from_f32(&shape, &converted)
}
