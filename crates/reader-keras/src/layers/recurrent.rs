//! Recurrent layers. Keras' column blocks are i, f, c, o for an LSTM and z, r, h for a GRU, as the graph's.

use super::{CONFIG, Call, OPTION, Outputs};
use crate::config::{Attributes, ConfigError};
use crate::version::Generation;
use caribou_ir::op::{
    Activation, Cell, Direction, Gru, Lstm, Recurrent, Reverse, SimpleRnn, Slice, SliceAxis,
};
use caribou_ir::{Finding, Tensor, ValueId};

/// What a recurrent layer needs of its configuration besides the cell.
pub(super) struct Options {
    pub(super) sequences: bool,
    pub(super) backwards: bool,
}

/// The cell of the class `class` with its configuration and weights, and how it is run. `scope` is the layer whose
/// weights they are, within the call's own.
pub(super) fn cell(
    call: &mut Call<'_>,
    class: &str,
    config: &Attributes,
    scope: Option<&str>,
    features: usize,
) -> Result<(Cell, Options), Box<Finding>> {
    let wrong = |call: &Call<'_>, error: ConfigError| call.refuse(CONFIG, error.to_string());
    let flag = |call: &Call<'_>, key: &str, default| {
        config.flag_or(key, default).map_err(|error| wrong(call, error))
    };
    if flag(call, "time_major", false)? {
        return Err(call.refuse(OPTION, "time_major arrays are not supported"));
    }
    if flag(call, "stateful", false)? {
        call.lost_in_training("it is stateful in Keras: in the archive, each call starts from zero states");
    }
    let units = config.size("units").map_err(|error| wrong(call, error))?;
    let weight = |call: &Call<'_>, variable: &str, shape: &[usize]| -> Result<Tensor, Box<Finding>> {
        let scopes: Vec<&str> = call.scopes.iter().copied().chain(scope).collect();
        call.weights
            .find(&scopes, variable, shape)
            .map_err(|error| call.refuse(super::WEIGHT, error.to_string()))
    };
    let function = |call: &Call<'_>, key: &str, default: Activation| {
        // An absent function is Keras' default; a null one is the identity.
        let default = if config.0.contains_key(key) {
            Activation::Linear
        } else {
            default
        };
        crate::activation::pointwise(config.get(key), default, call.generation)
            .map_err(|what| call.refuse(OPTION, format!("{what} is not supported")))
    };
    let gates = match class {
        "LSTM" => 4,
        "GRU" => 3,
        "SimpleRNN" => 1,
        other => {
            return Err(call.refuse(
                OPTION,
                format!("a recurrent layer of class {other} is not supported"),
            ));
        }
    };
    let kernel = weight(call, "kernel", &[features, gates * units])?;
    let recurrent = weight(call, "recurrent_kernel", &[units, gates * units])?;
    let use_bias = flag(call, "use_bias", true)?;
    let activation = function(call, "activation", Activation::Tanh)?;
    let cell = match class {
        "LSTM" => Cell::Lstm(Lstm {
            weight: kernel,
            recurrent,
            bias: if use_bias {
                Some(weight(call, "bias", &[4 * units])?)
            } else {
                None
            },
            peephole: None,
            activation,
            gate: function(call, "recurrent_activation", Activation::Sigmoid)?,
        }),
        "GRU" => {
            let reset_after = flag(call, "reset_after", call.generation == Generation::Three)?;
            let (bias, recurrent_bias) = match (use_bias, reset_after) {
                (false, _) => (None, None),
                (true, false) => (Some(weight(call, "bias", &[3 * units])?), None),
                (true, true) => {
                    let both = weight(call, "bias", &[2, 3 * units])?;
                    let row = |i: usize| both.narrow(0, i, i + 1).and_then(|row| row.reshape(&[3 * units]));
                    let failed =
                        |error: caribou_ir::TensorError| call.refuse(super::WEIGHT, error.to_string());
                    (Some(row(0).map_err(failed)?), Some(row(1).map_err(failed)?))
                }
            };
            let gate = function(call, "recurrent_activation", Activation::Sigmoid)?;
            Cell::Gru(Gru {
                weight: kernel,
                recurrent,
                bias,
                recurrent_bias,
                reset_after,
                activation,
                gate,
            })
        }
        _ => Cell::Simple(SimpleRnn {
            weight: kernel,
            recurrent,
            bias: if use_bias {
                Some(weight(call, "bias", &[units])?)
            } else {
                None
            },
            activation,
        }),
    };
    let options = Options {
        sequences: flag(call, "return_sequences", false)?,
        backwards: flag(call, "go_backwards", false)?,
    };
    Ok((cell, options))
}

/// LSTM, GRU, SimpleRNN. A layer that goes backwards gives its outputs in the order in which it made them.
pub(super) fn recurrent(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let features = call.size(x, call.rank(x) - 1)?;
    let config = call.config;
    let class = call.layer.class.clone();
    let (cell, options) = cell(call, &class, config, None, features)?;
    let y = run(call, x, cell, options.backwards)?;
    finish(call, y, options.sequences, options.backwards).map(|y| vec![y])
}

/// The cell over all steps; output `t` belongs to input `t` in either direction.
pub(super) fn run(
    call: &mut Call<'_>,
    x: ValueId,
    cell: Cell,
    backwards: bool,
) -> Result<ValueId, Box<Finding>> {
    let direction = if backwards {
        Direction::Reverse
    } else {
        Direction::Forward
    };
    call.apply(Recurrent { cell, direction }, &[x])
}

/// The last state, or all of them in the order in which they were made.
pub(super) fn finish(
    call: &mut Call<'_>,
    y: ValueId,
    sequences: bool,
    backwards: bool,
) -> Result<ValueId, Box<Finding>> {
    match (sequences, backwards) {
        (true, false) => Ok(y),
        (true, true) => call.apply(Reverse { axis: 1 }, &[y]),
        (false, backwards) => {
            let last = if backwards { 0 } else { -1 };
            call.apply(
                Slice {
                    axes: vec![SliceAxis::index(1, last)],
                },
                &[y],
            )
        }
    }
}
