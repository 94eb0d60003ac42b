//! Attention layers.

use super::{CONFIG, Call, OPTION, Outputs, WEIGHT, config};
use crate::config::Operand;
use caribou_ir::op::{
    Activation, Attention, Dense, Elementwise, ElementwiseKind, MatMul, Projection, Reshape, Softmax, Unary,
    UnaryKind,
};
use caribou_ir::{Finding, Tensor, TensorError, ValueId};
use serde_json::Value;

/// How an attention layer is called.
pub(super) struct Arguments {
    pub(super) query: ValueId,
    pub(super) value: ValueId,
    pub(super) key: ValueId,
    pub(super) causal: bool,
}

/// Reads the call: queries, values and perhaps keys, in a list or one by one, and whether later steps are hidden.
pub(super) fn arguments(call: &Call<'_>) -> Result<Arguments, Box<Finding>> {
    let mut values: Vec<Option<ValueId>> = Vec::new();
    let input = |operand: &Operand| match operand {
        Operand::Input(i) => call.inputs.get(*i).copied(),
        _ => None,
    };
    for operand in &call.operands.positional {
        match operand {
            Operand::List(list) => values.extend(list.iter().map(input)),
            operand => values.push(input(operand)),
        }
    }
    values.resize(values.len().max(3), None);
    let mut causal = config!(call, flag_or("causal", false));
    for (key, operand) in &call.operands.named {
        let place = ["query", "value", "key"].iter().position(|known| known == key);
        match (key.as_str(), operand) {
            (_, Operand::Input(_)) if place.is_some() => {
                values[place.unwrap_or(0)] = input(operand);
            }
            ("inputs", Operand::List(list)) => {
                for (i, item) in list.iter().enumerate().take(3) {
                    values[i] = input(item);
                }
            }
            (_, Operand::Plain(Value::Null | Value::Bool(false))) | ("training" | "name", _) => {}
            ("use_causal_mask", Operand::Plain(Value::Bool(true))) => causal = true,
            _ => {
                return Err(call.refuse(OPTION, format!("it is called with {key}, which is not supported")));
            }
        }
    }
    let (Some(query), Some(value)) = (values[0], values[1]) else {
        return Err(call.refuse(OPTION, "expected queries and values among its arguments"));
    };
    if values.len() > 3 {
        return Err(call.refuse(OPTION, "it is called with more than queries, values and keys"));
    }
    let key = values[2].unwrap_or(value);
    Ok(Arguments {
        query,
        value,
        key,
        causal,
    })
}

fn viewed(call: &Call<'_>, result: Result<Tensor, TensorError>) -> Result<Tensor, Box<Finding>> {
    result.map_err(|error| call.refuse(WEIGHT, error.to_string()))
}

/// A dense layer inside of a multi-head attention, with `inner` axes in and `outer` axes out.
pub(super) fn projection(
    call: &Call<'_>,
    name: &str,
    inner: &[usize],
    outer: &[usize],
) -> Result<Option<Projection>, Box<Finding>> {
    let of = |variable: &str, shape: &[usize]| {
        let mut scopes = call.scopes.clone();
        scopes.push(name);
        call.weights
            .find(&scopes, variable, shape)
            .map_err(|error| call.refuse(WEIGHT, error.to_string()))
    };
    let (rows, columns) = (inner.iter().product(), outer.iter().product());
    let shape: Vec<usize> = inner.iter().chain(outer).copied().collect();
    let weight = viewed(call, of("kernel", &shape)?.reshape(&[rows, columns]))?;
    let bias = match config!(call, flag_or("use_bias", true)) {
        true => Some(viewed(call, of("bias", outer)?.reshape(&[columns]))?),
        false => None,
    };
    Ok(Some(Projection { weight, bias }))
}

/// Multi-head attention over the steps of sequences.
pub(super) fn multi_head(call: &mut Call<'_>) -> Outputs {
    let Arguments {
        query,
        value,
        key,
        causal,
    } = arguments(call)?;
    for input in [query, value, key] {
        if call.rank(input) != 3 {
            return Err(call.refuse(
                OPTION,
                "attention over anything but the steps of sequences [N, T, F] is not supported",
            ));
        }
    }
    let axes = config!(call, axes_or("attention_axes", &[1]));
    if axes != [1] && axes != [-2] {
        return Err(call.refuse(OPTION, format!("attention_axes: expected [1], found {axes:?}")));
    }
    let heads = config!(call, size("num_heads"));
    let key_size = config!(call, size("key_dim"));
    let value_size = match call.config.get("value_dim") {
        Some(_) => config!(call, size("value_dim")),
        None => key_size,
    };
    if heads == 0 || key_size == 0 || value_size == 0 {
        return Err(call.refuse(CONFIG, "num_heads, key_dim and value_dim must be positive"));
    }
    let features = |call: &Call<'_>, input| call.size(input, 2);
    let out = match config!(call, axes_or("output_shape", &[]))[..] {
        [] => features(call, query)?,
        [out] if out > 0 => usize::try_from(out).unwrap_or(usize::MAX),
        _ => return Err(call.refuse(OPTION, "an output_shape of several axes is not supported")),
    };
    let op = Attention {
        heads,
        query: projection(call, "query", &[features(call, query)?], &[heads, key_size])?,
        key: projection(call, "key", &[features(call, key)?], &[heads, key_size])?,
        value: projection(call, "value", &[features(call, value)?], &[heads, value_size])?,
        output: projection(call, "attention_output", &[heads, value_size], &[out])?,
        scale: 1.0 / (key_size as f64).sqrt(),
        causal,
    };
    if config!(call, number_or("dropout", 0.0)) > 0.0 {
        call.lost_in_training("the dropout of its weights is not carried over");
    }
    Ok(vec![call.apply(op, &[query, key, value])?])
}

/// A stored number.
fn scalar(call: &Call<'_>, variable: &str) -> Result<f64, Box<Finding>> {
    let numbers = call.weight(variable, &[])?.to_vec();
    let numbers = numbers.map_err(|error| call.refuse(WEIGHT, error.to_string()))?;
    Ok(f64::from(numbers.first().copied().unwrap_or(1.0)))
}

/// Dot-product attention (Luong et al. 2015), or the sum of the hyperbolic tangents where `score_mode` is `concat`.
pub(super) fn dot_product(call: &mut Call<'_>) -> Outputs {
    let arguments = arguments(call)?;
    let scale = match config!(call, flag_or("use_scale", false)) {
        true => scalar(call, "scale")?,
        false => 1.0,
    };
    let mode = config!(call, text_or("score_mode", "dot")).to_owned();
    dropout(call)?;
    match mode.as_str() {
        "dot" => {
            if scale != 1.0 {
                call.lost_in_training("its scale is no longer trained");
            }
            let op = Attention {
                heads: 1,
                query: None,
                key: None,
                value: None,
                output: None,
                scale,
                causal: arguments.causal,
            };
            Ok(vec![
                call.apply(op, &[arguments.query, arguments.key, arguments.value])?,
            ])
        }
        "concat" => {
            let features = call.size(arguments.query, call.rank(arguments.query) - 1)?;
            let weight = scalar(call, "concat_score_weight")?;
            call.lost_in_training("its weights become one for each feature");
            let weight = Tensor::filled(&[features, 1], weight as f32);
            additive_scores(call, &arguments, scale, weight)
        }
        other => Err(call.refuse(
            CONFIG,
            format!("score_mode: expected dot or concat, found {other}"),
        )),
    }
}

/// Additive attention (Bahdanau et al. 2015).
pub(super) fn additive(call: &mut Call<'_>) -> Outputs {
    let arguments = arguments(call)?;
    let features = call.size(arguments.query, call.rank(arguments.query) - 1)?;
    let weight = match config!(call, flag_or("use_scale", true)) {
        true => viewed(call, call.weight("scale", &[features])?.reshape(&[features, 1]))?,
        false => Tensor::filled(&[features, 1], 1.0),
    };
    dropout(call)?;
    additive_scores(call, &arguments, 1.0, weight)
}

pub(super) fn dropout(call: &mut Call<'_>) -> Result<(), Box<Finding>> {
    if config!(call, number_or("dropout", 0.0)) > 0.0 {
        call.lost_in_training("the dropout of its weights is not carried over");
    }
    Ok(())
}

/// `softmax(tanh(scale (q + k)) w) v`, the sums of each query with each key: `[N, Tq, Tv, F]`.
fn additive_scores(call: &mut Call<'_>, arguments: &Arguments, scale: f64, weight: Tensor) -> Outputs {
    let &Arguments {
        query,
        value,
        key,
        causal,
    } = arguments;
    if causal {
        return Err(call.refuse(OPTION, "a causal mask with additive scores is not supported"));
    }
    if [query, value, key].iter().any(|&input| call.rank(input) != 3) {
        return Err(call.refuse(
            OPTION,
            "attention over anything but the steps of sequences [N, T, F] is not supported",
        ));
    }
    let (queries, keys) = (call.size(query, 1)?, call.size(key, 1)?);
    let features = call.size(query, 2)?;
    let q = call.apply(Reshape::features(&[queries, 1, features]), &[query])?;
    let k = call.apply(Reshape::features(&[1, keys, features]), &[key])?;
    let kind = ElementwiseKind::Add;
    let mut scores = call.apply(Elementwise { kind }, &[q, k])?;
    if scale != 1.0 {
        let kind = UnaryKind::Affine { scale, shift: 0.0 };
        scores = call.apply(Unary { kind }, &[scores])?;
    }
    scores = call.apply(Activation::Tanh, &[scores])?;
    scores = call.apply(Dense { weight, bias: None }, &[scores])?;
    scores = call.apply(Reshape::features(&[queries, keys]), &[scores])?;
    let weights = call.apply(Softmax { axis: 2 }, &[scores])?;
    let op = MatMul {
        transpose_a: false,
        transpose_b: false,
    };
    Ok(vec![call.apply(op, &[weights, value])?])
}

/// Sums of products along one axis of each of two values.
pub(super) fn dot(call: &mut Call<'_>) -> Outputs {
    let [x, y] = *call.inputs else {
        return Err(call.refuse(
            CONFIG,
            format!("expected two inputs, found {}", call.inputs.len()),
        ));
    };
    let axes = match config!(call, axes_or("axes", &[]))[..] {
        [both] => [both, both],
        [first, second] => [first, second],
        _ => return Err(call.refuse(CONFIG, "axes: expected one or two")),
    };
    let axes = [
        call.axis(axes[0], call.rank(x))?,
        call.axis(axes[1], call.rank(y))?,
    ];
    if axes.contains(&0) {
        return Err(call.refuse(CONFIG, "axes: the batch can't be summed over"));
    }
    let mut values = [x, y];
    if config!(call, flag_or("normalize", false)) {
        for (value, axis) in values.iter_mut().zip(axes) {
            let op = caribou_ir::op::L2Normalize {
                axes: vec![axis],
                epsilon: 1e-6,
            };
            *value = call.apply(op, &[*value])?;
        }
    }
    // The first as [N, m, k], the second as [N, k, n].
    let mut outer = Vec::new();
    for (i, (value, axis)) in values.iter_mut().zip(axes).enumerate() {
        let rank = call.rank(*value);
        let rest: Vec<usize> = (1..rank).filter(|&other| other != axis).collect();
        let sizes: Vec<usize> = rest
            .iter()
            .map(|&axis| call.size(*value, axis))
            .collect::<Result<_, _>>()?;
        let summed = call.size(*value, axis)?;
        let count = sizes.iter().product();
        let (order, shape) = match i {
            0 => ([&[0], &rest[..], &[axis]].concat(), [count, summed]),
            _ => ([&[0, axis], &rest[..]].concat(), [summed, count]),
        };
        *value = call.permuted(*value, order)?;
        if rest.len() != 1 {
            *value = call.apply(Reshape::features(&shape), &[*value])?;
        }
        outer.extend(sizes);
    }
    let op = MatMul {
        transpose_a: false,
        transpose_b: false,
    };
    let product = call.apply(op, &values)?;
    if outer.is_empty() {
        outer.push(1);
    }
    if call.rank(product) == outer.len() + 1 {
        return Ok(vec![product]);
    }
    Ok(vec![call.apply(Reshape::features(&outer), &[product])?])
}
