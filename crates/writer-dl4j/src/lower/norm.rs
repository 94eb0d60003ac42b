//! Normalisations.

use super::{Lowered, Lowering, identity, inexpressible};
use crate::format::{BatchNormalization, LocalResponseNormalization, Preprocessor, Vertex};
use caribou_ir::op::{BatchNorm, LocalResponseNorm};
use caribou_ir::{Node, Tensor};

impl Lowering<'_> {
    /// DL4J normalises axis 1 of `[N, F]` and `[N, C, H, W]`. Sequences are brought to rows first, volumes to images.
    pub(super) fn batch_norm(&mut self, node: &Node, op: &BatchNorm) -> Lowered<()> {
        let origin = &node.origin;
        let value = node.inputs[0];
        let shape = self.graph.shape(value).clone();
        let rank = shape.rank();
        if op.axis == 0 || rank > 5 {
            return Err(inexpressible(
                origin,
                format!("a batch normalisation on axis {} of {rank} axes", op.axis),
            ));
        }
        // The normalised axis first behind the batch, the others as they come.
        let mut order = vec![0; rank];
        let mut next = 2;
        for (axis, place) in order.iter_mut().enumerate().skip(1) {
            *place = if axis == op.axis { 1 } else { next };
            next += usize::from(axis != op.axis);
        }
        let mut input = self.array(value, &order, origin)?;
        let channels = op.mean.len();
        let filled = |tensor: &Option<Tensor>, value: f32| {
            tensor
                .clone()
                .unwrap_or_else(|| Tensor::filled(&[channels], value))
        };
        let parameters = vec![
            filled(&op.scale, 1.0),
            filled(&op.offset, 0.0),
            op.mean.clone(),
            op.variance.clone(),
        ];
        let sizes: Option<Vec<usize>> = super::inverse(&order)[1..]
            .iter()
            .map(|&axis| shape.size(axis))
            .collect();
        let mut preprocessor = None;
        let mut restore = None;
        match rank {
            3 => {
                preprocessor = Some(Preprocessor::RnnToFeedForward {
                    rnn_data_format: "NCW".into(),
                });
                restore = Some(Preprocessor::FeedForwardToRnn {
                    rnn_data_format: "NCW".into(),
                });
            }
            5 => {
                let sizes = sizes.ok_or_else(|| {
                    inexpressible(origin, "a batch normalisation of volumes of unknown size")
                })?;
                let image = vec![sizes[0], sizes[1] * sizes[2], sizes[3]];
                let reshape = |from: &[usize], to: &[usize]| Preprocessor::Reshape {
                    input_shape: from.to_vec(),
                    target_shape: to.to_vec(),
                    has_mini_batch_dimension: false,
                };
                input = self.preprocess(origin, "flat", reshape(&sizes, &image), input);
                restore = Some(reshape(&image, &sizes));
            }
            _ => {}
        }
        let name = self.layer(origin, "", input, preprocessor, parameters, |base| {
            BatchNormalization {
                base,
                nin: channels,
                nout: channels,
                eps: op.epsilon,
                decay: op.momentum,
                lock_gamma_beta: false,
                gamma: 1.0,
                beta: 0.0,
                use_log_std: false,
                cnn_2d_format: "NCHW".into(),
            }
            .into()
        });
        let name = match restore {
            Some(preprocessor) => self.preprocess(origin, "shape", preprocessor, name),
            None => name,
        };
        self.put(node.outputs[0], name, order);
        Ok(())
    }

    /// A preprocessor as a vertex of its own.
    pub(super) fn preprocess(
        &mut self,
        origin: &caribou_ir::Origin,
        suffix: &str,
        pre_processor: Preprocessor,
        input: String,
    ) -> String {
        self.vertex(origin, suffix, Vertex::Preprocessor { pre_processor }, &[input])
    }

    pub(super) fn local_response_norm(&mut self, node: &Node, op: &LocalResponseNorm) -> Lowered<()> {
        let rank = self.rank(node.inputs[0]);
        if rank != 4 {
            return Err(inexpressible(
                &node.origin,
                "a local response normalisation of anything but images",
            ));
        }
        let input = self.array(node.inputs[0], &identity(4), &node.origin)?;
        let (n, k, alpha, beta) = (op.size as f64, op.bias, op.alpha, op.beta);
        let name = self.layer(&node.origin, "", input, None, Vec::new(), |base| {
            LocalResponseNormalization {
                base,
                n,
                k,
                alpha,
                beta,
                data_format: "NCHW".into(),
            }
            .into()
        });
        self.put(node.outputs[0], name, identity(4));
        Ok(())
    }
}
