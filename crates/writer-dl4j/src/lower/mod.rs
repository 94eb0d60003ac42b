//! From operators to layers and vertices.
//!
//! DL4J computes channels-first: `[N, C, D…]`, and sequences as `[N, F, T]`. The graph's values are in other orders at
//! times, so each value is remembered with the vertex that makes it *and* the order of that vertex' axes ([`Place`]).
//! A transpose only changes the remembered order; a permutation is written where an operator needs another one
//! ([`Lowering::array`]). The same holds for time running backwards. One file a family says what each operator becomes.

mod activation;
mod attention;
mod conv;
mod finish;
mod layer_training;
mod linear;
mod memory;
mod merge;
mod norm;
mod output;
mod place;
mod pool;
mod recurrent;
mod reshape;
mod select;
mod spatial;
mod state;
mod training;
mod volume;

pub(crate) use activation::has_class;
pub(crate) use conv::pads_as;
use place::{Place, identity};

use crate::format::{Base, Layer, Preprocessor, Updater, Vertex};
use crate::legalize::Legal;
use caribou_ir::layout::inverse;
use caribou_ir::op::{Op, Operator};
use caribou_ir::{Code, Dim, Finding, Findings, Graph, LayerReport, Node, Origin, Rewrite, Tensor, ValueId};
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
    /// Norms that stock DL4J throws in when their numbers have 16 bits.
    pub(crate) single_only: Vec<Origin>,
    /// What the optimiser remembers, when training is to go on from there.
    pub(crate) state: Option<state::State>,
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
                true => Updater::still(),
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
    /// Whether the examples of the node that is being lowered are not those of the network: steps folded into the batch.
    folded: bool,
    /// Vertices that are known under several values, some of which others read.
    shared: HashSet<String>,
    /// Permuted copies of vertices, so that each is written once.
    permuted: HashMap<(String, Vec<usize>), String>,
    /// Where each source layer stands in the report.
    reported: HashMap<Arc<str>, usize>,
    layers: Vec<LayerReport>,
    rewrites: Vec<Rewrite>,
    findings: Findings,
    single_only: Vec<Origin>,
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
            folded: false,
            shared: HashSet::new(),
            permuted: HashMap::new(),
            reported: HashMap::new(),
            layers: Vec::new(),
            rewrites: Vec::new(),
            findings,
            single_only: Vec::new(),
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
        let batch = |value: &ValueId| self.graph.shape(*value).dims().first() == Some(&Dim::BATCH);
        self.folded = !node.inputs.iter().all(batch);
        if let Err(finding) = self.operator(node) {
            self.findings.push(*finding);
            // Nothing is written, but those that read it are looked at too.
            for &output in &node.outputs {
                let order = identity(self.rank(output));
                self.put(output, format!("{} (refused)", node.origin.layer), order);
            }
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

    fn rank(&self, value: ValueId) -> usize {
        self.graph.shape(value).rank()
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
}

/// A refusal at `origin`.
fn inexpressible(origin: &Origin, message: impl Into<String>) -> Box<Finding> {
    Box::new(Finding::error(INEXPRESSIBLE, origin, message))
}

/// A parameter that could not be viewed as the archive wants it.
fn viewed<T>(result: Result<T, caribou_ir::TensorError>, origin: &Origin) -> Lowered<T> {
    result.map_err(|error| Box::new(Finding::error(PARAMETER, origin, error.to_string())))
}
