//! The shape of an input: an archive does not store it, so what reads the input has to tell.

use caribou_writer_dl4j::format::{Configuration, Layer, Preprocessor, Vertex};

/// Sizes behind the batch; `None` where unknown.
pub(crate) type Sizes = Vec<Option<usize>>;

/// The sizes that the network's input `name` must have, as far as its readers tell.
pub(crate) fn wanted(configuration: &Configuration, name: &str) -> Option<Sizes> {
    match configuration {
        Configuration::MultiLayer(network) => {
            let steps = network.confs.iter().enumerate().flat_map(|(i, conf)| {
                let preprocessor = network
                    .input_pre_processors
                    .get(&i.to_string())
                    .map(Step::Preprocessor);
                preprocessor.into_iter().chain([Step::Layer(&conf.layer)])
            });
            walk(&steps.collect::<Vec<_>>())
        }
        Configuration::Graph(network) => {
            let readers = network
                .vertices
                .keys()
                .filter(|key| network.reads(key).iter().any(|read| read == name));
            readers.into_iter().find_map(|key| match network.vertex(key)? {
                Vertex::Layer {
                    layer_conf,
                    pre_processor,
                    ..
                } => {
                    let first: Vec<Step> = pre_processor.iter().map(Step::Preprocessor).collect();
                    let steps: Vec<Step> = first
                        .into_iter()
                        .chain([Step::Layer(&layer_conf.layer)])
                        .collect();
                    walk(&steps).or_else(|| wanted(configuration, key))
                }
                Vertex::Preprocessor { pre_processor } => {
                    let behind = wanted(configuration, key);
                    before(&pre_processor, behind)
                }
                _ => wanted(configuration, key),
            })
        }
    }
}

enum Step<'c> {
    Preprocessor(&'c Preprocessor),
    Layer(&'c Layer),
}

fn walk(steps: &[Step<'_>]) -> Option<Sizes> {
    let (first, rest) = steps.split_first()?;
    match first {
        Step::Preprocessor(preprocessor) => before(preprocessor, walk(rest)),
        Step::Layer(layer) => of_layer(layer).or_else(|| walk(rest)),
    }
}

/// The sizes in front of a preprocessor, from those behind it.
fn before(preprocessor: &Preprocessor, behind: Option<Sizes>) -> Option<Sizes> {
    match preprocessor {
        Preprocessor::Permute { permutation_indices } => {
            let behind = behind.filter(|behind| behind.len() == permutation_indices.len());
            let mut sizes = vec![None; permutation_indices.len()];
            for (i, &axis) in permutation_indices.iter().enumerate() {
                *sizes.get_mut(axis.checked_sub(1)?)? = behind.as_ref().and_then(|behind| behind[i]);
            }
            Some(sizes)
        }
        Preprocessor::Reshape { input_shape, .. } => {
            Some(input_shape.iter().map(|&size| Some(size)).collect())
        }
        Preprocessor::CnnToFeedForward {
            input_height,
            input_width,
            num_channels,
            format,
        } => Some(if format == "NHWC" {
            vec![Some(*input_height), Some(*input_width), Some(*num_channels)]
        } else {
            vec![Some(*num_channels), Some(*input_height), Some(*input_width)]
        }),
        Preprocessor::CnnToRnn {
            input_height,
            input_width,
            num_channels,
            ..
        } => Some(vec![Some(*num_channels), Some(*input_height), Some(*input_width)]),
        Preprocessor::Cnn3dToFeedForward {
            input_depth,
            input_height,
            input_width,
            num_channels,
            channels_first,
        } => {
            let cells = [*input_depth, *input_height, *input_width].map(Some);
            let mut sizes = cells.to_vec();
            sizes.insert(if *channels_first { 0 } else { 3 }, Some(*num_channels));
            Some(sizes)
        }
        Preprocessor::FlattenRnn { depth, ts_length } => Some(vec![Some(*ts_length), Some(*depth)]),
        Preprocessor::FeedForwardToCnn {
            input_height,
            input_width,
            num_channels,
        } => Some(vec![Some(num_channels * input_height * input_width)]),
        Preprocessor::RnnToFeedForward { rnn_data_format } => {
            let features = behind?.first().copied()?;
            Some(match rnn_data_format.as_str() {
                "NWC" => vec![None, features],
                _ => vec![features, None],
            })
        }
        Preprocessor::Composable { input_pre_processors } => input_pre_processors
            .iter()
            .rev()
            .fold(behind, |behind, preprocessor| before(preprocessor, behind)),
        Preprocessor::FeedForwardToRnn { .. } | Preprocessor::Unknown(_) => None,
    }
}

/// The sizes that a layer with parameters reads.
fn of_layer(layer: &Layer) -> Option<Sizes> {
    let sequence = |features: usize, format: &str| match format {
        "NWC" => vec![None, Some(features)],
        _ => vec![Some(features), None],
    };
    let image = |channels: usize, format: &str| match format {
        "NHWC" => vec![None, None, Some(channels)],
        _ => vec![Some(channels), None, None],
    };
    let volume = |channels: usize, format: &str| match format {
        "NDHWC" => vec![None, None, None, Some(channels)],
        _ => vec![Some(channels), None, None, None],
    };
    Some(match layer {
        Layer::DenseLayer(layer) => vec![Some(layer.nin)],
        Layer::OutputLayer(layer) => vec![Some(layer.nin)],
        Layer::CenterLossOutputLayer(layer) => vec![Some(layer.nin)],
        Layer::AutoEncoder(layer) => vec![Some(layer.nin)],
        Layer::ElementWiseMultiplicationLayer(layer) => vec![Some(layer.nin)],
        Layer::RnnOutputLayer(layer) => sequence(layer.nin, &layer.rnn_data_format),
        Layer::LSTM(layer) => sequence(layer.nin, &layer.rnn_data_format),
        Layer::GravesBidirectionalLSTM(layer) => sequence(layer.nin, "NCW"),
        Layer::GravesLSTM(layer) => sequence(layer.nin, &layer.rnn_data_format),
        Layer::SimpleRnn(layer) => sequence(layer.nin, &layer.rnn_data_format),
        Layer::Bidirectional(layer) => sequence(layer.nin, &layer.rnn_data_format),
        Layer::Convolution1DLayer(layer) => sequence(layer.nin, &layer.rnn_data_format),
        Layer::SelfAttentionLayer(layer) => sequence(layer.nin, "NCW"),
        Layer::LastTimeStep(layer) => return of_layer(&layer.underlying),
        Layer::FrozenLayer(layer) => return of_layer(&layer.layer),
        Layer::FrozenLayerWithBackprop(layer) => return of_layer(&layer.underlying),
        Layer::TimeDistributed(layer) => {
            let inner = of_layer(&layer.underlying)?;
            sequence(inner.first().copied().flatten()?, &layer.rnn_data_format)
        }
        Layer::EmbeddingLayer(_) => vec![Some(1)],
        Layer::EmbeddingSequenceLayer(_) => vec![None],
        Layer::ConvolutionLayer(layer) => image(layer.nin, &layer.cnn_2d_data_format),
        Layer::DepthwiseConvolution2D(layer) => image(layer.nin, &layer.cnn_2d_data_format),
        Layer::SeparableConvolution2D(layer) => image(layer.nin, &layer.cnn_2d_data_format),
        Layer::Deconvolution2D(layer) => image(layer.nin, &layer.cnn_2d_data_format),
        Layer::Convolution3D(layer) => volume(layer.nin, &layer.data_format),
        Layer::Deconvolution3D(layer) => volume(layer.nin, &layer.data_format),
        Layer::PReLULayer(layer) => layer
            .input_shape
            .iter()
            .map(|&size| Some(size).filter(|&size| size != 1))
            .collect(),
        _ => return None,
    })
}
