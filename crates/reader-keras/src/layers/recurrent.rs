//! Recurrent layers: cells, how they are run over the steps, and what is given of it.

use super::cell::Source;
use super::wrapper::inner;
use super::{CONFIG, Call, OPTION, Outputs};
use crate::config::{Attributes, ConfigError, Layer};
use caribou_ir::op::{Cell, Direction, MaskedStep, Recurrent, Reverse, Slice, SliceAxis};
use caribou_ir::{Finding, ValueId};
use serde_json::Value;

/// A recurrent layer: its cells, one upon the other at each step, and how they are run.
pub(super) struct Rnn {
    pub(super) cells: Vec<Cell>,
    /// Whether the outputs of all steps are given, or that of the last step alone.
    pub(super) sequences: bool,
    pub(super) backwards: bool,
    /// Whether the last states are given too.
    pub(super) states: bool,
    pub(super) masked: MaskedStep,
}

/// What the cells make of a sequence.
pub(super) struct Made {
    /// Output `t` belongs to input `t` in either direction.
    pub(super) sequence: ValueId,
    /// The last states.
    pub(super) states: Vec<ValueId>,
}

impl Rnn {
    /// The layer of this class and configuration. `scope` is the layer whose weights they are, within the call's own.
    pub(super) fn read(
        call: &mut Call<'_>,
        class: &str,
        config: &Attributes,
        scope: Option<&str>,
        features: usize,
    ) -> Result<Self, Box<Finding>> {
        let wrong = |call: &Call<'_>, error: ConfigError| call.refuse(CONFIG, error.to_string());
        let flag =
            |call: &Call<'_>, key: &str| config.flag_or(key, false).map_err(|error| wrong(call, error));
        if flag(call, "time_major")? {
            return Err(call.refuse(OPTION, "time_major arrays are not supported"));
        }
        if config
            .size_or("num_constants", 0)
            .map_err(|error| wrong(call, error))?
            > 0
        {
            return Err(call.refuse(OPTION, "constants of a recurrent layer are not supported"));
        }
        if flag(call, "stateful")? {
            call.lost_in_training(
                "it is stateful in Keras: in the archive, each call starts from zero states",
            );
        }
        let scopes: Vec<&str> = scope.into_iter().collect();
        let cells = if class == "RNN" {
            let cell = inner(call, config, "cell")?.ok_or_else(|| call.refuse(CONFIG, "cell is missing"))?;
            cells_of(call, &cell, &scopes, features)?
        } else {
            let source = Source {
                class,
                config,
                scopes,
            };
            vec![source.read(call, features)?]
        };
        Ok(Self {
            cells,
            sequences: flag(call, "return_sequences")?,
            backwards: flag(call, "go_backwards")?,
            states: flag(call, "return_state")?,
            masked: if flag(call, "zero_output_for_mask")? {
                MaskedStep::Zero
            } else {
                MaskedStep::Repeat
            },
        })
    }

    /// Runs the cells over `x`, from these states when there are any.
    pub(super) fn run(
        self,
        call: &mut Call<'_>,
        x: ValueId,
        initial: &[ValueId],
    ) -> Result<Made, Box<Finding>> {
        let mask = call.mask()?;
        if self.cells.len() > 1 && !initial.is_empty() {
            return Err(call.refuse(OPTION, "initial states of stacked cells are not supported"));
        }
        let mut made = Made {
            sequence: x,
            states: Vec::new(),
        };
        let last = self.cells.len().saturating_sub(1);
        for (i, cell) in self.cells.into_iter().enumerate() {
            if !initial.is_empty() && initial.len() != cell.states() {
                let message = format!(
                    "expected {} initial states, found {}",
                    cell.states(),
                    initial.len()
                );
                return Err(call.refuse(OPTION, message));
            }
            let backwards = self.backwards;
            let direction = if backwards {
                Direction::Reverse
            } else {
                Direction::Forward
            };
            let op = Recurrent {
                mask: mask.map(|_| {
                    if i == last {
                        self.masked
                    } else {
                        MaskedStep::Repeat
                    }
                }),
                initial: !initial.is_empty(),
                states: self.states,
                cell,
                direction,
            };
            let inputs: Vec<ValueId> = std::iter::once(made.sequence)
                .chain(mask)
                .chain(initial.iter().copied())
                .collect();
            let outputs = call.push(op, &inputs)?;
            let Some((&sequence, states)) = outputs.split_first() else {
                return Err(call.refuse(OPTION, "a recurrent layer without outputs"));
            };
            made.sequence = sequence;
            for (j, &state) in states.iter().enumerate() {
                // Without a mask the first state is the last output, which any layer gives.
                made.states.push(if j == 0 && mask.is_none() {
                    step(call, sequence, backwards)?
                } else {
                    state
                });
            }
        }
        Ok(made)
    }
}

/// The cells of the layer that an `RNN` runs.
fn cells_of(
    call: &mut Call<'_>,
    cell: &Layer,
    scopes: &[&str],
    features: usize,
) -> Result<Vec<Cell>, Box<Finding>> {
    if cell.class != "StackedRNNCells" {
        let source = Source {
            class: &cell.class,
            config: &cell.config,
            scopes: scopes.iter().copied().chain([cell.name.as_str()]).collect(),
        };
        return Ok(vec![source.read(call, features)?]);
    }
    let list = cell.config.get("cells").and_then(Value::as_array);
    let list = list.ok_or_else(|| call.refuse(CONFIG, "cells: expected a list of cells"))?;
    let mut cells: Vec<Cell> = Vec::with_capacity(list.len());
    for value in list {
        let layer = super::wrapper::layer(call, "cells", value)?;
        let source = Source {
            class: &layer.class,
            config: &layer.config,
            scopes: scopes.iter().copied().chain([layer.name.as_str()]).collect(),
        };
        let features = cells.last().map_or(features, Cell::units);
        cells.push(source.read(call, features)?);
    }
    if cells.is_empty() {
        return Err(call.refuse(CONFIG, "cells: expected at least one cell"));
    }
    Ok(cells)
}

/// LSTM, GRU, SimpleRNN and their cells in an RNN. A layer that goes backwards gives its outputs in the order in which
/// it made them.
pub(super) fn recurrent(call: &mut Call<'_>) -> Outputs {
    let [x, ref initial @ ..] = *call.inputs else {
        return Err(call.refuse(super::MISFIT, "expected an input"));
    };
    let features = call.size(x, call.rank(x) - 1)?;
    let config = call.config;
    let class = call.layer.class.clone();
    let rnn = Rnn::read(call, &class, config, None, features)?;
    let (sequences, backwards, states) = (rnn.sequences, rnn.backwards, rnn.states);
    let (cells, masked) = (rnn.cells.len(), call.mask.is_some());
    let made = rnn.run(call, x, initial)?;
    let mut outputs = Vec::new();
    if states {
        outputs.extend(made.states);
    }
    // Without a mask the last output is the first state.
    let last = outputs
        .first()
        .copied()
        .filter(|_| !sequences && cells == 1 && !masked);
    outputs.insert(
        0,
        match last {
            Some(state) => state,
            None => finish(call, made.sequence, sequences, backwards)?,
        },
    );
    call.masked_outputs = usize::from(sequences);
    Ok(outputs)
}

/// The output of the step that was taken last.
fn step(call: &mut Call<'_>, y: ValueId, backwards: bool) -> Result<ValueId, Box<Finding>> {
    let last = if backwards { 0 } else { -1 };
    let axes = vec![SliceAxis::index(1, last)];
    call.apply(Slice { axes }, &[y])
}

/// The last output, or all of them in the order in which they were made.
pub(super) fn finish(
    call: &mut Call<'_>,
    y: ValueId,
    sequences: bool,
    backwards: bool,
) -> Result<ValueId, Box<Finding>> {
    match (sequences, backwards) {
        (true, false) => Ok(y),
        (true, true) => call.apply(Reverse { axis: 1 }, &[y]),
        (false, backwards) => step(call, y, backwards),
    }
}
