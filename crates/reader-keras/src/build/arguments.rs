//! What a layer is called with: its inputs, a mask, and arguments that are not read.
//!
//! Up to Keras 2 a call has its inputs alone, the states of a recurrent layer among them. Keras 3 writes down all that the
//! layer's function was given, by position or by name, and the mask is a value of the model.

use super::{ARGUMENTS, Builder, Scope, origin};
use crate::config::{Layer, NodeCall, Operand};
use crate::mask::Mask;
use crate::version::Generation;
use caribou_ir::{Finding, ValueId};
use serde_json::Value;

/// The parameters of the calls of a recurrent layer (keras/src/layers/rnn).
const RECURRENT: &[&str] = &["sequences", "initial_state", "mask", "training"];
/// Those of models and of layers that treat each step by itself.
const STEPWISE: &[&str] = &["inputs", "training", "mask"];
/// Those of a layer that reads the mask of its input.
const MASKED: &[&str] = &["inputs", "mask"];

/// The classes of Keras 3 whose calls may have a mask or states.
const PARAMETERS: &[(&str, &[&str])] = &[
    ("LSTM", RECURRENT),
    ("GRU", RECURRENT),
    ("SimpleRNN", RECURRENT),
    ("RNN", RECURRENT),
    ("Bidirectional", RECURRENT),
    ("TimeDistributed", STEPWISE),
    ("Functional", STEPWISE),
    ("Model", STEPWISE),
    ("Sequential", STEPWISE),
    ("BatchNormalization", STEPWISE),
    ("GlobalAveragePooling1D", MASKED),
    ("Softmax", MASKED),
];

/// A call with its arguments told apart.
pub(super) struct Called {
    /// The inputs, then the states; `None` when one of them could not be read.
    pub(super) inputs: Option<Vec<ValueId>>,
    /// The mask of the first input, as the layer sees it.
    pub(super) mask: Option<Mask>,
    /// Whether that mask is an argument, which then holds for the layer's outputs too.
    pub(super) given: bool,
    /// The arguments that are not read.
    pub(super) extra: Vec<String>,
}

impl Builder<'_> {
    /// The arguments of a call of `layer`, whose inputs are those of [`NodeCall::inputs`].
    pub(super) fn called(
        &self,
        layer: &Layer,
        call: &NodeCall,
        inputs: Option<&[ValueId]>,
        scope: &Scope<'_>,
    ) -> Called {
        let known = PARAMETERS.iter().find(|(class, _)| *class == layer.class);
        let plain = call.operands.positional.is_empty() && call.operands.named.is_empty();
        match known {
            Some((_, parameters)) if self.generation == Generation::Three && !layer.operator && !plain => {
                self.sorted(parameters, call, inputs, scope.names.is_empty())
            }
            _ => Called {
                mask: inputs.and_then(|inputs| self.masks.get(inputs.first()?)).cloned(),
                inputs: inputs.map(<[ValueId]>::to_vec),
                given: false,
                extra: call.extra(),
            },
        }
    }

    fn sorted(
        &self,
        parameters: &[&str],
        call: &NodeCall,
        inputs: Option<&[ValueId]>,
        outermost: bool,
    ) -> Called {
        let operands = &call.operands;
        // In a model that is not within another, a mask that is written down as none is none.
        let mut none = false;
        let mut extra = Vec::new();
        let (mut first, mut states, mut mask) = (Vec::new(), Vec::new(), None);
        let by_position = operands.positional.iter().enumerate();
        let by_position = by_position.map(|(i, operand)| (parameters.get(i).copied().unwrap_or(""), operand));
        let by_name = operands
            .named
            .iter()
            .map(|(name, operand)| (name.as_str(), operand));
        for (name, operand) in by_position.chain(by_name) {
            let read = match (name, operand) {
                (_, Operand::Plain(value)) if is_empty(value) => {
                    none |= outermost && name == "mask";
                    true
                }
                ("sequences" | "inputs", operand) => flattened(operand, &mut first),
                ("initial_state", operand) => flattened(operand, &mut states),
                ("mask", Operand::Input(i)) => {
                    mask = Some(*i);
                    true
                }
                ("training", Operand::Plain(value)) => *value == Value::Bool(false),
                ("name", _) => true,
                _ => false,
            };
            if !read {
                extra.push(if name.is_empty() { "an argument" } else { name }.to_owned());
            }
        }
        // A mask is handed on by itself to layers that are called with one argument only.
        let alone = states.is_empty();
        let value = |i: usize| inputs.and_then(|inputs| inputs.get(i)).copied();
        let given = mask.and_then(value);
        let own = || self.masks.get(&value(*first.first()?)?).cloned();
        let settled = |mask: &Mask| !(none && matches!(mask, Mask::Unsettled));
        Called {
            mask: given
                .map(Mask::Made)
                .or_else(|| if alone { own().filter(settled) } else { None }),
            given: given.is_some(),
            inputs: first.iter().chain(&states).map(|&i| value(i)).collect(),
            extra,
        }
    }

    /// `None`, and a finding, for a call with arguments that change what the layer computes.
    pub(super) fn arguments(&mut self, layer: &Layer, called: &Called) -> Option<()> {
        if called.extra.is_empty() {
            return Some(());
        }
        let message = format!(
            "it is called with arguments that are not supported: {}",
            called.extra.join(", ")
        );
        self.findings
            .push(Finding::error(ARGUMENTS, &origin(layer), message));
        None
    }
}

/// Whether there is nothing in a structure.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.iter().all(is_empty),
        Value::Object(object) => !object.contains_key("class_name") && object.values().all(is_empty),
        _ => false,
    }
}

/// Adds the values of the model in a structure; false when there is anything else in it.
fn flattened(operand: &Operand, list: &mut Vec<usize>) -> bool {
    match operand {
        Operand::Input(i) => {
            list.push(*i);
            true
        }
        Operand::List(items) => items.iter().all(|item| flattened(item, list)),
        Operand::Plain(_) => false,
    }
}
