//! From operators to layers and vertices.
//!
//! DL4J computes channels-first: `[N, C, D…]`, and sequences as `[N, F, T]`. The graph's values are in other orders at
//! times, so each value is remembered with the vertex that makes it *and* the order of that vertex' axes ([`Place`]).
//! A transpose only changes the remembered order; a permutation is written where an operator needs another one
//! ([`Lowering::array`]). The same holds for time running backwards. One file a family says what each operator becomes.

mod activation;
mod attention;
mod conv;
mod layer_training;
mod linear;
mod merge;
mod norm;
mod output;
mod pool;
mod recurrent;
mod reshape;
mod select;
mod spatial;
pub(crate) mod training;
mod volume;

pub(crate) use activation::has_class;

use crate::format::{Base, Layer, Preprocessor, Rate, Updater, Vertex};
use crate::legalize::Legal;
use caribou_ir::op::{Op, Operator, Transpose};
use caribou_ir::{
    Code, Finding, Findings, Graph, LayerReport, Node, Origin, Rewrite, Severity, Tensor, ValueId,
};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// An operator, or an option of one, that DL4J has no exact counterpart for.
const INEXPRESSIBLE: Code = Code("D0101");
/// A view of a parameter that can't be made.
const PARAMETER: Code = Code("D0102");

/// Why an operator could not be lowered.
type Lowered<T> = Result<T, Box<Finding>>;

/// A vertex to be written.
pub(crate) struct Placed {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) inputs: Vec<String>,
    /// The parameters in the order and with the element order of the archive.
    pub(crate) parameters: Vec<Tensor>,
    /// The source's layer that it was made of.
    pub(crate) source: std::sync::Arc<str>,
}

/// A layer, or anything else.
pub(crate) enum Kind {
    Layer {
        layer: Layer,
        preprocessor: Option<Preprocessor>,
    },
    Vertex(Vertex),
}

/// Where a value is found: axis `i` of the value is axis `order[i]` of the array that `vertex` makes.
#[derive(Clone, PartialEq)]
struct Place {
    vertex: String,
    order: Vec<usize>,
    /// Whether the steps (axis 1 of the value) are in reverse order.
    reversed: bool,
}

/// Which axis orders the archive takes and gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ArchiveLayout {
    /// Those of the source.
    #[default]
    Keep,
    /// DL4J's own: channels first, and sequences as `[N, F, T]`.
    Nchw,
}

/// A lowered graph.
pub(crate) struct Network {
    pub(crate) inputs: Vec<Edge>,
    pub(crate) outputs: Vec<Edge>,
    pub(crate) vertices: Vec<Placed>,
    pub(crate) layers: Vec<LayerReport>,
    pub(crate) rewrites: Vec<Rewrite>,
    pub(crate) findings: Findings,
    /// What the optimiser remembers, when training is to go on from there.
    pub(crate) state: Option<training::State>,
}

/// An input or output of the network: its name, and how its axes follow from those of the graph's port.
pub(crate) struct Edge {
    pub(crate) name: String,
    pub(crate) permutation: Vec<usize>,
}

/// Lowers a graph.
pub(crate) fn lower(
    legal: &Legal,
    layout: ArchiveLayout,
    training: Option<&caribou_ir::Training>,
) -> Result<Network, Findings> {
    let mut lowering = Lowering::new(&legal.graph, layout, training);
    let learning = lowering.updater.clone();
    for (id, node) in legal.graph.nodes() {
        if lowering.live.contains(&id.index()) {
            lowering.updater = match legal.fixed.contains(&id) {
                true => Updater::Sgd {
                    rate: Rate::constant(0.0),
                },
                false => learning.clone(),
            };
            lowering.node(node);
        }
    }
    lowering.updater = learning;
    let outputs = lowering.outputs();
    if lowering.findings.has_errors() {
        return Err(lowering.findings);
    }
    lowering.finish(outputs)
}

pub(crate) struct Lowering<'g> {
    graph: &'g Graph,
    layout: ArchiveLayout,
    training: Option<&'g caribou_ir::Training>,
    optimiser: training::Optimiser,
    /// The optimiser of the layers that are being made: that of the network, or none for fixed parameters.
    updater: Updater,
    live: HashSet<usize>,
    /// How many live nodes and outputs read each value.
    uses: Vec<usize>,
    places: HashMap<ValueId, Place>,
    vertices: Vec<Placed>,
    by_name: HashMap<String, usize>,
    names: HashSet<String>,
    inputs: Vec<Edge>,
    /// Vertices that are known under several values, some of which others read.
    shared: HashSet<String>,
    /// Permuted copies of vertices, so that each is written once.
    permuted: HashMap<(String, Vec<usize>), String>,
    /// Where each source layer stands in the report.
    reported: HashMap<Arc<str>, usize>,
    layers: Vec<LayerReport>,
    rewrites: Vec<Rewrite>,
    findings: Findings,
}

impl<'g> Lowering<'g> {
    fn new(graph: &'g Graph, layout: ArchiveLayout, training: Option<&'g caribou_ir::Training>) -> Self {
        let mut live = HashSet::new();
        let mut uses = vec![0; graph.value_count()];
        for port in graph.outputs() {
            uses[port.value.index()] += 1;
        }
        for (id, node) in graph.nodes().rev() {
            if node.outputs.iter().any(|output| uses[output.index()] > 0) {
                live.insert(id.index());
                node.inputs.iter().for_each(|input| uses[input.index()] += 1);
            }
        }
        let mut findings = Findings::new();
        let optimiser = training::optimiser(training, &mut findings);
        let mut lowering = Self {
            graph,
            layout,
            training,
            updater: optimiser.updater.clone(),
            optimiser,
            live,
            uses,
            places: HashMap::new(),
            vertices: Vec::new(),
            by_name: HashMap::new(),
            names: HashSet::new(),
            inputs: Vec::new(),
            shared: HashSet::new(),
            permuted: HashMap::new(),
            reported: HashMap::new(),
            layers: Vec::new(),
            rewrites: Vec::new(),
            findings,
        };
        for port in graph.inputs() {
            let rank = graph.shape(port.value).rank();
            let permutation = lowering.port_permutation(port.layout, rank);
            let name = lowering.unique(&port.name);
            let order = inverse(&permutation);
            lowering.places.insert(
                port.value,
                Place {
                    vertex: name.clone(),
                    order,
                    reversed: false,
                },
            );
            lowering.inputs.push(Edge { name, permutation });
        }
        lowering
    }

    /// How the archive's axes follow from those of a port.
    fn port_permutation(&self, layout: caribou_ir::Layout, rank: usize) -> Vec<usize> {
        match self.layout {
            ArchiveLayout::Keep => (0..rank).collect(),
            ArchiveLayout::Nchw => layout.to_channels_first(rank),
        }
    }

    fn node(&mut self, node: &Node) {
        // A value that could not be made is not missed again by those that read it.
        if !node
            .inputs
            .iter()
            .all(|input| self.places.contains_key(input) || self.is_constant(*input))
        {
            return;
        }
        if let Err(finding) = self.operator(node) {
            self.findings.push(*finding);
        }
    }

    fn is_constant(&self, value: ValueId) -> bool {
        matches!(
            self.graph.producer(value).map(|node| &node.op),
            Some(Op::Constant(_))
        )
    }

    fn operator(&mut self, node: &Node) -> Lowered<()> {
        match &node.op {
            Op::Transpose(op) => self.transpose(node, op),
            Op::Identity(_) => self.alias(node),
            Op::Noise(op) => self.noise(node, op),
            Op::Activate(op) => self.activate(node, op.function),
            Op::Softmax(op) => self.softmax(node, op.axis),
            Op::PRelu(op) => self.prelu(node, op),
            Op::Conv(op) => self.conv(node, op),
            Op::ConvTranspose(op) => self.conv_transpose(node, op),
            Op::Pool(op) => self.pool(node, op),
            Op::Reduce(op) => self.reduce(node, op),
            Op::Dense(op) => self.dense(node, op),
            Op::Embedding(op) => self.embedding(node, op),
            Op::Attention(op) => self.attention(node, op),
            Op::BatchNorm(op) => self.batch_norm(node, op),
            Op::L2Normalize(op) => self.l2_normalize(node, op),
            Op::LocalResponseNorm(op) => self.local_response_norm(node, op),
            Op::Recurrent(op) => self.recurrent(node, op),
            Op::Reshape(op) => self.reshape(node, op),
            Op::Tile(op) => self.tile(node, op),
            Op::Reverse(op) => self.reverse(node, op),
            Op::Slice(op) => self.slice(node, op),
            Op::Split(op) => self.split(node, op),
            Op::Pad(op) => self.pad(node, op),
            Op::Resize(op) => self.resize(node, op),
            Op::Concat(op) => self.concat(node, op),
            Op::Elementwise(op) => self.elementwise(node, op),
            Op::Unary(op) => self.unary(node, op.kind),
            Op::Constant(_) => Ok(()),
            Op::Opaque(op) => Err(inexpressible(&node.origin, op.reason.clone())),
            other => Err(inexpressible(
                &node.origin,
                format!("{} has no exact counterpart in DL4J", other.name()),
            )),
        }
    }

    fn transpose(&mut self, node: &Node, op: &Transpose) -> Lowered<()> {
        let mut place = self.place(node.inputs[0], &node.origin)?;
        if place.reversed {
            place = self.forwards(node.inputs[0], &node.origin)?;
        }
        self.mark_shared(node.inputs[0], &place);
        place.order = op.permutation.iter().map(|&axis| place.order[axis]).collect();
        self.places.insert(node.outputs[0], place);
        Ok(())
    }

    /// The output is where the input is.
    fn alias(&mut self, node: &Node) -> Lowered<()> {
        let place = self.place(node.inputs[0], &node.origin)?;
        self.mark_shared(node.inputs[0], &place);
        self.places.insert(node.outputs[0], place);
        self.report(&node.origin, None);
        Ok(())
    }

    /// Before a second value is found at the vertex of `value`: when others read `value`, the vertex must stay as it is.
    fn mark_shared(&mut self, value: ValueId, place: &Place) {
        if self.uses[value.index()] != 1 {
            self.shared.insert(place.vertex.clone());
        }
    }

    fn place(&self, value: ValueId, origin: &Origin) -> Lowered<Place> {
        self.places
            .get(&value)
            .cloned()
            .ok_or_else(|| inexpressible(origin, "it reads a constant, which DL4J has no vertex for"))
    }

    fn rank(&self, value: ValueId) -> usize {
        self.graph.shape(value).rank()
    }

    /// The value with its steps in forward order.
    fn forwards(&mut self, value: ValueId, origin: &Origin) -> Lowered<Place> {
        let place = self.place(value, origin)?;
        if !place.reversed {
            return Ok(place);
        }
        let order = vec![0, 2, 1];
        let from = self.in_order(&place, &order, origin)?;
        let name = self.vertex(
            origin,
            "forwards",
            Vertex::ReverseTimeSeries {
                mask_array_input_name: None,
            },
            &[from],
        );
        let place = Place {
            vertex: name,
            order,
            reversed: false,
        };
        self.places.insert(value, place.clone());
        Ok(place)
    }

    /// The vertex that makes `value` with its axis `i` as axis `order[i]` of the array.
    fn array(&mut self, value: ValueId, order: &[usize], origin: &Origin) -> Lowered<String> {
        let place = self.forwards(value, origin)?;
        self.in_order(&place, order, origin)
    }

    fn in_order(&mut self, place: &Place, order: &[usize], origin: &Origin) -> Lowered<String> {
        if place.order == order {
            return Ok(place.vertex.clone());
        }
        let mut permutation = vec![0; order.len()];
        for (&to, &from) in order.iter().zip(&place.order) {
            permutation[to] = from;
        }
        if permutation.first() != Some(&0) {
            return Err(inexpressible(origin, "it moves the batch axis"));
        }
        let key = (place.vertex.clone(), permutation.clone());
        if let Some(name) = self.permuted.get(&key) {
            return Ok(name.clone());
        }
        let mut name = place.vertex.clone();
        // Nothing takes the gradient of an input that is read once, and a chain stays one with a single permutation.
        let input = self
            .graph
            .inputs()
            .iter()
            .zip(&self.inputs)
            .find(|(_, edge)| edge.name == name);
        let plain = input.is_some_and(|(port, _)| self.uses[port.value.index()] == 1);
        for step in if plain {
            vec![permutation]
        } else {
            involutions(&permutation)
        } {
            let pre_processor = Preprocessor::Permute {
                permutation_indices: step[1..].to_vec(),
            };
            name = self.vertex(origin, "permute", Vertex::Preprocessor { pre_processor }, &[name]);
        }
        self.permuted.insert(key, name.clone());
        Ok(name)
    }

    /// A name that no other vertex has.
    fn unique(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut n = 1;
        while !self.names.insert(name.clone()) {
            n += 1;
            name = format!("{wanted}_{n}");
        }
        name
    }

    /// Adds a layer under the name of the source's layer, or that with `suffix`.
    fn layer(
        &mut self,
        origin: &Origin,
        suffix: &str,
        input: String,
        preprocessor: Option<Preprocessor>,
        parameters: Vec<Tensor>,
        make: impl FnOnce(Base) -> Layer,
    ) -> String {
        let wanted = if suffix.is_empty() {
            origin.layer.to_string()
        } else {
            format!("{}_{suffix}", origin.layer)
        };
        let name = self.unique(&wanted);
        let base = if parameters.is_empty() {
            Base::plain(&name, &self.updater)
        } else {
            Base::new(&name, crate::format::Activation::Identity, &self.updater)
        };
        let layer = make(base);
        self.add(
            Placed {
                name,
                kind: Kind::Layer { layer, preprocessor },
                inputs: vec![input],
                parameters,
                source: origin.layer.clone(),
            },
            origin,
        )
    }

    /// Adds a vertex.
    fn vertex(&mut self, origin: &Origin, suffix: &str, vertex: Vertex, inputs: &[String]) -> String {
        let wanted = if suffix.is_empty() {
            origin.layer.to_string()
        } else {
            format!("{}_{suffix}", origin.layer)
        };
        let name = self.unique(&wanted);
        // A vertex that reads another one twice reads a copy of it.
        let mut distinct: Vec<String> = Vec::with_capacity(inputs.len());
        for input in inputs {
            let input = if distinct.contains(input) {
                self.copy(input, origin)
            } else {
                input.clone()
            };
            distinct.push(input);
        }
        self.add(
            Placed {
                name,
                kind: Kind::Vertex(vertex),
                inputs: distinct,
                parameters: Vec::new(),
                source: origin.layer.clone(),
            },
            origin,
        )
    }

    fn add(&mut self, placed: Placed, origin: &Origin) -> String {
        let name = placed.name.clone();
        self.report(origin, Some(&name));
        self.by_name.insert(name.clone(), self.vertices.len());
        self.vertices.push(placed);
        name
    }

    /// The same array in memory of its own.
    fn copy(&mut self, vertex: &str, origin: &Origin) -> String {
        self.vertex(
            origin,
            "copy",
            Vertex::Scale { scale_factor: 1.0 },
            &[vertex.to_owned()],
        )
    }

    fn find(&mut self, name: &str) -> Option<&mut Placed> {
        self.by_name.get(name).map(|&i| &mut self.vertices[i])
    }

    fn put(&mut self, value: ValueId, vertex: String, order: Vec<usize>) {
        self.places.insert(
            value,
            Place {
                vertex,
                order,
                reversed: false,
            },
        );
    }

    fn report(&mut self, origin: &Origin, target: Option<&str>) {
        let next = self.layers.len();
        let position = *self.reported.entry(origin.layer.clone()).or_insert(next);
        if position == next {
            self.layers.push(LayerReport {
                source: vec![origin.layer.to_string()],
                target: Vec::new(),
                exact: true,
                note: String::new(),
            });
        }
        self.layers[position].target.extend(target.map(str::to_owned));
    }

    fn rewrite(&mut self, name: &'static str, origin: &Origin, reason: &str) {
        self.rewrites.push(Rewrite::new(name, origin, reason));
    }

    /// Drops what nothing reads, and folds preprocessors into the layers behind them.
    fn finish(mut self, outputs: Vec<Edge>) -> Result<Network, Findings> {
        let mut needed: HashSet<String> = outputs.iter().map(|edge| edge.name.clone()).collect();
        for placed in self.vertices.iter().rev() {
            if needed.contains(&placed.name) {
                needed.extend(placed.inputs.iter().cloned());
            }
        }
        self.vertices.retain(|placed| needed.contains(&placed.name));
        let mut vertices = fold_preprocessors(self.vertices, &outputs);
        embeddings_last(&mut vertices, &self.inputs);
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
        let known = self.training.and_then(|training| training.state.as_ref());
        let state = known.map(|known| training::state(&vertices, &self.optimiser, known));
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

/// Layers that overwrite their input at inference.
fn overwrites_input(layer: &Layer) -> bool {
    matches!(layer, Layer::ActivationLayer(_) | Layer::PReLULayer(_))
}

/// Layers that overwrite their input at inference, or give it on as it is.
fn works_in_place(layer: &Layer) -> bool {
    overwrites_input(layer) || matches!(layer, Layer::DropoutLayer(_))
}

/// A refusal at `origin`.
fn inexpressible(origin: &Origin, message: impl Into<String>) -> Box<Finding> {
    Box::new(Finding::error(INEXPRESSIBLE, origin, message))
}

/// A parameter that could not be viewed as the archive wants it.
fn viewed<T>(result: Result<T, caribou_ir::TensorError>, origin: &Origin) -> Lowered<T> {
    result.map_err(|error| Box::new(Finding::error(PARAMETER, origin, error.to_string())))
}

/// One or two permutations that make up `permutation` and are their own inverses. Stock DL4J takes gradients back by
/// the permutation itself instead of its inverse, so others could not be trained through. A cycle is the product of two
/// reflections: `j[i] -> j[-i]`, then `j[i] -> j[1 - i]`.
fn involutions(permutation: &[usize]) -> Vec<Vec<usize>> {
    if (0..permutation.len()).all(|i| permutation[permutation[i]] == i) {
        return vec![permutation.to_vec()];
    }
    let mut first = identity(permutation.len());
    let mut second = identity(permutation.len());
    let mut seen = vec![false; permutation.len()];
    for start in 0..permutation.len() {
        let mut cycle = Vec::new();
        let mut j = start;
        while !std::mem::replace(&mut seen[j], true) {
            cycle.push(j);
            j = permutation[j];
        }
        let n = cycle.len();
        for i in 0..n {
            second[cycle[i]] = cycle[(n - i) % n];
            first[cycle[i]] = cycle[(n + 1 - i) % n];
        }
    }
    vec![first, second]
}

fn identity(rank: usize) -> Vec<usize> {
    (0..rank).collect()
}

fn inverse(permutation: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; permutation.len()];
    for (i, &axis) in permutation.iter().enumerate() {
        inverse[axis] = i;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permutation_is_two_that_undo_themselves() {
        for permutation in [
            vec![0, 2, 3, 1],
            vec![0, 3, 1, 2],
            vec![0, 2, 3, 4, 1],
            vec![0, 2, 1],
            vec![0, 2, 1, 4, 3],
        ] {
            let steps = involutions(&permutation);
            for step in &steps {
                assert!((0..step.len()).all(|i| step[step[i]] == i), "{step:?}");
            }
            // Axis j of the result is axis step[j] of what the step reads.
            let total: Vec<usize> = (0..permutation.len())
                .map(|j| steps.iter().rev().fold(j, |axis, step| step[axis]))
                .collect();
            assert_eq!(total, permutation);
        }
    }
}
