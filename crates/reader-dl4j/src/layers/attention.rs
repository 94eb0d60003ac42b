//! Attention, as a layer and as a vertex.

use crate::build::{Builder, Built, UNKNOWN, refuse};
use caribou_ir::op::{Attention, Projection};
use caribou_ir::{Origin, Tensor, TensorError, ValueId};
use caribou_writer_dl4j::format::SelfAttentionLayer;

/// The sizes of attention with projections.
pub(crate) struct Sizes {
    pub(crate) heads: usize,
    pub(crate) head: usize,
    /// Features of queries, keys and values.
    pub(crate) features: [usize; 3],
    pub(crate) out: usize,
}

impl Builder {
    pub(super) fn self_attention(
        &mut self,
        l: &SelfAttentionLayer,
        x: ValueId,
        origin: &Origin,
    ) -> Built<ValueId> {
        let sizes = l.project_input.then_some(Sizes {
            heads: l.nheads,
            head: l.head_size,
            features: [l.nin; 3],
            out: l.nout,
        });
        self.attention(sizes.as_ref(), l.nin, &[x; 3], origin)
    }

    /// `softmax(q k^T / sqrt(size)) v` of queries, keys and values `[N, F, T]`, each projected first where there are sizes of
    /// projections; the size is that of a head, else that of the queries.
    pub(crate) fn attention(
        &mut self,
        projected: Option<&Sizes>,
        queries: usize,
        inputs: &[ValueId],
        origin: &Origin,
    ) -> Built<ValueId> {
        let mut op = Attention {
            heads: 1,
            query: None,
            key: None,
            value: None,
            output: None,
            scale: 1.0 / (queries as f64).sqrt(),
            causal: false,
        };
        if let Some(sizes) = projected {
            let viewed = |result: Result<Tensor, TensorError>| {
                result.map_err(|error| refuse(UNKNOWN, origin, error.to_string()))
            };
            let columns = sizes.heads * sizes.head;
            let mut projections = Vec::with_capacity(3);
            for features in sizes.features {
                // [heads, size, in], and here [in, heads size].
                let stored = self.take(&[columns, features], origin)?;
                projections.push(Projection {
                    weight: viewed(stored.permute(&[1, 0]))?,
                    bias: None,
                });
            }
            let weight = self.take(&[columns, sizes.out], origin)?;
            op.value = projections.pop();
            op.key = projections.pop();
            op.query = projections.pop();
            op.output = Some(Projection { weight, bias: None });
            op.heads = sizes.heads;
            op.scale = 1.0 / (sizes.head as f64).sqrt();
        }
        let mut steps_first = Vec::with_capacity(inputs.len());
        for &input in inputs {
            steps_first.push(self.permuted(input, &[0, 2, 1], origin)?);
        }
        let y = self.apply(op, &steps_first, origin)?;
        self.permuted(y, &[0, 2, 1], origin)
    }
}
