//! Dense, Embedding, Masking.

use super::{Call, MISFIT, OPTION, Outputs, WEIGHT, config};
use crate::config::Operand;
use crate::mask::{Mask, Unmade};
use caribou_ir::op::{
    Activation, Dense, Elementwise, ElementwiseKind, Embedding, Identity, Op, Reshape, Size, Unary, UnaryKind,
};
use serde_json::Value;

/// `activation(x W + b)` on the last axis.
pub(super) fn dense(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let units = config!(call, size("units"));
    let features = call.size(x, call.rank(x) - 1)?;
    let op = Dense {
        weight: call.weight("kernel", &[features, units])?,
        bias: call.bias(units)?,
    };
    let y = call.apply(op, &[x])?;
    Ok(vec![call.activated(y)?])
}

/// Rows of a table. What the mask of `mask_zero` means is for the layers that read it.
pub(super) fn embedding(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let shape = [
        config!(call, size("input_dim")),
        config!(call, size("output_dim")),
    ];
    // Keras accepts real numbers and rounds them towards zero; the models that feed it such are none to convert.
    if call
        .graph
        .producer(x)
        .is_some_and(|node| !matches!(node.op, Op::Identity(_) | Op::Reshape(_) | Op::Noise(_)))
    {
        return Err(call.refuse(
            OPTION,
            "its indices are computed by other layers, not read from an input",
        ));
    }
    let op = Embedding {
        table: call.weight("embeddings", &shape)?,
    };
    Ok(vec![call.apply(op, &[x])?])
}

/// An embedding that is called a second time, with `reverse`, to score its rows: `x E^T`, or with a matrix of its own.
pub(super) fn reversible_embedding(call: &mut Call<'_>) -> Outputs {
    let mut reverse = false;
    let named = call.operands.named.iter();
    let positional = call
        .operands
        .positional
        .iter()
        .skip(1)
        .map(|operand| ("reverse", operand));
    for (name, operand) in named
        .map(|(name, operand)| (name.as_str(), operand))
        .chain(positional)
    {
        match (name, operand) {
            ("reverse", Operand::Plain(Value::Bool(flag))) => reverse = *flag,
            ("inputs", Operand::Input(_)) | ("training", _) | (_, Operand::Plain(Value::Null)) => {}
            _ => {
                return Err(call.refuse(
                    OPTION,
                    format!("it is called with {name}, which is not supported"),
                ));
            }
        }
    }
    if config!(call, flag_or("mask_zero", false)) {
        return Err(call.refuse(
            OPTION,
            "mask_zero of an embedding that can be reversed is not supported",
        ));
    }
    if !reverse {
        return embedding(call);
    }
    let (rows, features) = (
        config!(call, size("input_dim")),
        config!(call, size("output_dim")),
    );
    let tied = config!(call, flag_or("tie_weights", true));
    let weight = match tied {
        true => call
            .weight("embeddings", &[rows, features])?
            .permute(&[1, 0])
            .map_err(|error| call.refuse(WEIGHT, error.to_string()))?,
        false => call.weight("reverse_embeddings", &[features, rows])?,
    };
    let x = call.input()?;
    let mut y = call.apply(Dense { weight, bias: None }, &[x])?;
    let cap = config!(call, number_or("logit_soft_cap", 0.0));
    if cap != 0.0 {
        let scaled = |scale: f64| Unary {
            kind: UnaryKind::Affine { scale, shift: 0.0 },
        };
        y = call.apply(scaled(1.0 / cap), &[y])?;
        y = call.apply(Activation::Tanh, &[y])?;
        y = call.apply(scaled(cap), &[y])?;
    }
    Ok(vec![y])
}

/// Zeroes the steps whose features all are the mask's value. Those of zeros are zero already; what else the mask
/// means is for the layers that read it.
pub(super) fn masking(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let from = config!(call, number_or("mask_value", 0.0)) as f32;
    if from == 0.0 {
        return Ok(vec![call.apply(Identity, &[x])?]);
    }
    let kept = match (Mask::Differs { value: x, from }).value(call.graph, &call.origin) {
        Ok(kept) => kept,
        Err(Unmade::Unknown(why)) => return Err(call.refuse(OPTION, why)),
        Err(Unmade::Misfit(error)) => return Err(call.refuse(MISFIT, error.to_string())),
    };
    let mut target: Vec<Size> = (0..call.rank(kept)).map(Size::Keep).collect();
    target.push(Size::Fixed(1));
    let kept = call.apply(Reshape { target }, &[kept])?;
    let kind = ElementwiseKind::Multiply;
    Ok(vec![call.apply(Elementwise { kind }, &[x, kept])?])
}

/// Its input.
pub(super) fn identity(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    Ok(vec![call.apply(Identity, &[x])?])
}
