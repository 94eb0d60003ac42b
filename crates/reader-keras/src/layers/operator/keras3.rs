//! Operators of Keras 3, the `Add` of `x + 1` or the `Relu` of `ops.relu(x)`, as calls of the functions of TensorFlow that
//! compute the same. What TensorFlow takes as arguments of a call, Keras 3 keeps in the configuration in part.

use super::super::{Call, OPTION, Outputs};
use crate::config::{Operand, Operands};
use crate::version::Generation;
use serde_json::{Value, json};

/// An operator of Keras 3 (keras/src/ops).
struct Operator {
    classes: &'static [&'static str],
    /// The function of TensorFlow.
    function: &'static str,
    /// The parameters of a call and those of the function.
    call: &'static [(&'static str, &'static str)],
    /// The keys of the configuration and the parameters of the function.
    config: &'static [(&'static str, &'static str)],
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

const OPERATORS: &[Operator] = &[
    operator(&["Add"], "math.add", PAIR, &[]),
    operator(&["Subtract"], "math.subtract", PAIR, &[]),
    operator(&["Multiply"], "math.multiply", PAIR, &[]),
    operator(&["Divide", "TrueDivide"], "math.divide", PAIR, &[]),
    operator(&["Power"], "math.pow", PAIR, &[]),
    operator(&["Maximum"], "math.maximum", PAIR, &[]),
    operator(&["Minimum"], "math.minimum", PAIR, &[]),
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
    operator(&["Absolute", "Abs"], "math.abs", X, &[]),
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
    operator(&["Max"], "math.reduce_max", INPUT, REDUCED),
    operator(&["Min"], "math.reduce_min", INPUT, REDUCED),
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
        &["Concatenate"],
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
    operator(&["Flip"], "reverse", &[("x", "tensor")], &[("axis", "axis")]),
    operator(
        &["GetItem"],
        "__operators__.getitem",
        &[("x", "tensor"), ("key", "slice_spec")],
        &[],
    ),
    operator(&["Cast"], "cast", X, &[("dtype", "dtype")]),
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
];

/// Operators that are activation functions without options, and their names as such.
const ACTIVATIONS: &[(&str, &str)] = &[
    ("Relu", "relu"),
    ("Relu6", "relu6"),
    ("Sigmoid", "sigmoid"),
    ("Tanh", "tanh"),
    ("Silu", "silu"),
    ("Softplus", "softplus"),
    ("Softsign", "softsign"),
    ("Selu", "selu"),
    ("Elu", "elu"),
    ("HardSigmoid", "hard_sigmoid"),
    ("HardSilu", "hard_silu"),
];

/// What Keras 3 means where a key is absent and TensorFlow means something else.
fn default(class: &str, key: &str) -> Option<Value> {
    match (class, key) {
        ("Gelu", "approximate") => Some(json!(true)),
        ("Concatenate" | "Stack", "axis") => Some(json!(0)),
        _ => None,
    }
}

/// A call of an operator of Keras 3.
pub(in super::super) fn keras_3(call: &mut Call<'_>) -> Outputs {
    let class = call.layer.class.as_str();
    if let Some(&(_, name)) = ACTIVATIONS.iter().find(|(known, _)| *known == class) {
        return activation(call, name);
    }
    let Some(operator) = OPERATORS
        .iter()
        .find(|operator| operator.classes.contains(&class))
    else {
        return Err(call.refuse(OPTION, format!("the operator {class} is not supported")));
    };
    let mut operands = Operands::default();
    if call.operands.positional.len() > operator.call.len() {
        return Err(call.refuse(OPTION, "it is called with more arguments than are known"));
    }
    let by_position = operator.call.iter().zip(&call.operands.positional);
    for ((_, parameter), operand) in by_position {
        operands.named.push(((*parameter).to_owned(), operand.clone()));
    }
    for (key, operand) in &call.operands.named {
        let parameter = operator.call.iter().find(|(known, _)| known == key);
        let parameter = parameter.map_or(key.as_str(), |&(_, parameter)| parameter);
        operands.named.push((parameter.to_owned(), operand.clone()));
    }
    for &(key, parameter) in operator.config {
        let value = call.config.get(key).cloned().or_else(|| default(class, key));
        if let Some(value) = value {
            operands.named.push((parameter.to_owned(), Operand::Plain(value)));
        }
    }
    let unknown = call.config.0.iter().find(|(key, value)| {
        let known = operator.config.iter().any(|(known, _)| known == key);
        !known && !value.is_null() && key.as_str() != "name"
    });
    if let Some((key, value)) = unknown {
        return Err(call.refuse(OPTION, format!("its option {key} = {value} is not supported")));
    }
    let mut inner = Call {
        graph: call.graph,
        findings: call.findings,
        layer: call.layer,
        config: call.config,
        generation: call.generation,
        operands: &operands,
        inputs: call.inputs,
        weights: call.weights,
        scopes: call.scopes.clone(),
        mask: None,
        masked_outputs: 0,
        origin: call.origin.clone(),
    };
    super::named(&mut inner, operator.function)
}

fn activation(call: &mut Call<'_>, name: &str) -> Outputs {
    if call.config.number_or("alpha", 1.0) != Ok(1.0) {
        return Err(call.refuse(OPTION, "an alpha other than one is not supported"));
    }
    let x = call.input()?;
    let value = json!(name);
    let op = crate::activation::operator(Some(&value), call.rank(x), Generation::Three)
        .map_err(|what| call.refuse(OPTION, format!("{what} is not supported")))?;
    match op {
        Some(op) => Ok(vec![call.apply(op, &[x])?]),
        None => Ok(vec![x]),
    }
}
