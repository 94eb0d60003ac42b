//! Where a network ends: cut off behind a layer, or another layer in place of the last.

use super::block::{Function, Head, dense};
use super::initialise::Initialiser;
use super::layers::{Layers, value_of};
use super::rebuild::{Rebuild, needed};
use super::resize::refit_conv;
use super::{Replacement, TransferError, layout};
use caribou_ir::op::Activation;
use caribou_ir::{Graph, Loss, LossKind, Node, NodeId, Op, Port, Producer, Training};
use std::collections::HashSet;

/// The graph without what depends on a layer, which becomes an output.
pub(super) fn cut(graph: &Graph, layer: &str, training: &mut Training) -> Result<Graph, TransferError> {
    const OPTION: &str = "--remove-after";
    let layers = Layers::of(graph);
    let nodes = layers.find(layer, OPTION)?;
    let value = value_of(graph, nodes, OPTION)?;
    let behind = |port: &Port| {
        let needed = needed(graph, &[port.value]);
        port.value != value && nodes.iter().any(|id| needed.contains(id))
    };
    let kept: Vec<usize> = (0..graph.outputs().len())
        .filter(|&i| !behind(&graph.outputs()[i]))
        .collect();
    let already = kept.iter().any(|&i| graph.outputs()[i].value == value);
    let mut values: Vec<_> = kept.iter().map(|&i| graph.outputs()[i].value).collect();
    values.push(value);
    let rebuild = Rebuild::with_nodes_of(graph, &values)?;
    let mut ports: Vec<Port> = kept
        .iter()
        .map(|&i| {
            let port = &graph.outputs()[i];
            Port {
                value: rebuild.value(port.value),
                ..port.clone()
            }
        })
        .collect();
    if !already {
        ports.push(Port {
            name: layer.to_owned(),
            source_name: layer.to_owned(),
            value: rebuild.value(value),
            layout: layout::of(graph, value),
            index_bound: None,
        });
    }
    let moved = |loss: Loss| {
        let output = kept.iter().position(|&kept| kept == loss.output)?;
        Some(Loss { output, ..loss })
    };
    training.losses = std::mem::take(&mut training.losses)
        .into_iter()
        .filter_map(moved)
        .collect();
    let mut new = rebuild.new;
    for port in &ports {
        new.output_like(port, port.value);
    }
    Ok(new)
}

/// The dense layer or convolution that ends an output, and what follows it.
struct End<'g> {
    id: NodeId,
    node: &'g Node,
    /// In the order of execution.
    tail: Vec<NodeId>,
}

impl End<'_> {
    /// A layer of the same kind with other units or filters, and the axis that counts these.
    fn with(
        &self,
        units: usize,
        rank: usize,
        option: &'static str,
        initialiser: &mut Initialiser,
    ) -> Result<(Op, usize), TransferError> {
        let origin = &self.node.origin;
        match &self.node.op {
            Op::Dense(old) => {
                let op = dense(origin, old.weight.shape()[0], units, initialiser)?;
                Ok((op.into(), rank - 1))
            }
            Op::Conv(old) => {
                let mut op = old.clone();
                let channels = old.weight.shape()[1] * old.groups;
                refit_conv(&mut op, channels, Some(units), (option, origin), initialiser)?;
                Ok((op.into(), 1))
            }
            _ => Err(TransferError::layer(
                option,
                origin,
                "it is no dense layer and no convolution",
            )),
        }
    }
}

/// The graph with another layer in place of the dense one, or the convolution, that ends an output.
pub(super) fn replace(
    graph: &Graph,
    replacement: &Replacement,
    training: &mut Training,
    initialiser: &mut Initialiser,
) -> Result<Graph, TransferError> {
    const OPTION: &str = "--replace-output";
    let position = output(graph, replacement, OPTION)?;
    let port = &graph.outputs()[position];
    let end = end(graph, port, OPTION)?;
    let others: Vec<_> = graph
        .outputs()
        .iter()
        .enumerate()
        .filter(|(i, _)| *i != position)
        .map(|(_, port)| port.value)
        .collect();
    if needed(graph, &others).contains(&end.id) {
        let message = "another output depends on it too";
        return Err(TransferError::layer(OPTION, &end.node.origin, message));
    }
    let Head {
        units,
        function,
        loss,
    } = replacement.head;
    let values: Vec<_> = others.iter().copied().chain([end.node.inputs[0]]).collect();
    let mut rebuild = Rebuild::with_nodes_of(graph, &values)?;
    let origin = &end.node.origin;
    let x = rebuild.value(end.node.inputs[0]);
    let rank = rebuild.new.shape(x).rank();
    let (op, axis) = end.with(units, rank, OPTION, initialiser)?;
    let mut y = rebuild.apply(op, x, origin)?;
    if let Some(op) = function.and_then(|function| function.op(axis)) {
        y = rebuild.apply(op, y, origin)?;
    }
    for id in end.tail {
        let node = graph.node(id);
        let is_function = matches!(node.op, Op::Activate(_) | Op::Softmax(_) | Op::LogSoftmax(_));
        if !(is_function && function.is_some()) {
            y = rebuild.apply(node.op.clone(), y, &node.origin)?;
        }
    }
    if loss.is_some() || function.is_some() {
        training.losses.retain(|loss| loss.output != position);
        let kind = loss.unwrap_or_else(|| usual_loss(function));
        training.losses.push(dl4j_loss(position, kind));
    }
    // Whatever the old layer was, this one learns.
    training.layers.remove(&*origin.layer);
    let port = Port {
        value: y,
        ..port.clone()
    };
    Ok(rebuild.finish(&[(position, port)]))
}

/// The output that is meant.
fn output(graph: &Graph, replacement: &Replacement, option: &'static str) -> Result<usize, TransferError> {
    let ports = graph.outputs();
    let known = || ports.iter().map(|port| port.name.clone()).collect::<Vec<_>>();
    match &replacement.output {
        None if ports.len() == 1 => Ok(0),
        None => Err(TransferError::option(
            option,
            format!(
                "the network has several outputs: say OUTPUT=N; there are {}",
                known().join(", ")
            ),
        )),
        Some(name) => ports
            .iter()
            .position(|port| port.name == *name || port.source_name == *name)
            .ok_or_else(|| TransferError::Unknown {
                option,
                what: "output",
                name: name.clone(),
                known: known(),
            }),
    }
}

fn end<'g>(graph: &'g Graph, port: &Port, option: &'static str) -> Result<End<'g>, TransferError> {
    let consumers = graph.consumers();
    let mut tail = Vec::new();
    let mut value = port.value;
    loop {
        let Producer::Node(id, _) = graph.value(value).producer else {
            let message = format!(
                "the output {} depends on no dense layer and no convolution",
                port.name
            );
            return Err(TransferError::option(option, message));
        };
        let node = graph.node(id);
        let distinct: HashSet<&NodeId> = consumers[value.index()].iter().collect();
        match &node.op {
            _ if distinct.len() > 1
                || (value != port.value && graph.outputs().iter().any(|port| port.value == value)) =>
            {
                let message = "more than what ends the network reads it";
                return Err(TransferError::layer(option, &node.origin, message));
            }
            Op::Dense(_) | Op::Conv(_) => {
                tail.reverse();
                return Ok(End { id, node, tail });
            }
            Op::Activate(_)
            | Op::Softmax(_)
            | Op::LogSoftmax(_)
            | Op::Identity(_)
            | Op::Noise(_)
            | Op::Transpose(_) => {
                tail.push(id);
                value = node.inputs[0];
            }
            _ => {
                let message = "it ends the network, and is no dense layer and no convolution: cut it off with --remove-after and give --append, or \
                               change the number of its filters with --resize";
                return Err(TransferError::layer(option, &node.origin, message));
            }
        }
    }
}

/// The loss that goes with a function.
pub(super) fn usual_loss(function: Option<Function>) -> LossKind {
    match function {
        Some(Function::Softmax) => LossKind::CategoricalCrossEntropy,
        Some(Function::Elements(Activation::Sigmoid)) => LossKind::BinaryCrossEntropy,
        _ => LossKind::MeanSquaredError,
    }
}

/// A loss as DL4J computes it.
pub(super) fn dl4j_loss(output: usize, kind: LossKind) -> Loss {
    let clip = match kind {
        LossKind::BinaryCrossEntropy => 1e-5,
        _ => 1e-10,
    };
    Loss {
        output,
        kind,
        weight: 1.0,
        features: Vec::new(),
        clip,
        summed: true,
    }
}
