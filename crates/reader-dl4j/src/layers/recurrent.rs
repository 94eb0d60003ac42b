//! Recurrent layers.

use super::activation;
use crate::build::{Builder, Built, UNKNOWN, refuse};
use crate::parameters::Copied;
use caribou_ir::op::{
    Activation, Cell, Direction, Lstm, Merge, Peephole, Recurrent, SimpleRnn, Slice, SliceAxis,
};
use caribou_ir::{Origin, Tensor, TensorError, ValueId};
use caribou_writer_dl4j::format::{Activation as Class, Layer};

/// Positions of the graph's gates i, f, c, o among DL4J's candidate, forget, output, input.
const GATES: [usize; 4] = [3, 1, 0, 2];

impl Builder {
    pub(super) fn recurrent(&mut self, layer: &Layer, x: ValueId, origin: &Origin) -> Built<ValueId> {
        let format: &str = match layer {
            Layer::LSTM(l) => &l.rnn_data_format,
            Layer::GravesLSTM(l) => &l.rnn_data_format,
            Layer::SimpleRnn(l) => &l.rnn_data_format,
            Layer::Bidirectional(l) => &l.rnn_data_format,
            Layer::GravesBidirectionalLSTM(_) => "NCW",
            Layer::LastTimeStep(l) => {
                let y = self.layer(&l.underlying, x, origin)?;
                let nwc = matches!(&*l.underlying, Layer::LSTM(l) if l.rnn_data_format == "NWC")
                    || matches!(&*l.underlying, Layer::SimpleRnn(l) if l.rnn_data_format == "NWC");
                let axis = if nwc { 1 } else { 2 };
                return self.apply(
                    Slice {
                        axes: vec![SliceAxis::index(axis, -1)],
                    },
                    &[y],
                    origin,
                );
            }
            other => {
                return Err(refuse(
                    UNKNOWN,
                    origin,
                    format!("{} is no recurrent layer", other.class()),
                ));
            }
        };
        let x = self.steps_first(x, format, origin)?;
        let op = match layer {
            Layer::Bidirectional(l) => {
                let cell = self.cell(&l.fwd, origin)?;
                let backward = self.cell(&l.bwd, origin)?;
                let merge = match l.mode.as_str() {
                    "CONCAT" => Merge::Concat,
                    "ADD" => Merge::Add,
                    "MUL" => Merge::Multiply,
                    "AVERAGE" => Merge::Average,
                    other => return Err(refuse(UNKNOWN, origin, format!("the mode {other} is not known"))),
                };
                Recurrent::new(cell, Direction::Bidirectional { backward, merge })
            }
            Layer::GravesBidirectionalLSTM(_) => {
                let cell = self.cell(layer, origin)?;
                let backward = self.cell(layer, origin)?;
                let merge = Merge::Add;
                Recurrent::new(cell, Direction::Bidirectional { backward, merge })
            }
            layer => Recurrent::new(self.cell(layer, origin)?, Direction::Forward),
        };
        let y = self.apply(op, &[x], origin)?;
        self.steps_as(y, format, origin)
    }

    fn cell(&mut self, layer: &Layer, origin: &Origin) -> Built<Cell> {
        let function = |class: &Class| -> Built<Activation> {
            activation::function(class)
                .ok_or_else(|| refuse(UNKNOWN, origin, format!("the function {class:?} is not known")))
        };
        match layer {
            Layer::LSTM(l) => {
                let n = l.nout;
                let weight = self.take_fortran(&[l.nin, 4 * n], origin)?;
                let recurrent = self.take_fortran(&[n, 4 * n], origin)?;
                let bias = self.take(&[1, 4 * n], origin)?;
                Ok(Cell::Lstm(Lstm {
                    weight: self.reordered(&weight, n, origin)?,
                    recurrent: self.reordered(&recurrent, n, origin)?,
                    bias: Some(
                        self.reordered(&bias, n, origin)?
                            .reshape(&[4 * n])
                            .map_err(|error| refuse(UNKNOWN, origin, error.to_string()))?,
                    ),
                    peephole: None,
                    activation: function(&l.base.activation_fn)?,
                    gate: function(&l.gate_activation_fn)?,
                }))
            }
            Layer::GravesLSTM(l) => {
                let functions = (function(&l.base.activation_fn)?, function(&l.gate_activation_fn)?);
                self.graves([l.nin, l.nout], functions, origin)
            }
            Layer::GravesBidirectionalLSTM(l) => {
                let functions = (function(&l.base.activation_fn)?, function(&l.gate_activation_fn)?);
                self.graves([l.nin, l.nout], functions, origin)
            }
            Layer::SimpleRnn(l) => Ok(Cell::Simple(SimpleRnn {
                weight: self.take_fortran(&[l.nin, l.nout], origin)?,
                recurrent: self.take_fortran(&[l.nout, l.nout], origin)?,
                bias: Some(self.take(&[l.nout], origin)?),
                activation: function(&l.base.activation_fn)?,
            })),
            other => Err(refuse(
                UNKNOWN,
                origin,
                format!(
                    "{} inside of a bidirectional layer is not supported",
                    other.class()
                ),
            )),
        }
    }

    /// An LSTM whose gates see its state.
    fn graves(
        &mut self,
        [features, n]: [usize; 2],
        (activation, gate): (Activation, Activation),
        origin: &Origin,
    ) -> Built<Cell> {
        let viewed = |result: Result<Tensor, TensorError>| {
            result.map_err(|error| refuse(UNKNOWN, origin, error.to_string()))
        };
        let weight = self.take_fortran(&[features, 4 * n], origin)?;
        let wide = self.take_fortran(&[n, 4 * n + 3], origin)?;
        let bias = self.take(&[1, 4 * n], origin)?;
        let recurrent = viewed(wide.narrow(1, 0, 4 * n))?;
        let column = |i: usize| {
            let column = wide.narrow(1, 4 * n + i, 4 * n + i + 1);
            viewed(column.and_then(|column| column.reshape(&[n])))
        };
        let peephole = Peephole {
            forget: column(0)?,
            output: column(1)?,
            input: column(2)?,
        };
        Ok(Cell::Lstm(Lstm {
            weight: self.reordered(&weight, n, origin)?,
            recurrent: self.reordered(&recurrent, n, origin)?,
            bias: Some(viewed(self.reordered(&bias, n, origin)?.reshape(&[4 * n]))?),
            peephole: Some(peephole),
            activation,
            gate,
        }))
    }

    /// The gates of a matrix in the graph's order.
    fn reordered(&mut self, matrix: &Tensor, n: usize, origin: &Origin) -> Built<Tensor> {
        let copy = in_gate_order(matrix, n).map_err(|error| refuse(UNKNOWN, origin, error.to_string()))?;
        self.parameters.copied.push(Copied {
            of: matrix.clone(),
            copy: copy.clone(),
            order: in_gate_order,
            size: n,
        });
        Ok(copy)
    }
}

/// The blocks of `n` columns in the graph's order. They are not evenly spaced, so this one is a copy.
fn in_gate_order(matrix: &Tensor, n: usize) -> Result<Tensor, TensorError> {
    let values = matrix.to_vec()?;
    let columns = 4 * n;
    let mut ordered = Vec::with_capacity(values.len());
    for row in values.chunks(columns.max(1)) {
        for block in GATES {
            ordered.extend_from_slice(&row[block * n..(block + 1) * n]);
        }
    }
    Tensor::from_f32(&matrix.shape(), &ordered)
}
