//! The softened outputs of a network that teaches another one (Hinton et al. 2015).

use super::TransferError;
use super::rebuild::Rebuild;
use caribou_ir::op::{Softmax, Unary, UnaryKind};
use caribou_ir::{Graph, Node, NodeId, Op, Port, Producer, ValueId};

const OPTION: &str = "soften";

/// The softmax that makes an output, and what only brings its numbers into another order.
struct End {
    logits: ValueId,
    softmax: Softmax,
    id: NodeId,
    /// In the order of execution.
    tail: Vec<NodeId>,
}

/// The graph whose outputs are the softmax of the logits divided by `temperature`.
///
/// # Errors
/// When the temperature is not above zero, or an output is no softmax.
pub fn soften(graph: &Graph, temperature: f64) -> Result<Graph, TransferError> {
    if !(temperature > 0.0 && temperature.is_finite()) {
        let message = format!("{temperature} is no temperature: expected a number above zero");
        return Err(TransferError::option("--temperature", message));
    }
    let mut ends = Vec::with_capacity(graph.outputs().len());
    for port in graph.outputs() {
        ends.push(end(graph, port)?);
    }
    let logits: Vec<ValueId> = ends.iter().map(|end| end.logits).collect();
    let mut rebuild = Rebuild::with_nodes_of(graph, &logits)?;
    let kind = UnaryKind::Affine {
        scale: 1.0 / temperature,
        shift: 0.0,
    };
    let mut ports = Vec::with_capacity(ends.len());
    for (i, (end, port)) in ends.iter().zip(graph.outputs()).enumerate() {
        let origin = &graph.node(end.id).origin;
        let mut y = rebuild.value(end.logits);
        y = rebuild.apply(Unary { kind }, y, origin)?;
        y = rebuild.apply(end.softmax, y, origin)?;
        for &id in &end.tail {
            let node = graph.node(id);
            y = rebuild.apply(node.op.clone(), y, &node.origin)?;
        }
        let port = Port {
            value: y,
            ..port.clone()
        };
        ports.push((i, port));
    }
    Ok(rebuild.finish(&ports))
}

fn end(graph: &Graph, port: &Port) -> Result<End, TransferError> {
    let mut tail = Vec::new();
    let mut value = port.value;
    loop {
        let Producer::Node(id, _) = graph.value(value).producer else {
            let message = format!("the output {} is an input of the network", port.name);
            return Err(TransferError::option(OPTION, message));
        };
        let node: &Node = graph.node(id);
        match &node.op {
            Op::Softmax(softmax) => {
                tail.reverse();
                return Ok(End {
                    logits: node.inputs[0],
                    softmax: *softmax,
                    id,
                    tail,
                });
            }
            Op::Identity(_) | Op::Transpose(_) | Op::Noise(_) => {
                tail.push(id);
                value = node.inputs[0];
            }
            _ => {
                let message = format!(
                    "the output {} ends here, which is no softmax: there are no classes to soften",
                    port.name
                );
                return Err(TransferError::layer(OPTION, &node.origin, message));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use caribou_ir::op::{Activation, Operator};
    use caribou_ir::{Layout, Origin, Shape};

    fn network(end: impl Into<Op>) -> Graph {
        let mut graph = Graph::new();
        let x = graph.input("x", Shape::batched(&[3]), Layout::Plain);
        let y = graph.apply(end, &[x], &Origin::new("end", "Activation")).unwrap();
        graph.output("y", y, Layout::Plain);
        graph
    }

    #[test]
    fn logits_are_divided_in_front_of_the_softmax() {
        let soft = soften(&network(Softmax { axis: 1 }), 4.0).unwrap();
        let ops: Vec<&Op> = soft.nodes().map(|(_, node)| &node.op).collect();
        assert_eq!(ops.len(), 2);
        let Op::Unary(Unary {
            kind: UnaryKind::Affine { scale, shift },
        }) = ops[0]
        else {
            panic!("{}", ops[0].name())
        };
        assert_eq!((*scale, *shift), (0.25, 0.0));
        assert!(matches!(ops[1], Op::Softmax(_)));
    }

    #[test]
    fn other_outputs_and_temperatures_are_refused_by_name() {
        let error = soften(&network(Activation::Sigmoid), 2.0)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("end (Activation)") && error.contains("output y"),
            "{error}"
        );
        for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(soften(&network(Softmax { axis: 1 }), temperature).is_err());
        }
    }
}
