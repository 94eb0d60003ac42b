//! The inputs and outputs of the outermost model.

use super::{Builder, INPUT_SHAPE, origin};
use crate::config::{Layer, Model, parse_nested};
use caribou_ir::{Finding, Layout, ValueId};
use std::collections::HashSet;

impl Builder<'_> {
    /// The input of a Sequential model that has no InputLayer: its first layer, or the model, tells the shape.
    pub(super) fn implied_input(&mut self, model: &Model, first: &Layer) -> Option<ValueId> {
        let nested = parse_nested(first).and_then(Result::ok);
        let shape = first
            .config
            .shape("batch_input_shape")
            .ok()
            .flatten()
            .or_else(|| model.build_shape.clone())
            .or_else(|| {
                let inner = nested?;
                let own = inner
                    .layers
                    .first()?
                    .config
                    .shape("batch_input_shape")
                    .ok()
                    .flatten();
                own.or(inner.build_shape)
            });
        let Some(shape) = shape else {
            self.findings.push(
                Finding::error(
                    INPUT_SHAPE,
                    &origin(first),
                    "the shape of the model's input is not in the file",
                )
                .with_help("call the model once, or model.build(input_shape), before saving it"),
            );
            return None;
        };
        Some(self.add_input(&format!("{}_input", first.name), &shape))
    }

    pub(super) fn input(&mut self, layer: &Layer) -> Option<ValueId> {
        let shape = ["batch_input_shape", "batch_shape"]
            .iter()
            .find_map(|key| layer.config.shape(key).ok().flatten());
        let ragged = layer.config.flag_or("ragged", false).unwrap_or(true)
            || layer.config.flag_or("sparse", false).unwrap_or(true);
        match shape {
            Some(shape) if !ragged => Some(self.add_input(&layer.name, &shape)),
            _ => {
                let message = if ragged {
                    "ragged and sparse inputs are not supported"
                } else {
                    "the input's shape is not in the file"
                };
                self.findings
                    .push(Finding::error(INPUT_SHAPE, &origin(layer), message));
                None
            }
        }
    }

    fn add_input(&mut self, name: &str, shape: &[Option<usize>]) -> ValueId {
        let shape = self.shape_of(shape);
        let layout = self.layout(shape.rank());
        self.graph.input(name, shape, layout)
    }

    fn layout(&self, rank: usize) -> Layout {
        match rank {
            3 => Layout::Sequence,
            4 | 5 if self.channels_first => Layout::ChannelsFirst,
            4 | 5 => Layout::ChannelsLast,
            _ => Layout::Plain,
        }
    }

    pub(super) fn outputs(&mut self, model: &Model, values: &[ValueId]) {
        let mut given = HashSet::new();
        let layers: HashSet<&str> = model
            .ports
            .iter()
            .flat_map(|ports| &ports.outputs)
            .map(|port| port.layer.as_str())
            .collect();
        for (i, &value) in values.iter().enumerate() {
            let name = match &model.ports {
                Some(ports) => ports.outputs[i].layer.clone(),
                None => model
                    .layers
                    .last()
                    .map_or_else(|| "output".to_owned(), |layer| layer.name.clone()),
            };
            // Another output of the same layer, whose name may be that of a layer again.
            let mut port = name.clone();
            let mut count = 0;
            while given.contains(&port) || (count > 0 && layers.contains(port.as_str())) {
                count += 1;
                port = format!("{name}_{count}");
            }
            given.insert(port.clone());
            let layout = self.layout(self.graph.shape(value).rank());
            self.graph.output(port, value, layout);
            if let Some(port) = self.graph.outputs_mut().last_mut() {
                port.source_name = name;
            }
        }
        self.graph.mark_indices();
    }
}
