//! What layers are made of: activations, softmax, pooling, matrix products.

use super::super::{Call, OPTION, Outputs};
use super::arguments::{Arguments, Number};
use super::{Function, function};
use caribou_ir::Tensor;
use caribou_ir::op::{
    Activation, AverageDivisor, Dense, DepthToSpace, L2Normalize, LogSoftmax, MatMul, Op, Padding, Pool,
    PoolKind, Rounding, Softmax, SpaceToDepth, Transpose,
};

macro_rules! activation {
    ($names:expr, $function:expr) => {
        function($names, &["features"], |call, _| pointwise(call, $function))
    };
}

pub(super) const TABLE: &[Function] = &[
    activation!(&["nn.relu"], Activation::Relu),
    activation!(
        &["nn.relu6"],
        Activation::BoundedRelu {
            max: Some(6.0),
            slope: 0.0,
            threshold: 0.0
        }
    ),
    activation!(&["nn.elu"], Activation::Elu { alpha: 1.0 }),
    activation!(&["nn.selu"], Activation::Selu),
    activation!(&["nn.softplus", "math.softplus"], Activation::Softplus),
    activation!(&["nn.softsign", "math.softsign"], Activation::Softsign),
    function(&["math.sigmoid", "sigmoid", "nn.sigmoid"], &["x"], |call, _| {
        pointwise(call, Activation::Sigmoid)
    }),
    function(&["math.tanh", "tanh", "nn.tanh"], &["x"], |call, _| {
        pointwise(call, Activation::Tanh)
    }),
    function(&["math.exp", "exp"], &["x"], |call, _| {
        pointwise(call, Activation::Exponential)
    }),
    function(&["nn.silu", "nn.swish"], &["features", "beta"], silu),
    function(&["nn.leaky_relu"], &["features", "alpha"], leaky_relu),
    function(&["nn.gelu"], &["features", "approximate"], gelu),
    function(&["nn.softmax", "math.softmax"], &["logits", "axis"], softmax),
    function(
        &["nn.log_softmax", "math.log_softmax"],
        &["logits", "axis"],
        log_softmax,
    ),
    function(
        &["math.l2_normalize", "linalg.l2_normalize", "nn.l2_normalize"],
        &["x", "axis", "epsilon"],
        l2_normalize,
    ),
    function(
        &["linalg.matmul", "matmul"],
        &["a", "b", "transpose_a", "transpose_b"],
        matmul,
    ),
    function(
        &["nn.max_pool2d", "nn.max_pool"],
        &["input", "ksize", "strides", "padding", "data_format"],
        |call, arguments| pool(call, arguments, PoolKind::Max),
    ),
    function(
        &["nn.avg_pool2d", "nn.avg_pool"],
        &["input", "ksize", "strides", "padding", "data_format"],
        |call, arguments| pool(call, arguments, PoolKind::Average(AverageDivisor::InputCells)),
    ),
    function(
        &["nn.space_to_depth"],
        &["input", "block_size", "data_format"],
        space_to_depth,
    ),
    function(
        &["nn.depth_to_space"],
        &["input", "block_size", "data_format"],
        depth_to_space,
    ),
];

/// A function of each element of the first argument, which is all there is.
fn pointwise(call: &mut Call<'_>, function: Activation) -> Outputs {
    let [x] = call.inputs[..] else {
        return Err(call.refuse(OPTION, "expected one value of the model"));
    };
    Ok(vec![call.apply(function, &[x])?])
}

fn silu(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    if arguments.real_or(call, "beta", 1.0)? != 1.0 {
        return Err(call.refuse(OPTION, "a swish with another factor than one"));
    }
    pointwise(call, Activation::Swish)
}

fn leaky_relu(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let alpha = arguments.real_or(call, "alpha", 0.2)?;
    pointwise(call, Activation::LeakyRelu { alpha })
}

fn gelu(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let function = match arguments.flag(call, "approximate")? {
        true => Activation::GeluTanh,
        false => Activation::Gelu,
    };
    pointwise(call, function)
}

fn over_axis(call: &mut Call<'_>, arguments: &Arguments<'_>, op: fn(usize) -> Op) -> Outputs {
    let x = arguments.value(call, "logits")?;
    let axis = call.axis(arguments.integer_or(call, "axis", -1)?, call.rank(x))?;
    if axis == 0 {
        return Err(call.refuse(OPTION, "it normalises over the examples of a batch"));
    }
    Ok(vec![call.apply(op(axis), &[x])?])
}

fn softmax(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    over_axis(call, arguments, |axis| Softmax { axis }.into())
}

fn log_softmax(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    over_axis(call, arguments, |axis| LogSoftmax { axis }.into())
}

/// `x / sqrt(max(sum x^2, epsilon))`.
fn l2_normalize(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "x")?;
    let rank = call.rank(x);
    if arguments.get("axis").is_none() {
        return Err(call.refuse(OPTION, "it normalises over the examples of a batch"));
    }
    let mut axes: Vec<usize> = arguments
        .integers(call, "axis")?
        .into_iter()
        .map(|axis| call.axis(axis, rank))
        .collect::<Result<_, _>>()?;
    axes.sort_unstable();
    if axes.contains(&0) {
        return Err(call.refuse(OPTION, "it normalises over the examples of a batch"));
    }
    let epsilon = arguments.real_or(call, "epsilon", 1e-12)?.sqrt();
    Ok(vec![call.apply(L2Normalize { axes, epsilon }, &[x])?])
}

/// A product with a constant matrix is a dense layer; with another value it is a product of both.
fn matmul(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let transpose_a = arguments.flag(call, "transpose_a")?;
    let transpose_b = arguments.flag(call, "transpose_b")?;
    let a = match arguments.number(call, "a")? {
        Number::Value(a) => a,
        Number::Known(matrix) => return matrix_first(call, arguments, &matrix, transpose_a, transpose_b),
    };
    let weight = match arguments.number(call, "b")? {
        Number::Value(b) => {
            let op = MatMul {
                transpose_a,
                transpose_b,
            };
            return Ok(vec![call.apply(op, &[a, b])?]);
        }
        Number::Known(weight) => weight,
    };
    if transpose_a || weight.rank() != 2 {
        return Err(call.refuse(
            OPTION,
            "a product with a constant that is no matrix, or of a transposed value",
        ));
    }
    let weight = match transpose_b {
        true => weight
            .permute(&[1, 0])
            .map_err(|error| call.refuse(OPTION, error.to_string()))?,
        false => weight,
    };
    Ok(vec![call.apply(Dense { weight, bias: None }, &[a])?])
}

/// A constant matrix times `[N, m, n]`: a dense layer on its columns.
fn matrix_first(
    call: &mut Call<'_>,
    arguments: &Arguments<'_>,
    matrix: &Tensor,
    transpose_a: bool,
    transpose_b: bool,
) -> Outputs {
    let b = arguments.value(call, "b")?;
    if matrix.rank() != 2 || call.rank(b) != 3 {
        return Err(call.refuse(
            OPTION,
            "a product of a constant with anything but a sequence of vectors",
        ));
    }
    let weight = match transpose_a {
        true => matrix.clone(),
        false => matrix
            .permute(&[1, 0])
            .map_err(|error| call.refuse(OPTION, error.to_string()))?,
    };
    let turn = || Transpose {
        permutation: vec![0, 2, 1],
    };
    let b = if transpose_b { b } else { call.apply(turn(), &[b])? };
    let y = call.apply(Dense { weight, bias: None }, &[b])?;
    Ok(vec![call.apply(turn(), &[y])?])
}

/// Sizes of a window: one number, one an axis, or those of all four axes.
fn window(
    call: &Call<'_>,
    arguments: &Arguments<'_>,
    name: &str,
) -> Result<Vec<usize>, Box<caribou_ir::Finding>> {
    let wrong = || call.refuse(OPTION, format!("its argument {name} is no window of an image"));
    let sizes: Vec<usize> = arguments
        .integers(call, name)?
        .into_iter()
        .map(|size| usize::try_from(size).map_err(|_| wrong()))
        .collect::<Result<_, _>>()?;
    match sizes[..] {
        [n] => Ok(vec![n, n]),
        [h, w] | [1, h, w, 1] => Ok(vec![h, w]),
        _ => Err(wrong()),
    }
}

fn pool(call: &mut Call<'_>, arguments: &Arguments<'_>, kind: PoolKind) -> Outputs {
    let x = arguments.value(call, "input")?;
    channels_last(call, arguments)?;
    let padding = match arguments.text_or(call, "padding", "VALID")? {
        "VALID" => Padding::none(2),
        "SAME" => Padding::Same,
        other => return Err(call.refuse(OPTION, format!("padding {other}"))),
    };
    let op = Pool {
        kind,
        kernel: window(call, arguments, "ksize")?,
        strides: match arguments.get("strides") {
            Some(_) => window(call, arguments, "strides")?,
            None => window(call, arguments, "ksize")?,
        },
        dilations: vec![1; 2],
        padding,
        rounding: Rounding::Floor,
    };
    on_channels_first(call, x, op)
}

fn on_channels_first(call: &mut Call<'_>, x: caribou_ir::ValueId, op: impl Into<Op>) -> Outputs {
    if call.rank(x) != 4 {
        return Err(call.refuse(OPTION, "expected images"));
    }
    let x = call.permuted(x, Transpose::channels_first(4).permutation)?;
    let y = call.apply(op, &[x])?;
    Ok(vec![call.permuted(y, Transpose::channels_last(4).permutation)?])
}

pub(super) fn channels_last(
    call: &Call<'_>,
    arguments: &Arguments<'_>,
) -> Result<(), Box<caribou_ir::Finding>> {
    match arguments.text_or(call, "data_format", "NHWC")? {
        "NHWC" => Ok(()),
        other => Err(call.refuse(OPTION, format!("data_format {other} is not supported"))),
    }
}

fn block(call: &Call<'_>, arguments: &Arguments<'_>) -> Result<usize, Box<caribou_ir::Finding>> {
    channels_last(call, arguments)?;
    usize::try_from(arguments.integer_or(call, "block_size", 1)?)
        .ok()
        .filter(|&block| block > 0)
        .ok_or_else(|| call.refuse(OPTION, "block_size is no size"))
}

fn space_to_depth(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "input")?;
    let block = block(call, arguments)?;
    on_channels_first(call, x, SpaceToDepth { block })
}

fn depth_to_space(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "input")?;
    let block = block(call, arguments)?;
    on_channels_first(call, x, DepthToSpace { block })
}
