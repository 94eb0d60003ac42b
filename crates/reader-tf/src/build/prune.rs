//! Leaves out of a graph what its outputs do not need.

use caribou_ir::{Dim, Graph, NodeId, Producer, Shape, ShapeError, ValueId};
use std::collections::{HashMap, HashSet};

/// The nodes that the outputs need, and of the inputs the first `inputs` and no other.
///
/// # Errors
/// Never for a graph whose nodes fit their inputs.
pub(super) fn pruned(graph: &Graph, inputs: usize) -> Result<Graph, ShapeError> {
    let mut needed: HashSet<NodeId> = HashSet::new();
    let mut open: Vec<ValueId> = graph.outputs().iter().map(|port| port.value).collect();
    while let Some(value) = open.pop() {
        if let Producer::Node(node, _) = graph.value(value).producer
            && needed.insert(node)
        {
            open.extend(&graph.node(node).inputs);
        }
    }
    let mut new = Graph::new();
    let mut unknown: HashMap<u32, Dim> = HashMap::new();
    let mut values: HashMap<ValueId, ValueId> = HashMap::new();
    for port in graph.inputs().iter().take(inputs) {
        let dims: Vec<Dim> = graph
            .shape(port.value)
            .dims()
            .iter()
            .map(|&dim| match dim {
                Dim::Unknown(id) => *unknown.entry(id).or_insert_with(|| new.unknown()),
                other => other,
            })
            .collect();
        let value = new.input(port.name.as_str(), Shape::new(dims), port.layout);
        if let Some(own) = new.inputs_mut().last_mut() {
            *own = caribou_ir::Port {
                value,
                ..port.clone()
            };
        }
        values.insert(port.value, value);
    }
    for (id, node) in graph.nodes().filter(|(id, _)| needed.contains(id)) {
        let inputs: Option<Vec<ValueId>> = node
            .inputs
            .iter()
            .map(|input| values.get(input).copied())
            .collect();
        let Some(inputs) = inputs else {
            return Err(ShapeError::new(format!(
                "{} reads what could not be read",
                node.origin
            )));
        };
        let outputs = new.push(graph.node(id).op.clone(), &inputs, &node.origin)?;
        values.extend(node.outputs.iter().copied().zip(outputs));
    }
    for port in graph.outputs() {
        match values.get(&port.value) {
            Some(&value) => new.output_like(port, value),
            None => return Err(ShapeError::new(format!("output {} could not be read", port.name))),
        }
    }
    Ok(new)
}
