//! Arithmetic on elements.

use super::super::{Call, OPTION, Outputs};
use super::arguments::{Arguments, Number};
use super::logic::{is_whole, truth};
use super::{Function, function};
use caribou_ir::op::{Constant, Elementwise, ElementwiseKind as Kind, Identity, Op, Unary, UnaryKind};
use caribou_ir::{Dim, Finding, Tensor, ValueId};

const XY: &[&str] = &["x", "y"];
const X: &[&str] = &["x"];

pub(super) const TABLE: &[Function] = &[
    function(
        &["__operators__.add", "math.add", "add"],
        XY,
        |call, arguments| pair(call, arguments, Kind::Add),
    ),
    function(&["nn.bias_add"], &["value", "bias", "data_format"], bias_add),
    function(&["math.subtract", "subtract"], XY, |call, arguments| {
        pair(call, arguments, Kind::Subtract)
    }),
    function(&["math.multiply", "multiply"], XY, |call, arguments| {
        pair(call, arguments, Kind::Multiply)
    }),
    function(
        &[
            "math.truediv",
            "math.divide",
            "divide",
            "realdiv",
            "math.realdiv",
            "div",
        ],
        XY,
        |call, arguments| pair(call, arguments, Kind::Divide),
    ),
    function(&["math.pow", "pow"], XY, |call, arguments| {
        pair(call, arguments, Kind::Power)
    }),
    function(&["math.maximum", "maximum"], XY, |call, arguments| {
        pair(call, arguments, Kind::Maximum)
    }),
    function(&["math.minimum", "minimum"], XY, |call, arguments| {
        pair(call, arguments, Kind::Minimum)
    }),
    function(&["math.floordiv", "math.floor_div"], XY, floor_divide),
    function(&["math.squared_difference"], XY, squared_difference),
    function(&["math.add_n", "add_n"], &["inputs"], add_n),
    function(
        &["clip_by_value"],
        &["t", "clip_value_min", "clip_value_max"],
        clip,
    ),
    function(&["math.negative", "negative"], X, |call, arguments| {
        unary(call, arguments, UnaryKind::Negate)
    }),
    function(&["math.abs", "abs"], X, |call, arguments| {
        unary(call, arguments, UnaryKind::Abs)
    }),
    function(&["math.square", "square"], X, |call, arguments| {
        unary(call, arguments, UnaryKind::Square)
    }),
    function(&["math.sqrt", "sqrt"], X, |call, arguments| {
        unary(call, arguments, UnaryKind::Sqrt)
    }),
    function(&["math.rsqrt", "rsqrt"], X, |call, arguments| {
        unary(call, arguments, UnaryKind::ReciprocalSqrt)
    }),
    function(&["math.reciprocal", "reciprocal"], X, |call, arguments| {
        unary(call, arguments, UnaryKind::Reciprocal)
    }),
    function(&["math.log", "log"], X, |call, arguments| {
        unary(call, arguments, UnaryKind::Log)
    }),
    function(&["math.sign", "sign"], X, |call, arguments| {
        unary(call, arguments, UnaryKind::Sign)
    }),
    function(&["math.floor", "floor"], X, |call, arguments| {
        unary(call, arguments, UnaryKind::Floor)
    }),
    function(&["math.ceil", "ceil"], X, |call, arguments| {
        unary(call, arguments, UnaryKind::Ceil)
    }),
    function(&["math.round", "round"], X, |call, arguments| {
        unary(call, arguments, UnaryKind::Round)
    }),
    function(&["math.erf"], X, |call, arguments| {
        unary(call, arguments, UnaryKind::Erf)
    }),
    function(&["math.sin", "sin"], X, |call, arguments| {
        unary(call, arguments, UnaryKind::Sin)
    }),
    function(&["math.cos", "cos"], X, |call, arguments| {
        unary(call, arguments, UnaryKind::Cos)
    }),
    function(
        &["identity", "stop_gradient", "convert_to_tensor"],
        &["input", "dtype", "dtype_hint"],
        identity,
    ),
    function(&["cast"], &["x", "dtype"], cast),
];

fn unary(call: &mut Call<'_>, arguments: &Arguments<'_>, kind: UnaryKind) -> Outputs {
    let x = arguments.value(call, "x")?;
    Ok(vec![call.apply(Unary { kind }, &[x])?])
}

fn pair(call: &mut Call<'_>, arguments: &Arguments<'_>, kind: Kind) -> Outputs {
    let (x, y) = (arguments.number(call, "x")?, arguments.number(call, "y")?);
    Ok(vec![elementwise(call, kind, x, y)?])
}

/// A vector along the axis of channels, which is the last one or that behind the batch.
fn bias_add(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "value")?;
    let mut bias = arguments.known(call, "bias")?;
    let rank = call.rank(x);
    let trailing = match arguments.text_or(call, "data_format", "NHWC")? {
        format if format.starts_with("NC") => rank.saturating_sub(2),
        _ => 0,
    };
    if bias.rank() != 1 || rank < 2 || call.shape(x).size(rank - 1 - trailing) != Some(bias.len()) {
        let message = format!("a bias of shape {:?} for {}", bias.shape(), call.shape(x));
        return Err(call.refuse(OPTION, message));
    }
    if trailing > 0 {
        let shape: Vec<usize> = std::iter::once(bias.len())
            .chain(std::iter::repeat_n(1, trailing))
            .collect();
        bias = Tensor::from_f32(&shape, &numbers(call, &bias)?)
            .map_err(|error| call.refuse(OPTION, error.to_string()))?;
    }
    Ok(vec![elementwise(
        call,
        Kind::Add,
        Number::Value(x),
        Number::Known(bias),
    )?])
}

/// A function of two numbers, arrays or values.
pub(in super::super) fn elementwise(
    call: &mut Call<'_>,
    kind: Kind,
    x: Number,
    y: Number,
) -> Result<ValueId, Box<Finding>> {
    match (x, y) {
        (Number::Known(x), Number::Known(y)) => folded(call, kind, &x, &y),
        (Number::Value(x), Number::Value(y)) => {
            // Values of the model align at the batch; with fewer axes they would meet other axes of each other.
            if call.rank(x) != call.rank(y) {
                let message = format!(
                    "values of shapes {} and {} align at their last axes",
                    call.shape(x),
                    call.shape(y)
                );
                return Err(call.refuse(OPTION, message));
            }
            call.apply(Elementwise { kind }, &[x, y])
        }
        (Number::Value(x), Number::Known(y)) => match scalar(call, x, &y)? {
            Some(c) => match kind.with_number(c, false) {
                Some(op) => call.apply(op, &[x]),
                None => beside(call, kind, x, y, false),
            },
            None => beside(call, kind, x, y, false),
        },
        (Number::Known(x), Number::Value(y)) => match scalar(call, y, &x)? {
            Some(c) => match (kind, kind.with_number(c, true)) {
                (Kind::Divide, _) => {
                    let kind = UnaryKind::Reciprocal;
                    let y = call.apply(Unary { kind }, &[y])?;
                    call.apply(Op::affine(c, 0.0), &[y])
                }
                (_, Some(op)) => call.apply(op, &[y]),
                _ => beside(call, kind, y, x, true),
            },
            None => beside(call, kind, y, x, true),
        },
    }
}

/// The number that the array is when it is combined with `x`; `None` when it is several.
fn scalar(call: &Call<'_>, x: ValueId, array: &Tensor) -> Result<Option<f64>, Box<Finding>> {
    if array.len() != 1 || array.rank() > call.rank(x) {
        return Ok(None);
    }
    let values = numbers(call, array)?;
    Ok(values.first().map(|&value| f64::from(value)))
}

/// The elements, all of which must be numbers.
fn numbers(call: &Call<'_>, array: &Tensor) -> Result<Vec<f32>, Box<Finding>> {
    let values = array
        .to_vec()
        .map_err(|error| call.refuse(OPTION, error.to_string()))?;
    if values.iter().all(|value| value.is_finite()) {
        Ok(values)
    } else {
        Err(call.refuse(
            OPTION,
            "it computes with a size that is unknown, or with a number that is not finite",
        ))
    }
}

/// A value beside an array of constants.
fn beside(
    call: &mut Call<'_>,
    kind: Kind,
    x: ValueId,
    array: Tensor,
    swapped: bool,
) -> Result<ValueId, Box<Finding>> {
    numbers(call, &array)?;
    let shape = array.shape();
    let rank = call.rank(x);
    if shape.len() > rank || (shape.len() == rank && shape[0] != 1) {
        let message = format!(
            "a constant of shape {shape:?} does not fit each example of {}",
            call.shape(x)
        );
        return Err(call.refuse(OPTION, message));
    }
    let constant = call.apply(Constant { value: array }, &[])?;
    let inputs = if swapped { [constant, x] } else { [x, constant] };
    call.apply(Elementwise { kind }, &inputs)
}

/// Constants are computed at once.
fn folded(call: &mut Call<'_>, kind: Kind, x: &Tensor, y: &Tensor) -> Result<ValueId, Box<Finding>> {
    let read = |tensor: &Tensor| {
        tensor
            .to_vec()
            .map_err(|error| call.refuse(OPTION, error.to_string()))
    };
    let (a, b) = (read(x)?, read(y)?);
    let shape = if a.len() >= b.len() { x.shape() } else { y.shape() };
    if a.len() != b.len() && a.len() != 1 && b.len() != 1 {
        return Err(call.refuse(OPTION, "constants of different shapes"));
    }
    let n = a.len().max(b.len());
    let at = |list: &[f32], i: usize| if list.len() == 1 { list[0] } else { list[i] };
    let values: Vec<f32> = (0..n)
        .map(|i| {
            let (a, b) = (at(&a, i), at(&b, i));
            // A size that is unknown stays so: the minimum of one and a number is not the number.
            if a.is_nan() || b.is_nan() {
                return f32::NAN;
            }
            match kind {
                Kind::Add => a + b,
                Kind::Subtract => a - b,
                Kind::Multiply => a * b,
                Kind::Divide => a / b,
                Kind::Average => (a + b) / 2.0,
                Kind::Maximum => a.max(b),
                Kind::Minimum => a.min(b),
                Kind::Power => a.powf(b),
            }
        })
        .collect();
    constant(call, &shape, &values)
}

/// A constant of the graph.
pub(super) fn constant(
    call: &mut Call<'_>,
    shape: &[usize],
    values: &[f32],
) -> Result<ValueId, Box<Finding>> {
    let value = Tensor::from_f32(shape, values).map_err(|error| call.refuse(OPTION, error.to_string()))?;
    call.apply(Constant { value }, &[])
}

/// Whole division, of sizes only.
fn floor_divide(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let (Number::Known(x), Number::Known(y)) = (arguments.number(call, "x")?, arguments.number(call, "y")?)
    else {
        return Err(call.refuse(OPTION, "DL4J has no division that rounds down"));
    };
    let quotient = folded(call, Kind::Divide, &x, &y)?;
    let Some(tensor) = super::arguments::known(call, quotient) else {
        return Ok(vec![quotient]);
    };
    let values: Vec<f32> = tensor
        .to_vec()
        .map_err(|error| call.refuse(OPTION, error.to_string()))?
        .into_iter()
        .map(f32::floor)
        .collect();
    Ok(vec![constant(call, &tensor.shape(), &values)?])
}

fn squared_difference(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let (x, y) = (arguments.number(call, "x")?, arguments.number(call, "y")?);
    let difference = elementwise(call, Kind::Subtract, x, y)?;
    let kind = UnaryKind::Square;
    Ok(vec![call.apply(Unary { kind }, &[difference])?])
}

/// The sum of values of one shape.
fn add_n(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let mut items = arguments.items(call, "inputs")?.into_iter();
    let Some(mut sum) = items.next() else {
        return Err(call.refuse(OPTION, "a sum of nothing"));
    };
    for item in items {
        sum = Number::Value(elementwise(call, Kind::Add, sum, item)?);
    }
    match sum {
        Number::Value(value) => Ok(vec![value]),
        Number::Known(_) => Err(call.refuse(OPTION, "a sum of constants")),
    }
}

/// `min(max(t, low), high)` with numbers for both ends.
fn clip(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let x = arguments.value(call, "t")?;
    let min = arguments.real_or(call, "clip_value_min", f64::NEG_INFINITY)?;
    let max = arguments.real_or(call, "clip_value_max", f64::INFINITY)?;
    if min > max {
        return Err(call.refuse(OPTION, format!("it clips to at least {min} and at most {max}")));
    }
    let kind = UnaryKind::Clip { min, max };
    Ok(vec![call.apply(Unary { kind }, &[x])?])
}

fn identity(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    let [input] = call.inputs[..] else {
        return Err(call.refuse(OPTION, "it reads no value of the model"));
    };
    if arguments.get("dtype").is_some() {
        real_type(call, arguments)?;
    }
    Ok(vec![call.apply(Identity, &[input])?])
}

/// Between types of real numbers; everything is computed in 32 bits.
fn cast(call: &mut Call<'_>, arguments: &Arguments<'_>) -> Outputs {
    match arguments.number(call, "x")? {
        // Sizes keep their value in every type.
        Number::Known(tensor) => Ok(vec![call.apply(Constant { value: tensor }, &[])?]),
        Number::Value(x) => {
            if arguments.text_or(call, "dtype", "float32")? == "bool" {
                return Ok(vec![truth(call, x)?]);
            }
            if !is_whole(call.graph, x) {
                real_type(call, arguments)?;
            }
            Ok(vec![call.apply(Identity, &[x])?])
        }
    }
}

fn real_type(call: &Call<'_>, arguments: &Arguments<'_>) -> Result<(), Box<Finding>> {
    match arguments.text_or(call, "dtype", "float32")? {
        "float16" | "bfloat16" | "float32" | "float64" | "half" | "double" | "float" => Ok(()),
        other => Err(call.refuse(OPTION, format!("a conversion to {other} cuts its numbers off"))),
    }
}

/// Whether the first axis is the batch.
pub(super) fn is_batch(dim: Dim) -> bool {
    matches!(dim, Dim::Batch(_))
}
