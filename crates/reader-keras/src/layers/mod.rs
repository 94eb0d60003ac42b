//! The layers of Keras: one row a class, one function a row.
//!
//! A function gets a [`Call`]: the layer's configuration, its weights and the values it is called with, in the axis
//! order of Keras. It adds operators to the graph and gives the layer's outputs, again in Keras' order.

mod activation;
mod adaptive;
mod application;
mod attention;
mod bidirectional;
mod call;
mod cell;
mod composed;
mod conv;
mod core;
mod einsum;
mod grouped_attention;
mod local;
mod merge;
mod noise;
mod norm;
mod operator;
mod pool;
mod preprocessing;
mod recurrent;
mod reshape;
mod spatial;
mod wrapper;

pub(crate) use call::Call;

use crate::config::Layer;
use crate::version::Generation;
use caribou_ir::{Code, Finding, ValueId};

/// A key of a configuration that is missing or wrong.
const CONFIG: Code = Code("K0201");
/// A layer that does not fit its inputs.
const MISFIT: Code = Code("K0202");
/// A weight that is missing or of the wrong shape.
pub(crate) const WEIGHT: Code = Code("K0203");
/// What is wrong with a layer when its inputs are not what it was made for.
pub(crate) const GUESSED: [Code; 2] = [MISFIT, WEIGHT];
/// An option of a layer that is known but has no meaning here.
const OPTION: Code = Code("K0204");
/// Something of the layer that matters in training only and was not carried over.
const TRAINING: Code = Code("K0205");

/// What a layer function gives: the layer's outputs, or why there are none.
pub(crate) type Outputs = Result<Vec<ValueId>, Box<Finding>>;

/// What a layer does with the mask of its input (Keras 2's `supports_masking` and `compute_mask`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MaskRule {
    /// Its output has none.
    Stops,
    /// Its output has the same, and its values do not depend on it.
    Passes,
    /// Its values depend on it in a way that is not known here.
    Reads,
    /// Its function deals with it.
    Uses,
    /// As [`MaskRule::Passes`] in Keras 3, as [`MaskRule::Stops`] before.
    PassesInKeras3,
}

impl MaskRule {
    /// The rule in this generation.
    pub(crate) fn of(self, generation: Generation) -> Self {
        match (self, generation) {
            (Self::PassesInKeras3, Generation::Three) => Self::Passes,
            (Self::PassesInKeras3, Generation::Two) => Self::Stops,
            (other, _) => other,
        }
    }
}

/// Whether a class is read.
#[derive(Clone, Copy)]
pub(crate) enum Support {
    /// By this function.
    Read(fn(&mut Call<'_>) -> Outputs),
    /// Known, and refused for this reason.
    Refused(&'static str),
}

/// One class.
pub(crate) struct Row {
    class: &'static str,
    pub(crate) support: Support,
    pub(crate) mask: MaskRule,
    weights: bool,
    /// Whether its function looks at the arguments of the call itself; all others are called with their inputs alone.
    pub(crate) arguments: bool,
}

impl Row {
    /// The same row for a class whose function looks at [`Call::operands`].
    const fn with_arguments(mut self) -> Self {
        self.arguments = true;
        self
    }
}

const fn row(class: &'static str, read: fn(&mut Call<'_>) -> Outputs, mask: MaskRule) -> Row {
    Row {
        class,
        support: Support::Read(read),
        mask,
        weights: false,
        arguments: false,
    }
}

const fn weighted(class: &'static str, read: fn(&mut Call<'_>) -> Outputs, mask: MaskRule) -> Row {
    Row {
        class,
        support: Support::Read(read),
        mask,
        weights: true,
        arguments: false,
    }
}

const fn refused(class: &'static str, why: &'static str) -> Row {
    Row {
        class,
        support: Support::Refused(why),
        mask: MaskRule::Reads,
        weights: false,
        arguments: false,
    }
}

/// Why layers that turn text and categories into numbers are refused.
const ENCODING: &str = "layers that encode text or categories have no counterpart in DL4J; encode the data before the \
                        network, and convert the part of the model behind this layer";

/// Why layers that stretch the contrast of each image are refused.
const CONTRAST: &str =
    "the contrast of each image has no counterpart in DL4J; prepare the images before the network";

/// Why spectrograms are refused.
const SPECTRUM: &str = "DL4J has no Fourier transform; compute the spectrogram before the network, and convert the part \
                        of the model behind this layer";

/// Why modules of other frameworks are refused.
const FOREIGN: &str = "it holds a module of another framework, whose code is not in the file and is never executed; \
                       build the module of layers of Keras, and copy its weights into them";

use MaskRule::{Passes, PassesInKeras3, Reads, Stops, Uses};

/// All classes, by family.
const TABLE: &[Row] = &[
    weighted("Dense", core::dense, Passes),
    weighted("EinsumDense", einsum::einsum_dense, Reads),
    weighted("Embedding", core::embedding, Stops),
    weighted("ReversibleEmbedding", core::reversible_embedding, Reads).with_arguments(),
    row("Masking", core::masking, Passes),
    row("Activation", activation::activation, Passes),
    row("Identity", core::identity, PassesInKeras3),
    row("ReLU", activation::relu, Passes),
    row("LeakyReLU", activation::leaky_relu, Passes),
    row("ELU", activation::elu, Passes),
    row("ThresholdedReLU", activation::thresholded_relu, Passes),
    row("Softmax", activation::softmax, Reads),
    weighted("PReLU", activation::prelu, Passes),
    weighted("Conv1D", conv::conv, Stops),
    weighted("Conv2D", conv::conv, Stops),
    weighted("Conv3D", conv::conv, Stops),
    weighted("Convolution1D", conv::conv, Stops),
    weighted("Convolution2D", conv::conv, Stops),
    weighted("Convolution3D", conv::conv, Stops),
    weighted("DepthwiseConv1D", conv::depthwise, Stops),
    weighted("DepthwiseConv2D", conv::depthwise, Stops),
    weighted("SeparableConv1D", conv::separable, Stops),
    weighted("SeparableConv2D", conv::separable, Stops),
    weighted("Conv1DTranspose", conv::transpose, Stops),
    weighted("Conv2DTranspose", conv::transpose, Stops),
    weighted("Conv3DTranspose", conv::transpose, Stops),
    weighted("Deconvolution2D", conv::transpose, Stops),
    weighted("LocallyConnected1D", local::local, Stops),
    weighted("LocallyConnected2D", local::local, Stops),
    row("MaxPooling1D", pool::pool, Stops),
    row("MaxPooling2D", pool::pool, Stops),
    row("MaxPooling3D", pool::pool, Stops),
    row("AveragePooling1D", pool::pool, Stops),
    row("AveragePooling2D", pool::pool, Stops),
    row("AveragePooling3D", pool::pool, Stops),
    row("GlobalMaxPooling1D", pool::global, Stops),
    row("GlobalMaxPooling2D", pool::global, Stops),
    row("GlobalMaxPooling3D", pool::global, Stops),
    row("GlobalAveragePooling1D", pool::global_average_1d, Uses),
    row("GlobalAveragePooling2D", pool::global, Stops),
    row("GlobalAveragePooling3D", pool::global, Stops),
    row("AdaptiveMaxPooling1D", adaptive::adaptive, Reads),
    row("AdaptiveMaxPooling2D", adaptive::adaptive, Reads),
    row("AdaptiveMaxPooling3D", adaptive::adaptive, Reads),
    row("AdaptiveAveragePooling1D", adaptive::adaptive, Reads),
    row("AdaptiveAveragePooling2D", adaptive::adaptive, Reads),
    row("AdaptiveAveragePooling3D", adaptive::adaptive, Reads),
    weighted("BatchNormalization", norm::batch, Passes),
    weighted("LayerNormalization", norm::layer, Passes),
    weighted("GroupNormalization", norm::group, Passes),
    row("UnitNormalization", norm::unit, Passes),
    weighted("RMSNormalization", norm::root_mean_square, Passes),
    weighted("SpectralNormalization", norm::spectral, Stops),
    row("Dropout", noise::dropout, Passes),
    row("SpatialDropout1D", noise::spatial_dropout, Passes),
    row("SpatialDropout2D", noise::spatial_dropout, Passes),
    row("SpatialDropout3D", noise::spatial_dropout, Passes),
    row("AlphaDropout", noise::alpha_dropout, Passes),
    row("GaussianDropout", noise::gaussian_dropout, Passes),
    row("GaussianNoise", noise::gaussian_noise, Passes),
    row("ActivityRegularization", noise::other, Passes),
    row("Flatten", reshape::flatten, Stops),
    row("Reshape", reshape::reshape, Stops),
    row("Permute", reshape::permute, Stops),
    row("RepeatVector", reshape::repeat_vector, Stops),
    row("ZeroPadding1D", spatial::zero_padding, Stops),
    row("ZeroPadding2D", spatial::zero_padding, Stops),
    row("ZeroPadding3D", spatial::zero_padding, Stops),
    row("Cropping1D", spatial::cropping, Stops),
    row("Cropping2D", spatial::cropping, Stops),
    row("Cropping3D", spatial::cropping, Stops),
    row("UpSampling1D", spatial::upsampling, Stops),
    row("UpSampling2D", spatial::upsampling, Stops),
    row("UpSampling3D", spatial::upsampling, Stops),
    row("Add", merge::add, Passes),
    row("Subtract", merge::subtract, Passes),
    row("Multiply", merge::multiply, Passes),
    row("Average", merge::average, Passes),
    row("Maximum", merge::maximum, Passes),
    row("Minimum", merge::minimum, Passes),
    row("Concatenate", merge::concatenate, Passes),
    row("Dot", attention::dot, Stops),
    weighted("MultiHeadAttention", attention::multi_head, Reads).with_arguments(),
    weighted("GroupQueryAttention", grouped_attention::grouped, Reads).with_arguments(),
    weighted("GroupedQueryAttention", grouped_attention::grouped, Reads).with_arguments(),
    weighted("Attention", attention::dot_product, Reads).with_arguments(),
    weighted("AdditiveAttention", attention::additive, Reads).with_arguments(),
    weighted("LSTM", recurrent::recurrent, Uses),
    weighted("SimpleRNN", recurrent::recurrent, Uses),
    weighted("GRU", recurrent::recurrent, Uses),
    weighted("CuDNNLSTM", recurrent::recurrent, Reads),
    weighted("CuDNNGRU", recurrent::recurrent, Reads),
    weighted("RNN", recurrent::recurrent, Uses),
    weighted("Bidirectional", bidirectional::bidirectional, Uses),
    weighted("TimeDistributed", wrapper::time_distributed, Uses),
    row("CustomScaleLayer", application::custom_scale, Stops),
    row("Custom>CustomScaleLayer", application::custom_scale, Stops),
    weighted("LayerScale", application::layer_scale, Stops),
    row("StochasticDepth", application::stochastic_depth, Stops),
    row("Rescaling", preprocessing::rescaling, PassesInKeras3),
    weighted("Normalization", preprocessing::normalization, PassesInKeras3),
    row("Resizing", preprocessing::resizing, Stops),
    row("CenterCrop", preprocessing::center_crop, Stops),
    row("RandomCrop", preprocessing::random_crop, Stops),
    row("RandomFlip", preprocessing::random, Stops),
    row("RandomTranslation", preprocessing::random, Stops),
    row("RandomRotation", preprocessing::random, Stops),
    row("RandomZoom", preprocessing::random, Stops),
    row("RandomContrast", preprocessing::random, Stops),
    row("RandomBrightness", preprocessing::random, Stops),
    row("RandomHeight", preprocessing::random, Stops),
    row("RandomWidth", preprocessing::random, Stops),
    row("AugMix", preprocessing::random, Stops),
    row("CutMix", preprocessing::random, Stops),
    row("Equalization", preprocessing::random, Stops),
    row("MixUp", preprocessing::random, Stops),
    row("RandAugment", preprocessing::random, Stops),
    row("RandomColorDegeneration", preprocessing::random, Stops),
    row("RandomColorJitter", preprocessing::random, Stops),
    row("RandomElasticTransform", preprocessing::random, Stops),
    row("RandomErasing", preprocessing::random, Stops),
    row("RandomGaussianBlur", preprocessing::random, Stops),
    row("RandomGrayscale", preprocessing::random, Stops),
    row("RandomHue", preprocessing::random, Stops),
    row("RandomInvert", preprocessing::random, Stops),
    row("RandomPerspective", preprocessing::random, Stops),
    row("RandomPosterization", preprocessing::random, Stops),
    row("RandomSaturation", preprocessing::random, Stops),
    row("RandomSharpness", preprocessing::random, Stops),
    row("RandomShear", preprocessing::random, Stops),
    row("Solarization", preprocessing::random, Stops),
    row("Pipeline", wrapper::pipeline, Reads),
    refused("AutoContrast", CONTRAST),
    refused("ContrastLimitedAdaptiveHistogramEqualization", CONTRAST),
    refused("MaxNumBoundingBoxes", "bounding boxes are no arrays of one size"),
    refused("MelSpectrogram", SPECTRUM),
    refused("STFTSpectrogram", SPECTRUM),
    refused("CategoryEncoding", ENCODING),
    refused("Discretization", ENCODING),
    refused("Hashing", ENCODING),
    refused("HashedCrossing", ENCODING),
    refused("IntegerLookup", ENCODING),
    refused("StringLookup", ENCODING),
    refused("TextVectorization", ENCODING),
    row("TFOpLambda", operator::operator, Stops).with_arguments(),
    row("SlicingOpLambda", operator::operator, Stops).with_arguments(),
    refused(
        "TensorFlowOpLayer",
        "operators of TensorFlow that Keras 2.3 and 2.4 saved as nodes of its graph are not read; load the model in Keras 2.5 to 2.15, rebuild it and save it again",
    ),
    refused("TorchModuleWrapper", FOREIGN),
    refused("JaxLayer", FOREIGN),
    refused("FlaxLayer", FOREIGN),
    refused("TFSMLayer", FOREIGN),
    refused("Lambda", "a Lambda holds Python code, which is never executed"),
    refused("ConvLSTM1D", "convolutional recurrent layers have no counterpart"),
    refused("ConvLSTM2D", "convolutional recurrent layers have no counterpart"),
    refused("ConvLSTM3D", "convolutional recurrent layers have no counterpart"),
];

/// The operators that Keras 3 lists among the layers.
const OPERATOR: Row = row("Operation", operator::keras_3, Stops).with_arguments();

/// The row of a layer, or that of the operators.
pub(crate) fn of(layer: &Layer) -> Option<&'static Row> {
    if layer.operator {
        Some(&OPERATOR)
    } else {
        find(&layer.class)
    }
}

/// Whether the layer is one of those that prepare images, whose calls have `training=True` by default in Keras 3. It is
/// written down, and says nothing about the outputs: `predict` overrules it (keras/src/models/functional.py). Other
/// layers have it when somebody wanted it.
pub(crate) fn is_called_as_in_training(layer: &Layer) -> bool {
    const OTHERS: &[&str] = &[
        "AugMix",
        "AutoContrast",
        "CenterCrop",
        "CutMix",
        "Equalization",
        "MixUp",
        "Pipeline",
        "RandAugment",
        "Resizing",
        "Solarization",
    ];
    layer.class.starts_with("Random") || OTHERS.contains(&layer.class.as_str())
}

/// Options that came with Keras 3 and change what a layer computes. None of them is read.
const UNREAD: &[&str] = &[
    "use_gate",
    "sliding_window",
    "quantization_config",
    "quantization_mode",
    "lora_rank",
    "pad_to_aspect_ratio",
];

/// An option of a layer that is on and that no function reads.
pub(crate) fn unread(layer: &Layer) -> Option<String> {
    let on = |key: &&&str| {
        layer
            .config
            .get(key)
            .is_some_and(|value| value.as_bool() != Some(false))
    };
    let quantized = layer.config.get("dtype").filter(|dtype| {
        let class = dtype.get("class_name").and_then(serde_json::Value::as_str);
        class.is_some_and(|class| class.contains("Quantized"))
    });
    match (UNREAD.iter().find(on), quantized) {
        (Some(key), _) => Some(format!("its option {key} is not supported")),
        (None, Some(_)) => Some("quantized layers are not supported".to_owned()),
        (None, None) => None,
    }
}

/// The row of a class.
pub(crate) fn find(class: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.class == class)
}

/// Whether layers of this class have weights.
pub(crate) fn has_weights(class: &str) -> bool {
    find(class).is_some_and(|row| row.weights)
}

/// Reads keys of a configuration: `config!(call, size("units"))`.
macro_rules! config {
    ($call:expr, $method:ident($($argument:expr),*)) => {
        $call.config.$method($($argument),*).map_err(|error| $call.misconfigured(error))?
    };
}
use config;
