//! Functions of single elements, softmax, noise.

use super::{Kind, Lowered, Lowering, identity, inexpressible, viewed};
use crate::format::{
    self, Activation as Class, ActivationLayer, Dropout, DropoutLayer, Layer, PReLULayer, Vertex,
};
use caribou_ir::op::{Activation, Noise, NoiseKind, PRelu, UnaryKind};
use caribou_ir::{Node, Origin};

/// A PReLU that stock DL4J can't train.
const ONE_CHANNEL: caribou_ir::Code = caribou_ir::Code("D0119");

/// Noise of training that was not carried over.
const NOISE: caribou_ir::Code = caribou_ir::Code("D0103");

/// The class of a function; `None` where DL4J has none that is equal.
pub(super) fn class(function: Activation) -> Option<Class> {
    Some(match function {
        Activation::Linear => Class::Identity,
        Activation::Relu => Class::RELU,
        Activation::BoundedRelu {
            max,
            slope,
            threshold,
        } => Class::ReLU {
            max,
            threshold: Some(threshold),
            negative_slope: Some(slope),
        },
        Activation::LeakyRelu { alpha } => Class::LeakyReLU { alpha },
        Activation::ThresholdedRelu { theta } => Class::ThresholdedReLU { theta },
        Activation::Elu { alpha } => Class::Elu { alpha },
        Activation::Selu => Class::Selu,
        Activation::Sigmoid => Class::Sigmoid,
        Activation::HardSigmoid { slope, offset } if slope == 0.2 && offset == 0.5 => Class::HardSigmoid,
        Activation::Tanh => Class::Tanh,
        Activation::HardTanh => Class::HardTanh,
        Activation::RectifiedTanh => Class::RectifiedTanh,
        Activation::RationalTanh => Class::RationalTanh,
        Activation::Softplus => Class::Softplus,
        Activation::Softsign => Class::Softsign,
        Activation::Swish => Class::Swish,
        Activation::Mish => Class::Mish,
        Activation::GeluSigmoid => Class::Gelu { precise: false },
        Activation::Cube => Class::Cube,
        Activation::Celu { .. }
        | Activation::HardSigmoid { .. }
        | Activation::HardSwish
        | Activation::Gelu
        | Activation::GeluTanh
        | Activation::Exponential => return None,
    })
}

/// Whether DL4J has a class for the function.
pub(crate) fn has_class(function: Activation) -> bool {
    class(function).is_some()
}

impl Lowering<'_> {
    pub(super) fn activate(&mut self, node: &Node, function: Activation) -> Lowered<()> {
        let Some(class) = class(function) else {
            return self.composed(node, function);
        };
        if self.fuse(node, &class) {
            return Ok(());
        }
        let place = self.forwards(node.inputs[0], &node.origin)?;
        let vertex = self.own_memory(node.inputs[0], &place.vertex, &node.origin);
        let name = self.activation_layer(&node.origin, "activation", vertex, class);
        self.put(node.outputs[0], name, place.order);
        Ok(())
    }

    pub(super) fn activation_layer(
        &mut self,
        origin: &Origin,
        suffix: &str,
        input: String,
        class: Class,
    ) -> String {
        let suffix = if self.names.contains(&*origin.layer) {
            suffix
        } else {
            ""
        };
        self.layer(origin, suffix, input, None, Vec::new(), |base| {
            ActivationLayer {
                base: format::Base {
                    activation_fn: class,
                    ..base
                },
            }
            .into()
        })
    }

    /// Makes the function that of the layer before, when nothing else reads that layer. Whether it could.
    fn fuse(&mut self, node: &Node, class: &Class) -> bool {
        let value = node.inputs[0];
        let place = self.places[&value].clone();
        if self.uses[value.index()] != 1 || place.reversed || self.shared.contains(&place.vertex) {
            return false;
        }
        let Some(placed) = self.find(&place.vertex) else {
            return false;
        };
        let Kind::Layer { layer, .. } = &mut placed.kind else {
            return false;
        };
        let inner = match layer {
            Layer::TimeDistributed(wrapper) => &mut *wrapper.underlying,
            layer => layer,
        };
        let fusable = matches!(
            inner,
            Layer::DenseLayer(_)
                | Layer::ConvolutionLayer(_)
                | Layer::Convolution1DLayer(_)
                | Layer::Convolution3D(_)
                | Layer::DepthwiseConvolution2D(_)
                | Layer::Deconvolution2D(_)
                | Layer::Deconvolution3D(_)
        );
        match inner.base_mut() {
            Some(base) if fusable && base.activation_fn == Class::Identity => {
                base.activation_fn = class.clone()
            }
            _ => return false,
        }
        let name = placed.name.clone();
        self.report(&node.origin, Some(&name));
        self.places.insert(node.outputs[0], place);
        true
    }

    /// Functions that are put together from others, exactly.
    fn composed(&mut self, node: &Node, function: Activation) -> Lowered<()> {
        let place = self.forwards(node.inputs[0], &node.origin)?;
        let origin = &node.origin;
        let x = place.vertex.clone();
        let scaled = |this: &mut Self, input: &str, factor: f64| {
            this.vertex(
                origin,
                "scale",
                Vertex::Scale { scale_factor: factor },
                &[input.to_owned()],
            )
        };
        let product = |this: &mut Self, inputs: &[String]| {
            this.vertex(
                origin,
                "product",
                Vertex::ElementWise { op: "Product".into() },
                inputs,
            )
        };
        let unit = |this: &mut Self, input: String, slope: f64, offset: f64| {
            let input = scaled(this, &input, slope);
            let input = this.vertex(origin, "shift", Vertex::Shift { shift_factor: offset }, &[input]);
            let clip = Class::ReLU {
                max: Some(1.0),
                threshold: None,
                negative_slope: None,
            };
            this.activation_layer(origin, "clip", input, clip)
        };
        let y = match function {
            Activation::HardSigmoid { slope, offset } => unit(self, x, slope, offset),
            Activation::HardSwish => {
                let gate = unit(self, x.clone(), 1.0 / 6.0, 0.5);
                product(self, &[x, gate])
            }
            Activation::GeluTanh => {
                // x sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3))
                let c = 2.0 * (2.0 / std::f64::consts::PI).sqrt();
                let copy = self.copy(&x, origin);
                let cube = self.activation_layer(origin, "cube", copy, Class::Cube);
                let cubic = scaled(self, &cube, c * 0.044_715);
                let linear = scaled(self, &x, c);
                let sum = self.vertex(
                    origin,
                    "sum",
                    Vertex::ElementWise { op: "Add".into() },
                    &[linear, cubic],
                );
                let gate = self.activation_layer(origin, "gate", sum, Class::Sigmoid);
                product(self, &[x, gate])
            }
            other => {
                return Err(inexpressible(
                    origin,
                    format!("DL4J has no function that equals {other:?}"),
                ));
            }
        };
        self.rewrite(
            "compose-activation",
            origin,
            "DL4J has no such function; it is put together from others, exactly",
        );
        self.put(node.outputs[0], y, place.order);
        Ok(())
    }

    /// Softmax normalises the last axis of the array, whatever its rank.
    pub(super) fn softmax(&mut self, node: &Node, axis: usize) -> Lowered<()> {
        let value = node.inputs[0];
        let rank = self.rank(value);
        if rank == 2
            && axis == 1
            && self.places.get(&value).is_some_and(|place| place.order == [0, 1])
            && self.fuse(node, &Class::Softmax)
        {
            return Ok(());
        }
        if axis == 0 {
            return Err(inexpressible(&node.origin, "a softmax over the batch"));
        }
        if rank == 3 && axis == 2 && self.fuse_per_step(node) {
            return Ok(());
        }
        let mut order: Vec<usize> = Vec::with_capacity(rank);
        let mut next = 0;
        for i in 0..rank {
            order.push(if i == axis { rank - 1 } else { next });
            next += usize::from(i != axis);
        }
        let vertex = self.array(value, &order, &node.origin)?;
        let vertex = self.own_memory(value, &vertex, &node.origin);
        let name = self.activation_layer(&node.origin, "softmax", vertex, Class::Softmax);
        self.put(node.outputs[0], name, order);
        Ok(())
    }

    /// A dense layer at each step takes the softmax over its units itself.
    fn fuse_per_step(&mut self, node: &Node) -> bool {
        let place = self.places[&node.inputs[0]].clone();
        let per_step = self.find(&place.vertex).is_some_and(|placed| {
            matches!(
                &placed.kind,
                Kind::Layer {
                    layer: Layer::TimeDistributed(_),
                    ..
                }
            )
        });
        per_step && self.fuse(node, &Class::Softmax)
    }

    pub(super) fn prelu(&mut self, node: &Node, op: &PRelu) -> Lowered<()> {
        let value = node.inputs[0];
        let rank = self.rank(value);
        let shape = self.graph.shape(value).clone();
        let place = self.forwards(value, &node.origin)?;
        let order = place.order.clone();
        let back = super::inverse(&order);
        // Slopes in the order of the array's axes.
        let axes: Vec<usize> = back[1..].iter().map(|&axis| axis - 1).collect();
        let slope = viewed(op.slope.permute(&axes), &node.origin)?;
        let input_shape = slope.shape();
        let shared: Vec<usize> = (1..rank)
            .filter(|&j| input_shape[j - 1] == 1 && shape.size(back[j]) != Some(1))
            .collect();
        if slope.len() == 1 && rank == 4 && shape.size(1) == Some(1) {
            self.findings.push(
                caribou_ir::Finding::warning(
                    ONE_CHANNEL,
                    &node.origin,
                    "stock DL4J runs a PReLU of images of one channel, and can't train it: its gradient throws",
                )
                .with_help("give it a channel more, or a LeakyReLU in its place"),
            );
        }
        let fortran: Vec<usize> = (0..rank - 1).rev().collect();
        let parameters = vec![viewed(slope.permute(&fortran), &node.origin)?];
        let vertex = self.own_memory(value, &place.vertex, &node.origin);
        let shared_axes = if shared.is_empty() { None } else { Some(shared) };
        let name = self.layer(&node.origin, "", vertex, None, parameters, |base| {
            PReLULayer {
                base,
                input_shape,
                shared_axes,
                nin: 0,
                nout: 0,
            }
            .into()
        });
        self.put(node.outputs[0], name, order);
        Ok(())
    }

    /// Noise by a dropout layer of the same kind, which stock DL4J leaves out at inference.
    pub(super) fn noise(&mut self, node: &Node, op: &Noise) -> Lowered<()> {
        let value = node.inputs[0];
        let rank = self.rank(value);
        let (dropout, amount, largest) = match op.kind {
            NoiseKind::Dropout { rate } => {
                let own = self
                    .training
                    .and_then(|training| training.layers.get(&*node.origin.layer));
                let dropout = match own.and_then(|own| own.kept.as_ref()) {
                    Some(kept) => Dropout::Dropout {
                        p: None,
                        schedule: Some(super::training::schedule(&kept.values, kept.counts)),
                    },
                    None => Dropout::Dropout {
                        p: Some(1.0 - rate),
                        schedule: None,
                    },
                };
                (dropout, rate, 1.0)
            }
            NoiseKind::AlphaDropout { rate } => (Dropout::Alpha { p: 1.0 - rate }, rate, 1.0),
            NoiseKind::GaussianDropout { rate } => (Dropout::GaussianDropout { rate }, rate, 1.0),
            NoiseKind::GaussianNoise { deviation } => (
                Dropout::GaussianNoise { stddev: deviation },
                deviation,
                f64::INFINITY,
            ),
            NoiseKind::SpatialDropout { rate } => (Dropout::Spatial { p: 1.0 - rate }, rate, 1.0),
            NoiseKind::Other => return self.alias(node),
        };
        if amount == 0.0 {
            return self.alias(node);
        }
        let by_channel = op.kind.is_by_channel();
        if !(amount > 0.0 && amount < largest) || (by_channel && !(3..=5).contains(&rank)) {
            self.findings.push(caribou_ir::Finding::warning(
                NOISE,
                &node.origin,
                "its noise was not carried over: it does nothing at inference, and training goes on without it",
            ));
            return self.alias(node);
        }
        let place = match by_channel {
            true => {
                let order = identity(rank);
                let vertex = self.array(value, &order, &node.origin)?;
                super::Place {
                    vertex,
                    order,
                    reversed: false,
                }
            }
            false => self.forwards(value, &node.origin)?,
        };
        let name = self.layer(&node.origin, "", place.vertex, None, Vec::new(), |base| {
            DropoutLayer {
                base: format::Base {
                    idropout: Some(dropout),
                    ..base
                },
            }
            .into()
        });
        self.put(node.outputs[0], name, place.order);
        Ok(())
    }

    pub(super) fn unary(&mut self, node: &Node, kind: UnaryKind) -> Lowered<()> {
        let (scale, shift) = match kind {
            UnaryKind::Negate => (-1.0, 0.0),
            UnaryKind::Affine { scale, shift } => (scale, shift),
            other => {
                return Err(inexpressible(
                    &node.origin,
                    format!("DL4J has no function that equals {other:?}"),
                ));
            }
        };
        let place = self.forwards(node.inputs[0], &node.origin)?;
        let mut name = place.vertex;
        // Where there is nothing to add, even a factor of one stands for the operator.
        if scale != 1.0 || shift == 0.0 {
            name = self.vertex(&node.origin, "", Vertex::Scale { scale_factor: scale }, &[name]);
        }
        if shift != 0.0 {
            name = self.vertex(
                &node.origin,
                "shift",
                Vertex::Shift { shift_factor: shift },
                &[name],
            );
        }
        self.put(node.outputs[0], name, place.order);
        Ok(())
    }

    /// The order in which an array is laid out channels-first for a value of this rank, its channels on the last axis.
    pub(super) fn features_first(rank: usize) -> Vec<usize> {
        match rank {
            0..=2 => identity(rank),
            _ => std::iter::once(0).chain(2..rank).chain([1]).collect(),
        }
    }
}
