//! Recurrent layers.

use super::{Kind, Lowered, Lowering, Placed, inexpressible, viewed};
use crate::format::{Activation as Class, Base, Bidirectional, GravesLSTM, LSTM, Layer, SimpleRnn, Vertex};
use crate::legalize;
use caribou_ir::op::{Activation, Cell, Direction, Lstm, Merge, Recurrent};
use caribou_ir::{Node, Origin, Tensor};

/// DL4J's order of the column blocks, as positions in i, f, c, o.
const GATES: [usize; 4] = [2, 1, 3, 0];

/// What a cell becomes: its fields but the common ones, and its parameters.
struct Written {
    class: Class,
    gate: Option<Class>,
    /// Whether its gates see its state.
    peephole: bool,
    features: usize,
    units: usize,
    parameters: Vec<Tensor>,
}

fn function(function: Activation, origin: &Origin) -> Lowered<Class> {
    super::activation::class(function)
        .ok_or_else(|| inexpressible(origin, format!("DL4J has no function that equals {function:?}")))
}

fn written(cell: &Cell, origin: &Origin) -> Lowered<Written> {
    let units = cell.units();
    let (weight, recurrent, bias, activation, gate, blocks) = match cell {
        Cell::Lstm(cell) => (
            &cell.weight,
            &cell.recurrent,
            &cell.bias,
            cell.activation,
            Some(cell.gate),
            &GATES[..],
        ),
        Cell::Simple(cell) => (
            &cell.weight,
            &cell.recurrent,
            &cell.bias,
            cell.activation,
            None,
            &[0][..],
        ),
        Cell::Gru(_) => return Err(inexpressible(origin, "DL4J has no GRU")),
    };
    let mut parameters = Vec::new();
    // Fortran order goes column by column, so each block of columns stands by itself.
    for matrix in [weight, recurrent] {
        for &block in blocks {
            let columns = matrix.narrow(1, block * units, (block + 1) * units);
            parameters.push(viewed(
                columns.and_then(|columns| columns.permute(&[1, 0])),
                origin,
            )?);
        }
    }
    let peephole = match cell {
        Cell::Lstm(cell) => cell.peephole.as_ref(),
        _ => None,
    };
    // Further columns of the recurrent matrix.
    if let Some(peephole) = peephole {
        let columns = [&peephole.forget, &peephole.output, &peephole.input];
        parameters.extend(columns.into_iter().cloned());
    }
    for &block in blocks {
        parameters.push(match bias {
            Some(bias) => viewed(bias.narrow(0, block * units, (block + 1) * units), origin)?,
            None => Tensor::filled(&[units], 0.0),
        });
    }
    Ok(Written {
        class: function(activation, origin)?,
        gate: gate.map(|gate| function(gate, origin)).transpose()?,
        peephole: peephole.is_some(),
        features: weight.shape()[0],
        units,
        parameters,
    })
}

fn layer(written: &Written, base: Base) -> Layer {
    let base = Base {
        activation_fn: written.class.clone(),
        ..base
    };
    let (nin, nout, rnn_data_format) = (written.features, written.units, "NCW".to_owned());
    match &written.gate {
        Some(gate) if written.peephole => GravesLSTM {
            base,
            nin,
            nout,
            gate_activation_fn: gate.clone(),
            forget_gate_bias_init: 1.0,
            rnn_data_format,
        }
        .into(),
        Some(gate) => LSTM {
            base,
            nin,
            nout,
            gate_activation_fn: gate.clone(),
            forget_gate_bias_init: 1.0,
            rnn_data_format,
        }
        .into(),
        None => SimpleRnn {
            base,
            nin,
            nout,
            rnn_data_format,
        }
        .into(),
    }
}

impl Lowering<'_> {
    /// Refuses cells that DL4J has no layer for, and says what can be done.
    fn check_cells(&self, node: &Node, op: &Recurrent) -> Lowered<()> {
        if legalize::is_stock(op) {
            return Ok(());
        }
        let mut cells = vec![&op.cell];
        if let Direction::Bidirectional { backward, .. } = &op.direction {
            cells.push(backward);
        }
        let message = match cells.into_iter().find(|cell| !legalize::has_layer(cell)) {
            Some(Cell::Gru(_)) => "DL4J has no GRU".to_owned(),
            Some(Cell::Lstm(Lstm { activation, gate, .. })) => {
                format!("DL4J has no LSTM with the functions {activation:?} and {gate:?}")
            }
            Some(Cell::Simple(cell)) => {
                format!("DL4J has no recurrent layer with the function {:?}", cell.activation)
            }
            None if op.mask.is_some() => {
                "it reads a mask (of mask_zero or Masking) and holds its state over masked steps, which DL4J does not".to_owned()
            }
            None if op.initial => "it starts from states that are given, which DL4J's layers can't".to_owned(),
            None => "its last states are used, which DL4J's layers do not give".to_owned(),
        };
        let help = match self.graph.shape(node.inputs[0]).size(1) {
            Some(steps) => format!(
                "convert with --unroll-recurrent {steps} or more to write each of its {steps} steps as layers of their own"
            ),
            None => "give the model's input a fixed number of steps, and convert with --unroll-recurrent"
                .to_owned(),
        };
        let mut finding = inexpressible(&node.origin, message);
        finding.help = help;
        Err(finding)
    }

    pub(super) fn recurrent(&mut self, node: &Node, op: &Recurrent) -> Lowered<()> {
        let origin = &node.origin;
        let order = vec![0, 2, 1];
        self.check_cells(node, op)?;
        let forward = written(&op.cell, origin)?;
        if let Direction::Bidirectional { backward, merge } = &op.direction {
            let input = self.array(node.inputs[0], &order, origin)?;
            let backward = written(backward, origin)?;
            let mode = match merge {
                Merge::Concat => "CONCAT",
                Merge::Add => "ADD",
                Merge::Multiply => "MUL",
                Merge::Average => "AVERAGE",
            };
            let parameters = forward
                .parameters
                .iter()
                .chain(&backward.parameters)
                .cloned()
                .collect();
            let name = self.layer(origin, "", input, None, parameters, |base| {
                let inner = |written: &Written| Box::new(layer(written, base.clone()));
                Bidirectional {
                    fwd: inner(&forward),
                    bwd: inner(&backward),
                    mode: mode.to_owned(),
                    nin: forward.features,
                    nout: forward.units,
                    rnn_data_format: "NCW".into(),
                    base: Base {
                        activation_fn: Class::Identity,
                        ..base.clone()
                    },
                }
                .into()
            });
            self.put(node.outputs[0], name, order);
            return Ok(());
        }
        let backwards = matches!(op.direction, Direction::Reverse);
        let suffix = if backwards && self.names.contains(&*origin.layer) {
            "backwards"
        } else {
            ""
        };
        // Steps that are in reverse already are what a layer that goes backwards wants.
        let place = self.place(node.inputs[0], origin)?;
        let input = match (backwards, place.reversed) {
            (true, true) => self.in_order(&place, &order, origin)?,
            (false, _) => self.array(node.inputs[0], &order, origin)?,
            (true, false) => {
                let mut from = self.in_order(&place, &order, origin)?;
                // Stock DL4J gives memory free too early when it reverses what an upsampling layer made.
                let upsampled = |placed: &mut Placed| {
                    matches!(
                        &placed.kind,
                        Kind::Layer {
                            layer: Layer::Upsampling1D(_),
                            ..
                        }
                    )
                };
                if self.find(&from).is_some_and(upsampled) {
                    from = self.copy(&from, origin);
                }
                let reverse = Vertex::ReverseTimeSeries {
                    mask_array_input_name: None,
                };
                self.vertex(origin, "reversed", reverse, &[from])
            }
        };
        let name = self.layer(origin, suffix, input, None, forward.parameters.clone(), |base| {
            layer(&forward, base)
        });
        self.put(node.outputs[0], name, order);
        if let Some(place) = self.places.get_mut(&node.outputs[0]) {
            place.reversed = backwards;
        }
        Ok(())
    }
}
