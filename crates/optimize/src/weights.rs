//! The parameters that passes change: kernels and tables. Biases, statistics and scales are few, and stay; so do scales that are
//! written as convolutions of one number for each channel.

use crate::OptimizeError;
use crate::kernels::{KernelError, Kernels};
use caribou_ir::layout::inverse;
use caribou_ir::op::{Op, Operator};
use caribou_ir::{Graph, NodeId, Origin, Tensor, Values};

/// What a weight is to its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightKind {
    /// The kernel of a convolution.
    Convolution,
    /// The matrix of a fully connected layer.
    Dense,
    /// A matrix of a recurrent layer.
    Recurrent,
    /// A projection of attention.
    Attention,
    /// A table of learned vectors.
    Embedding,
}

/// One weight of a graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Weight {
    /// The node.
    pub node: NodeId,
    /// The position among the operator's parameters.
    pub position: usize,
    /// The parameter's role.
    pub role: &'static str,
    /// The layer.
    pub origin: Origin,
    /// What it is to its layer.
    pub kind: WeightKind,
    /// The axis whose entries are its output channels.
    pub channel_axis: usize,
    /// Its sizes.
    pub shape: Vec<usize>,
}

/// All weights, in the order of the graph.
pub fn weights(graph: &Graph) -> Vec<Weight> {
    let mut list = Vec::new();
    for (id, node) in graph.nodes() {
        let (kind, channel_axis) = match &node.op {
            Op::Conv(_) => (WeightKind::Convolution, 0),
            Op::ConvTranspose(_) => (WeightKind::Convolution, 1),
            Op::Dense(_) => (WeightKind::Dense, 1),
            Op::Recurrent(_) => (WeightKind::Recurrent, 1),
            Op::Attention(_) => (WeightKind::Attention, 1),
            Op::Embedding(_) => (WeightKind::Embedding, 1),
            _ => continue,
        };
        for (position, (role, tensor)) in node.op.parameters().into_iter().enumerate() {
            let shape = tensor.shape();
            // A depthwise convolution of one number for each channel is a scale.
            let scale = matches!(&node.op, Op::Conv(conv) if conv.groups > 1 && conv.groups == tensor.len());
            if tensor.rank() >= 2 && !tensor.is_empty() && !scale {
                list.push(Weight {
                    node: id,
                    position,
                    role,
                    origin: node.origin.clone(),
                    kind,
                    channel_axis,
                    shape,
                });
            }
        }
    }
    list
}

impl Weight {
    /// The stored numbers.
    pub fn tensor<'g>(&self, graph: &'g Graph) -> Option<&'g Tensor> {
        let mut parameters = graph.node(self.node).op.parameters().into_iter();
        parameters.nth(self.position).map(|(_, tensor)| tensor)
    }

    /// The numbers with the axes in this order, as they are stored.
    ///
    /// # Errors
    /// When the graph has no such weight.
    pub(crate) fn ordered(&self, graph: &Graph, order: &[usize]) -> Result<Tensor, OptimizeError> {
        let missing = || OptimizeError::layer(&self.origin, format!("it has no {}", self.role));
        let tensor = self.tensor(graph).ok_or_else(missing)?;
        tensor.permute(order).map_err(OptimizeError::tensor(&self.origin))
    }

    /// The numbers in memory, with the axes in this order.
    ///
    /// # Errors
    /// When they can't be read, or one is NaN or infinite.
    pub(crate) fn load(&self, graph: &Graph, order: &[usize]) -> Result<Values, OptimizeError> {
        let tensor = self.ordered(graph, order)?;
        let kernels = Kernels::best();
        let not_finite = |start, block: &[f32]| Some(start + kernels.not_finite(block)?);
        let (values, found) = tensor
            .to_values(not_finite)
            .map_err(OptimizeError::tensor(&self.origin))?;
        match found.into_iter().flatten().next() {
            Some(index) => Err(OptimizeError::NotFinite {
                origin: self.origin.clone(),
                role: self.role.to_owned(),
                index: self.index(order, index),
                value: values[index],
            }),
            None => Ok(values),
        }
    }

    /// Where, in C order of the weight as the layer has it, the element is that has this place in C order of these axes.
    fn index(&self, order: &[usize], mut place: usize) -> usize {
        let mut along = vec![0; self.shape.len()];
        for &axis in order.iter().rev() {
            along[axis] = place % self.shape[axis];
            place /= self.shape[axis];
        }
        let axes = along.iter().zip(&self.shape);
        axes.fold(0, |index, (i, size)| index * size + i)
    }

    /// The order of axes in which the channels come first.
    pub(crate) fn channels_first(&self) -> Vec<usize> {
        let others = (0..self.shape.len()).filter(|&axis| axis != self.channel_axis);
        std::iter::once(self.channel_axis).chain(others).collect()
    }

    /// The order of the axes as they are.
    pub(crate) fn plain(&self) -> Vec<usize> {
        (0..self.shape.len()).collect()
    }

    /// How many output channels there are, and how many numbers each has.
    pub(crate) fn matrix(&self) -> (usize, usize) {
        let channels = self.shape[self.channel_axis];
        let elements: usize = self.shape.iter().product();
        (channels, elements / channels.max(1))
    }

    /// Puts numbers that are in `order` into the graph; gives them as they are stored.
    pub(crate) fn store(
        &self,
        graph: &mut Graph,
        order: &[usize],
        values: Values,
    ) -> Result<Tensor, OptimizeError> {
        let read = OptimizeError::tensor(&self.origin);
        let sizes: Vec<usize> = order.iter().map(|&axis| self.shape[axis]).collect();
        let stored = Tensor::from_values(&sizes, values).map_err(&read)?;
        let viewed = stored.permute(&inverse(order)).map_err(&read)?;
        let mut parameters = graph.op_mut(self.node).parameters_mut();
        if let Some((_, tensor)) = parameters.get_mut(self.position) {
            **tensor = viewed;
        }
        Ok(stored)
    }

    /// Puts the numbers of `base` into the graph.
    pub(crate) fn restore(&self, base: &Graph, graph: &mut Graph) {
        let mut parameters = graph.op_mut(self.node).parameters_mut();
        if let (Some((_, tensor)), Some(stored)) = (parameters.get_mut(self.position), self.tensor(base)) {
            **tensor = stored.clone();
        }
    }

    /// A kernel's complaint, with the layer's name.
    pub(crate) fn failed(&self, error: KernelError) -> OptimizeError {
        match error {
            KernelError::NotFinite { index, value } => OptimizeError::NotFinite {
                origin: self.origin.clone(),
                role: self.role.to_owned(),
                index,
                value,
            },
            error => OptimizeError::layer(&self.origin, format!("its {}: {error}", self.role)),
        }
    }
}
