//! Dense layers and embeddings.

use super::conv::{Mode, window};
use super::{Lowered, Lowering, identity, inexpressible, viewed};
use crate::format::{Base, DenseLayer, EmbeddingSequenceLayer, TimeDistributed};
use caribou_ir::op::{Dense, Embedding};
use caribou_ir::{Node, Tensor};

impl Lowering<'_> {
    /// On `[N, F]` a dense layer, on sequences one at each step, on images and volumes a convolution with a kernel of
    /// size one.
    pub(super) fn dense(&mut self, node: &Node, op: &Dense) -> Lowered<()> {
        let origin = &node.origin;
        let value = node.inputs[0];
        let rank = self.rank(value);
        let weight = op.weight.shape();
        let (nin, nout, has_bias) = (weight[0], weight[1], op.bias.is_some());
        if rank > 5 {
            return Err(inexpressible(origin, format!("a dense layer on {rank} axes")));
        }
        let order = Self::features_first(rank);
        let input = self.array(value, &order, origin)?;
        if rank > 3 {
            let ones = vec![1; rank - 2];
            let kernel: Vec<usize> = [nout, nin].into_iter().chain(ones.iter().copied()).collect();
            let kernel = viewed(
                op.weight
                    .permute(&[1, 0])
                    .and_then(|weight| weight.reshape(&kernel)),
                origin,
            )?;
            let mode = Mode {
                name: "Truncate",
                padding: vec![0; rank - 2],
            };
            let window = window(&ones, &ones, &ones, &mode);
            let name = self.plain_conv(origin, "", input, &kernel, op.bias.as_ref(), window)?;
            self.rewrite(
                "dense-as-convolution",
                origin,
                "a dense layer on channels is a convolution of size one",
            );
            self.put(node.outputs[0], name, order);
            return Ok(());
        }
        let stored = viewed(op.weight.permute(&[1, 0]), origin)?;
        let parameters: Vec<Tensor> = [stored].into_iter().chain(op.bias.clone()).collect();
        let name = self.layer(origin, "", input, None, parameters, |base| {
            if rank == 2 {
                return DenseLayer {
                    base,
                    nin,
                    nout,
                    has_bias,
                    has_layer_norm: false,
                }
                .into();
            }
            let outer = Base {
                activation_fn: crate::format::Activation::Identity,
                ..base.clone()
            };
            let underlying = DenseLayer {
                base,
                nin,
                nout,
                has_bias,
                has_layer_norm: false,
            };
            TimeDistributed {
                base: outer,
                underlying: Box::new(underlying.into()),
                rnn_data_format: "NCW".into(),
            }
            .into()
        });
        self.put(node.outputs[0], name, order);
        Ok(())
    }

    pub(super) fn embedding(&mut self, node: &Node, op: &Embedding) -> Lowered<()> {
        let origin = &node.origin;
        if self.rank(node.inputs[0]) != 2 {
            return Err(inexpressible(
                origin,
                "an embedding of anything but [N, T] indices",
            ));
        }
        let input = self.array(node.inputs[0], &identity(2), origin)?;
        let shape = op.table.shape();
        let parameters = vec![viewed(op.table.permute(&[1, 0]), origin)?];
        let name = self.layer(origin, "", input, None, parameters, |base| {
            EmbeddingSequenceLayer {
                base,
                nin: shape[0],
                nout: shape[1],
                has_bias: false,
                input_length: 1,
                infer_input_length: true,
                output_format: "NCW".into(),
            }
            .into()
        });
        self.put(node.outputs[0], name, vec![0, 2, 1]);
        Ok(())
    }
}
