//! Pooling.

use super::{CONFIG, Call, OPTION, Outputs, config};
use caribou_ir::op::{
    AverageDivisor, Elementwise, ElementwiseKind, Padding, Pool, PoolKind, Reduce, ReduceKind, Reshape,
    Rounding, Size,
};

/// MaxPooling and AveragePooling of one to three axes. Averages count the cells of the input only.
pub(super) fn pool(call: &mut Call<'_>) -> Outputs {
    let axes = call.spatial_axes();
    let x = call.input()?;
    let kernel = config!(call, sizes("pool_size", axes));
    let strides = match call.config.get("strides") {
        None => kernel.clone(),
        Some(_) => config!(call, sizes("strides", axes)),
    };
    let padding = match config!(call, text_or("padding", "valid")) {
        "valid" => Padding::none(axes),
        "same" => Padding::Same,
        other => return Err(call.refuse(CONFIG, format!("padding: expected valid or same, found {other}"))),
    };
    let kind = match call.layer.class.starts_with("Max") {
        true => PoolKind::Max,
        false => PoolKind::Average(AverageDivisor::InputCells),
    };
    let op = Pool {
        kind,
        kernel,
        strides,
        dilations: vec![1; axes],
        padding,
        rounding: Rounding::Floor,
    };
    let x = call.channels_ahead(x)?;
    super::conv::told_by_the_file(call, x, &op.padding, &op.kernel, &op.strides)?;
    let y = call.apply(op, &[x])?;
    Ok(vec![call.channels_behind(y)?])
}

/// GlobalMaxPooling and GlobalAveragePooling.
pub(super) fn global(call: &mut Call<'_>) -> Outputs {
    let axes = call.spatial_axes();
    let x = call.input()?;
    let first = if call.channels_first()? { 2 } else { 1 };
    let kind = if call.layer.class.starts_with("GlobalMax") {
        ReduceKind::Max
    } else {
        ReduceKind::Mean
    };
    let op = Reduce {
        kind,
        axes: (first..first + axes).collect(),
        keep_dims: config!(call, flag_or("keepdims", false)),
    };
    Ok(vec![call.apply(op, &[x])?])
}

/// GlobalAveragePooling1D: with a mask, the mean over the steps that count.
pub(super) fn global_average_1d(call: &mut Call<'_>) -> Outputs {
    let Some(mask) = call.mask()? else {
        return global(call);
    };
    if config!(call, flag_or("keepdims", false)) {
        return Err(call.refuse(OPTION, "keepdims together with a mask is not supported"));
    }
    let x = call.input()?;
    let (steps, target) = if call.channels_first()? {
        (2, vec![Size::Keep(0), Size::Fixed(1), Size::Keep(1)])
    } else {
        (1, vec![Size::Keep(0), Size::Keep(1), Size::Fixed(1)])
    };
    let mask = call.apply(Reshape { target }, &[mask])?;
    let sum = |call: &mut Call<'_>, x| {
        let reduce = Reduce {
            kind: ReduceKind::Sum,
            axes: vec![steps],
            keep_dims: false,
        };
        call.apply(reduce, &[x])
    };
    let kind = ElementwiseKind::Multiply;
    let counted = call.apply(Elementwise { kind }, &[x, mask])?;
    let (total, count) = (sum(call, counted)?, sum(call, mask)?);
    let kind = ElementwiseKind::Divide;
    Ok(vec![call.apply(Elementwise { kind }, &[total, count])?])
}
