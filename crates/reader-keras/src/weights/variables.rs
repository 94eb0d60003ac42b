//! Which variables the objects of a `model.weights.h5` have, in the order of their numbers, and which objects there are
//! within a layer. A variable that an option of the layer turns off has no number.

use crate::config::Attributes;
use crate::version::Generation;

/// A variable and the option that must be on for it to exist.
pub(super) struct Variable {
    pub(super) name: &'static str,
    option: Needed,
}

/// What the configuration must say for a variable to exist.
enum Needed {
    Nothing,
    /// This flag, which has this default.
    Flag(&'static str, bool),
    /// This flag, which is on by default, off.
    FlagOff(&'static str),
    /// This word under this key.
    Word(&'static str, &'static str),
}

impl Variable {
    /// Whether a layer of this configuration has it.
    pub(super) fn exists(&self, config: &Attributes) -> bool {
        // A layer normalisation of Keras 3 with this option has a gamma whatever else it says, and no beta.
        if config.flag_or("rms_scaling", false) == Ok(true) {
            return self.name == "gamma";
        }
        // EinsumDense says which axes its bias has, and has none without.
        if self.name == "bias" && config.get("equation").is_some() {
            return config.get("bias_axes").is_some();
        }
        match self.option {
            Needed::Nothing => true,
            Needed::Flag(key, default) => config.flag_or(key, default).unwrap_or(default),
            Needed::FlagOff(key) => config.flag_or(key, true) == Ok(false),
            Needed::Word(key, word) => config.text_or(key, "") == Ok(word),
        }
    }
}

const fn always(name: &'static str) -> Variable {
    Variable {
        name,
        option: Needed::Nothing,
    }
}

const fn when(option: &'static str, name: &'static str) -> Variable {
    Variable {
        name,
        option: Needed::Flag(option, true),
    }
}

const KERNEL: &[Variable] = &[always("kernel"), when("use_bias", "bias")];
const DEPTHWISE: &[Variable] = &[always("depthwise_kernel"), when("use_bias", "bias")];
const SEPARABLE: &[Variable] = &[
    always("depthwise_kernel"),
    always("pointwise_kernel"),
    when("use_bias", "bias"),
];
const RECURRENT: &[Variable] = &[
    always("kernel"),
    always("recurrent_kernel"),
    when("use_bias", "bias"),
];
const LEARNED_SCALE: &[Variable] = &[when("scale", "gamma"), when("center", "beta")];
const SCORES: &[Variable] = &[
    Variable {
        name: "scale",
        option: Needed::Flag("use_scale", false),
    },
    Variable {
        name: "concat_score_weight",
        option: Needed::Word("score_mode", "concat"),
    },
];

/// The variables of a class, where it has some.
const VARIABLES: &[(&str, &[Variable])] = &[
    ("Dense", KERNEL),
    ("EinsumDense", KERNEL),
    ("Conv1D", KERNEL),
    ("Conv2D", KERNEL),
    ("Conv3D", KERNEL),
    ("Conv1DTranspose", KERNEL),
    ("Conv2DTranspose", KERNEL),
    ("Conv3DTranspose", KERNEL),
    ("LocallyConnected1D", KERNEL),
    ("LocallyConnected2D", KERNEL),
    ("DepthwiseConv1D", DEPTHWISE),
    ("DepthwiseConv2D", DEPTHWISE),
    ("SeparableConv1D", SEPARABLE),
    ("SeparableConv2D", SEPARABLE),
    ("Embedding", &[always("embeddings")]),
    (
        "ReversibleEmbedding",
        &[
            always("embeddings"),
            Variable {
                name: "reverse_embeddings",
                option: Needed::FlagOff("tie_weights"),
            },
        ],
    ),
    ("PReLU", &[always("alpha")]),
    (
        "BatchNormalization",
        &[
            when("scale", "gamma"),
            when("center", "beta"),
            always("moving_mean"),
            always("moving_variance"),
        ],
    ),
    ("LayerNormalization", LEARNED_SCALE),
    ("GroupNormalization", LEARNED_SCALE),
    ("LayerScale", &[always("gamma")]),
    ("RMSNormalization", &[always("scale")]),
    (
        "Normalization",
        &[always("mean"), always("variance"), always("count")],
    ),
    ("Attention", SCORES),
    ("AdditiveAttention", &[when("use_scale", "scale")]),
    ("LSTMCell", RECURRENT),
    ("GRUCell", RECURRENT),
    ("SimpleRNNCell", RECURRENT),
];

/// The variables of a class in the order of their numbers; none where it has none or is not known.
pub(super) fn of_class(class: &str) -> &'static [Variable] {
    VARIABLES
        .iter()
        .find(|(known, _)| *known == class)
        .map_or(&[], |&(_, variables)| variables)
}

/// Whether the variable is gathered from the data, and not learned.
pub(super) fn is_statistic(variable: &str) -> bool {
    matches!(
        variable,
        "moving_mean" | "moving_variance" | "mean" | "variance" | "count"
    )
}

/// An object within a layer, made by the layer itself: the attribute that holds it, the name it is known by, and
/// its class.
pub(super) struct Part {
    pub(super) attribute: &'static str,
    /// The scope of its variables; `None` for that of the layer.
    pub(super) scope: Option<&'static str>,
    pub(super) class: &'static str,
}

const fn cell(class: &'static str) -> Part {
    Part {
        attribute: "cell",
        scope: None,
        class,
    }
}

const fn dense(attribute: &'static str, scope: &'static str) -> Part {
    Part {
        attribute,
        scope: Some(scope),
        class: "EinsumDense",
    }
}

const LSTM: &[Part] = &[cell("LSTMCell")];
const GRU: &[Part] = &[cell("GRUCell")];
const SIMPLE_RNN: &[Part] = &[cell("SimpleRNNCell")];

/// The projections of multi-head attention; in Keras 2, and in grouped attention, their attributes are private.
const ATTENTION: &[Part] = &[
    dense("query_dense", "query"),
    dense("key_dense", "key"),
    dense("value_dense", "value"),
    dense("output_dense", "attention_output"),
];
const ATTENTION_KERAS_2: &[Part] = &[
    dense("_query_dense", "query"),
    dense("_key_dense", "key"),
    dense("_value_dense", "value"),
    dense("_output_dense", "attention_output"),
];

/// The objects that a layer of this class makes for itself, with its own options.
pub(super) fn parts(class: &str, generation: Generation) -> &'static [Part] {
    match (class, generation) {
        ("LSTM", _) => LSTM,
        ("GRU", _) => GRU,
        ("SimpleRNN", _) => SIMPLE_RNN,
        ("MultiHeadAttention", Generation::Two) => ATTENTION_KERAS_2,
        ("MultiHeadAttention", Generation::Three) => ATTENTION,
        ("GroupedQueryAttention" | "GroupQueryAttention", _) => ATTENTION_KERAS_2,
        _ => &[],
    }
}
