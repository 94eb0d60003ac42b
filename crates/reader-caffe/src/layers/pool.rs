//! Pooling.

use super::conv::{check_sizes, per_axis};
use super::{Call, MISFIT, OPTION, Tops};
use crate::schema::pooling_parameter::{PoolMethod, RoundMode};
use caribou_ir::op::{
    Activation, AverageDivisor, Elementwise, ElementwiseKind, Op, Pad, PadMode, Padding, Pool, PoolKind,
    Reduce, ReduceKind, Rounding, Unary, UnaryKind,
};
use caribou_ir::{Finding, ValueId};

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
    // How many windows begin on the image of each axis, and how many behind it.
    let (mut within, mut behind) = ([0; 2], [0; 2]);
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
        // Without padding, Caffe keeps last windows that begin behind the image: they cover nothing.
        let windows = padded.saturating_sub(extent).div_ceil(stride) + 1;
        within[axis] = windows.min(size.div_ceil(stride));
        if !rounded_down && pads.iter().flatten().all(|&pad| pad == 0) {
            behind[axis] = windows - within[axis];
        }
    }
    if behind != [0, 0] && kind != PoolKind::Max {
        return Err(call.refuse(
            OPTION,
            "the last window begins behind the image and covers no cell: its average is no number",
        ));
    }
    if behind != [0, 0] {
        let message = format!(
            "its last windows begin behind the image and cover no cell; as Caffe has it, their largest number is {:e}",
            f32::MIN
        );
        let finding = Finding::warning(OPTION, &call.origin, message);
        call.findings.push(
            finding.with_help("is the top meant to be that large? round_mode: FLOOR leaves such windows out"),
        );
        // The image is made to end where the last window that begins on it does.
        for axis in 0..2 {
            let extent = dilations[axis] * (kernel[axis] - 1) + 1;
            let end = (within[axis] - 1) * strides[axis] + extent;
            pads[axis][1] = end.saturating_sub(call.size(x, axis + 2)?);
        }
    }
    let op = Pool {
        kind,
        kernel,
        strides,
        dilations,
        padding: Padding::Explicit(pads),
        rounding: match rounded_down || behind != [0, 0] {
            true => Rounding::Floor,
            false => Rounding::Ceil,
        },
    };
    match stochastic {
        true => weighted(call, &op.into(), x),
        false => tops(call, |call| {
            let y = call.apply(op, &[x])?;
            nothing(call, y, behind)
        }),
    }
}

/// The tops of windows with those behind the image, of which Caffe says that their largest number is the smallest of all.
fn nothing(call: &mut Call<'_>, y: ValueId, behind: [usize; 2]) -> Result<ValueId, Box<Finding>> {
    if behind == [0, 0] {
        return Ok(y);
    }
    let [rows, columns] = behind.map(|count| [0, count]);
    let pads = vec![[0, 0], [0, 0], rows, columns];
    let mode = PadMode::Constant(f64::from(f32::MIN));
    call.apply(Pad { pads, mode }, &[y])
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
fn tops(call: &mut Call<'_>, make: impl FnOnce(&mut Call<'_>) -> Result<ValueId, Box<Finding>>) -> Tops {
    let top = make(call)?;
    Ok(vec![top; call.layer.tops.len().max(1)])
}
