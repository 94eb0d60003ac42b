//! The classes of Keras 1 and their keys.

/// What becomes of a key.
#[derive(Clone, Copy)]
pub(super) enum Rule {
    /// It is the same.
    Keep,
    /// It has another name.
    To(&'static str),
    /// It is entry `1` of a list called `0`.
    Entry(&'static str, usize),
    /// `th` and `tf` have become `channels_first` and `channels_last`.
    Ordering,
    /// An L1 and L2 penalty under another name.
    Penalty(&'static str),
    /// It matters in training only; worth a warning when it is set.
    Training,
    /// It says nothing that counts.
    Drop,
    /// It must have this value, else the layer computes something that Keras 2 can't.
    Must(i64),
    /// The configuration of a layer within.
    Layer,
}

use Rule::{Drop, Entry, Keep, Layer, Must, Ordering, Penalty, To, Training};

pub(super) type Keys = &'static [(&'static str, Rule)];

/// What every layer may have.
pub(super) const COMMON: Keys = &[
    ("name", Keep),
    ("trainable", Keep),
    ("batch_input_shape", Keep),
    ("input_dtype", Drop),
    ("create_input_layer", Drop),
];
const DENSE: Keys = &[
    ("output_dim", To("units")),
    ("init", Drop),
    ("activation", Keep),
    ("W_regularizer", Penalty("kernel_regularizer")),
    ("b_regularizer", Penalty("bias_regularizer")),
    ("activity_regularizer", Training),
    ("W_constraint", Training),
    ("b_constraint", Training),
    ("bias", To("use_bias")),
    ("input_dim", Drop),
    ("input_length", Drop),
];
/// The keys of convolutions besides their kernel's.
const CONVOLUTION: Keys = &[
    ("nb_filter", To("filters")),
    ("init", Drop),
    ("activation", Keep),
    ("border_mode", To("padding")),
    ("dim_ordering", Ordering),
    ("W_regularizer", Penalty("kernel_regularizer")),
    ("b_regularizer", Penalty("bias_regularizer")),
    ("activity_regularizer", Training),
    ("W_constraint", Training),
    ("b_constraint", Training),
    ("bias", To("use_bias")),
    ("input_dim", Drop),
    ("input_length", Drop),
];
const KERNEL_1: Keys = &[
    ("filter_length", Entry("kernel_size", 0)),
    ("subsample_length", Entry("strides", 0)),
    ("atrous_rate", Entry("dilation_rate", 0)),
];
const KERNEL_2: Keys = &[
    ("nb_row", Entry("kernel_size", 0)),
    ("nb_col", Entry("kernel_size", 1)),
    ("subsample", To("strides")),
    ("atrous_rate", To("dilation_rate")),
    ("depth_multiplier", Keep),
    ("depthwise_regularizer", Training),
    ("pointwise_regularizer", Training),
    ("depthwise_constraint", Training),
    ("pointwise_constraint", Training),
];
const KERNEL_3: Keys = &[
    ("kernel_dim1", Entry("kernel_size", 0)),
    ("kernel_dim2", Entry("kernel_size", 1)),
    ("kernel_dim3", Entry("kernel_size", 2)),
    ("subsample", To("strides")),
];
const POOL_1: Keys = &[
    ("pool_length", Entry("pool_size", 0)),
    ("stride", Entry("strides", 0)),
    ("border_mode", To("padding")),
];
const POOL: Keys = &[
    ("pool_size", Keep),
    ("strides", Keep),
    ("border_mode", To("padding")),
    ("dim_ordering", Ordering),
];
const RECURRENT: Keys = &[
    ("output_dim", To("units")),
    ("init", Drop),
    ("inner_init", Drop),
    ("forget_bias_init", Drop),
    ("activation", Keep),
    ("inner_activation", To("recurrent_activation")),
    ("W_regularizer", Penalty("kernel_regularizer")),
    ("U_regularizer", Penalty("recurrent_regularizer")),
    ("b_regularizer", Penalty("bias_regularizer")),
    ("dropout_W", To("dropout")),
    ("dropout_U", To("recurrent_dropout")),
    ("return_sequences", Keep),
    ("go_backwards", Keep),
    ("stateful", Keep),
    ("unroll", Keep),
    ("consume_less", Drop),
    ("input_dim", Drop),
    ("input_length", Drop),
];
const SPATIAL: Keys = &[
    ("length", To("size")),
    ("size", Keep),
    ("padding", Keep),
    ("cropping", Keep),
    ("dim_ordering", Ordering),
];
const RATE: Keys = &[("p", To("rate")), ("dim_ordering", Drop)];

/// A class of Keras 1, what it is called in Keras 2, and its keys.
pub(super) const CLASSES: &[(&str, &str, &[Keys])] = &[
    ("InputLayer", "InputLayer", &[&[("sparse", Keep)]]),
    ("Dense", "Dense", &[DENSE]),
    ("TimeDistributedDense", "Dense", &[DENSE]),
    ("Activation", "Activation", &[&[("activation", Keep)]]),
    ("Dropout", "Dropout", &[RATE]),
    ("SpatialDropout1D", "SpatialDropout1D", &[RATE]),
    ("SpatialDropout2D", "SpatialDropout2D", &[RATE]),
    ("SpatialDropout3D", "SpatialDropout3D", &[RATE]),
    ("GaussianDropout", "GaussianDropout", &[RATE]),
    ("GaussianNoise", "GaussianNoise", &[&[("sigma", To("stddev"))]]),
    ("Flatten", "Flatten", &[]),
    ("Reshape", "Reshape", &[&[("target_shape", Keep)]]),
    ("Permute", "Permute", &[&[("dims", Keep)]]),
    ("RepeatVector", "RepeatVector", &[&[("n", Keep)]]),
    ("Masking", "Masking", &[&[("mask_value", Keep)]]),
    (
        "ActivityRegularization",
        "ActivityRegularization",
        &[&[("l1", Keep), ("l2", Keep)]],
    ),
    ("Convolution1D", "Conv1D", &[CONVOLUTION, KERNEL_1]),
    ("AtrousConvolution1D", "Conv1D", &[CONVOLUTION, KERNEL_1]),
    ("Convolution2D", "Conv2D", &[CONVOLUTION, KERNEL_2]),
    ("AtrousConvolution2D", "Conv2D", &[CONVOLUTION, KERNEL_2]),
    ("AtrousConv2D", "Conv2D", &[CONVOLUTION, KERNEL_2]),
    (
        "SeparableConvolution2D",
        "SeparableConv2D",
        &[CONVOLUTION, KERNEL_2],
    ),
    ("Convolution3D", "Conv3D", &[CONVOLUTION, KERNEL_3]),
    ("MaxPooling1D", "MaxPooling1D", &[POOL_1]),
    ("MaxPooling2D", "MaxPooling2D", &[POOL]),
    ("MaxPooling3D", "MaxPooling3D", &[POOL]),
    ("AveragePooling1D", "AveragePooling1D", &[POOL_1]),
    ("AveragePooling2D", "AveragePooling2D", &[POOL]),
    ("AveragePooling3D", "AveragePooling3D", &[POOL]),
    ("GlobalMaxPooling1D", "GlobalMaxPooling1D", &[]),
    ("GlobalMaxPooling2D", "GlobalMaxPooling2D", &[POOL]),
    ("GlobalMaxPooling3D", "GlobalMaxPooling3D", &[POOL]),
    ("GlobalAveragePooling1D", "GlobalAveragePooling1D", &[]),
    ("GlobalAveragePooling2D", "GlobalAveragePooling2D", &[POOL]),
    ("GlobalAveragePooling3D", "GlobalAveragePooling3D", &[POOL]),
    ("UpSampling1D", "UpSampling1D", &[SPATIAL]),
    ("UpSampling2D", "UpSampling2D", &[SPATIAL]),
    ("UpSampling3D", "UpSampling3D", &[SPATIAL]),
    ("ZeroPadding1D", "ZeroPadding1D", &[SPATIAL]),
    ("ZeroPadding2D", "ZeroPadding2D", &[SPATIAL]),
    ("ZeroPadding3D", "ZeroPadding3D", &[SPATIAL]),
    ("Cropping1D", "Cropping1D", &[SPATIAL]),
    ("Cropping2D", "Cropping2D", &[SPATIAL]),
    ("Cropping3D", "Cropping3D", &[SPATIAL]),
    ("LSTM", "LSTM", &[RECURRENT]),
    ("GRU", "GRU", &[RECURRENT]),
    ("SimpleRNN", "SimpleRNN", &[RECURRENT]),
    (
        "Embedding",
        "Embedding",
        &[&[
            ("input_dim", Keep),
            ("output_dim", Keep),
            ("input_length", Keep),
            ("mask_zero", Keep),
            ("init", Drop),
            ("activity_regularizer", Training),
            ("W_regularizer", Penalty("embeddings_regularizer")),
            ("W_constraint", Training),
            ("dropout", Training),
        ]],
    ),
    (
        "BatchNormalization",
        "BatchNormalization",
        &[&[
            ("epsilon", Keep),
            ("axis", Keep),
            ("momentum", Keep),
            // Mode 1 normalises each example, mode 2 takes the statistics of the batch at inference too.
            ("mode", Must(0)),
            ("gamma_regularizer", Training),
            ("beta_regularizer", Training),
        ]],
    ),
    ("LeakyReLU", "LeakyReLU", &[&[("alpha", Keep)]]),
    ("ELU", "ELU", &[&[("alpha", Keep)]]),
    ("ThresholdedReLU", "ThresholdedReLU", &[&[("theta", Keep)]]),
    (
        "PReLU",
        "PReLU",
        &[&[("init", Drop), ("weights", Drop), ("shared_axes", Keep)]],
    ),
    ("TimeDistributed", "TimeDistributed", &[&[("layer", Layer)]]),
    (
        "Bidirectional",
        "Bidirectional",
        &[&[("layer", Layer), ("merge_mode", Keep)]],
    ),
];
