//! Operators that DL4J has no layer for, put together from operators that it has.
//!
//! The pass runs before [`lower`](crate::lower): it copies the graph node by node and asks [`composition`] for each
//! operator. What a composition adds is looked up again, so that one may be built on another. Every composition is
//! exact up to the rounding of single operations, or states its error bound in its [`Rewrite`]. What can't be composed
//! is left as it is, or made [`Opaque`] with the reason, for the lowering to refuse by name. One file a family.

mod activation;
mod arg_max;
mod arithmetic;
mod attention;
mod bidirectional;
mod cell;
mod constant;
mod conv;
mod elementwise;
mod embedding;
mod frozen;
mod gate;
mod logarithm;
mod norm;
mod pool;
mod power;
mod product;
mod reduce;
mod resize;
mod select;
mod sign;
mod unroll;

use caribou_ir::op::{Activate, Activation, Elementwise, ElementwiseKind, Op, Opaque, Unary, UnaryKind};
use caribou_ir::{Finding, Findings, Graph, NodeId, Origin, Rewrite, ShapeError, ValueId, WriteOptions};
use std::collections::{HashMap, HashSet};

pub(crate) use attention::vertex_scale;
pub(crate) use unroll::{has_layer, is_stock};

/// Why an operator was not composed.
enum Failure {
    /// What the composition adds does not fit its inputs.
    Misfit(ShapeError),
    /// It can't be, for this reason.
    Inexpressible(String),
}

impl From<ShapeError> for Failure {
    fn from(error: ShapeError) -> Self {
        Self::Misfit(error)
    }
}

/// The values of the composition; `None` when the operator stays as it is.
type Composed = Result<Option<Vec<ValueId>>, Failure>;

/// A graph of operators that the lowering knows, as far as they can be composed, and how it came about.
pub(crate) struct Legal {
    pub(crate) graph: Graph,
    pub(crate) rewrites: Vec<Rewrite>,
    pub(crate) findings: Findings,
    /// Nodes whose parameters belong to a composition and are none of the source: training must leave them alone.
    pub(crate) fixed: HashSet<NodeId>,
    /// Layers whose composition is exact only within a bound, with that bound.
    pub(crate) inexact: HashMap<String, String>,
}

/// Composes what can be composed.
///
/// # Errors
/// Only when the graph is not sound: an operator that does not fit its inputs.
pub(crate) fn legalize(graph: &Graph, options: &WriteOptions) -> Result<Legal, ShapeError> {
    let mut rewrites = Vec::new();
    let graph = &*arithmetic::lifted(graph, &mut rewrites)?;
    let (new, mut values) = graph.same_inputs();
    let mut legal = Legal {
        graph: new,
        rewrites,
        findings: Findings::new(),
        fixed: HashSet::new(),
        inexact: HashMap::new(),
    };
    let mut steps = HashMap::new();
    let frozen = frozen::behind_learning(graph, options.training.as_ref());
    let used = used(graph);
    // In an order that does not depend on the reader: layers and parameters stand in it in the archive.
    for id in graph.depth_first() {
        let node = graph.node(id);
        let inputs: Vec<ValueId> = node.inputs.iter().map(|input| values[input]).collect();
        let mut step = Step {
            graph: &mut legal.graph,
            rewrites: &mut legal.rewrites,
            findings: &mut legal.findings,
            fixed: &mut legal.fixed,
            inexact: &mut legal.inexact,
            steps: &mut steps,
            frozen: frozen.contains(&id),
            options,
            origin: &node.origin,
        };
        let mut op = node.op.clone();
        if let Op::Recurrent(op) = &mut op {
            op.states &= node.outputs.iter().skip(1).any(|output| used[output.index()]);
        }
        let outputs = match step.push(op, &inputs) {
            Ok(outputs) => outputs,
            Err(Failure::Misfit(error)) => return Err(error),
            Err(Failure::Inexpressible(reason)) => {
                let outputs = node.outputs.iter().map(|&output| graph.shape(output).clone());
                let opaque = Opaque {
                    reason,
                    outputs: outputs.collect(),
                };
                legal.graph.push(opaque, &inputs, &node.origin)?
            }
        };
        values.extend(node.outputs.iter().copied().zip(outputs));
    }
    for port in graph.outputs() {
        legal.graph.output_like(port, values[&port.value]);
    }
    Ok(legal)
}

/// Whether each value is an output, or read on the way to one.
fn used(graph: &Graph) -> Vec<bool> {
    let mut used = vec![false; graph.value_count()];
    for port in graph.outputs() {
        used[port.value.index()] = true;
    }
    for (_, node) in graph.nodes().rev() {
        if node.outputs.iter().any(|output| used[output.index()]) {
            node.inputs.iter().for_each(|input| used[input.index()] = true);
        }
    }
    used
}

/// The composition of an operator, by its kind.
fn composition(step: &mut Step<'_>, op: &Op, inputs: &[ValueId]) -> Composed {
    match op {
        Op::Activate(op) => activation::activate(step, op.function, inputs),
        Op::ArgMax(op) => arg_max::arg_max(step, *op, inputs),
        Op::BatchNorm(op) => frozen::batch_norm(step, op, inputs),
        Op::Attention(op) => attention::attention(step, op, inputs),
        Op::MatMul(op) => product::mat_mul(step, op, inputs),
        Op::Conv(op) => conv::conv(step, op, inputs),
        Op::ConvTranspose(op) => conv::conv_transpose(step, op, inputs),
        Op::DepthToSpace(op) => resize::depth_to_space(step, *op, inputs),
        Op::Elementwise(op) => elementwise::several(step, op.kind, inputs),
        Op::Embedding(op) => embedding::embedding(step, op, inputs),
        Op::Gather(op) => select::gather(step, op, inputs),
        Op::PRelu(op) => activation::prelu(step, op, inputs),
        Op::Pad(op) => select::pad(step, op, inputs),
        Op::Pool(op) => pool::pool(step, op, inputs),
        Op::Reduce(op) => reduce::reduce(step, op, inputs),
        Op::Resize(op) => resize::resize(step, op, inputs),
        Op::Reverse(op) => select::reverse(step, *op, inputs),
        Op::SpaceToDepth(op) => resize::space_to_depth(step, *op, inputs),
        Op::GroupNorm(op) => norm::group(step, op, inputs),
        Op::L2Normalize(op) => norm::unit(step, op, inputs),
        Op::LayerNorm(op) => norm::layer(step, op, inputs),
        Op::LogSoftmax(op) => activation::log_softmax(step, *op, inputs),
        Op::Unary(op) => elementwise::unary(step, op.kind, inputs),
        Op::Recurrent(op) => match unroll::recurrent(step, op, inputs)? {
            None => bidirectional::unlike(step, op, inputs),
            steps => Ok(steps),
        },
        Op::Slice(op) => match unroll::slice(step, op, inputs)? {
            None => select::slice(step, op, inputs),
            state => Ok(state),
        },
        _ => Ok(None),
    }
}

/// That a kernel has zeros in which the source has nothing.
pub(crate) fn zeros_learn(origin: &Origin) -> Finding {
    let message = "its kernel has zeros in places where that of the source has nothing: they will learn";
    Finding::warning(crate::EXTRA_PARAMETER, origin, message)
}

/// One node of the old graph on its way into the new one. What is added carries the node's origin.
struct Step<'s> {
    graph: &'s mut Graph,
    rewrites: &'s mut Vec<Rewrite>,
    findings: &'s mut Findings,
    fixed: &'s mut HashSet<NodeId>,
    inexact: &'s mut HashMap<String, String>,
    /// The steps of sequences that were put together from single ones.
    steps: &'s mut HashMap<ValueId, Vec<ValueId>>,
    /// Whether the node stays as it is in training, and gradients go through it.
    frozen: bool,
    options: &'s WriteOptions,
    origin: &'s Origin,
}

impl Step<'_> {
    /// Adds an operator, or its composition.
    fn push(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Result<Vec<ValueId>, Failure> {
        let op = op.into();
        if let Some(outputs) = composition(self, &op, inputs)? {
            return Ok(outputs);
        }
        Ok(self.graph.push(op, inputs, self.origin)?)
    }

    /// Adds an operator that makes one value and stays as it is.
    fn leaf(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Result<ValueId, Failure> {
        Ok(self.graph.apply(op, inputs, self.origin)?)
    }

    /// Adds an operator whose parameters are part of the composition, so that training must leave them alone.
    fn fixed(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Result<ValueId, Failure> {
        let before = self.graph.nodes().len();
        let value = self.apply(op, inputs)?;
        let added = self.graph.nodes().skip(before).map(|(node, _)| node);
        self.fixed.extend(added);
        Ok(value)
    }

    /// Adds an operator that makes one value, or its composition.
    fn apply(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Result<ValueId, Failure> {
        match self.push(op, inputs)?.as_slice() {
            [value] => Ok(*value),
            several => {
                let message = format!("expected one output, the operator has {}", several.len());
                Err(ShapeError::new(message).into())
            }
        }
    }

    /// An element-wise function of several values.
    fn elementwise(&mut self, kind: ElementwiseKind, inputs: &[ValueId]) -> Result<ValueId, Failure> {
        self.apply(Elementwise { kind }, inputs)
    }

    /// A function of every element; nothing is added for the identity.
    fn activate(&mut self, function: Activation, x: ValueId) -> Result<ValueId, Failure> {
        match function {
            Activation::Linear => Ok(x),
            function => self.apply(Activate { function }, &[x]),
        }
    }

    /// `scale * x + shift`.
    fn affine(&mut self, x: ValueId, scale: f64, shift: f64) -> Result<ValueId, Failure> {
        let kind = UnaryKind::Affine { scale, shift };
        self.apply(Unary { kind }, &[x])
    }

    /// Tells that a kernel of the layer has zeros that stand for none of the source's numbers.
    fn zeros_learn(&mut self) {
        self.findings.push(zeros_learn(self.origin));
    }

    /// Records that the layer was composed by the rule `name`, exact only within the bound that `reason` states.
    fn inexact(&mut self, name: &'static str, reason: &str) {
        self.inexact
            .insert(self.origin.layer.to_string(), reason.to_owned());
        self.rewrite(name, reason);
    }

    /// Records that the layer was composed by the rule `name`.
    fn rewrite(&mut self, name: &'static str, reason: impl Into<String>) {
        self.rewrites.push(Rewrite::new(name, self.origin, reason));
    }
}
