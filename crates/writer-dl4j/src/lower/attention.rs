//! Attention without projections and with one head.

use super::{Lowered, Lowering, inexpressible};
use crate::format::Vertex;
use crate::legalize::vertex_scale;
use caribou_ir::op::Attention;
use caribou_ir::{Code, Finding, Node};

/// The gradient of DL4J's attention is not that of the source.
const GRADIENT: Code = Code("D0118");

impl Lowering<'_> {
    pub(super) fn attention(&mut self, node: &Node, op: &Attention) -> Lowered<()> {
        let origin = &node.origin;
        let features = |this: &Self, i: usize| this.graph.shape(node.inputs[i]).size(2);
        let (Some(queries), Some(keys), Some(values)) =
            (features(self, 0), features(self, 1), features(self, 2))
        else {
            return Err(inexpressible(
                origin,
                "attention of an unknown number of features",
            ));
        };
        let plain = op.query.is_none() && op.key.is_none() && op.value.is_none() && op.output.is_none();
        let scaled = (op.scale / vertex_scale(queries) - 1.0).abs() < 1e-7;
        if !plain || op.heads != 1 || op.causal || !scaled {
            return Err(inexpressible(
                origin,
                "attention that was not brought to one plain head",
            ));
        }
        let mut inputs = Vec::with_capacity(3);
        for &input in &node.inputs {
            inputs.push(self.array(input, &[0, 2, 1], origin)?);
        }
        let vertex = Vertex::Attention {
            nin_queries: queries,
            nin_keys: keys,
            nin_values: values,
            nout: values,
            head_size: values,
            nheads: 1,
            project_input: false,
            data_type: "FLOAT".into(),
            weight_init: "XAVIER".into(),
        };
        self.findings.push(
            Finding::warning(
                GRADIENT,
                origin,
                "stock DL4J computes its outputs rightly and its gradient wrongly: training goes on otherwise than in the source",
            )
            .with_help("a fixed number of steps and fewer features are written as products of matrices, which train rightly"),
        );
        let name = self.vertex(origin, "", vertex, &inputs);
        self.put(node.outputs[0], name, vec![0, 2, 1]);
        Ok(())
    }
}
