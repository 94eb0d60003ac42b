//! Normalisations.

use super::{Lowered, Lowering, identity, inexpressible};
use crate::format::{
    BatchNormalization, ElementWiseMultiplicationLayer, LocalResponseNormalization, Preprocessor, Vertex,
};
use caribou_ir::op::{BatchNorm, Conv, L2Normalize, LocalResponseNorm};
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
            3 | 5 if self.folded || rank == 5 => {
                let sizes = sizes.ok_or_else(|| {
                    inexpressible(origin, "a batch normalisation of volumes of unknown size")
                })?;
                let image = match sizes[..] {
                    [channels, length] => vec![channels, length, 1],
                    _ => vec![sizes[0], sizes[1] * sizes[2], sizes[3]],
                };
                input = self.preprocess(origin, "flat", Preprocessor::reshape(&sizes, &image), input);
                restore = Some(Preprocessor::reshape(&image, &sizes));
            }
            3 => {
                preprocessor = Some(Preprocessor::RnnToFeedForward {
                    rnn_data_format: "NCW".into(),
                });
                restore = Some(Preprocessor::FeedForwardToRnn {
                    rnn_data_format: "NCW".into(),
                });
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

    /// A preprocessor as a vertex of its own. It is told how many examples the network has, so that it can't reshape
    /// where steps are folded into the batch.
    pub(super) fn preprocess(
        &mut self,
        origin: &caribou_ir::Origin,
        suffix: &str,
        pre_processor: Preprocessor,
        input: String,
    ) -> String {
        let vertex = match pre_processor {
            Preprocessor::Reshape { target_shape, .. } if self.folded => Vertex::Reshape {
                new_shape: [-1]
                    .into_iter()
                    .chain(target_shape.iter().map(|&size| size as i64))
                    .collect(),
                reshape_order: "c".into(),
            },
            pre_processor => Vertex::Preprocessor { pre_processor },
        };
        self.vertex(origin, suffix, vertex, &[input])
    }

    /// Images as they are. A window of one channel is a function of single elements, which any array can be an image for.
    pub(super) fn local_response_norm(&mut self, node: &Node, op: &LocalResponseNorm) -> Lowered<()> {
        let origin = &node.origin;
        let value = node.inputs[0];
        let shape = self.graph.shape(value).clone();
        let rank = shape.rank();
        if rank != 4 && op.size != 1 {
            return Err(inexpressible(
                origin,
                "a local response normalisation of anything but images",
            ));
        }
        let order = match op.size {
            1 => self.forwards(value, origin)?.order,
            _ => identity(4),
        };
        let mut input = self.array(value, &order, origin)?;
        let sizes: Option<Vec<usize>> = super::inverse(&order)[1..]
            .iter()
            .map(|&axis| shape.size(axis))
            .collect();
        // From here on the steps that lead back, last first.
        let mut back = Vec::new();
        let mut rows = sizes.clone();
        if rank == 3 && sizes.is_none() && !self.folded {
            let rnn_data_format = "NCW".to_owned();
            let format = rnn_data_format.clone();
            input = self.preprocess(
                origin,
                "rows",
                Preprocessor::RnnToFeedForward { rnn_data_format },
                input,
            );
            back.push(Preprocessor::FeedForwardToRnn {
                rnn_data_format: format,
            });
            rows = super::inverse(&order)
                .get(1)
                .and_then(|&axis| shape.size(axis))
                .map(|size| vec![size]);
        }
        if rank != 4 {
            let sizes = rows.ok_or_else(|| {
                inexpressible(
                    origin,
                    format!("a power of a value of shape {shape}, whose sizes are unknown"),
                )
            })?;
            let channels = sizes.iter().product();
            let image = vec![channels, 1, 1];
            if let [channels] = sizes[..] {
                let (to, from) = (
                    Preprocessor::FeedForwardToCnn {
                        input_height: 1,
                        input_width: 1,
                        num_channels: channels,
                    },
                    Preprocessor::CnnToFeedForward {
                        input_height: 1,
                        input_width: 1,
                        num_channels: channels,
                        format: "NCHW".into(),
                    },
                );
                input = self.preprocess(origin, "image", to, input);
                back.push(from);
            } else {
                input = self.preprocess(origin, "image", Preprocessor::reshape(&sizes, &image), input);
                back.push(Preprocessor::reshape(&image, &sizes));
            }
        }
        // Stock DL4J throws where the window reaches further than there are channels; it sees no more of them then.
        let seen = match shape.size(1) {
            Some(channels) if rank == 4 && op.size > 1 => op.size.min(2 * channels.max(1) - 1),
            _ => op.size,
        };
        let (n, k, alpha, beta) = (seen as f64, op.bias, op.alpha, op.beta);
        let mut name = self.layer(origin, "", input, None, Vec::new(), |base| {
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
        for preprocessor in back.into_iter().rev() {
            name = self.preprocess(origin, "shape", preprocessor, name);
        }
        self.put(node.outputs[0], name, order);
        Ok(())
    }

    /// A number for each channel of `[N, C, T]`, and one added: a layer that does so with rows of steps.
    pub(super) fn scale_steps(&mut self, node: &Node, op: &Conv) -> Lowered<()> {
        let origin = &node.origin;
        if self.folded {
            return Err(inexpressible(
                origin,
                "a number for each channel of sequences at each step",
            ));
        }
        let input = self.array(node.inputs[0], &identity(3), origin)?;
        let channels = op.weight.shape()[0];
        let rnn_data_format = "NCW".to_owned();
        let offset = op
            .bias
            .clone()
            .unwrap_or_else(|| Tensor::filled(&[channels], 0.0));
        let parameters = vec![super::viewed(op.weight.reshape(&[channels]), origin)?, offset];
        let rows = Preprocessor::RnnToFeedForward {
            rnn_data_format: rnn_data_format.clone(),
        };
        let name = self.layer(origin, "", input, Some(rows), parameters, |base| {
            ElementWiseMultiplicationLayer {
                base,
                nin: channels,
                nout: channels,
            }
            .into()
        });
        let name = self.preprocess(
            origin,
            "steps",
            Preprocessor::FeedForwardToRnn { rnn_data_format },
            name,
        );
        self.put(node.outputs[0], name, identity(3));
        Ok(())
    }

    /// The norm over everything but the batch.
    pub(super) fn l2_normalize(&mut self, node: &Node, op: &L2Normalize) -> Lowered<()> {
        let rank = self.rank(node.inputs[0]);
        if !op.axes.iter().copied().eq(1..rank) {
            return Err(inexpressible(
                &node.origin,
                "a norm over some axes: stock DL4J can't train through it",
            ));
        }
        let place = self.forwards(node.inputs[0], &node.origin)?;
        let vertex = Vertex::L2Normalize {
            dimension: None,
            eps: op.epsilon,
        };
        let name = self.vertex(&node.origin, "", vertex, &[place.vertex]);
        if rank > 2 {
            self.single_only.push(node.origin.clone());
        }
        self.put(node.outputs[0], name, place.order);
        Ok(())
    }
}
