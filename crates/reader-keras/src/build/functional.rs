//! Functional models: their calls in an order in which the inputs of each exist.

use super::{Builder, CONNECTION, SHARED, Scope, Values, origin};
use crate::config::{Layer, Model, TensorRef, parse_nested};
use crate::layers;
use crate::version::Generation;
use caribou_ir::{Finding, Origin, ValueId};
use std::collections::{HashMap, HashSet, VecDeque};

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
                    Some(layer) => self.input(layer).or_else(|| Some(self.stand_in_of_input(layer))),
                    None => self.unconnected(model, port),
                },
            };
            values.insert(port.clone(), value);
        }
        // Files list layers in an order in which their inputs exist, and need not.
        let mut ready: VecDeque<(&Layer, usize)> = model
            .layers
            .iter()
            .filter(|layer| layer.class != "InputLayer")
            .flat_map(|layer| (0..layer.calls.len()).map(move |call| (layer, call)))
            .collect();
        let mut waiting: HashMap<&TensorRef, Vec<(&Layer, usize)>> = HashMap::new();
        while let Some((layer, index)) = ready.pop_front() {
            let call = &layer.calls[index];
            if let Some(missing) = call.inputs.iter().find(|input| !values.contains_key(input)) {
                waiting.entry(missing).or_default().push((layer, index));
                continue;
            }
            let inputs: Option<Vec<ValueId>> = call.inputs.iter().map(|input| values[input]).collect();
            let outputs = self.call(layer, call, inputs.as_deref(), scope);
            if layer.calls.len() > 1 && index == 1 {
                self.note_shared(layer);
            }
            let count = outputs.as_ref().map_or(0, Vec::len);
            let call = index + self.first_call(model, layer);
            for output in 0..count.max(8) {
                let value = outputs.as_ref().and_then(|outputs| outputs.get(output).copied());
                // An output that the layer did not give is only missed when somebody reads it.
                if value.is_some() || outputs.is_none() {
                    let reference = TensorRef {
                        layer: layer.name.clone(),
                        call,
                        output,
                    };
                    ready.extend(waiting.remove(&reference).unwrap_or_default());
                    values.insert(reference, value);
                }
            }
        }
        if !waiting.is_empty() {
            let stuck: HashSet<&str> = waiting
                .values()
                .flatten()
                .map(|(layer, _)| layer.name.as_str())
                .collect();
            let stuck = |layer: &&Layer| stuck.contains(layer.name.as_str());
            for layer in model.layers.iter().filter(stuck) {
                let message = "its inputs come from nowhere, from an unused state, or from the layer itself";
                self.findings
                    .push(Finding::error(CONNECTION, &origin(layer), message));
            }
            return None;
        }
        let outputs: Vec<Option<ValueId>> = ports
            .outputs
            .iter()
            .map(|port| {
                values
                    .get(&self.output(model, port))
                    .copied()
                    .unwrap_or_else(|| self.unconnected(model, port))
            })
            .collect();
        outputs.into_iter().collect()
    }

    /// The number of the first call of a layer: a nested model that was built on inputs of its own has used up number
    /// zero for that, and only the connections tell. Keras 3 does not count that one among the calls.
    fn first_call(&self, model: &Model, layer: &Layer) -> usize {
        match self.generation {
            Generation::Two if parse_nested(layer).is_some() => first_call(model, layer),
            _ => 0,
        }
    }

    /// The value that an output of the model stands for. Keras 3 counts the outputs of a nested functional model, and
    /// only these, from one.
    fn output(&self, model: &Model, port: &TensorRef) -> TensorRef {
        let mut port = port.clone();
        let layer = model.layers.iter().find(|layer| layer.name == port.layer);
        if self.generation == Generation::Three
            && layer.is_some_and(|layer| layer.class != "Sequential" && parse_nested(layer).is_some())
        {
            port.call = port.call.saturating_sub(1);
        }
        port
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

/// The number of the first call of a nested model in Keras 2.
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
    usize::from(last >= Some(layer.calls.len()))
}
