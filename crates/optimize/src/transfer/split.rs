//! A frozen bottom and the head that learns, as two networks: what the bottom gives can be computed once, and the head
//! trained on it alone.

use super::TransferError;
use caribou_ir::{Dim, Graph, NodeId, Op, Port, Producer, Shape, Training, ValueId};
use std::collections::{HashMap, HashSet};

const OPTION: &str = "--featurize";

/// The two halves of a network. What the bottom gives, in the order of its outputs, is what the head takes.
#[derive(Debug, Clone)]
pub struct Halves {
    /// All that does not learn, and that nothing that learns is in front of.
    pub bottom: Graph,
    /// The rest.
    pub head: Graph,
    /// How the head is to be trained.
    pub training: Training,
}

/// Cuts a network where its frozen front ends.
///
/// # Errors
/// When nothing is frozen, or all is.
pub fn split(graph: &Graph, training: &Training) -> Result<Halves, TransferError> {
    let frozen = |id: NodeId| {
        let node = graph.node(id);
        let layer = training.layers.get(&*node.origin.layer);
        layer.is_some_and(|layer| layer.frozen)
    };
    let mut bottom: HashSet<NodeId> = HashSet::new();
    for (id, node) in graph.nodes() {
        let still = |value: &ValueId| match graph.value(*value).producer {
            Producer::Input(_) => true,
            Producer::Node(from, _) => bottom.contains(&from),
        };
        if frozen(id) && node.inputs.iter().all(still) {
            bottom.insert(id);
        }
    }
    let in_bottom = |value: ValueId| match graph.value(value).producer {
        Producer::Input(_) => true,
        Producer::Node(id, _) => bottom.contains(&id),
    };
    if bottom.is_empty() {
        return Err(TransferError::option(OPTION, "no layer at the front is frozen"));
    }
    if let Some(port) = graph.outputs().iter().find(|port| in_bottom(port.value)) {
        return Err(TransferError::option(
            OPTION,
            format!(
                "the output {} depends on frozen layers alone: nothing of it learns",
                port.name
            ),
        ));
    }
    // What the head reads: constants are its own.
    let mut seam: Vec<ValueId> = Vec::new();
    for (_, node) in graph.nodes().filter(|(id, _)| !bottom.contains(id)) {
        for &value in &node.inputs {
            if in_bottom(value) && !seam.contains(&value) {
                seam.push(value);
            }
        }
    }
    let below = bottom_of(graph, &bottom, &seam)?;
    let above = head_of(graph, &bottom, &below, &seam)?;
    let mut training = training.clone();
    training
        .layers
        .retain(|name, _| above.nodes().any(|(_, node)| *node.origin.layer == **name));
    training.state = None;
    Ok(Halves {
        bottom: below,
        head: above,
        training,
    })
}

/// The name of what passes a seam: that of the layer, or of the input.
fn name_of(graph: &Graph, value: ValueId) -> String {
    match graph.value(value).producer {
        Producer::Input(position) => graph.inputs()[position].name.clone(),
        Producer::Node(id, _) => graph.node(id).origin.layer.to_string(),
    }
}

fn bottom_of(graph: &Graph, bottom: &HashSet<NodeId>, seam: &[ValueId]) -> Result<Graph, TransferError> {
    let (mut new, mut values) = graph.same_inputs();
    for (_, node) in graph.nodes().filter(|(id, _)| bottom.contains(id)) {
        new.push_mapped(node, node.op.clone(), &mut values)
            .map_err(TransferError::misfit(&node.origin))?;
    }
    for &value in seam {
        let mut name = name_of(graph, value);
        let mut n = 1;
        while new.outputs().iter().any(|port| port.name == name) {
            n += 1;
            name = format!("{}_{n}", name_of(graph, value));
        }
        let port = Port {
            name: name.clone(),
            source_name: name,
            value: values[&value],
            layout: super::layout::of(graph, value),
            index_bound: None,
        };
        new.output_like(&port, port.value);
    }
    Ok(new)
}

fn head_of(
    graph: &Graph,
    bottom: &HashSet<NodeId>,
    below: &Graph,
    seam: &[ValueId],
) -> Result<Graph, TransferError> {
    let mut new = Graph::new();
    let mut values = HashMap::new();
    let mut unknown: HashMap<u32, Dim> = HashMap::new();
    for (&value, port) in seam.iter().zip(below.outputs()) {
        let dims: Vec<Dim> = graph
            .shape(value)
            .dims()
            .iter()
            .map(|dim| match *dim {
                Dim::Unknown(id) => *unknown.entry(id).or_insert_with(|| new.unknown()),
                known => known,
            })
            .collect();
        values.insert(value, new.input(port.name.clone(), Shape::new(dims), port.layout));
    }
    for (_, node) in graph.nodes().filter(|(id, _)| !bottom.contains(id)) {
        if matches!(node.op, Op::Constant(_)) || node.inputs.iter().all(|value| values.contains_key(value)) {
            new.push_mapped(node, node.op.clone(), &mut values)
                .map_err(TransferError::misfit(&node.origin))?;
        }
    }
    for port in graph.outputs() {
        let Some(&value) = values.get(&port.value) else {
            let message = format!(
                "the output {} does not depend on the frozen layers alone",
                port.name
            );
            return Err(TransferError::option(OPTION, message));
        };
        new.output_like(port, value);
    }
    Ok(new)
}
