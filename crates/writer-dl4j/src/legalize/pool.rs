//! Pooling as Caffe counts windows: their number is rounded up, so that the last may reach beyond the image and its
//! padding, and an average divides by the cells that lie on either.
//!
//! A largest value is the same on an image whose last rows are repeated, since a window that reaches beyond the last row
//! covers it; where no value is below zero, rows of zeros do as well. A sum is the same on an image with zeros around,
//! and the average over all cells times their number over that of the counted ones is the average over these.

use super::{Composed, Failure, Step};
use caribou_ir::op::{
    Activation, AverageDivisor, Concat, Conv, Op, Pad, PadMode, Padding, Pool, PoolKind, Reshape, Rounding,
    Slice, SliceAxis, Transpose,
};
use caribou_ir::{Tensor, ValueId};

/// Steps back that [`never_negative`] goes.
const DEPTH: usize = 6;

/// One spatial axis.
struct Axis {
    before: usize,
    /// Behind the image, so that every window fits.
    after: usize,
    /// For each window, the cells that an average divides by.
    counted: Vec<usize>,
    /// The same, if cells of the image alone were counted.
    inside: Vec<usize>,
    kernel: usize,
}

impl Axis {
    fn of(op: &Pool, axis: usize, size: usize) -> Result<Self, Failure> {
        let (pads, count) = op.windows(axis, size)?;
        let (kernel, stride, dilation) = (op.kernel[axis], op.strides[axis], op.dilations[axis]);
        let needed = (count.max(1) - 1) * stride + dilation * (kernel - 1) + 1;
        let after = needed.saturating_sub(size + pads[0]).max(match op.rounding {
            Rounding::Floor => pads[1],
            Rounding::Ceil => 0,
        });
        let cells = |from: usize, to: usize| -> Vec<usize> {
            let covered = |window: usize| {
                let places = (0..kernel).map(|k| window * stride + k * dilation);
                places.filter(|&place| place >= from && place < to).count()
            };
            (0..count).map(covered).collect()
        };
        let inside = cells(pads[0], pads[0] + size);
        let counted = match op.kind {
            PoolKind::Average(AverageDivisor::InputCells) => inside.clone(),
            PoolKind::Average(AverageDivisor::PaddedCells) => cells(0, pads[0] + size + pads[1]),
            _ => vec![kernel; count],
        };
        Ok(Self {
            before: pads[0],
            after,
            counted,
            inside,
            kernel,
        })
    }

    fn whole(&self) -> bool {
        self.counted.iter().all(|&cells| cells == self.kernel)
    }
}

/// Windows that DL4J does not have.
pub(super) fn pool(step: &mut Step<'_>, op: &Pool, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    let shape = step.graph.shape(x).clone();
    let (Padding::Explicit(_), 4) = (&op.padding, shape.rank()) else {
        return Ok(None);
    };
    let (Some(height), Some(width)) = (shape.size(2), shape.size(3)) else {
        return Ok(None);
    };
    let sizes = [height, width];
    let mut axes = Vec::with_capacity(2);
    for (axis, size) in sizes.into_iter().enumerate() {
        axes.push(Axis::of(op, axis, size)?);
    }
    let extents: Vec<usize> = (0..2)
        .map(|axis| op.dilations[axis] * (op.kernel[axis] - 1) + 1)
        .collect();
    let pads: Vec<[usize; 2]> = axes.iter().map(|axis| [axis.before, axis.after]).collect();
    let even = pads.iter().all(|[before, after]| before == after);
    let known = [Some(height), Some(width)];
    let padding = Padding::Explicit(pads.clone());
    let stock = even || crate::lower::pads_as(&padding, &known, &extents, &op.strides);
    let floor = Pool {
        padding,
        rounding: Rounding::Floor,
        ..op.clone()
    };
    let average = match op.kind {
        PoolKind::Max => {
            if stock && *op == floor {
                return Ok(None);
            }
            if stock {
                return Ok(Some(vec![step.leaf(floor, &[x])?]));
            }
            return largest(step, op, x, &pads).map(|y| Some(vec![y]));
        }
        PoolKind::Average(_) => |divisor| PoolKind::Average(divisor),
        PoolKind::Lp(_) => return Ok(None),
    };
    let inside = axes.iter().all(|axis| axis.counted == axis.inside);
    if inside && stock {
        let kind = average(AverageDivisor::InputCells);
        return if op.rounding == Rounding::Floor && op.kind == kind {
            Ok(None)
        } else {
            Ok(Some(vec![step.leaf(Pool { kind, ..floor }, &[x])?]))
        };
    }
    if op.rounding == Rounding::Floor && even && axes.iter().all(Axis::whole) {
        return Ok(None);
    }
    averaged(step, &floor, x, &pads, &axes).map(|y| Some(vec![y]))
}

/// The largest values of windows that reach beyond the image.
fn largest(step: &mut Step<'_>, op: &Pool, x: ValueId, pads: &[[usize; 2]]) -> Result<ValueId, Failure> {
    if op.dilations.iter().any(|&dilation| dilation != 1) {
        return Err(Failure::Inexpressible(
            "pooling with dilation whose windows reach beyond the image".into(),
        ));
    }
    // What both sides have in common, DL4J pads by itself.
    let common: Vec<usize> = pads.iter().map(|[before, after]| *before.min(after)).collect();
    let extra = pads
        .iter()
        .zip(&common)
        .map(|(pad, common)| pad.map(|cells| cells - common));
    let mut around = vec![[0, 0]; 2];
    around.extend(extra);
    let mode = if never_negative(step, x, DEPTH) {
        step.rewrite(
            "pooling-beyond-the-image-by-zeros",
            "DL4J rounds the number of windows down: rows of zeros behind the image, of which no value is below zero, make room for the last",
        );
        PadMode::Constant(0.0)
    } else {
        step.rewrite(
            "pooling-beyond-the-image-by-edges",
            "DL4J rounds the number of windows down: its last rows repeated make room for the last window, and change no largest value",
        );
        PadMode::Edge
    };
    let y = step.apply(Pad { pads: around, mode }, &[x])?;
    let pool = Pool {
        padding: Padding::Explicit(common.iter().map(|&cells| [cells, cells]).collect()),
        rounding: Rounding::Floor,
        ..op.clone()
    };
    step.leaf(pool, &[y])
}

/// Whether a value has no element below zero, as far as the operators before it tell.
fn never_negative(step: &Step<'_>, x: ValueId, depth: usize) -> bool {
    let Some(node) = step.graph.producer(x).filter(|_| depth > 0) else {
        return false;
    };
    match &node.op {
        Op::Activate(op) => match op.function {
            Activation::Relu | Activation::Sigmoid | Activation::Softplus | Activation::Exponential => true,
            Activation::BoundedRelu { slope, threshold, .. } => slope == 0.0 && threshold == 0.0,
            _ => false,
        },
        Op::Pool(_) | Op::Noise(_) | Op::Identity(_) | Op::LocalResponseNorm(_) | Op::Concat(_) => node
            .inputs
            .iter()
            .all(|&input| never_negative(step, input, depth - 1)),
        _ => false,
    }
}

/// Averages whose divisor differs from window to window.
fn averaged(
    step: &mut Step<'_>,
    op: &Pool,
    x: ValueId,
    pads: &[[usize; 2]],
    axes: &[Axis],
) -> Result<ValueId, Failure> {
    let mut y = x;
    let mut padding = op.padding.clone();
    if pads.iter().any(|[before, after]| before != after) {
        let mut around = vec![[0, 0]; 2];
        around.extend(pads);
        let mode = PadMode::Constant(0.0);
        y = step.apply(Pad { pads: around, mode }, &[y])?;
        padding = Padding::none(2);
    }
    let kind = PoolKind::Average(AverageDivisor::AllCells);
    let pool = Pool {
        kind,
        padding,
        ..op.clone()
    };
    y = step.leaf(pool, &[y])?;
    if axes.iter().all(Axis::whole) {
        return Ok(y);
    }
    step.rewrite(
        "average-by-position",
        "DL4J divides by all cells of a window: the averages are multiplied by their number over that of the counted ones",
    );
    let [rows, columns] = axes else { return Ok(y) };
    let all = (rows.kernel * columns.kernel) as f64;
    let mut factors = Vec::with_capacity(rows.counted.len() * columns.counted.len());
    for &row in &rows.counted {
        for &column in &columns.counted {
            factors.push((all / (row * column).max(1) as f64) as f32);
        }
    }
    by_position(step, y, &factors)
}

/// `[N, C, H, W]` times a number for each of the `H * W` positions: a convolution of size one with the positions as its
/// channels.
fn by_position(step: &mut Step<'_>, x: ValueId, factors: &[f32]) -> Result<ValueId, Failure> {
    let shape = step.graph.shape(x).clone();
    let (Some(height), Some(width)) = (shape.size(2), shape.size(3)) else {
        return Err(Failure::Inexpressible(format!(
            "positions of {shape}, whose sizes are unknown"
        )));
    };
    let channels = shape
        .size(1)
        .ok_or_else(|| Failure::Inexpressible(format!("positions of {shape}, whose channels are unknown")))?;
    if channels == 1 {
        // Stock DL4J's depthwise convolution fails on images of one cell: with the channel twice there are two.
        let twice = step.apply(Concat { axis: 1 }, &[x, x])?;
        let y = by_position(step, twice, factors)?;
        let first = SliceAxis::range(1, 0, Some(1));
        return step.apply(Slice { axes: vec![first] }, &[y]);
    }
    let positions = factors.len();
    let weight = Tensor::from_f32(&[positions, 1, 1, 1], factors)
        .map_err(|error| Failure::Inexpressible(error.to_string()))?;
    let op = Conv {
        weight,
        bias: None,
        strides: vec![1, 1],
        dilations: vec![1, 1],
        padding: Padding::none(2),
        groups: positions,
    };
    let permutation = vec![0, 2, 3, 1];
    let mut y = step.apply(Transpose { permutation }, &[x])?;
    y = step.apply(Reshape::features(&[positions, channels, 1]), &[y])?;
    y = step.fixed(op, &[y])?;
    y = step.apply(Reshape::features(&[height, width, channels]), &[y])?;
    let permutation = vec![0, 3, 1, 2];
    step.apply(Transpose { permutation }, &[y])
}
