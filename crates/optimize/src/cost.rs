//! What a network costs: parameters, bytes in memory, multiplications with addition.
//!
//! A DL4J network holds 4 bytes for each parameter, whatever value it has: pruning to zeros or to a grid makes the archive
//! smaller on disk, not the network in memory, and stock DL4J multiplies by zeros as by anything else. Only taking filters
//! out changes all three figures.

use caribou_ir::op::Operator;
use caribou_ir::{Graph, Node, Shape};

/// The figures of one graph that need no run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Stored numbers, those that two layers share counted once for each.
    pub parameters: u64,
    /// Bytes of the parameters in memory, in DL4J's 32-bit numbers.
    pub bytes_in_memory: u64,
    /// Multiplications with addition for one example; `None` where sizes are unknown.
    pub multiply_adds: Option<u64>,
}

/// Bytes of a parameter in a network of 32-bit numbers.
const BYTES: u64 = 4;

/// What a graph costs.
pub fn cost(graph: &Graph) -> Cost {
    let parameters = graph.parameter_count() as u64;
    Cost {
        parameters,
        bytes_in_memory: parameters * BYTES,
        multiply_adds: graph.nodes().map(|(_, node)| multiply_adds(graph, node)).sum(),
    }
}

/// The multiplications with addition of one node, for one example.
pub fn multiply_adds(graph: &Graph, node: &Node) -> Option<u64> {
    let inputs: Vec<&Shape> = node.inputs.iter().map(|&value| graph.shape(value)).collect();
    let outputs: Vec<&Shape> = node.outputs.iter().map(|&value| graph.shape(value)).collect();
    node.op.multiply_adds(&inputs, &outputs)
}
