//! What each DL4J layer computes for the array it gets.

mod activation;
pub(crate) mod attention;
mod conv;
mod recurrent;
mod spatial;

use crate::build::{Builder, Built, UNKNOWN, refuse};
use caribou_ir::op::{
    Activate, BatchNorm, Centring, Constant, Dense, Elementwise, ElementwiseKind, Embedding, LayerNorm,
    LocalResponseNorm, Noise, NoiseKind, NormEpsilon, Op, PRelu, Reduce, ReduceKind, Reshape, Size, Softmax,
    Tile,
};
use caribou_ir::{Origin, Tensor, TensorError, ValueId};
use caribou_writer_dl4j::format::{self, Activation as Class, Dropout, Layer};

/// What a dropout that is a field of a layer, and no layer of its own, is called.
pub(crate) const FIELD_OF_DROPOUT: &str = "idropout";

impl Builder {
    /// The output of a layer.
    pub(crate) fn layer(&mut self, layer: &Layer, x: ValueId, origin: &Origin) -> Built<ValueId> {
        let dropped = layer.base().and_then(|base| base.idropout.as_ref());
        let x = match (layer, dropped) {
            (Layer::DropoutLayer(_), _) | (_, None) => x,
            // What any layer does to its input in training.
            (_, dropout) => {
                let kind = noise(dropout);
                let origin = Origin::new(format!("{}_dropout", origin.layer), FIELD_OF_DROPOUT);
                self.apply(Noise { kind }, &[x], &origin)?
            }
        };
        match layer {
            Layer::DenseLayer(l) if !l.has_layer_norm => {
                let y = self.dense(x, l.nin, l.nout, l.has_bias, origin)?;
                self.activated(y, &l.base.activation_fn, None, origin)
            }
            Layer::DenseLayer(l) => self.normalized(l, x, origin),
            Layer::CenterLossOutputLayer(l) => {
                let y = self.dense(x, l.nin, l.nout, l.has_bias, origin)?;
                // Only the loss knows the centres.
                self.take(&[l.nout, l.nin], origin)?;
                self.activated(y, &l.base.activation_fn, None, origin)
            }
            Layer::AutoEncoder(l) => {
                let y = self.dense(x, l.nin, l.nout, true, origin)?;
                // Only the way back has these biases.
                self.take(&[l.nin], origin)?;
                self.activated(y, &l.base.activation_fn, None, origin)
            }
            Layer::OutputLayer(l) => {
                let y = self.dense(x, l.nin, l.nout, l.has_bias, origin)?;
                self.activated(y, &l.base.activation_fn, None, origin)
            }
            Layer::RnnOutputLayer(l) => {
                let x = self.steps_first(x, &l.rnn_data_format, origin)?;
                let y = self.dense(x, l.nin, l.nout, l.has_bias, origin)?;
                let y = self.activated(y, &l.base.activation_fn, None, origin)?;
                self.steps_as(y, &l.rnn_data_format, origin)
            }
            Layer::LossLayer(l) => self.activated(x, &l.base.activation_fn, None, origin),
            Layer::RnnLossLayer(l) => {
                let axis = if l.rnn_data_format == "NWC" { 2 } else { 1 };
                self.activated(x, &l.base.activation_fn, Some(axis), origin)
            }
            Layer::CnnLossLayer(l) => {
                let axis = if l.format == "NHWC" { 3 } else { 1 };
                self.activated(x, &l.base.activation_fn, Some(axis), origin)
            }
            Layer::Cnn3DLossLayer(l) => {
                let axis = if l.data_format == "NDHWC" { 4 } else { 1 };
                self.activated(x, &l.base.activation_fn, Some(axis), origin)
            }
            Layer::ActivationLayer(l) => self.activated(x, &l.base.activation_fn, None, origin),
            Layer::DropoutLayer(l) => {
                let kind = noise(l.base.idropout.as_ref());
                self.apply(Noise { kind }, &[x], origin)
            }
            Layer::BatchNormalization(l) => self.batch_norm(l, x, origin),
            Layer::LocalResponseNormalization(l) => {
                let last = l.data_format == "NHWC";
                let x = if last {
                    self.permuted(x, &[0, 3, 1, 2], origin)?
                } else {
                    x
                };
                let op = LocalResponseNorm {
                    size: (l.n / 2.0) as usize * 2 + 1,
                    alpha: l.alpha,
                    beta: l.beta,
                    bias: l.k,
                };
                let y = self.apply(op, &[x], origin)?;
                if last {
                    self.permuted(y, &[0, 2, 3, 1], origin)
                } else {
                    Ok(y)
                }
            }
            Layer::PReLULayer(l) => {
                let slope = self.take_fortran(&l.input_shape, origin)?;
                self.apply(PRelu { slope }, &[x], origin)
            }
            Layer::EmbeddingLayer(l) => self.embedding(l, x, origin),
            Layer::EmbeddingSequenceLayer(l) => {
                let y = self.looked_up(x, [l.nin, l.nout], l.has_bias, origin)?;
                let y = self.activated(y, &l.base.activation_fn, None, origin)?;
                self.steps_as(y, &l.output_format, origin)
            }
            Layer::RepeatVector(l) => {
                let y = self.apply(
                    Reshape {
                        target: vec![Size::Keep(0), Size::Fixed(1), Size::Keep(1)],
                    },
                    &[x],
                    origin,
                )?;
                let y = self.apply(
                    Tile {
                        repeats: vec![1, l.n, 1],
                    },
                    &[y],
                    origin,
                )?;
                self.steps_as(y, &l.data_format, origin)
            }
            Layer::GlobalPoolingLayer(l) => {
                let kind = match (l.pooling_type.as_str(), l.pnorm) {
                    ("MAX", _) => ReduceKind::Max,
                    ("AVG", _) => ReduceKind::Mean,
                    ("SUM", _) => ReduceKind::Sum,
                    ("PNORM", 1) => ReduceKind::L1,
                    ("PNORM", 2) => ReduceKind::L2,
                    ("PNORM", p) => {
                        let message = format!("global pooling by a norm of degree {p} is not supported");
                        return Err(refuse(UNKNOWN, origin, message));
                    }
                    (other, _) => {
                        return Err(refuse(
                            UNKNOWN,
                            origin,
                            format!("pooling of type {other} is not supported"),
                        ));
                    }
                };
                let axes = l
                    .pooling_dimensions
                    .clone()
                    .unwrap_or_else(|| (2..self.rank(x)).collect());
                self.apply(
                    Reduce {
                        kind,
                        axes,
                        keep_dims: !l.collapse_dimensions,
                    },
                    &[x],
                    origin,
                )
            }
            Layer::ElementWiseMultiplicationLayer(l) => {
                let weight = self.take(&[l.nout], origin)?;
                let bias = self.take(&[l.nout], origin)?;
                let mut y = x;
                for (kind, value) in [(ElementwiseKind::Multiply, weight), (ElementwiseKind::Add, bias)] {
                    let array = self.apply(Constant { value }, &[], origin)?;
                    y = self.apply(Elementwise { kind }, &[y, array], origin)?;
                }
                self.activated(y, &l.base.activation_fn, None, origin)
            }
            Layer::SelfAttentionLayer(l) => self.self_attention(l, x, origin),
            Layer::FrozenLayer(l) => self.layer(&l.layer, x, origin),
            Layer::FrozenLayerWithBackprop(l) => self.layer(&l.underlying, x, origin),
            Layer::TimeDistributed(l) => {
                let x = self.steps_first(x, &l.rnn_data_format, origin)?;
                let y = self.layer(&l.underlying, x, origin)?;
                self.steps_as(y, &l.rnn_data_format, origin)
            }
            Layer::LSTM(_)
            | Layer::GravesLSTM(_)
            | Layer::GravesBidirectionalLSTM(_)
            | Layer::SimpleRnn(_)
            | Layer::Bidirectional(_)
            | Layer::LastTimeStep(_) => self.recurrent(layer, x, origin),
            Layer::ConvolutionLayer(_)
            | Layer::Convolution1DLayer(_)
            | Layer::Convolution3D(_)
            | Layer::DepthwiseConvolution2D(_)
            | Layer::SeparableConvolution2D(_)
            | Layer::Deconvolution2D(_)
            | Layer::Deconvolution3D(_) => self.convolution(layer, x, origin),
            Layer::SubsamplingLayer(_)
            | Layer::Subsampling1DLayer(_)
            | Layer::Subsampling3DLayer(_)
            | Layer::SpaceToDepthLayer(_)
            | Layer::Upsampling1D(_)
            | Layer::Upsampling2D(_)
            | Layer::Upsampling3D(_)
            | Layer::ZeroPadding1DLayer(_)
            | Layer::ZeroPaddingLayer(_)
            | Layer::ZeroPadding3DLayer(_)
            | Layer::Cropping1D(_)
            | Layer::Cropping2D(_)
            | Layer::Cropping3D(_) => self.spatial(layer, x, origin),
            other => Err(refuse(
                UNKNOWN,
                origin,
                format!(
                    "the layer {} is not known, or its fields are not supported",
                    other.class()
                ),
            )),
        }
    }

    /// `act(g (z - mean) / deviation + b)` of `z = x W`, with the mean and the deviation of each row.
    fn normalized(&mut self, l: &format::DenseLayer, x: ValueId, origin: &Origin) -> Built<ValueId> {
        let weight = self.take_fortran(&[l.nin, l.nout], origin)?;
        let offset = if l.has_bias {
            Some(self.take(&[l.nout], origin)?)
        } else {
            None
        };
        let scale = Some(self.take(&[l.nout], origin)?);
        let z = self.apply(Dense { weight, bias: None }, &[x], origin)?;
        let op = LayerNorm {
            axes: vec![self.rank(z) - 1],
            centring: Centring::Values,
            scale,
            offset,
            epsilon: 0.0,
            placement: NormEpsilon::InsideRoot,
            divide: true,
        };
        let y = self.apply(op, &[z], origin)?;
        self.activated(y, &l.base.activation_fn, None, origin)
    }

    /// `x W + b` on the last axis.
    fn dense(
        &mut self,
        x: ValueId,
        nin: usize,
        nout: usize,
        has_bias: bool,
        origin: &Origin,
    ) -> Built<ValueId> {
        let weight = self.take_fortran(&[nin, nout], origin)?;
        let bias = if has_bias {
            Some(self.take(&[nout], origin)?)
        } else {
            None
        };
        self.apply(Dense { weight, bias }, &[x], origin)
    }

    /// `act(W[x] + b)` of one index each: `[N, 1]` to `[N, F]`.
    fn embedding(&mut self, l: &format::EmbeddingLayer, x: ValueId, origin: &Origin) -> Built<ValueId> {
        let y = self.looked_up(x, [l.nin, l.nout], l.has_bias, origin)?;
        let y = self.apply(Reshape::features(&[l.nout]), &[y], origin)?;
        self.activated(y, &l.base.activation_fn, None, origin)
    }

    /// `W[x] + b`: indices `[N, T]` to `[N, T, F]`. The bias is a layer's parameter, which the graph has as a constant.
    fn looked_up(
        &mut self,
        x: ValueId,
        [words, features]: [usize; 2],
        has_bias: bool,
        origin: &Origin,
    ) -> Built<ValueId> {
        let table = self.take_fortran(&[words, features], origin)?;
        if let Some(port) = self.graph.inputs_mut().iter_mut().find(|port| port.value == x) {
            port.index_bound = Some(words);
        }
        let y = self.apply(Embedding { table }, &[x], origin)?;
        if !has_bias {
            return Ok(y);
        }
        let value = self.take(&[features], origin)?;
        let bias = self.apply(Constant { value }, &[], origin)?;
        let kind = ElementwiseKind::Add;
        self.apply(Elementwise { kind }, &[y, bias], origin)
    }

    /// `[N, F, T]` or `[N, T, F]`, as `format` says, to `[N, T, F]`.
    pub(crate) fn steps_first(&mut self, x: ValueId, format: &str, origin: &Origin) -> Built<ValueId> {
        if format == "NWC" {
            Ok(x)
        } else {
            self.permuted(x, &[0, 2, 1], origin)
        }
    }

    /// `[N, T, F]` to what `format` says.
    pub(crate) fn steps_as(&mut self, x: ValueId, format: &str, origin: &Origin) -> Built<ValueId> {
        self.steps_first(x, format, origin)
    }

    /// The layer's function. Softmax goes along the last axis unless the layer has another.
    fn activated(
        &mut self,
        x: ValueId,
        class: &Class,
        softmax: Option<usize>,
        origin: &Origin,
    ) -> Built<ValueId> {
        let op: Op = match class {
            Class::Identity => return Ok(x),
            Class::Softmax => Softmax {
                axis: softmax.unwrap_or(self.rank(x) - 1),
            }
            .into(),
            class => {
                let function = activation::function(class)
                    .ok_or_else(|| refuse(UNKNOWN, origin, format!("the function {class:?} is not known")))?;
                Activate { function }.into()
            }
        };
        self.apply(op, &[x], origin)
    }

    fn batch_norm(&mut self, l: &format::BatchNormalization, x: ValueId, origin: &Origin) -> Built<ValueId> {
        let rank = self.rank(x);
        // Rows of a sequence come as [N, T, F] here, images as they are.
        let axis = if rank == 4 && l.cnn_2d_format != "NHWC" {
            1
        } else {
            rank - 1
        };
        let (scale, offset) = if l.lock_gamma_beta {
            (
                Some(Tensor::filled(&[l.nout], l.gamma as f32)),
                Some(Tensor::filled(&[l.nout], l.beta as f32)),
            )
        } else {
            (
                Some(self.take(&[l.nout], origin)?),
                Some(self.take(&[l.nout], origin)?),
            )
        };
        let mean = self.take(&[l.nout], origin)?;
        let mut variance = self.take(&[l.nout], origin)?;
        if l.use_log_std {
            variance = squared_power_of_ten(&variance)
                .map_err(|error| refuse(UNKNOWN, origin, error.to_string()))?;
        }
        let op = BatchNorm {
            axis,
            scale,
            offset,
            mean,
            variance,
            epsilon: l.eps,
            momentum: l.decay,
        };
        self.apply(op, &[x], origin)
    }
}

/// `(10^v)^2` of every element: a variance from the decimal logarithm of its root.
fn squared_power_of_ten(logarithms: &Tensor) -> Result<Tensor, TensorError> {
    let square = |&v: &f32| 10f64.powf(2.0 * f64::from(v)) as f32;
    let values: Vec<f32> = logarithms.to_vec()?.iter().map(square).collect();
    Tensor::from_f32(&logarithms.shape(), &values)
}

/// What a dropout does in training.
fn noise(dropout: Option<&Dropout>) -> NoiseKind {
    match dropout {
        Some(Dropout::Dropout { p: Some(p), .. }) => NoiseKind::Dropout { rate: 1.0 - p },
        // Its share changes: what it starts with stands here, and training has its course.
        Some(Dropout::Dropout {
            schedule: Some(schedule),
            ..
        }) => match crate::training::course(schedule) {
            Some(course) => NoiseKind::Dropout {
                rate: 1.0 - course.values.at(0),
            },
            None => NoiseKind::Other,
        },
        Some(Dropout::Spatial { p }) => NoiseKind::SpatialDropout { rate: 1.0 - p },
        Some(Dropout::Alpha { p }) => NoiseKind::AlphaDropout { rate: 1.0 - p },
        Some(Dropout::GaussianDropout { rate }) => NoiseKind::GaussianDropout { rate: *rate },
        Some(Dropout::GaussianNoise { stddev }) => NoiseKind::GaussianNoise { deviation: *stddev },
        Some(Dropout::Dropout { .. } | Dropout::Unknown(_)) | None => NoiseKind::Other,
    }
}
