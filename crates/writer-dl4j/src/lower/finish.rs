//! The last steps over all vertices: what nothing reads is dropped, preprocessors move into layers, and vertices into an
//! order that stock DL4J can train.

use super::memory::overwrites_input;
use super::{Edge, Kind, Lowering, Network, PARAMETER, Placed, layer_training, state};
use crate::format::{Layer, Vertex};
use caribou_ir::{Code, Finding, Findings, Origin, Severity, TrainingState};
use std::collections::{HashMap, HashSet};

/// An embedding that stock DL4J can't train.
const NO_GRADIENT: Code = Code("D0120");

impl Lowering<'_> {
    /// Drops what nothing reads, and folds preprocessors into the layers behind them.
    pub(super) fn finish(mut self, outputs: Vec<Edge>) -> Result<Network, Findings> {
        let mut needed: HashSet<String> = outputs.iter().map(|edge| edge.name.clone()).collect();
        for placed in self.vertices.iter().rev() {
            if needed.contains(&placed.name) {
                needed.extend(placed.inputs.iter().cloned());
            }
        }
        self.vertices.retain(|placed| needed.contains(&placed.name));
        let mut vertices = fold_preprocessors(std::mem::take(&mut self.vertices), &outputs);
        let inputs = std::mem::take(&mut self.inputs);
        self.copy_dropped_inputs(&mut vertices, &inputs);
        self.inputs = inputs;
        embeddings_last(&mut vertices, &self.inputs);
        self.findings.extend(untrainable(&vertices, &self.inputs));
        let names: HashSet<&str> = vertices.iter().map(|placed| placed.name.as_str()).collect();
        for entry in &mut self.layers {
            entry.target.retain(|target| names.contains(target.as_str()));
        }
        let mut vertices = vertices;
        if let Some(training) = self.training {
            let findings = &mut self.findings;
            layer_training::apply(&mut vertices, training, &self.optimiser, findings);
            let edges = (&self.inputs[..], &outputs[..]);
            layer_training::freeze(
                &mut vertices,
                training,
                &self.optimiser,
                edges,
                &mut self.findings,
            );
        }
        // Where the count of steps does not start at zero, that is written of training that starts anew too.
        let anew = TrainingState::default();
        let counted = self.optimiser.start.more() > 0;
        let known = self.training.and_then(|training| {
            let state = training.state.as_ref();
            Some((training, state.or(counted.then_some(&anew))?))
        });
        let findings = &mut self.findings;
        let state = known
            .map(|(training, known)| state::state(&vertices, &self.optimiser, training, known, findings));
        let state = state.transpose().map_err(|error| {
            let message = format!("the state of the optimiser does not fit the parameters: {error}");
            Findings::from(Finding::new(Severity::Error, PARAMETER, None, message))
        })?;
        Ok(Network {
            state,
            inputs: self.inputs,
            outputs,
            vertices,
            layers: self.layers,
            rewrites: self.rewrites,
            findings: self.findings,
            single_only: self.single_only,
        })
    }
}

/// Puts a preprocessor that only one layer reads into that layer. Layers that work in place keep theirs apart: what
/// a permutation gives shares the memory of what it reads.
fn fold_preprocessors(vertices: Vec<Placed>, outputs: &[Edge]) -> Vec<Placed> {
    let mut uses: HashMap<String, usize> = HashMap::new();
    for edge in outputs {
        *uses.entry(edge.name.clone()).or_default() += 1;
    }
    for input in vertices.iter().flat_map(|placed| &placed.inputs) {
        *uses.entry(input.clone()).or_default() += 1;
    }
    let mut folded: Vec<Placed> = Vec::with_capacity(vertices.len());
    for mut placed in vertices {
        while let Kind::Layer { layer, preprocessor } = &mut placed.kind {
            let before = folded
                .iter()
                .position(|other| other.name == placed.inputs[0] && uses[&other.name] == 1);
            let Some(before) = before else { break };
            let Kind::Vertex(Vertex::Preprocessor { pre_processor }) = &folded[before].kind else {
                break;
            };
            // Stock DL4J takes gradients through a chain of preprocessors in the wrong order: one is all a layer gets.
            if overwrites_input(layer) || preprocessor.is_some() {
                break;
            }
            *preprocessor = Some(pre_processor.clone());
            placed.inputs = folded.remove(before).inputs;
        }
        folded.push(placed);
    }
    folded
}

/// Puts other readers of an input before the embeddings that read it too. An embedding has no gradient to give to its
/// input, and stock DL4J, which goes backwards, fails to add that to a gradient which is there already.
fn embeddings_last(vertices: &mut [Placed], inputs: &[Edge]) {
    let embeds = |placed: &Placed| {
        matches!(
            &placed.kind,
            Kind::Layer {
                layer: Layer::EmbeddingSequenceLayer(_),
                ..
            }
        )
    };
    let embedded: HashSet<String> = vertices
        .iter()
        .filter(|placed| embeds(placed))
        .flat_map(|placed| placed.inputs.clone())
        .collect();
    let is_input = |name: &String| inputs.iter().any(|edge| edge.name == *name);
    vertices.sort_by_key(|placed| {
        embeds(placed)
            || !placed.inputs.iter().all(is_input)
            || !placed.inputs.iter().any(|input| embedded.contains(input))
    });
}

/// Tells of embeddings whose indices are not an input as it is fed. An embedding has no gradient to give back, and stock DL4J
/// demands one of whatever stands between it and the input.
fn untrainable(vertices: &[Placed], inputs: &[Edge]) -> Findings {
    let is_input = |name: &String| inputs.iter().any(|edge| edge.name == *name);
    let mut findings = Findings::new();
    for placed in vertices {
        if let Kind::Layer {
            layer: Layer::EmbeddingSequenceLayer(_),
            preprocessor,
        } = &placed.kind
            && (preprocessor.is_some() || !placed.inputs.iter().all(is_input))
        {
            let origin = Origin::new(placed.source.clone(), "Embedding");
            let message = "stock DL4J runs an embedding of indices that are reshaped first, and can't train it: it throws on the way back";
            let help = "feed it the indices in the shape in which it looks them up, as an input of their own";
            findings.push(Finding::warning(NO_GRADIENT, &origin, message).with_help(help));
        }
    }
    findings
}
