//! Functional models: their calls in an order in which the inputs of each exist.

use super::{Builder, CONNECTION, SHARED, Scope, Values, origin};
use crate::config::{Layer, Model, TensorRef, parse_nested};
use crate::layers;
use caribou_ir::{Finding, Origin, ValueId};
use std::collections::HashMap;

impl Builder<'_> {
    pub(super) fn functional(
        &mut self,
        model: &Model,
        inputs: Option<&[ValueId]>,
        scope: &Scope<'_>,
    ) -> Values {
        let ports = model.ports.as_ref()?;
        let mut values: HashMap<TensorRef, Option<ValueId>> = HashMap::new();
        for (i, port) in ports.inputs.iter().enumerate() {
            let value = match inputs {
                Some(inputs) => inputs.get(i).copied(),
                None => match model.layers.iter().find(|layer| layer.name == port.layer) {
                    Some(layer) => self.input(layer),
                    None => self.unconnected(model, port),
                },
            };
            values.insert(port.clone(), value);
        }
        let mut pending: Vec<(&Layer, usize)> = model
            .layers
            .iter()
            .flat_map(|layer| (0..layer.calls.len()).map(move |call| (layer, call)))
            .collect();
        pending.retain(|(layer, _)| layer.class != "InputLayer");
        while !pending.is_empty() {
            let before = pending.len();
            pending.retain(|&(layer, index)| {
                let call = &layer.calls[index];
                if !call.inputs.iter().all(|input| values.contains_key(input)) {
                    return true;
                }
                let inputs: Option<Vec<ValueId>> = call.inputs.iter().map(|input| values[input]).collect();
                let outputs = self.call(layer, call, inputs.as_deref(), scope);
                if layer.calls.len() > 1 && index == 1 {
                    self.note_shared(layer);
                }
                let count = outputs.as_ref().map_or(0, Vec::len);
                for output in 0..count.max(8) {
                    let value = outputs.as_ref().and_then(|outputs| outputs.get(output).copied());
                    let reference = TensorRef {
                        layer: layer.name.clone(),
                        call: index + first_call(model, layer),
                        output,
                    };
                    // An output that the layer did not give is only missed when somebody reads it.
                    if value.is_some() || outputs.is_none() {
                        values.insert(reference, value);
                    }
                }
                false
            });
            if pending.len() == before {
                for (layer, _) in pending {
                    let message =
                        "its inputs come from nowhere, from an unused state, or from the layer itself";
                    self.findings
                        .push(Finding::error(CONNECTION, &origin(layer), message));
                }
                return None;
            }
        }
        let outputs: Vec<Option<ValueId>> = ports
            .outputs
            .iter()
            .map(|port| {
                values
                    .get(port)
                    .copied()
                    .unwrap_or_else(|| self.unconnected(model, port))
            })
            .collect();
        outputs.into_iter().collect()
    }

    fn unconnected(&mut self, model: &Model, port: &TensorRef) -> Option<ValueId> {
        let message = format!(
            "the model names {} as an input or output, and there is no such layer or state",
            port.layer
        );
        self.findings.push(Finding::error(
            CONNECTION,
            &Origin::new(model.name.as_str(), "Model"),
            message,
        ));
        None
    }

    fn note_shared(&mut self, layer: &Layer) {
        if !layer.config.0.is_empty() && layers::has_weights(&layer.class) {
            let message = format!(
                "it is used {} times: each use gets a copy of its weights",
                layer.calls.len()
            );
            self.findings.push(
                Finding::note(SHARED, &origin(layer), message)
                    .with_help("the copies are no longer tied when training goes on"),
            );
        }
    }
}

/// The number of the first call of a layer: a nested model that was built on inputs of its own has used up number
/// zero for that, and only the connections tell.
fn first_call(model: &Model, layer: &Layer) -> usize {
    let calls = model
        .layers
        .iter()
        .flat_map(|other| &other.calls)
        .flat_map(|call| &call.inputs);
    let ports = model
        .ports
        .iter()
        .flat_map(|ports| ports.inputs.iter().chain(&ports.outputs));
    let last = calls
        .chain(ports)
        .filter(|input| input.layer == layer.name)
        .map(|input| input.call)
        .max();
    usize::from(parse_nested(layer).is_some() && last >= Some(layer.calls.len()))
}
