//! Dense, Embedding, Masking.

use super::{Call, OPTION, Outputs, config};
use caribou_ir::op::{Dense, Embedding, Identity, Op};

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

/// Zeroes the steps that are all zero already; what else the mask means is for the layers that read it.
pub(super) fn masking(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    if config!(call, number_or("mask_value", 0.0)) != 0.0 {
        return Err(call.refuse(
            OPTION,
            "a Masking layer with a mask_value other than zero changes its input",
        ));
    }
    Ok(vec![call.apply(Identity, &[x])?])
}
