//! The ends of the network: output and loss layers, so that training can go on.

use super::{Edge, Kind, Lowering, Placed, identity, inverse};
use crate::format::{
    self, Activation as Class, Cnn3DLossLayer, CnnLossLayer, Layer, LossFunction, LossLayer, OutputLayer,
    RnnLossLayer, RnnOutputLayer, RowVector, Updater,
};
use caribou_ir::{LossKind, Origin, Port, Tensor};

/// The most features of a sequence that an output layer with a square matrix is written for.
const WIDEST_SEQUENCE: usize = 512;

/// The loss of an output is a multiple of the source's.
const SCALED: caribou_ir::Code = caribou_ir::Code("D0115");

/// How far probabilities are kept from zero and one where the source names no loss.
const CLIP: f64 = 1e-7;

fn loss(kind: LossKind, clip: f64) -> LossFunction {
    match kind {
        LossKind::MeanSquaredError => LossFunction::Mse { weights: None },
        LossKind::MeanAbsoluteError => LossFunction::Mae { weights: None },
        LossKind::MeanAbsolutePercentageError => LossFunction::Mape { weights: None },
        LossKind::MeanSquaredLogarithmicError => LossFunction::Msle { weights: None },
        LossKind::BinaryCrossEntropy => LossFunction::BinaryXent {
            clip_eps: clip,
            weights: None,
        },
        LossKind::CategoricalCrossEntropy => LossFunction::Mcxent {
            softmax_clip_eps: clip,
            weights: None,
        },
        LossKind::SparseCategoricalCrossEntropy => LossFunction::SparseMcxent {
            softmax_clip_eps: clip,
            weights: None,
        },
        LossKind::Hinge => LossFunction::Hinge,
        LossKind::SquaredHinge => LossFunction::SquaredHinge,
        LossKind::KullbackLeiblerDivergence => LossFunction::Kld,
        LossKind::Poisson => LossFunction::Poisson,
        LossKind::CosineSimilarity => LossFunction::CosineProximity,
    }
}

/// The loss that goes with a function, where the source names none.
fn usual_loss(activation: &Class) -> LossFunction {
    match activation {
        Class::Softmax => loss(LossKind::CategoricalCrossEntropy, CLIP),
        Class::Sigmoid => loss(LossKind::BinaryCrossEntropy, CLIP),
        _ => LossFunction::Mse { weights: None },
    }
}

impl Lowering<'_> {
    /// The outputs of the network, each at a vertex that nothing else reads.
    pub(super) fn outputs(&mut self) -> Vec<Edge> {
        let ports: Vec<Port> = self.graph.outputs().to_vec();
        let mut edges = Vec::with_capacity(ports.len());
        for (i, port) in ports.iter().enumerate() {
            if !self.places.contains_key(&port.value) {
                continue;
            }
            let origin = Origin::new(port.name.as_str(), "output");
            match self.output(i, port, &origin) {
                Ok(edge) => edges.push(edge),
                Err(finding) => self.findings.push(*finding),
            }
        }
        edges
    }

    fn output(&mut self, position: usize, port: &Port, origin: &Origin) -> super::Lowered<Edge> {
        let rank = self.rank(port.value);
        let permutation = self.port_permutation(port.layout, rank);
        let order = inverse(&permutation);
        let given = self
            .training
            .and_then(|training| training.losses.iter().find(|loss| loss.output == position));
        let given = given.map(|given| self.scaled_loss(given, port, origin));
        let place = self.forwards(port.value, origin)?;
        // The vertex is this output's own when nothing else reads the value.
        let own = self.uses[port.value.index()] == 1 && !self.shared.contains(&place.vertex);
        // An output layer gives its features where the vertex has them: not so where a transposition follows it.
        let straight =
            rank != 3 || place.order == order || (place.order == [0, 2, 1] && order == identity(3));
        // A sequence that the archive gives steps first, where the vertex has them last.
        let steps_first = rank == 3 && place.order != order;
        let frozen = |lowering: &mut Self| {
            let layers = lowering.training.map(|training| &training.layers);
            let source = lowering.find(&place.vertex).map(|placed| placed.source.clone());
            layers
                .and_then(|layers| layers.get(&*source?))
                .is_some_and(|layer| layer.frozen)
        };
        // A frozen layer can't be the one with the loss.
        if own
            && straight
            && !frozen(self)
            && let Some(name) = self.output_layer(&place.vertex, rank, steps_first, given.clone())
        {
            return Ok(Edge { name, permutation });
        }
        let vertex = self.array(port.value, &order, origin)?;
        let features = self.graph.shape(port.value).size(2);
        let name = match (rank, features) {
            (3, Some(features)) if order == identity(3) && features <= WIDEST_SEQUENCE && self.learns() => {
                self.sequence_output(&vertex, features, given, origin)
            }
            _ => match self.loss_layer(&vertex, rank, &order, given, origin) {
                Some(name) => name,
                None => self.copy(&vertex, origin),
            },
        };
        Ok(Edge { name, permutation })
    }

    /// The loss of an output, as DL4J has to be given it to have the source's value: DL4J adds up over steps and cells,
    /// and for some functions over features, where the source takes the mean.
    fn scaled_loss(&mut self, given: &caribou_ir::Loss, port: &Port, origin: &Origin) -> LossFunction {
        let mut function = loss(given.kind, given.clip);
        let shape = self.graph.shape(port.value);
        let rank = shape.rank();
        let channels = if port.layout == caribou_ir::Layout::ChannelsFirst {
            1
        } else {
            rank.saturating_sub(1)
        };
        let features = shape.size(channels);
        let cells: Option<usize> = (1..rank)
            .filter(|&axis| axis != channels)
            .map(|axis| shape.size(axis))
            .product();
        let over_features = match given.kind {
            LossKind::BinaryCrossEntropy | LossKind::Hinge | LossKind::SquaredHinge | LossKind::Poisson => {
                features
            }
            _ => Some(1),
        };
        let factor = match (over_features, cells) {
            _ if given.summed => Some(given.weight),
            (Some(features), Some(cells)) => Some(given.weight / (features * cells) as f64),
            _ => None,
        };
        // Stock DL4J looks for the factors of an image's channels on the wrong axis, where these are last.
        let channels_last =
            rank > 3 && self.port_permutation(port.layout, rank) == identity(rank) && channels != 1;
        let room = features.filter(|_| !channels_last);
        let by_feature = (!given.features.is_empty()).then_some(&given.features);
        let row = match (factor, room, by_feature) {
            (Some(factor), Some(features), Some(each)) if each.len() == features => {
                Some(RowVector::new(each.iter().map(|own| own * factor).collect()))
            }
            (Some(factor), Some(features), None) if factor != 1.0 => {
                Some(RowVector::new(vec![factor; features]))
            }
            _ => None,
        };
        let weighted = row.is_some_and(|row| function.set_weights(row));
        if let (Some(each), false) = (by_feature, weighted) {
            let message = format!(
                "the {} factors of its loss, one for each feature, have no place in DL4J here: training goes on without them",
                each.len()
            );
            self.findings
                .push(caribou_ir::Finding::warning(SCALED, origin, message));
        }
        let told = match factor {
            _ if weighted => None,
            Some(1.0) => None,
            Some(factor) => Some(format!("{} times that of the source", 1.0 / factor)),
            None => Some("as many times that of the source as there are steps".to_owned()),
        };
        if let Some(times) = told {
            let message = format!(
                "its loss is {times}, and so are the gradients: the learning rate has to make up for it"
            );
            self.findings
                .push(caribou_ir::Finding::warning(SCALED, origin, message));
        }
        function
    }

    /// Turns the dense layer that ends the network into an output layer. `None` when it is none.
    fn output_layer(
        &mut self,
        vertex: &str,
        rank: usize,
        steps_first: bool,
        given: Option<LossFunction>,
    ) -> Option<String> {
        let placed: &mut Placed = self.find(vertex)?;
        let Kind::Layer { layer, .. } = &mut placed.kind else {
            return None;
        };
        match layer.clone() {
            Layer::DenseLayer(dense) if rank == 2 => {
                let loss_fn = given.unwrap_or_else(|| usual_loss(&dense.base.activation_fn));
                let format::DenseLayer {
                    base,
                    nin,
                    nout,
                    has_bias,
                    ..
                } = dense;
                *layer = OutputLayer {
                    base,
                    nin,
                    nout,
                    has_bias,
                    loss_fn,
                }
                .into();
                Some(placed.name.clone())
            }
            Layer::TimeDistributed(wrapper) if rank == 3 => {
                let Layer::DenseLayer(dense) = *wrapper.underlying else {
                    return None;
                };
                let loss_fn = given.unwrap_or_else(|| usual_loss(&dense.base.activation_fn));
                let format::DenseLayer {
                    base,
                    nin,
                    nout,
                    has_bias,
                    ..
                } = dense;
                // Stock DL4J adds the bias of this layer without asking whether there is one.
                if !has_bias {
                    placed.parameters.push(Tensor::filled(&[nout], 0.0));
                }
                let rnn_data_format = if steps_first { "NWC" } else { "NCW" }.to_owned();
                *layer = RnnOutputLayer {
                    base,
                    nin,
                    nout,
                    has_bias: true,
                    loss_fn,
                    rnn_data_format,
                }
                .into();
                let name = placed.name.clone();
                let origin = Origin::new(vertex, "Dense");
                if !has_bias {
                    self.rewrite(
                        "zero-bias",
                        &origin,
                        "stock DL4J runs an output layer on sequences with a bias only",
                    );
                }
                if steps_first {
                    // The layer reads and gives [N, T, F]; its input is permuted in front of it.
                    let from = self.find(&name)?.inputs[0].clone();
                    let place = super::Place {
                        vertex: from,
                        order: vec![0, 2, 1],
                        reversed: false,
                    };
                    let permuted = self.in_order(&place, &identity(3), &origin).ok()?;
                    self.move_behind(&name, &permuted);
                    if let Some(placed) = self.find(&name) {
                        placed.inputs[0] = permuted;
                    }
                }
                Some(name)
            }
            _ => None,
        }
    }

    /// Puts the vertex `name` behind `before` in the order of execution.
    fn move_behind(&mut self, name: &str, before: &str) {
        let (Some(&from), Some(&to)) = (self.by_name.get(name), self.by_name.get(before)) else {
            return;
        };
        if from < to {
            self.vertices[from..=to].rotate_left(1);
            for (i, placed) in self.vertices.iter().enumerate().skip(from) {
                self.by_name.insert(placed.name.clone(), i);
            }
        }
    }

    /// Whether the network has parameters that training moves.
    fn learns(&self) -> bool {
        self.vertices.iter().any(|placed| match &placed.kind {
            Kind::Layer { layer, .. } => !placed.parameters.is_empty() && layer.learns_by(&self.updater),
            Kind::Vertex(_) => false,
        })
    }

    /// The output of a sequence `[N, T, F]`. Stock DL4J can't train a loss layer in that order, but an output layer: one
    /// that gives its input, whose parameters no optimiser moves.
    fn sequence_output(
        &mut self,
        vertex: &str,
        features: usize,
        given: Option<LossFunction>,
        origin: &Origin,
    ) -> String {
        let mut unit = vec![0.0; features * features];
        unit.iter_mut()
            .step_by(features + 1)
            .for_each(|value| *value = 1.0);
        let parameters = vec![Tensor::vector(&unit), Tensor::filled(&[features], 0.0)];
        let loss_fn = given.unwrap_or_else(|| loss(LossKind::MeanSquaredError, CLIP));
        self.rewrite(
            "output-of-a-sequence",
            origin,
            "stock DL4J can't train a loss layer on [N, T, F]; an output layer with the unit matrix gives its input, and is never trained",
        );
        let learning = std::mem::replace(&mut self.updater, Updater::still());
        let name = self.layer(origin, "loss", vertex.to_owned(), None, parameters, |base| {
            RnnOutputLayer {
                base,
                nin: features,
                nout: features,
                has_bias: true,
                loss_fn,
                rnn_data_format: "NWC".into(),
            }
            .into()
        });
        self.updater = learning;
        name
    }

    /// A loss layer behind `vertex`, in the order of the port. `None` where stock DL4J can't train one.
    fn loss_layer(
        &mut self,
        vertex: &str,
        rank: usize,
        order: &[usize],
        given: Option<LossFunction>,
        origin: &Origin,
    ) -> Option<String> {
        let keep = order == identity(rank);
        let loss_fn = given.unwrap_or_else(|| loss(LossKind::MeanSquaredError, CLIP));
        if !(2..=5).contains(&rank) || (rank == 3 && keep) {
            return None;
        }
        Some(
            self.layer(
                origin,
                "loss",
                vertex.to_owned(),
                None,
                Vec::new(),
                |base| match rank {
                    2 => LossLayer { base, loss_fn }.into(),
                    3 => RnnLossLayer {
                        base,
                        loss_fn,
                        rnn_data_format: "NCW".into(),
                    }
                    .into(),
                    4 => CnnLossLayer {
                        base,
                        loss_fn,
                        format: if keep { "NHWC" } else { "NCHW" }.into(),
                    }
                    .into(),
                    _ => Cnn3DLossLayer {
                        base,
                        loss_fn,
                        data_format: if keep { "NDHWC" } else { "NCDHW" }.into(),
                    }
                    .into(),
                },
            ),
        )
    }
}
