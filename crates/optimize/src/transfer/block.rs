//! What is added at the end of a network.

use super::initialise::Initialiser;
use super::layers::Layers;
use super::output::{dl4j_loss, usual_loss};
use super::rebuild::Rebuild;
use super::{TransferError, layout};
use caribou_ir::op::{
    Activate, Activation, BatchNorm, Dense, Noise, NoiseKind, Op, Reduce, ReduceKind, Reshape, Softmax,
    Transpose,
};
use caribou_ir::{Graph, Layout, LossKind, Origin, Port, Training, ValueId};

const OPTION: &str = "--append";

/// The function of a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Function {
    /// Of each number alone.
    Elements(Activation),
    /// Over all units.
    Softmax,
}

impl Function {
    /// The operator, on this axis; `None` for the identity.
    pub(super) fn op(self, axis: usize) -> Option<Op> {
        match self {
            Self::Elements(Activation::Linear) => None,
            Self::Elements(function) => Some(Activate { function }.into()),
            Self::Softmax => Some(Softmax { axis }.into()),
        }
    }
}

/// An output layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Head {
    /// How many numbers it gives.
    pub units: usize,
    /// Its function; where it takes the place of another layer, that of this layer if absent, else the identity.
    pub function: Option<Function>,
    /// Its loss, as DL4J computes it; the one that goes with the function if absent.
    pub loss: Option<LossKind>,
}

/// A layer that is added.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Block {
    /// `y = f(x W + b)`; images and volumes are flattened first, sequences treated step by step.
    Dense {
        /// How many numbers it gives.
        units: usize,
        /// Its function.
        function: Function,
    },
    /// Zeroes a share of all numbers in training.
    Dropout {
        /// The share.
        rate: f64,
    },
    /// Normalises each channel.
    BatchNorm,
    /// A function alone.
    Activation(Function),
    /// The mean or the largest number of each channel.
    GlobalPool(ReduceKind),
    /// All numbers of an example in one row.
    Flatten,
    /// A dense layer with a loss.
    Output(Head),
}

/// The graph with a block behind its only output.
pub(super) fn append(
    graph: &Graph,
    block: &Block,
    training: &mut Training,
    initialiser: &mut Initialiser,
) -> Result<Graph, TransferError> {
    let [port] = graph.outputs() else {
        return Err(TransferError::option(
            OPTION,
            format!(
                "the network has {} outputs; cut it to one with --remove-after",
                graph.outputs().len()
            ),
        ));
    };
    let (name, kind) = match block {
        Block::Dense { .. } => ("dense", "Dense"),
        Block::Dropout { .. } => ("dropout", "Dropout"),
        Block::BatchNorm => ("batch_normalization", "BatchNormalization"),
        Block::Activation(_) => ("activation", "Activation"),
        Block::GlobalPool(_) => ("global_pooling", "GlobalPooling"),
        Block::Flatten => ("flatten", "Flatten"),
        Block::Output(_) => ("output", "Output"),
    };
    let layer = Origin::new(Layers::of(graph).fresh(name), kind);
    let mut rebuild = Rebuild::with_nodes_of(graph, &[port.value])?;
    let x = rebuild.value(port.value);
    let order = layout::of(graph, port.value);
    let mut end = End {
        rebuild: &mut rebuild,
        order,
        origin: &layer,
    };
    let y = end.block(x, block, initialiser)?;
    let order = end.order;
    // What was an output is none any more, and has no loss.
    training.losses.retain(|loss| loss.output != 0);
    if let Block::Output(head) = block {
        let loss = head.loss.unwrap_or_else(|| usual_loss(head.function));
        training.losses.push(dl4j_loss(0, loss));
    }
    let port = Port {
        name: layer.layer.to_string(),
        source_name: layer.layer.to_string(),
        value: y,
        layout: order,
        index_bound: None,
    };
    Ok(rebuild.finish(&[(0, port)]))
}

/// The end of a graph, which grows.
struct End<'r, 'g> {
    rebuild: &'r mut Rebuild<'g>,
    /// What the axes of its value mean.
    order: Layout,
    origin: &'r Origin,
}

impl End<'_, '_> {
    fn rank(&self, x: ValueId) -> usize {
        self.rebuild.new.shape(x).rank()
    }

    fn apply(&mut self, op: impl Into<Op>, x: ValueId) -> Result<ValueId, TransferError> {
        self.rebuild.apply(op, x, self.origin)
    }

    fn block(
        &mut self,
        x: ValueId,
        block: &Block,
        initialiser: &mut Initialiser,
    ) -> Result<ValueId, TransferError> {
        match *block {
            Block::Dense { units, function } => self.dense(x, units, function, initialiser),
            Block::Output(Head { units, function, .. }) => {
                let function = function.unwrap_or(Function::Elements(Activation::Linear));
                self.dense(x, units, function, initialiser)
            }
            Block::Dropout { rate } => {
                let kind = NoiseKind::Dropout { rate };
                self.apply(Noise { kind }, x)
            }
            Block::Activation(function) => {
                let axis = self.channels(x);
                function.op(axis).map_or(Ok(x), |op| self.apply(op, x))
            }
            Block::Flatten => self.flatten(x),
            Block::GlobalPool(kind) => {
                let rank = self.rank(x);
                let channels = self.channels(x);
                let axes: Vec<usize> = (1..rank).filter(|&axis| axis != channels).collect();
                if axes.is_empty() {
                    let message = "there is nothing to pool: its input has no space or time";
                    return Err(TransferError::layer(OPTION, self.origin, message));
                }
                self.order = Layout::Plain;
                let keep_dims = false;
                self.apply(
                    Reduce {
                        kind,
                        axes,
                        keep_dims,
                    },
                    x,
                )
            }
            Block::BatchNorm => self.batch_norm(x, initialiser),
        }
    }

    /// The axis of the channels; there are a batch and one axis more at least.
    fn channels(&self, x: ValueId) -> usize {
        self.order.channel_axis(self.rank(x)).unwrap_or(1)
    }

    fn flatten(&mut self, x: ValueId) -> Result<ValueId, TransferError> {
        self.order = Layout::Plain;
        if self.rank(x) == 2 {
            return Ok(x);
        }
        self.apply(Reshape::flatten(), x)
    }

    fn batch_norm(&mut self, x: ValueId, initialiser: &mut Initialiser) -> Result<ValueId, TransferError> {
        let axis = self.channels(x);
        let Some(channels) = self.rebuild.new.shape(x).size(axis) else {
            let message = "the number of channels that it reads is not known";
            return Err(TransferError::layer(OPTION, self.origin, message));
        };
        let mut row = |role: &str, value: f32| initialiser.constant(self.origin, role, &[channels], value);
        let op = BatchNorm {
            axis,
            scale: Some(row("scale", 1.0)?),
            offset: Some(row("offset", 0.0)?),
            mean: row("mean", 0.0)?,
            variance: row("variance", 1.0)?,
            epsilon: 1e-5,
            momentum: 0.9,
        };
        self.apply(op, x)
    }

    fn dense(
        &mut self,
        x: ValueId,
        units: usize,
        function: Function,
        initialiser: &mut Initialiser,
    ) -> Result<ValueId, TransferError> {
        let mut y = if self.rank(x) > 3 { self.flatten(x)? } else { x };
        // Steps first: a dense layer is applied to the last axis.
        let turned = self.rank(y) == 3 && self.channels(y) == 1;
        let swap = Transpose {
            permutation: vec![0, 2, 1],
        };
        if turned {
            y = self.apply(swap.clone(), y)?;
        }
        let last = self.rank(y) - 1;
        let Some(features) = self.rebuild.new.shape(y).size(last) else {
            let message = format!(
                "the number of features that it reads is not known: {}",
                self.rebuild.new.shape(y)
            );
            return Err(TransferError::layer(OPTION, self.origin, message));
        };
        let op = dense(self.origin, features, units, initialiser)?;
        y = self.apply(op, y)?;
        if let Some(op) = function.op(last) {
            y = self.apply(op, y)?;
        }
        if turned { self.apply(swap, y) } else { Ok(y) }
    }
}

/// A new dense layer.
pub(super) fn dense(
    origin: &Origin,
    features: usize,
    units: usize,
    initialiser: &mut Initialiser,
) -> Result<Dense, TransferError> {
    let fans = (features as f64, units as f64);
    Ok(Dense {
        weight: initialiser.kernel(origin, "weight", &[features, units], fans)?,
        bias: Some(initialiser.constant(origin, "bias", &[units], 0.0)?),
    })
}
