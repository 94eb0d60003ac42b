//! The operators of Keras 3 (keras/src/ops), one row each.

use serde_json::{Value, json};

/// An operator.
pub(super) struct Operator {
    pub(super) classes: &'static [&'static str],
    /// The function of TensorFlow.
    pub(super) function: &'static str,
    /// The parameters of a call and those of the function.
    pub(super) call: &'static [(&'static str, &'static str)],
    /// The keys of the configuration and the parameters of the function.
    pub(super) config: &'static [(&'static str, &'static str)],
}

const fn operator(
    classes: &'static [&'static str],
    function: &'static str,
    call: &'static [(&'static str, &'static str)],
    config: &'static [(&'static str, &'static str)],
) -> Operator {
    Operator {
        classes,
        function,
        call,
        config,
    }
}

const PAIR: &[(&str, &str)] = &[("x1", "x"), ("x2", "y")];
const X: &[(&str, &str)] = &[("x", "x")];
const REDUCED: &[(&str, &str)] = &[("axis", "axis"), ("keepdims", "keepdims"), ("initial", "initial")];
const INPUT: &[(&str, &str)] = &[("x", "input_tensor")];

const POOLED: &[(&str, &str)] = &[
    ("pool_size", "ksize"),
    ("strides", "strides"),
    ("padding", "padding"),
    ("data_format", "data_format"),
];
const BLOCKS: &[(&str, &str)] = &[("block_size", "block_size"), ("data_format", "data_format")];

pub(super) const OPERATORS: &[Operator] = &[
    operator(&["Add"], "math.add", PAIR, &[]),
    operator(&["Subtract"], "math.subtract", PAIR, &[]),
    operator(&["Multiply"], "math.multiply", PAIR, &[]),
    operator(&["Divide", "TrueDivide"], "math.divide", PAIR, &[]),
    operator(&["Power"], "math.pow", PAIR, &[]),
    operator(&["Maximum", "Fmax"], "math.maximum", PAIR, &[]),
    operator(&["Minimum", "Fmin"], "math.minimum", PAIR, &[]),
    operator(&["Greater"], "math.greater", PAIR, &[]),
    operator(&["GreaterEqual"], "math.greater_equal", PAIR, &[]),
    operator(&["Less"], "math.less", PAIR, &[]),
    operator(&["LessEqual"], "math.less_equal", PAIR, &[]),
    operator(&["Equal"], "math.equal", PAIR, &[]),
    operator(&["NotEqual"], "math.not_equal", PAIR, &[]),
    operator(&["LogicalAnd"], "math.logical_and", PAIR, &[]),
    operator(&["LogicalOr"], "math.logical_or", PAIR, &[]),
    operator(&["LogicalNot"], "math.logical_not", X, &[]),
    operator(&["Any"], "math.reduce_any", X, REDUCED),
    operator(&["All"], "math.reduce_all", X, REDUCED),
    operator(
        &["Where"],
        "where",
        &[("condition", "condition"), ("x1", "x"), ("x2", "y")],
        &[],
    ),
    operator(&["ZerosLike"], "zeros_like", X, &[("dtype", "dtype")]),
    operator(&["OnesLike"], "ones_like", X, &[("dtype", "dtype")]),
    operator(&["Negative"], "math.negative", X, &[]),
    operator(&["Absolute", "Abs", "Fabs"], "math.abs", X, &[]),
    operator(&["Square"], "math.square", X, &[]),
    operator(&["Sqrt"], "math.sqrt", X, &[]),
    operator(&["Rsqrt"], "math.rsqrt", X, &[]),
    operator(&["Reciprocal"], "math.reciprocal", X, &[]),
    operator(&["Log"], "math.log", X, &[]),
    operator(&["Exp"], "math.exp", X, &[]),
    operator(&["Sign"], "math.sign", X, &[]),
    operator(&["Erf"], "math.erf", X, &[]),
    operator(
        &["Clip"],
        "clip_by_value",
        &[("x", "t")],
        &[("x_min", "clip_value_min"), ("x_max", "clip_value_max")],
    ),
    operator(&["Matmul"], "linalg.matmul", &[("x1", "a"), ("x2", "b")], &[]),
    operator(&["Mean"], "math.reduce_mean", INPUT, REDUCED),
    operator(&["Sum"], "math.reduce_sum", INPUT, REDUCED),
    operator(&["Max", "Amax"], "math.reduce_max", INPUT, REDUCED),
    operator(&["Min", "Amin"], "math.reduce_min", INPUT, REDUCED),
    operator(&["Prod"], "math.reduce_prod", INPUT, REDUCED),
    operator(
        &["Reshape"],
        "reshape",
        &[("x", "tensor")],
        &[("newshape", "shape")],
    ),
    operator(&["Transpose"], "transpose", &[("x", "a")], &[("axes", "perm")]),
    operator(
        &["ExpandDims"],
        "expand_dims",
        &[("x", "input")],
        &[("axis", "axis")],
    ),
    operator(&["Squeeze"], "squeeze", &[("x", "input")], &[("axis", "axis")]),
    operator(
        &["Concatenate", "Hstack", "Dstack"],
        "concat",
        &[("xs", "values")],
        &[("axis", "axis")],
    ),
    operator(&["Stack"], "stack", &[("x", "values")], &[("axis", "axis")]),
    operator(&["Tile"], "tile", &[("x", "input")], &[("repeats", "multiples")]),
    operator(
        &["Repeat"],
        "repeat",
        &[("x", "input")],
        &[("repeats", "repeats"), ("axis", "axis")],
    ),
    operator(
        &["Flip", "Fliplr"],
        "reverse",
        &[("x", "tensor")],
        &[("axis", "axis")],
    ),
    operator(
        &["GetItem"],
        "__operators__.getitem",
        &[("x", "tensor"), ("key", "slice_spec")],
        &[],
    ),
    operator(&["Cast", "SaturateCast"], "cast", X, &[("dtype", "dtype")]),
    operator(
        &["LeakyRelu"],
        "nn.leaky_relu",
        &[("x", "features")],
        &[("negative_slope", "alpha")],
    ),
    operator(
        &["Gelu"],
        "nn.gelu",
        &[("x", "features")],
        &[("approximate", "approximate")],
    ),
    operator(
        &["Softmax"],
        "nn.softmax",
        &[("x", "logits")],
        &[("axis", "axis")],
    ),
    operator(
        &["LogSoftmax"],
        "nn.log_softmax",
        &[("x", "logits")],
        &[("axis", "axis")],
    ),
    operator(&["Floor"], "math.floor", X, &[]),
    operator(&["Ceil"], "math.ceil", X, &[]),
    operator(&["Round"], "math.round", X, &[]),
    operator(&["Sin"], "math.sin", X, &[]),
    operator(&["Cos"], "math.cos", X, &[]),
    operator(&["Var"], "math.reduce_variance", INPUT, REDUCED),
    operator(&["Std"], "math.reduce_std", INPUT, REDUCED),
    operator(&["Average"], "math.reduce_mean", INPUT, &[("axis", "axis")]),
    operator(&["Ptp"], "ops.ptp", INPUT, REDUCED),
    operator(&["CountNonzero"], "ops.count_nonzero", INPUT, &[("axis", "axis")]),
    operator(
        &["Norm"],
        "ops.norm",
        INPUT,
        &[("axis", "axis"), ("keepdims", "keepdims"), ("ord", "ord")],
    ),
    operator(
        &["Normalize"],
        "ops.normalize",
        X,
        &[("axis", "axis"), ("order", "order"), ("epsilon", "epsilon")],
    ),
    operator(
        &["Copy", "Conj", "Conjugate", "Real"],
        "identity",
        &[("x", "input")],
        &[],
    ),
    operator(
        &["Array", "ConvertToTensor"],
        "identity",
        &[("x", "input")],
        &[("dtype", "dtype")],
    ),
    operator(&["StopGradient"], "stop_gradient", &[("variable", "input")], &[]),
    operator(&["Deg2rad"], "ops.deg2rad", X, &[]),
    operator(&["Rad2deg"], "ops.rad2deg", X, &[]),
    operator(
        &["Swapaxes"],
        "ops.swapaxes",
        X,
        &[("axis1", "axis1"), ("axis2", "axis2")],
    ),
    operator(
        &["Moveaxis"],
        "ops.moveaxis",
        X,
        &[("source", "source"), ("destination", "destination")],
    ),
    operator(&["BroadcastTo"], "ops.broadcast_to", X, &[("shape", "shape")]),
    operator(&["Roll"], "ops.roll", X, &[("shift", "shift"), ("axis", "axis")]),
    operator(
        &["Diff"],
        "ops.diff",
        &[("a", "x")],
        &[("n", "n"), ("axis", "axis")],
    ),
    operator(
        &["Append"],
        "ops.append",
        &[("x1", "x1"), ("x2", "x2")],
        &[("axis", "axis")],
    ),
    operator(
        &["Split", "Hsplit", "Dsplit"],
        "ops.split",
        X,
        &[("indices_or_sections", "indices_or_sections"), ("axis", "axis")],
    ),
    operator(&["Tril"], "ops.tril", X, &[("k", "k")]),
    operator(&["Triu"], "ops.triu", X, &[("k", "k")]),
    operator(
        &["Take"],
        "gather",
        &[("x", "params"), ("indices", "indices")],
        &[("axis", "axis")],
    ),
    operator(
        &["Slice"],
        "slice",
        &[("inputs", "input_"), ("start_indices", "begin")],
        &[("shape", "size")],
    ),
    operator(
        &["Unstack"],
        "unstack",
        &[("x", "value")],
        &[("num", "num"), ("axis", "axis")],
    ),
    operator(
        &["Pad"],
        "pad",
        &[("x", "tensor"), ("constant_values", "constant_values")],
        &[("pad_width", "paddings"), ("mode", "mode")],
    ),
    operator(&["MaxPool"], "nn.max_pool2d", &[("inputs", "input")], POOLED),
    operator(&["AveragePool"], "nn.avg_pool2d", &[("inputs", "input")], POOLED),
    operator(&["DepthToSpace"], "nn.depth_to_space", &[("x", "input")], BLOCKS),
    operator(&["SpaceToDepth"], "nn.space_to_depth", &[("x", "input")], BLOCKS),
    operator(&["Argmax"], "ops.argmax", X, REDUCED),
    operator(&["Argmin"], "ops.argmin", X, REDUCED),
    operator(&["Elu"], "ops.elu", X, &[("alpha", "alpha")]),
    operator(&["Celu"], "ops.celu", X, &[("alpha", "alpha")]),
    operator(&["Glu"], "ops.glu", X, &[("axis", "axis")]),
    operator(&["TanhShrink"], "ops.tanh_shrink", X, &[]),
    operator(
        &["Threshold"],
        "ops.threshold",
        X,
        &[("threshold", "threshold"), ("default_value", "default")],
    ),
    operator(
        &["Resize"],
        "image.resize",
        &[("images", "images")],
        &[
            ("size", "size"),
            ("interpolation", "method"),
            ("antialias", "antialias"),
            ("data_format", "data_format"),
        ],
    ),
];

/// What Keras 3 means where a key is absent and TensorFlow means something else.
pub(super) fn default(class: &str, key: &str) -> Option<Value> {
    match (class, key) {
        ("Gelu", "approximate") => Some(json!(true)),
        ("Concatenate" | "Stack" | "Split" | "Unstack", "axis") => Some(json!(0)),
        ("Hstack" | "Hsplit" | "Fliplr", "axis") => Some(json!(1)),
        ("Dstack" | "Dsplit", "axis") => Some(json!(2)),
        _ => None,
    }
}

/// A value of the configuration in the words of TensorFlow.
pub(super) fn translated(key: &str, value: Value) -> Value {
    match (key, value.as_str()) {
        ("data_format", Some("channels_last")) => json!("NHWC"),
        ("data_format", Some("channels_first")) => json!("NCHW"),
        ("padding", Some(padding)) => json!(padding.to_uppercase()),
        _ => value,
    }
}

/// Options that change nothing at this value.
pub(super) fn is_idle(class: &str, key: &str, value: &Value) -> bool {
    match (class, key) {
        (_, "name") => true,
        ("Round", "decimals") => value == &json!(0),
        // They say what an image is padded with where it is.
        ("Resize", "fill_mode" | "fill_value") => true,
        _ => value.is_null() || value == &json!(false),
    }
}
