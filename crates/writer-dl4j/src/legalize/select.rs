//! Parts of values: single elements, every other one, elements in any order, padding that repeats what is there.

use super::{Composed, Failure, Step};
use caribou_ir::op::{
    Concat, Gather, Pad, PadMode, Padding, Pool, PoolKind, Reshape, Reverse, Rounding, Size, Slice,
    SliceAxis, Transpose,
};
use caribou_ir::{Tensor, ValueId};

/// Runs of neighbours that a gather may fall into.
const RUNS: usize = 256;
/// Neighbours up to which those in reverse order are cut out one by one, which takes a vertex each, instead of being reversed.
const REVERSED: usize = 8;

fn unknown(step: &Step<'_>, x: ValueId, axis: usize) -> Failure {
    Failure::Inexpressible(format!(
        "axis {axis} of {}, whose size must be known",
        step.graph.shape(x)
    ))
}

/// Cuts that the lowering has no vertex for, one after the other.
pub(super) fn slice(step: &mut Step<'_>, op: &Slice, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    let rank = step.graph.shape(x).rank();
    let simple = |cut: &SliceAxis| !cut.squeeze && cut.step == 1;
    match &op.axes[..] {
        [cut] if simple(cut) => return Ok(None),
        // The first and the last step are vertices of their own.
        [cut] if cut.squeeze && cut.axis == 1 && rank == 3 => {
            let last = step.graph.shape(x).size(1).map(|size| size as i64 - 1);
            if [0, -1].contains(&cut.start) || Some(cut.start) == last {
                return Ok(None);
            }
        }
        cuts if cuts.iter().all(simple) && (3..=5).contains(&rank) && cuts.len() < rank - 1 => {
            return Ok(None);
        }
        _ => {}
    }
    step.rewrite(
        "cut-by-cut",
        "DL4J cuts ranges of neighbours only: other cuts are made one after the other",
    );
    let mut y = x;
    for cut in &op.axes {
        y = cut_one(step, y, cut)?;
    }
    let gone: Vec<usize> = op
        .axes
        .iter()
        .filter(|cut| cut.squeeze)
        .map(|cut| cut.axis)
        .collect();
    if !gone.is_empty() {
        let target = (0..rank)
            .filter(|axis| !gone.contains(axis))
            .map(Size::Keep)
            .collect();
        y = step.apply(Reshape { target }, &[y])?;
    }
    Ok(Some(vec![y]))
}

/// One cut; an axis of which one element is taken stays, with size one.
fn cut_one(step: &mut Step<'_>, x: ValueId, cut: &SliceAxis) -> Result<ValueId, Failure> {
    let axis = cut.axis;
    if cut.squeeze {
        let end = if cut.start == -1 {
            None
        } else {
            Some(cut.start + 1)
        };
        return step.apply(
            Slice {
                axes: vec![SliceAxis::range(axis, cut.start, end)],
            },
            &[x],
        );
    }
    if cut.step == 1 {
        return step.apply(Slice { axes: vec![*cut] }, &[x]);
    }
    let size = step
        .graph
        .shape(x)
        .size(axis)
        .ok_or_else(|| unknown(step, x, axis))?;
    let (start, count) = cut.resolve(size);
    if count == 0 {
        return Err(Failure::Inexpressible("a slice without elements".into()));
    }
    let stride = cut.step.unsigned_abs() as usize;
    let (mut y, mut first) = (x, start);
    if cut.step < 0 {
        y = step.apply(Reverse { axis }, &[y])?;
        first = size - 1 - start;
    }
    let end = first + (count - 1) * stride + 1;
    if (first, end) != (0, size) {
        y = step.apply(
            Slice {
                axes: vec![SliceAxis::range(axis, first as i64, Some(end as i64))],
            },
            &[y],
        )?;
    }
    every(step, y, axis, stride)
}

/// Every `stride`-th element of an axis: pooling with a window of one.
fn every(step: &mut Step<'_>, x: ValueId, axis: usize, stride: usize) -> Result<ValueId, Failure> {
    if stride == 1 {
        return Ok(x);
    }
    step.rewrite(
        "stride-by-pooling",
        "a maximum over a window of one that moves by several leaves the rest out",
    );
    let shape = step.graph.shape(x).clone();
    let rank = shape.rank();
    let pool = |rank: usize| {
        let mut strides = vec![1; rank - 2];
        strides[0] = stride;
        Pool {
            kind: PoolKind::Max,
            kernel: vec![1; rank - 2],
            strides,
            dilations: vec![1; rank - 2],
            padding: Padding::none(rank - 2),
            rounding: Rounding::Floor,
        }
    };
    if rank == 2 {
        let target = vec![Size::Keep(0), Size::Fixed(1), Size::Keep(1)];
        let y = step.apply(Reshape { target }, &[x])?;
        let y = step.apply(pool(3), &[y])?;
        let target = vec![Size::Keep(0), Size::Keep(2)];
        return step.apply(Reshape { target }, &[y]);
    }
    if rank > 5 {
        return Err(Failure::Inexpressible(format!(
            "every {stride}th element of one of {rank} axes"
        )));
    }
    // The axis becomes the first spatial one.
    let mut order: Vec<usize> = (0..rank).filter(|&other| other != axis).collect();
    order.insert(2, axis);
    let mut back = vec![0; rank];
    for (i, &axis) in order.iter().enumerate() {
        back[axis] = i;
    }
    let y = step.apply(Transpose { permutation: order }, &[x])?;
    let y = step.apply(pool(rank), &[y])?;
    step.apply(Transpose { permutation: back }, &[y])
}

/// Elements in any order: their runs of neighbours, put together.
pub(super) fn gather(step: &mut Step<'_>, op: &Gather, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    if op.axis == 0 || op.indices.is_empty() {
        return Ok(None);
    }
    let size = step
        .graph
        .shape(x)
        .size(op.axis)
        .ok_or_else(|| unknown(step, x, op.axis))?;
    // Reversing wants to know all sizes where there are more axes than those of a sequence.
    let shape = step.graph.shape(x);
    let reversible = shape.rank() == 3 || shape.feature_sizes().is_some();
    let runs = runs(&op.indices, if reversible { REVERSED } else { usize::MAX });
    if runs.len() > RUNS {
        return Err(Failure::Inexpressible(format!(
            "{} parts of one axis in another order",
            runs.len()
        )));
    }
    step.rewrite(
        "gather-by-parts",
        "parts of an axis are cut out and put together in their new order",
    );
    let mut parts = Vec::with_capacity(runs.len());
    let mut cut_out: std::collections::HashMap<Run, ValueId> = std::collections::HashMap::new();
    for run in runs {
        let part = match cut_out.get(&run) {
            Some(&part) => part,
            None => {
                let mut part = x;
                if (run.from, run.to) != (0, size) {
                    let cut = SliceAxis::range(op.axis, run.from as i64, Some(run.to as i64));
                    part = step.apply(Slice { axes: vec![cut] }, &[x])?;
                }
                if run.backwards {
                    part = step.apply(Reverse { axis: op.axis }, &[part])?;
                }
                part
            }
        };
        cut_out.insert(run, part);
        parts.push(part);
    }
    if let [only] = parts[..] {
        return Ok(Some(vec![only]));
    }
    let y = step.apply(Concat { axis: op.axis }, &parts)?;
    Ok(Some(vec![y]))
}

/// Neighbours of one axis, from the first to before `to`, or from the last of these to the first.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Run {
    from: usize,
    to: usize,
    backwards: bool,
}

/// The runs of neighbours that places fall into; those that go backwards have more than `reversed` places.
fn runs(places: &[usize], reversed: usize) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut rest = places;
    while let [first, ..] = *rest {
        let length = |next: &dyn Fn(usize, usize) -> bool| {
            1 + rest.windows(2).take_while(|pair| next(pair[0], pair[1])).count()
        };
        let (ahead, back) = (length(&|a, b| b == a + 1), length(&|a, b| a == b + 1));
        let backwards = back > reversed;
        let count = if backwards { back } else { ahead };
        let from = if backwards { first + 1 - count } else { first };
        runs.push(Run {
            from,
            to: from + count,
            backwards,
        });
        rest = &rest[count..];
    }
    runs
}

/// Any axis reversed: as the steps of a sequence, which is what DL4J reverses.
pub(super) fn reverse(step: &mut Step<'_>, op: Reverse, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    let shape = step.graph.shape(x).clone();
    let rank = shape.rank();
    if op.axis == 0 || (rank == 3 && op.axis == 1) {
        return Ok(None);
    }
    step.rewrite(
        "reverse-as-steps",
        "DL4J reverses the steps of a sequence: the axis is made one",
    );
    let mut order: Vec<usize> = (0..rank).filter(|&other| other != op.axis).collect();
    order.insert(1, op.axis);
    let mut back = vec![0; rank];
    for (i, &axis) in order.iter().enumerate() {
        back[axis] = i;
    }
    let mut y = step.apply(Transpose { permutation: order }, &[x])?;
    if rank == 3 {
        y = step.apply(Reverse { axis: 1 }, &[y])?;
    } else {
        let moved = step
            .graph
            .shape(y)
            .feature_sizes()
            .ok_or_else(|| unknown(step, x, op.axis))?;
        let others = moved[1..].iter().product();
        y = step.apply(Reshape::features(&[moved[0], others]), &[y])?;
        y = step.apply(Reverse { axis: 1 }, &[y])?;
        y = step.apply(Reshape::features(&moved), &[y])?;
    }
    let y = step.apply(Transpose { permutation: back }, &[y])?;
    Ok(Some(vec![y]))
}

/// Padding with anything but zeros.
pub(super) fn pad(step: &mut Step<'_>, op: &Pad, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    let shape = step.graph.shape(x).clone();
    let padded: Vec<usize> = (0..shape.rank())
        .filter(|&axis| op.pads[axis] != [0, 0])
        .collect();
    if padded.contains(&0) {
        return Ok(None);
    }
    let PadMode::Constant(value) = op.mode else {
        let mut y = x;
        for &axis in &padded {
            let size = shape.size(axis).ok_or_else(|| unknown(step, x, axis))?;
            let [before, after] = op.pads[axis];
            let places = -(before as i64)..(size + after) as i64;
            let indices = places.map(|place| op.mode.cell(place, size as i64)).collect();
            y = step.apply(Gather { axis, indices }, &[y])?;
        }
        return Ok(Some(vec![y]));
    };
    if value == 0.0 {
        return zeros(step, op, x, &padded);
    }
    let zeros = Pad {
        mode: PadMode::Constant(0.0),
        ..op.clone()
    };
    let y = step.apply(zeros, &[x])?;
    // Added where the zeros are, and nowhere else.
    let mut border = vec![1; shape.rank()];
    for &axis in &padded {
        let size = shape.size(axis).ok_or_else(|| unknown(step, x, axis))?;
        border[axis] = op.pads[axis][0] + size + op.pads[axis][1];
    }
    let values: Vec<f32> = (0..border.iter().product::<usize>())
        .map(|mut flat| {
            let mut outside = false;
            for axis in (0..border.len()).rev() {
                let place = flat % border[axis];
                flat /= border[axis];
                let [before, after] = op.pads[axis];
                outside |= place < before || place + after >= border[axis];
            }
            if outside { value as f32 } else { 0.0 }
        })
        .collect();
    let border: Tensor = super::constant::tensor(&border, &values)?;
    let y = super::constant::affine(step, y, None, Some(&border))?;
    Ok(Some(vec![y]))
}

/// Zeros around axes that DL4J can't pad at once: one axis after the other, features as the steps of a sequence.
fn zeros(step: &mut Step<'_>, op: &Pad, x: ValueId, padded: &[usize]) -> Composed {
    let rank = op.pads.len();
    if (3..=5).contains(&rank) && padded.len() < rank - 1 {
        return Ok(None);
    }
    let mut y = x;
    if rank == 2 {
        let [before, after] = op.pads[1];
        let target = vec![Size::Keep(0), Size::Keep(1), Size::Fixed(1)];
        y = step.apply(Reshape { target }, &[y])?;
        let pads = vec![[0, 0], [before, after], [0, 0]];
        y = step.apply(Pad { pads, mode: op.mode }, &[y])?;
        let target = vec![Size::Keep(0), Size::Keep(1)];
        return Ok(Some(vec![step.apply(Reshape { target }, &[y])?]));
    }
    for &axis in padded {
        let mut pads = vec![[0, 0]; rank];
        pads[axis] = op.pads[axis];
        y = step.apply(Pad { pads, mode: op.mode }, &[y])?;
    }
    Ok(Some(vec![y]))
}
