//! Dense, Embedding, Masking.

use super::{Call, MISFIT, OPTION, Outputs, config};
use crate::mask::{Mask, Unmade};
use caribou_ir::op::{Dense, Elementwise, ElementwiseKind, Embedding, Identity, Op, Reshape, Size};

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
