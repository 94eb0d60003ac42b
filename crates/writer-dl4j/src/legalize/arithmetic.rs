//! Activations that a source writes as arithmetic, read as such: the same layers whoever wrote it in whatever way, and
//! fewer of them.

use caribou_ir::function::{Function, arguments};
use caribou_ir::op::{Activate, Activation, Op};
use caribou_ir::{Graph, Node, Rewrite, ShapeError, ValueId};
use std::borrow::Cow;
use std::collections::HashMap;

/// The graph with activations in place of arithmetic that has their values.
///
/// # Errors
/// Only when the graph is not sound: an operator that does not fit its inputs.
pub(super) fn lifted<'g>(
    graph: &'g Graph,
    rewrites: &mut Vec<Rewrite>,
) -> Result<Cow<'g, Graph>, ShapeError> {
    let found: HashMap<ValueId, (Activation, ValueId)> = graph
        .nodes()
        .filter_map(|(_, node)| activation(graph, node))
        .collect();
    if found.is_empty() {
        return Ok(Cow::Borrowed(graph));
    }
    let (mut new, mut values) = graph.same_inputs();
    for (_, node) in graph.nodes() {
        let outputs = match node.outputs.first().and_then(|output| found.get(output)) {
            Some(&(function, x)) => {
                rewrites.push(Rewrite::new(
                    "activation-of-arithmetic",
                    &node.origin,
                    "the arithmetic that ends here has the values of one activation over the whole range of numbers",
                ));
                new.push(Activate { function }, &[values[&x]], &node.origin)?
            }
            None => {
                let inputs: Vec<ValueId> = node.inputs.iter().map(|input| values[input]).collect();
                new.push(node.op.clone(), &inputs, &node.origin)?
            }
        };
        values.extend(node.outputs.iter().copied().zip(outputs));
    }
    for port in graph.outputs() {
        new.output_like(port, values[&port.value]);
    }
    Ok(Cow::Owned(new))
}

/// The activation that a node ends, and the value that it is of.
fn activation(graph: &Graph, node: &Node) -> Option<(ValueId, (Activation, ValueId))> {
    let &[output] = &node.outputs[..] else {
        return None;
    };
    if !matches!(node.op, Op::Elementwise(_) | Op::Unary(_)) {
        return None;
    }
    arguments(graph, node.inputs.iter().copied())
        .into_iter()
        .find_map(|x| {
            let mut function = Function::of(x);
            function.place(graph, output)?;
            // Layers that stand for themselves in the source stay.
            let composed = function.operators() > 1 && graph.shape(x) == graph.shape(output);
            let found = function.recognised().filter(|found| composed && is_gate(found))?;
            Some((output, (found, x)))
        })
}

/// Functions that are written as arithmetic where a framework has no name for them.
fn is_gate(function: &Activation) -> bool {
    matches!(
        function,
        Activation::HardSigmoid { .. }
            | Activation::HardSwish
            | Activation::Swish
            | Activation::Mish
            | Activation::Gelu
            | Activation::GeluTanh
            | Activation::GeluSigmoid
    )
}
