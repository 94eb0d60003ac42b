//! The graph itself: values, the nodes that make them, and the ports at its edges.

use crate::op::{Op, Operator};
use crate::{Dim, Infer, Origin, Shape, ShapeError};
use std::collections::HashMap;

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u32);

        impl $name {
            /// The position in the arena that the handle points into.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

handle! {
    /// A node of one [`Graph`].
    NodeId
}
handle! {
    /// A value of one [`Graph`].
    ValueId
}

/// What makes a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Producer {
    /// The graph's input at this position.
    Input(usize),
    /// This output of this node.
    Node(NodeId, usize),
}

/// An array that flows through the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// Its shape, batch axis included.
    pub shape: Shape,
    /// What makes it.
    pub producer: Producer,
}

/// An operator applied to values.
#[derive(Debug, Clone)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// The values it reads, in the operator's order.
    pub inputs: Vec<ValueId>,
    /// The values it makes, in the operator's order.
    pub outputs: Vec<ValueId>,
    /// The layer of the source it was made from.
    pub origin: Origin,
}

/// The axis order that the source used for an input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// `[N, C, D…]`.
    ChannelsFirst,
    /// `[N, D…, C]`.
    ChannelsLast,
    /// `[N, T, F]`.
    Sequence,
    /// `[N, F]`, or anything else that has no other order.
    Plain,
}

impl Layout {
    /// The permutation that brings an array of this layout and rank to the order `[N, C, D…]` (for a sequence
    /// `[N, F, T]`): axis `i` of the result is axis `permutation[i]` of the array.
    pub fn to_channels_first(self, rank: usize) -> Vec<usize> {
        match self {
            Self::ChannelsLast | Self::Sequence if rank >= 3 => {
                [0, rank - 1].into_iter().chain(1..rank - 1).collect()
            }
            _ => (0..rank).collect(),
        }
    }

    /// The axis of the channels, features or classes of an array of this layout and rank; nothing where there is none.
    pub fn channel_axis(self, rank: usize) -> Option<usize> {
        let axis = match self {
            Self::ChannelsLast | Self::Sequence => rank.checked_sub(1)?,
            Self::ChannelsFirst | Self::Plain => 1,
        };
        (axis < rank).then_some(axis)
    }
}

/// An input or output of the graph. Its value has the axis order of the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// A name that is unique among the ports of its side.
    pub name: String,
    /// The name of the layer or tensor in the source.
    pub source_name: String,
    /// The value at this port.
    pub value: ValueId,
    /// What the axes of the value mean.
    pub layout: Layout,
    /// Whether the values are indices (of an embedding, say): integers from zero up to this bound, exclusive.
    pub index_bound: Option<usize>,
}

/// A network of operators. Nodes stand in topological order.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    values: Vec<Value>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
    infer: Infer,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// A size that is unknown and equal to no other.
    pub fn unknown(&mut self) -> Dim {
        self.infer.unknown()
    }

    /// Adds an input of this shape.
    pub fn input(&mut self, name: impl Into<String>, shape: Shape, layout: Layout) -> ValueId {
        let value = self.value_of(shape, Producer::Input(self.inputs.len()));
        let name = name.into();
        self.inputs.push(Port {
            source_name: name.clone(),
            name,
            value,
            layout,
            index_bound: None,
        });
        value
    }

    /// Makes `value` an output.
    pub fn output(&mut self, name: impl Into<String>, value: ValueId, layout: Layout) {
        let name = name.into();
        self.outputs.push(Port {
            source_name: name.clone(),
            name,
            value,
            layout,
            index_bound: None,
        });
    }

    /// Adds a node and gives the values it makes.
    ///
    /// # Errors
    /// When the operator does not fit the shapes of its inputs.
    pub fn push(
        &mut self,
        op: impl Into<Op>,
        inputs: &[ValueId],
        origin: &Origin,
    ) -> Result<Vec<ValueId>, ShapeError> {
        let op = op.into();
        let shapes: Vec<&Shape> = inputs
            .iter()
            .map(|&value| &self.values[value.index()].shape)
            .collect();
        let shapes = op.infer(&shapes, &mut self.infer)?;
        let id = NodeId(self.nodes.len() as u32);
        let outputs = shapes
            .into_iter()
            .enumerate()
            .map(|(slot, shape)| self.value_of(shape, Producer::Node(id, slot)))
            .collect::<Vec<_>>();
        self.nodes.push(Node {
            op,
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
            origin: origin.clone(),
        });
        Ok(outputs)
    }

    /// Adds a node that makes one value.
    ///
    /// # Errors
    /// When the operator does not fit the shapes of its inputs, or makes another number of values.
    pub fn apply(
        &mut self,
        op: impl Into<Op>,
        inputs: &[ValueId],
        origin: &Origin,
    ) -> Result<ValueId, ShapeError> {
        match self.push(op, inputs, origin)?.as_slice() {
            [value] => Ok(*value),
            several => Err(ShapeError::new(format!(
                "expected one output, the operator has {}",
                several.len()
            ))),
        }
    }

    /// Adds a node of another graph, or another operator in its place, which reads what `values` says its inputs have become
    /// here; what its outputs have become is added to them.
    ///
    /// # Errors
    /// When one of its inputs is not among the values, or the operator does not fit their shapes.
    pub fn push_mapped(
        &mut self,
        node: &Node,
        op: impl Into<Op>,
        values: &mut HashMap<ValueId, ValueId>,
    ) -> Result<(), ShapeError> {
        let inputs: Option<Vec<ValueId>> = node
            .inputs
            .iter()
            .map(|value| values.get(value).copied())
            .collect();
        let inputs = inputs.ok_or_else(|| ShapeError::new("what it reads is not part of the new graph"))?;
        let outputs = self.push(op, &inputs, &node.origin)?;
        values.extend(node.outputs.iter().copied().zip(outputs));
        Ok(())
    }

    /// Takes back all nodes but the first `count`, with the values they make. No input may have been added since.
    pub fn truncate(&mut self, count: usize) {
        while self.nodes.len() > count
            && let Some(node) = self.nodes.pop()
        {
            self.values.truncate(self.values.len() - node.outputs.len());
        }
    }

    fn value_of(&mut self, shape: Shape, producer: Producer) -> ValueId {
        let id = ValueId(self.values.len() as u32);
        self.values.push(Value { shape, producer });
        id
    }

    /// All nodes, in topological order.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (NodeId, &Node)> + DoubleEndedIterator {
        self.nodes
            .iter()
            .enumerate()
            .map(|(i, node)| (NodeId(i as u32), node))
    }

    /// One node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The operator of one node, to change its parameters in place. Its shapes must stay as they are.
    pub fn op_mut(&mut self, id: NodeId) -> &mut Op {
        &mut self.nodes[id.index()].op
    }

    /// One value.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// The shape of a value.
    pub fn shape(&self, id: ValueId) -> &Shape {
        &self.values[id.index()].shape
    }

    /// How many values there are; every [`ValueId::index`] is below this.
    pub fn value_count(&self) -> usize {
        self.values.len()
    }

    /// The node that makes a value; `None` for an input.
    pub fn producer(&self, id: ValueId) -> Option<&Node> {
        match self.values[id.index()].producer {
            Producer::Node(node, _) => Some(&self.nodes[node.index()]),
            Producer::Input(_) => None,
        }
    }

    /// The inputs, in order.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// The inputs, to rename them or to set their meaning.
    pub fn inputs_mut(&mut self) -> &mut [Port] {
        &mut self.inputs
    }

    /// The outputs, in order.
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// The outputs, to rename them or to set their meaning.
    pub fn outputs_mut(&mut self) -> &mut [Port] {
        &mut self.outputs
    }

    /// For each value, the nodes that read it, with repetition; outputs of the graph are not among them.
    pub fn consumers(&self) -> Vec<Vec<NodeId>> {
        let mut consumers = vec![Vec::new(); self.values.len()];
        for (id, node) in self.nodes() {
            for input in &node.inputs {
                consumers[input.index()].push(id);
            }
        }
        consumers
    }

    /// The number of stored parameters, counting a tensor that several nodes share once for each of them.
    pub fn parameter_count(&self) -> usize {
        self.nodes
            .iter()
            .flat_map(|node| node.op.parameters())
            .map(|(_, tensor)| tensor.len())
            .sum()
    }

    /// The inputs' part of a new graph: same ports, same shapes, no nodes. Passes that rebuild a graph start here;
    /// the second part maps each input value of this graph to that of the new one.
    pub fn same_inputs(&self) -> (Self, HashMap<ValueId, ValueId>) {
        let mut graph = Self {
            infer: self.infer.clone(),
            ..Self::default()
        };
        let mut map = HashMap::new();
        for port in &self.inputs {
            let value = graph.value_of(
                self.shape(port.value).clone(),
                Producer::Input(graph.inputs.len()),
            );
            map.insert(port.value, value);
            graph.inputs.push(Port {
                value,
                ..port.clone()
            });
        }
        (graph, map)
    }

    /// Adds an output like `port` that shows `value`.
    pub fn output_like(&mut self, port: &Port, value: ValueId) {
        self.outputs.push(Port {
            value,
            ..port.clone()
        });
    }
}
