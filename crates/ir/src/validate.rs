//! The gate between reading and everything that relies on a sound graph.

use crate::op::{Op, Operator};
use crate::{Code, Finding, Findings, Graph, Infer, Limits, Origin, Severity, Shape};
use std::ops::Deref;

/// A graph that was checked: every node fits its inputs, no node is opaque, every shape follows from the
/// operators, names of ports are unique. Only [`Validator::validate`] makes one.
#[derive(Debug, Clone)]
pub struct ValidGraph(Graph);

impl ValidGraph {
    /// The graph, to change it; it must be validated again afterwards.
    pub fn into_graph(self) -> Graph {
        self.0
    }
}

impl Deref for ValidGraph {
    type Target = Graph;

    fn deref(&self) -> &Graph {
        &self.0
    }
}

/// Checks graphs.
#[derive(Debug, Clone, Default)]
pub struct Validator {
    limits: Limits,
}

/// A node of unknown meaning.
const OPAQUE: Code = Code("I0001");
/// A node whose operator does not fit its inputs.
const MISFIT: Code = Code("I0002");
/// A graph without inputs or outputs, or with two ports of one name.
const PORTS: Code = Code("I0003");
/// A graph over a limit.
const LIMIT: Code = Code("I0004");

impl Validator {
    /// A validator that keeps to these limits.
    pub fn new(limits: Limits) -> Self {
        Self { limits }
    }

    /// Checks the graph.
    ///
    /// # Errors
    /// All that is wrong with it, each with its layer.
    pub fn validate(&self, graph: Graph) -> Result<ValidGraph, Findings> {
        let mut findings = Findings::new();
        self.check_limits(&graph, &mut findings);
        self.check_ports(&graph, &mut findings);
        for (_, node) in graph.nodes() {
            if let Op::Opaque(opaque) = &node.op {
                findings.push(
                    Finding::error(OPAQUE, &node.origin, opaque.reason.clone())
                        .with_help("replace this layer in the source, or cut the model before it"),
                );
                continue;
            }
            let shapes: Vec<_> = node.inputs.iter().map(|&value| graph.shape(value)).collect();
            match node.op.infer(&shapes, &mut Infer::default()) {
                Err(error) => findings.push(Finding::error(MISFIT, &node.origin, error.to_string())),
                Ok(inferred) => {
                    let same = inferred.len() == node.outputs.len()
                        && inferred.iter().zip(&node.outputs).all(|(shape, &value)| {
                            let stored = graph.shape(value);
                            shape.rank() == stored.rank()
                                && shape
                                    .dims()
                                    .iter()
                                    .zip(stored.dims())
                                    .all(|(a, b)| a.fixed() == b.fixed())
                        });
                    if !same {
                        let message = format!("{} no longer fits the shapes of its outputs", node.op.name());
                        findings.push(Finding::error(MISFIT, &node.origin, message));
                    }
                }
            }
        }
        if findings.has_errors() {
            Err(findings)
        } else {
            Ok(ValidGraph(graph))
        }
    }

    fn check_limits(&self, graph: &Graph, findings: &mut Findings) {
        let nodes = graph.nodes().len();
        if nodes > self.limits.nodes {
            let message = format!("the graph has {nodes} nodes, the limit is {}", self.limits.nodes);
            findings.push(Finding::new(Severity::Error, LIMIT, None, message));
        }
        let elements = |shape: &Shape| {
            let known = shape.dims().iter().filter_map(|dim| dim.fixed());
            known.fold(1u64, |product, size| product.saturating_mul(size as u64))
        };
        for port in graph.inputs() {
            let count = elements(graph.shape(port.value));
            if count > self.limits.elements {
                let origin = Origin::new(port.name.as_str(), "input");
                findings.push(Finding::error(LIMIT, &origin, self.too_many(count)));
            }
        }
        for (_, node) in graph.nodes() {
            let count = node
                .outputs
                .iter()
                .map(|&value| elements(graph.shape(value)))
                .max();
            if let Some(count) = count.filter(|&count| count > self.limits.elements) {
                findings.push(Finding::error(LIMIT, &node.origin, self.too_many(count)));
            }
            let rank = node
                .outputs
                .iter()
                .map(|&value| graph.shape(value).rank())
                .max()
                .unwrap_or(0);
            if rank > self.limits.rank {
                let message = format!("a value has {rank} axes, the limit is {}", self.limits.rank);
                findings.push(Finding::error(LIMIT, &node.origin, message));
            }
        }
    }

    fn too_many(&self, count: u64) -> String {
        format!(
            "a value has {count} elements for each example, the limit is {}",
            self.limits.elements
        )
    }

    fn check_ports(&self, graph: &Graph, findings: &mut Findings) {
        for (side, ports) in [("input", graph.inputs()), ("output", graph.outputs())] {
            if ports.is_empty() {
                findings.push(Finding::new(
                    Severity::Error,
                    PORTS,
                    None,
                    format!("the model has no {side}"),
                ));
            }
            let mut names: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
            names.sort_unstable();
            for pair in names.windows(2).filter(|pair| pair[0] == pair[1]) {
                let message = format!("two {side}s are called {}", pair[0]);
                findings.push(Finding::new(Severity::Error, PORTS, None, message));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Concat;
    use crate::{Dim, Layout};

    #[test]
    fn a_value_without_bound_is_refused_by_the_node_that_makes_it() {
        let mut graph = Graph::new();
        let dims = vec![Dim::BATCH, Dim::Fixed(2)];
        let mut value = graph.input("x", Shape::new(dims), Layout::Plain);
        for i in 0..40 {
            let origin = Origin::new(format!("doubled_{i}"), "Concatenate");
            value = graph.apply(Concat { axis: 1 }, &[value, value], &origin).unwrap();
        }
        graph.output("y", value, Layout::Plain);
        let findings = Validator::default().validate(graph).unwrap_err();
        let first = findings.iter().next().unwrap();
        assert_eq!(first.code, LIMIT);
        assert_eq!(&*first.origin.as_ref().unwrap().layer, "doubled_26");
    }
}
