//! Pooling.

use super::conv::{check_sizes, per_axis};
use super::{Call, MISFIT, OPTION, Tops};
use crate::schema::pooling_parameter::{PoolMethod, RoundMode};
use caribou_ir::ValueId;
use caribou_ir::op::{
    Activation, AverageDivisor, Elementwise, ElementwiseKind, Op, Padding, Pool, PoolKind, Reduce,
    ReduceKind, Rounding, Unary, UnaryKind,
};

/// `Pooling`: the number of windows is rounded up unless a fork's parameter says otherwise, and an average divides by
/// the cells of the window that lie on the image or its padding.
pub(super) fn pooling(call: &mut Call<'_>) -> Tops {
    let p = call.parameters.pooling_param.clone().unwrap_or_default();
    let x = call.input()?;
    if call.rank(x) != 4 {
        return Err(call.refuse(MISFIT, format!("expected [N, C, H, W], found {}", call.shape(x))));
    }
    if call.read_tops.get(1) == Some(&true) {
        return Err(call.refuse(
            OPTION,
            "its second top, the positions of the largest values, can't be expressed",
        ));
    }
    let kind = match p.pool() {
        PoolMethod::Max => PoolKind::Max,
        PoolMethod::Ave => PoolKind::Average(AverageDivisor::PaddedCells),
        PoolMethod::AveExcPad | PoolMethod::AveTf => PoolKind::Average(AverageDivisor::InputCells),
        PoolMethod::Stochastic => PoolKind::Average(AverageDivisor::InputCells),
    };
    let stochastic = p.pool() == PoolMethod::Stochastic;
    if stochastic && !never_negative(call, x) {
        return Err(call.refuse(
            OPTION,
            "it is stochastic pooling of numbers that may be negative, which can't be expressed; expected it behind a ReLU",
        ));
    }
    let pads = per_axis(call, "pad", &p.pad, [p.pad_h, p.pad_w], 2, Some(0))?;
    if stochastic && pads != [0, 0] {
        return Err(call.misconfigured("stochastic pooling has no padding"));
    }
    let strides = per_axis(call, "stride", &p.stride, [p.stride_h, p.stride_w], 2, Some(1))?;
    if p.global_pooling() {
        if pads != [0, 0] || strides != [1, 1] {
            return Err(call.misconfigured("global pooling has neither padding nor a stride"));
        }
        let kind = if kind == PoolKind::Max {
            ReduceKind::Max
        } else {
            ReduceKind::Mean
        };
        let op = Reduce {
            kind,
            axes: vec![2, 3],
            keep_dims: true,
        };
        return match stochastic {
            true => weighted(call, &op.into(), x),
            false => tops(call, |call| call.apply(op, &[x])),
        };
    }
    let kernel = per_axis(
        call,
        "kernel_size",
        &p.kernel_size,
        [p.kernel_h, p.kernel_w],
        2,
        None,
    )?;
    let dilations = per_axis(call, "dilation", &p.dilation, [None, None], 2, Some(1))?;
    check_sizes(call, &kernel, &strides, &dilations)?;
    let mut pads: Vec<[usize; 2]> = pads.into_iter().map(|pad| [pad, pad]).collect();
    let sides = [[p.pad_t, p.pad_b], [p.pad_l, p.pad_r]];
    if sides.iter().flatten().any(Option::is_some) {
        pads = sides
            .iter()
            .map(|side| side.map(|size| size.unwrap_or(0) as usize))
            .collect();
    }
    if pads
        .iter()
        .zip(&kernel)
        .any(|(pad, &kernel)| pad[0].max(pad[1]) >= kernel)
    {
        return Err(call.misconfigured("padding must be smaller than the window"));
    }
    let rounded_down = p.round_mode() == RoundMode::Floor || !p.ceil_mode();
    for axis in 0..2 {
        let size = call.size(x, axis + 2)?;
        let (extent, stride) = (dilations[axis] * (kernel[axis] - 1) + 1, strides[axis]);
        let padded = size + pads[axis][0] + pads[axis][1];
        if padded + if rounded_down { 0 } else { stride - 1 } < extent {
            return Err(call.refuse(
                MISFIT,
                format!(
                    "a window of {extent} is larger than the {padded} cells of axis {}",
                    axis + 2
                ),
            ));
        }
        // Without padding, Caffe keeps a last window that begins behind the image: it covers nothing.
        let windows = padded.saturating_sub(extent).div_ceil(stride) + 1;
        if !rounded_down && pads.iter().flatten().all(|&pad| pad == 0) && (windows - 1) * stride >= size {
            return Err(call.refuse(
                OPTION,
                format!(
                    "the last window on axis {} begins behind the image and covers no cell",
                    axis + 2
                ),
            ));
        }
    }
    let op = Pool {
        kind,
        kernel,
        strides,
        dilations,
        padding: Padding::Explicit(pads),
        rounding: if rounded_down {
            Rounding::Floor
        } else {
            Rounding::Ceil
        },
    };
    match stochastic {
        true => weighted(call, &op.into(), x),
        false => tops(call, |call| call.apply(op, &[x])),
    }
}

/// Added to an average that may be zero before it divides. No result is off by more than this times the cells of a
/// window, as none is above their sum.
const NEGLIGIBLE: f64 = 1e-15;

/// Stochastic pooling in use: each number of a window weighted by itself, `sum x^2 / sum x`, and zero for a window of
/// zeros. The sums are averages over the same cells.
fn weighted(call: &mut Call<'_>, average: &Op, x: ValueId) -> Tops {
    if call.layer.is_training() {
        return Err(call.refuse(OPTION, "stochastic pooling draws numbers in training"));
    }
    let square = call.apply(
        Unary {
            kind: UnaryKind::Square,
        },
        &[x],
    )?;
    let squares = call.apply(average.clone(), &[square])?;
    let numbers = call.apply(average.clone(), &[x])?;
    let numbers = super::function::affine(call, numbers, 1.0, NEGLIGIBLE)?;
    let kind = UnaryKind::Reciprocal;
    let one = call.apply(Unary { kind }, &[numbers])?;
    let kind = ElementwiseKind::Multiply;
    tops(call, |call| call.apply(Elementwise { kind }, &[squares, one]))
}

/// Whether a value is made by a ReLU, or handed on from one.
fn never_negative(call: &Call<'_>, x: ValueId) -> bool {
    let Some(node) = call.graph.producer(x) else {
        return false;
    };
    match &node.op {
        Op::Activate(op) => matches!(
            op.function,
            Activation::Relu
                | Activation::Sigmoid
                | Activation::BoundedRelu {
                    slope: 0.0,
                    threshold: 0.0,
                    ..
                }
        ),
        Op::Noise(_) | Op::Identity(_) | Op::LocalResponseNorm(_) | Op::Pool(_) => {
            node.inputs.iter().all(|&input| never_negative(call, input))
        }
        _ => false,
    }
}

/// The top, with itself in place of a second one that nobody reads.
fn tops(
    call: &mut Call<'_>,
    make: impl FnOnce(&mut Call<'_>) -> Result<ValueId, Box<caribou_ir::Finding>>,
) -> Tops {
    let top = make(call)?;
    Ok(vec![top; call.layer.tops.len().max(1)])
}
