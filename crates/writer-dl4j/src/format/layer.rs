//! The layers that archives of ordinary networks are made of, by their DL4J classes.

use super::updater::{read_rate, write_rate};
use super::{Activation, Constraint, LossFunction, Regularization, Schedule, Updater};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What all layers with parameters or a function have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Base {
    /// In a graph, the name of the vertex.
    #[serde(default)]
    pub layer_name: Option<String>,
    /// The layer's function.
    #[serde(default = "identity")]
    pub activation_fn: Activation,
    /// Required wherever there are parameters.
    #[serde(default)]
    pub iupdater: Option<Updater>,
    /// Of biases, where it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias_updater: Option<Updater>,
    /// Dropout of the layer's input in training.
    #[serde(default)]
    pub idropout: Option<Dropout>,
    /// How parameters are initialised when there are none.
    #[serde(default)]
    pub weight_init_fn: Option<Value>,
    /// Noise on weights, in training only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_noise: Option<Value>,
    /// What gains of layer normalisation start with.
    #[serde(default = "one")]
    pub gain_init: f64,
    /// Of weights.
    #[serde(default, deserialize_with = "or_empty")]
    pub regularization: Vec<Regularization>,
    /// Of biases.
    #[serde(default, deserialize_with = "or_empty")]
    pub regularization_bias: Vec<Regularization>,
    /// Of any parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraints: Option<Vec<Constraint>>,
    /// What is done to gradients; absent for nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_normalization: Option<String>,
    /// Its bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_normalization_threshold: Option<f64>,
}

/// A list that may be null.
fn or_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Regularization>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn identity() -> Activation {
    Activation::Identity
}

impl Base {
    /// The common fields of the layer called `name`.
    pub fn new(name: &str, activation_fn: Activation, updater: &Updater) -> Self {
        Self {
            layer_name: Some(name.to_owned()),
            activation_fn,
            iupdater: Some(updater.clone()),
            bias_updater: None,
            idropout: None,
            weight_noise: None,
            weight_init_fn: Some(
                serde_json::json!({ "@class": "org.deeplearning4j.nn.weights.WeightInitXavier" }),
            ),
            gain_init: one(),
            regularization: Vec::new(),
            regularization_bias: Vec::new(),
            constraints: None,
            gradient_normalization: None,
            gradient_normalization_threshold: None,
        }
    }

    /// The common fields of a layer without parameters. Loss layers need an updater all the same: without one, a
    /// chain is taken for an archive of an old version.
    pub fn plain(name: &str, updater: &Updater) -> Self {
        Self {
            weight_init_fn: None,
            ..Self::new(name, Activation::Identity, updater)
        }
    }
}

/// Noise on a layer's input, in training only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "@class")]
#[allow(missing_docs)] // Fields by the names that the classes of DL4J give them.
pub enum Dropout {
    /// `p` is the probability to keep; no number where there is a schedule of it.
    #[serde(rename = "org.deeplearning4j.nn.conf.dropout.Dropout")]
    Dropout {
        #[serde(serialize_with = "write_rate", deserialize_with = "read_rate")]
        p: Option<f64>,
        #[serde(
            default,
            rename = "pschedule",
            alias = "pSchedule",
            skip_serializing_if = "Option::is_none"
        )]
        schedule: Option<Schedule>,
    },
    /// Whole channels; `p` is the probability to keep.
    #[serde(rename = "org.deeplearning4j.nn.conf.dropout.SpatialDropout")]
    Spatial { p: f64 },
    /// For SELU; `p` is the probability to keep.
    #[serde(rename = "org.deeplearning4j.nn.conf.dropout.AlphaDropout")]
    Alpha { p: f64 },
    /// Multiplicative noise.
    #[serde(rename = "org.deeplearning4j.nn.conf.dropout.GaussianDropout")]
    GaussianDropout { rate: f64 },
    /// Additive noise.
    #[serde(rename = "org.deeplearning4j.nn.conf.dropout.GaussianNoise")]
    GaussianNoise { stddev: f64 },
    /// A class that is not known here.
    #[serde(untagged)]
    Unknown(Value),
}

/// Kernel, stride, padding and dilation of one to three axes. One-axis layers carry a second element without effect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Extent of the window.
    pub kernel_size: Vec<usize>,
    /// Distance of two windows.
    pub stride: Vec<usize>,
    /// Cells on both sides of each axis, in the modes Truncate and Strict.
    #[serde(default)]
    pub padding: Vec<usize>,
    /// Distance of two cells of the window.
    #[serde(default)]
    pub dilation: Vec<usize>,
    /// `Truncate`, `Same`, `Strict` or `Causal`.
    #[serde(default = "truncate")]
    pub convolution_mode: String,
}

fn truncate() -> String {
    "Truncate".into()
}

fn yes() -> bool {
    true
}

fn nchw() -> String {
    "NCHW".into()
}

fn ncdhw() -> String {
    "NCDHW".into()
}

fn ncw() -> String {
    "NCW".into()
}

fn max() -> String {
    "MAX".into()
}

fn sigmoid() -> Activation {
    Activation::Sigmoid
}

macro_rules! layers {
    ($($(#[$doc:meta])* $variant:ident($class:literal) { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* })*) => {
        /// A layer of a network. Every struct carries the fields that stock DL4J reads; what it leaves out takes the
        /// stock defaults.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "@class")]
        pub enum Layer {
            $($(#[$doc])* #[serde(rename = $class)] $variant($variant),)*
            /// A class that is not known here.
            #[serde(untagged)]
            Unknown(Value),
        }

        $($(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase")]
        #[allow(missing_docs)] // Fields by the names that the classes of DL4J give them.
        pub struct $variant {
            $($(#[$field_meta])* pub $field: $type,)*
            // Last: a bidirectional layer hands its name on to the layers inside, which must be there by then.
            #[serde(flatten)]
            pub base: Base,
        }

        impl From<$variant> for Layer {
            fn from(layer: $variant) -> Self {
                Self::$variant(layer)
            }
        })*

        impl Layer {
            /// The common fields; `None` for wrappers and unknown classes, which have none of their own.
            pub fn base(&self) -> Option<&Base> {
                match self {
                    $(Self::$variant(layer) => Some(&layer.base),)*
                    Self::Unknown(_) => None,
                }
            }

            /// The same, to change them.
            pub fn base_mut(&mut self) -> Option<&mut Base> {
                match self {
                    $(Self::$variant(layer) => Some(&mut layer.base),)*
                    Self::Unknown(_) => None,
                }
            }

            /// Whether `updater` moves the layer's parameters.
            pub fn learns_by(&self, updater: &Updater) -> bool {
                self.base().is_some_and(|base| base.iupdater.as_ref() == Some(updater))
            }

            /// The name of the class without its package.
            pub fn class(&self) -> &str {
                match self {
                    $(Self::$variant(_) => $class.rsplit('.').next().unwrap_or($class),)*
                    Self::Unknown(value) => {
                        let class = value.get("@class").and_then(Value::as_str).unwrap_or("unknown");
                        class.rsplit('.').next().unwrap_or(class)
                    }
                }
            }
        }
    };
}

layers! {
    /// `y = act(x W + b)`; W `[nin, nout]` in Fortran order, then b.
    DenseLayer("org.deeplearning4j.nn.conf.layers.DenseLayer") {
        nin: usize, nout: usize, #[serde(default = "yes")] has_bias: bool, #[serde(default)] has_layer_norm: bool,
    }
    /// A dense layer with a loss.
    OutputLayer("org.deeplearning4j.nn.conf.layers.OutputLayer") {
        nin: usize, nout: usize, #[serde(default = "yes")] has_bias: bool, loss_fn: LossFunction,
    }
    /// A dense layer with a loss and, behind its own parameters, a centre `[nout, nin]` of each class, which only the loss uses.
    CenterLossOutputLayer("org.deeplearning4j.nn.conf.layers.CenterLossOutputLayer") {
        nin: usize, nout: usize, #[serde(default = "yes")] has_bias: bool, loss_fn: LossFunction,
    }
    /// At inference a dense layer; behind its parameters the biases `[nin]` of the way back.
    AutoEncoder("org.deeplearning4j.nn.conf.layers.AutoEncoder") {
        nin: usize, nout: usize,
    }
    /// A dense layer at each step, with a loss.
    RnnOutputLayer("org.deeplearning4j.nn.conf.layers.RnnOutputLayer") {
        nin: usize, nout: usize, #[serde(default = "yes")] has_bias: bool, loss_fn: LossFunction,
        #[serde(default = "ncw")] rnn_data_format: String,
    }
    /// A loss without parameters on `[N, C]`.
    LossLayer("org.deeplearning4j.nn.conf.layers.LossLayer") {
        loss_fn: LossFunction,
    }
    /// A loss without parameters on sequences.
    RnnLossLayer("org.deeplearning4j.nn.conf.layers.RnnLossLayer") {
        loss_fn: LossFunction, #[serde(default = "ncw")] rnn_data_format: String,
    }
    /// A loss without parameters on images.
    CnnLossLayer("org.deeplearning4j.nn.conf.layers.CnnLossLayer") {
        loss_fn: LossFunction, #[serde(default = "nchw")] format: String,
    }
    /// A loss without parameters on volumes.
    Cnn3DLossLayer("org.deeplearning4j.nn.conf.layers.Cnn3DLossLayer") {
        loss_fn: LossFunction, #[serde(default = "ncdhw")] data_format: String,
    }
    /// A function alone. It overwrites its input at inference.
    ActivationLayer("org.deeplearning4j.nn.conf.layers.ActivationLayer") {}
    /// Noise alone.
    DropoutLayer("org.deeplearning4j.nn.conf.layers.DropoutLayer") {}
    /// b, then W `[nout, nin, kH, kW]`.
    ConvolutionLayer("org.deeplearning4j.nn.conf.layers.ConvolutionLayer") {
        nin: usize, nout: usize, #[serde(default = "yes")] has_bias: bool, #[serde(flatten)] window: Window,
        #[serde(default = "nchw", rename = "cnn2dDataFormat")] cnn_2d_data_format: String,
    }
    /// b, then W read as `[k, nin, nout]`.
    Convolution1DLayer("org.deeplearning4j.nn.conf.layers.Convolution1DLayer") {
        nin: usize, nout: usize, #[serde(default = "yes")] has_bias: bool, #[serde(flatten)] window: Window,
        #[serde(default = "ncw")] rnn_data_format: String,
    }
    /// b, then W `[nout, nin, kD, kH, kW]`.
    Convolution3D("org.deeplearning4j.nn.conf.layers.Convolution3D") {
        nin: usize, nout: usize, #[serde(default = "yes")] has_bias: bool, #[serde(flatten)] window: Window,
        #[serde(default = "ncdhw")] data_format: String,
    }
    /// b, then W `[kH, kW, nin, multiplier]`.
    DepthwiseConvolution2D("org.deeplearning4j.nn.conf.layers.DepthwiseConvolution2D") {
        nin: usize, nout: usize, depth_multiplier: usize, #[serde(default = "yes")] has_bias: bool,
        #[serde(flatten)] window: Window, #[serde(default = "nchw", rename = "cnn2dDataFormat")] cnn_2d_data_format: String,
    }
    /// b, then the depthwise W `[multiplier, nin, kH, kW]` and the pointwise `[nout, nin * multiplier, 1, 1]`.
    SeparableConvolution2D("org.deeplearning4j.nn.conf.layers.SeparableConvolution2D") {
        nin: usize, nout: usize, depth_multiplier: usize, #[serde(default = "yes")] has_bias: bool,
        #[serde(flatten)] window: Window, #[serde(default = "nchw", rename = "cnn2dDataFormat")] cnn_2d_data_format: String,
    }
    /// b, then W `[nin, nout, kH, kW]`.
    Deconvolution2D("org.deeplearning4j.nn.conf.layers.Deconvolution2D") {
        nin: usize, nout: usize, #[serde(default = "yes")] has_bias: bool, #[serde(flatten)] window: Window,
        #[serde(default = "nchw", rename = "cnn2dDataFormat")] cnn_2d_data_format: String,
    }
    /// b, then W `[kD, kH, kW, nout, nin]`.
    Deconvolution3D("org.deeplearning4j.nn.conf.layers.Deconvolution3D") {
        nin: usize, nout: usize, #[serde(default = "yes")] has_bias: bool, #[serde(flatten)] window: Window,
        #[serde(default = "ncdhw")] data_format: String,
    }
    /// Pooling of images.
    SubsamplingLayer("org.deeplearning4j.nn.conf.layers.SubsamplingLayer") {
        pooling_type: String, #[serde(flatten)] window: Window, #[serde(default)] pnorm: usize,
        #[serde(default)] avg_pool_include_pad_in_divisor: bool,
        #[serde(default = "nchw", rename = "cnn2dDataFormat")] cnn_2d_data_format: String,
    }
    /// Pooling of sequences.
    Subsampling1DLayer("org.deeplearning4j.nn.conf.layers.Subsampling1DLayer") {
        pooling_type: String, #[serde(flatten)] window: Window, #[serde(default)] pnorm: usize,
        #[serde(default)] avg_pool_include_pad_in_divisor: bool,
        #[serde(default = "nchw", rename = "cnn2dDataFormat")] cnn_2d_data_format: String,
    }
    /// Pooling of volumes.
    Subsampling3DLayer("org.deeplearning4j.nn.conf.layers.Subsampling3DLayer") {
        pooling_type: String, #[serde(flatten)] window: Window, #[serde(default = "ncdhw")] data_format: String,
    }
    /// Pooling over all spatial axes.
    GlobalPoolingLayer("org.deeplearning4j.nn.conf.layers.GlobalPoolingLayer") {
        #[serde(default = "max")] pooling_type: String, #[serde(default)] pooling_dimensions: Option<Vec<usize>>,
        #[serde(default = "yes")] collapse_dimensions: bool, #[serde(default)] pnorm: usize,
    }
    /// gamma, beta, mean and variance, each `[nout]`.
    BatchNormalization("org.deeplearning4j.nn.conf.layers.BatchNormalization") {
        nin: usize, nout: usize, #[serde(default = "default_eps")] eps: f64, #[serde(default = "nine_tenths")] decay: f64,
        #[serde(default)] lock_gamma_beta: bool, #[serde(default = "one")] gamma: f64, #[serde(default)] beta: f64,
        #[serde(default)] use_log_std: bool, #[serde(default = "nchw", rename = "cnn2DFormat")] cnn_2d_format: String,
    }
    /// Across channels.
    LocalResponseNormalization("org.deeplearning4j.nn.conf.layers.LocalResponseNormalization") {
        n: f64, k: f64, alpha: f64, beta: f64, #[serde(default = "nchw")] data_format: String,
    }
    /// W `inputShape` in Fortran order; shared axes have size one.
    PReLULayer("org.deeplearning4j.nn.conf.layers.PReLULayer") {
        input_shape: Vec<usize>, #[serde(default)] shared_axes: Option<Vec<usize>>, nin: usize, nout: usize,
    }
    /// `y = act(x * W + b)`, both `[nout]`.
    ElementWiseMultiplicationLayer("org.deeplearning4j.nn.conf.layers.misc.ElementWiseMultiplicationLayer") {
        nin: usize, nout: usize,
    }
    /// `[N, 1]` to `[N, nout]`; W `[nin, nout]` in Fortran order, then b.
    EmbeddingLayer("org.deeplearning4j.nn.conf.layers.EmbeddingLayer") {
        nin: usize, nout: usize, #[serde(default = "yes")] has_bias: bool,
    }
    /// `[N, T]` to `[N, nout, T]`; W `[nin, nout]` in Fortran order.
    EmbeddingSequenceLayer("org.deeplearning4j.nn.conf.layers.EmbeddingSequenceLayer") {
        nin: usize, nout: usize, #[serde(default)] has_bias: bool, #[serde(default = "one_step")] input_length: usize,
        #[serde(default)] infer_input_length: bool, #[serde(default = "ncw")] output_format: String,
    }
    /// `[N, C]` to `[N, C, n]`.
    RepeatVector("org.deeplearning4j.nn.conf.layers.misc.RepeatVector") {
        n: usize, #[serde(default = "ncw")] data_format: String,
    }
    /// W `[nin, 4 n]`, RW `[n, 4 n]` in Fortran order, b `[4 n]`; blocks of columns: candidate, forget, output, input.
    LSTM("org.deeplearning4j.nn.conf.layers.LSTM") {
        nin: usize, nout: usize, #[serde(default = "sigmoid")] gate_activation_fn: Activation,
        #[serde(default = "one")] forget_gate_bias_init: f64, #[serde(default = "ncw")] rnn_data_format: String,
    }
    /// W `[nin, 4 n]`, RW `[n, 4 n + 3]` in Fortran order, b `[4 n]`: an LSTM whose gates see its state, by the last three
    /// columns: the one before by the forget gate, the new one by the output gate, the one before by the input gate.
    GravesLSTM("org.deeplearning4j.nn.conf.layers.GravesLSTM") {
        nin: usize, nout: usize, #[serde(default = "sigmoid")] gate_activation_fn: Activation,
        #[serde(default = "one")] forget_gate_bias_init: f64, #[serde(default = "ncw")] rnn_data_format: String,
    }
    /// Two of these, one on the reversed sequence, whose outputs are added: the parameters of one behind the other's.
    GravesBidirectionalLSTM("org.deeplearning4j.nn.conf.layers.GravesBidirectionalLSTM") {
        nin: usize, nout: usize, #[serde(default = "sigmoid")] gate_activation_fn: Activation,
        #[serde(default = "one")] forget_gate_bias_init: f64,
    }
    /// W `[nin, n]`, RW `[n, n]` in Fortran order, b `[n]`.
    SimpleRnn("org.deeplearning4j.nn.conf.layers.recurrent.SimpleRnn") {
        nin: usize, nout: usize, #[serde(default = "ncw")] rnn_data_format: String,
    }
    /// Two layers, one of them on the reversed sequence.
    Bidirectional("org.deeplearning4j.nn.conf.layers.recurrent.Bidirectional") {
        fwd: Box<Layer>, bwd: Box<Layer>, mode: String, nin: usize, nout: usize,
        #[serde(default = "ncw", rename = "rnndataFormat")] rnn_data_format: String,
    }
    /// The last step of a recurrent layer.
    LastTimeStep("org.deeplearning4j.nn.conf.layers.recurrent.LastTimeStep") {
        underlying: Box<Layer>,
    }
    /// A feed-forward layer at each step.
    TimeDistributed("org.deeplearning4j.nn.conf.layers.recurrent.TimeDistributed") {
        underlying: Box<Layer>, #[serde(default = "ncw")] rnn_data_format: String,
    }
    /// A layer whose parameters stay, in front of which nothing learns.
    FrozenLayer("org.deeplearning4j.nn.conf.layers.misc.FrozenLayer") {
        layer: Box<Layer>,
    }
    /// A layer whose parameters stay, and that gives gradients on.
    FrozenLayerWithBackprop("org.deeplearning4j.nn.conf.layers.misc.FrozenLayerWithBackprop") {
        #[serde(rename = "layer", alias = "underlying")] underlying: Box<Layer>,
    }
    /// Attention of a sequence `[N, nin, T]` over itself; with projections Wq, Wk, Wv `[heads, headSize, nin]` and Wo
    /// `[heads headSize, nout]`, all in C order, where `projectInput`.
    SelfAttentionLayer("org.deeplearning4j.nn.conf.layers.SelfAttentionLayer") {
        nin: usize, nout: usize, #[serde(default)] head_size: usize, #[serde(default = "one_step")] nheads: usize,
        #[serde(default)] project_input: bool, #[serde(default)] updater: Option<Updater>,
    }
    /// Each step repeated.
    Upsampling1D("org.deeplearning4j.nn.conf.layers.Upsampling1D") {
        size: Vec<usize>,
    }
    /// Each cell repeated.
    Upsampling2D("org.deeplearning4j.nn.conf.layers.Upsampling2D") {
        size: Vec<usize>, #[serde(default = "nchw")] format: String,
    }
    /// Each cell repeated.
    Upsampling3D("org.deeplearning4j.nn.conf.layers.Upsampling3D") {
        size: Vec<usize>, #[serde(default = "ncdhw")] data_format: String,
    }
    /// Blocks of cells as channels.
    SpaceToDepthLayer("org.deeplearning4j.nn.conf.layers.SpaceToDepthLayer") {
        block_size: usize, #[serde(default = "nchw")] data_format: String,
    }
    /// Zeros before and behind.
    ZeroPadding1DLayer("org.deeplearning4j.nn.conf.layers.ZeroPadding1DLayer") {
        padding: Vec<usize>,
    }
    /// Zeros on the top, bottom, left and right.
    ZeroPaddingLayer("org.deeplearning4j.nn.conf.layers.ZeroPaddingLayer") {
        padding: Vec<usize>, #[serde(default = "nchw")] data_format: String,
    }
    /// Zeros before and behind each of three axes.
    ZeroPadding3DLayer("org.deeplearning4j.nn.conf.layers.ZeroPadding3DLayer") {
        padding: Vec<usize>,
    }
    /// Cells cut before and behind.
    Cropping1D("org.deeplearning4j.nn.conf.layers.convolutional.Cropping1D") {
        cropping: Vec<usize>,
    }
    /// Cells cut on the top, bottom, left and right.
    Cropping2D("org.deeplearning4j.nn.conf.layers.convolutional.Cropping2D") {
        cropping: Vec<usize>, #[serde(default = "nchw")] data_format: String,
    }
    /// Cells cut before and behind each of three axes.
    Cropping3D("org.deeplearning4j.nn.conf.layers.convolutional.Cropping3D") {
        cropping: Vec<usize>,
    }
}

fn default_eps() -> f64 {
    1e-5
}

fn nine_tenths() -> f64 {
    0.9
}

fn one() -> f64 {
    1.0
}

fn one_step() -> usize {
    1
}
