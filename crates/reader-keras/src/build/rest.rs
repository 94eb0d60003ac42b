//! The layers behind one that could not be read, so that one run names all that stands in the way.
//!
//! What a refused layer would have made becomes an input of the graph. Its shape is the one that the file writes beside
//! the layers that read it. Where the file has none, the layer that reads it is tried with those that are likely; what it
//! makes is then known no better, and a problem of its shapes and weights is not told.

use super::{Builder, Scope, Values};
use crate::config::{Layer, NodeCall, Sizes};
use crate::layers;
use caribou_ir::{Dim, Findings, Layout, Severity, Shape, ValueId};

/// Outputs that a refused layer may have.
const OUTPUTS: usize = 8;

impl Builder<'_> {
    /// What stands in for the outputs of a layer that was not read: they are taken to be like its first input.
    pub(super) fn stand_ins(&mut self, layer: &Layer, inputs: &[ValueId]) -> Vec<ValueId> {
        let like = inputs.first().map(|&input| self.graph.shape(input).clone());
        let shape = like.unwrap_or_else(|| Shape::new(vec![Dim::BATCH, Dim::Fixed(1)]));
        (0..OUTPUTS)
            .map(|_| self.stand_in(&layer.name, shape.clone()))
            .collect()
    }

    /// The input of a model that could not be read.
    pub(super) fn stand_in_of_input(&mut self, layer: &Layer) -> ValueId {
        self.stand_in(&layer.name, Shape::new(vec![Dim::BATCH, Dim::Fixed(1)]))
    }

    fn stand_in(&mut self, layer: &str, shape: Shape) -> ValueId {
        let name = format!("{layer} ({})", self.graph.inputs().len());
        let value = self.graph.input(name, shape, Layout::Plain);
        self.unknown.insert(value);
        value
    }

    pub(super) fn is_unknown(&self, value: ValueId) -> bool {
        self.unknown.contains(&value)
    }

    /// A call with inputs of which some stand in for others.
    pub(super) fn call_of_unknown(
        &mut self,
        layer: &Layer,
        call: &NodeCall,
        inputs: &[ValueId],
        scope: &Scope<'_>,
    ) -> Values {
        if let Some(known) = self.recorded_inputs(layer, call, inputs) {
            let outputs = self.call_of_known(layer, call, Some(&known), scope);
            // A layer that is used several times says of one use only what it is called with.
            if outputs.is_some() || layer.calls.len() < 2 {
                return outputs;
            }
        }
        let before = std::mem::take(&mut self.findings);
        let mut problems: Vec<Findings> = Vec::new();
        let mut read = None;
        for shape in self.likely(layer, inputs, scope) {
            let inputs: Vec<ValueId> = inputs
                .iter()
                .map(|&input| match (self.is_unknown(input), &shape) {
                    (true, Some(shape)) => self.stand_in(&layer.name, shape.clone()),
                    _ => input,
                })
                .collect();
            read = self.call_of_known(layer, call, Some(&inputs), scope);
            problems.push(std::mem::take(&mut self.findings));
            if read.is_some() {
                break;
            }
        }
        self.findings = before;
        match &read {
            Some(outputs) => {
                self.unknown.extend(outputs);
                self.assumed.insert(layer.name.clone());
                self.findings.extend(problems.pop().unwrap_or_default());
            }
            None => {
                // That it does not fit is the fault of the guess.
                let own = problems.into_iter().flatten().find(|problem| {
                    problem.severity == Severity::Error && !layers::GUESSED.contains(&problem.code)
                });
                self.findings.extend(own.map(Findings::from).unwrap_or_default());
            }
        }
        read
    }

    /// The inputs with those that are not known replaced by some of the shapes that the file tells; `None` where it
    /// does not tell all of them.
    fn recorded_inputs(
        &mut self,
        layer: &Layer,
        call: &NodeCall,
        inputs: &[ValueId],
    ) -> Option<Vec<ValueId>> {
        let shape = |position: usize| layer.recorded.input(position, call.inputs.get(position));
        let all: Option<Vec<Option<&Sizes>>> = inputs
            .iter()
            .enumerate()
            .map(|(i, &input)| match self.is_unknown(input) {
                true => shape(i).map(Some),
                false => Some(None),
            })
            .collect();
        let known = all?.into_iter().zip(inputs).map(|(sizes, &input)| match sizes {
            None => input,
            Some(sizes) => {
                let shape = self.shape_of(sizes);
                let name = format!("{} ({})", layer.name, self.graph.inputs().len());
                self.graph.input(name, shape, Layout::Plain)
            }
        });
        Some(known.collect())
    }

    pub(super) fn shape_of(&mut self, sizes: &[Option<usize>]) -> Shape {
        let mut dims = vec![Dim::BATCH];
        for size in sizes.iter().skip(1) {
            dims.push(size.map_or_else(|| self.graph.unknown(), Dim::Fixed));
        }
        Shape::new(dims)
    }

    /// Shapes to try: the one that is there, and what the class and the kernel of the layer speak for.
    fn likely(&mut self, layer: &Layer, inputs: &[ValueId], scope: &Scope<'_>) -> Vec<Option<Shape>> {
        let mut shapes = vec![None];
        let own = self.store.of_layer(layer).ok();
        let mut scopes: Vec<&str> = scope.names.iter().map(String::as_str).collect();
        scopes.push(&layer.name);
        let weights = scope.weights.or(own.as_ref());
        let shape = |variable: &str| weights?.shape(&scopes, variable);
        let unknown = inputs.iter().find(|&&input| self.is_unknown(input));
        let rank = unknown.map_or(2, |&input| self.graph.shape(input).rank());
        let axes = layer.class.chars().find_map(|letter| letter.to_digit(10));
        let (rank, features) = match (shape("kernel"), shape("gamma"), axes) {
            (Some(kernel), _, Some(axes)) if kernel.len() > 1 => {
                (axes as usize + 2, kernel[kernel.len() - 2])
            }
            (Some(kernel), _, None) if kernel.len() > 1 => {
                let recurrent = shape("recurrent_kernel").is_some();
                (if recurrent { 3 } else { rank }, kernel[0])
            }
            (_, Some(gamma), _) if !gamma.is_empty() => (rank, gamma[0]),
            _ => return shapes,
        };
        for rank in [rank, 2, 3, 4] {
            let mut sizes = vec![None; rank];
            sizes[rank - 1] = Some(features);
            shapes.push(Some(self.shape_of(&sizes)));
        }
        shapes
    }
}
