//! The position of the largest element: DL4J has no vertex for it. Each place that holds the largest is marked, the marks
//! are numbered, and the largest number is the place of the last.

use super::{Composed, Failure, Step};
use caribou_ir::ValueId;
use caribou_ir::op::{ArgMax, ElementwiseKind, Reduce, ReduceKind, Unary, UnaryKind};

pub(super) fn arg_max(step: &mut Step<'_>, op: ArgMax, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    let shape = step.graph.shape(x).clone();
    let Some(size) = shape.size(op.axis).filter(|_| op.axis > 0) else {
        return Err(Failure::Inexpressible(format!(
            "the largest along axis {} of {shape}",
            op.axis
        )));
    };
    step.rewrite(
        "arg-max-by-marks",
        "DL4J has no position of the largest element: the places that hold it are marked and numbered",
    );
    let largest = |keep_dims: bool| Reduce {
        kind: ReduceKind::Max,
        axes: vec![op.axis],
        keep_dims,
    };
    let most = step.apply(largest(true), &[x])?;
    let below = step.elementwise(ElementwiseKind::Subtract, &[most, x])?;
    let kind = UnaryKind::Step { threshold: 0.0 };
    let below = step.apply(Unary { kind }, &[below])?;
    let marks = step.affine(below, -1.0, 1.0)?;
    // Numbers that rise from one, or fall to one where the first is asked for.
    let numbers: Vec<f32> = match op.select_last {
        true => (0..size).map(|i| (i + 1) as f32).collect(),
        false => (0..size).map(|i| (size - i) as f32).collect(),
    };
    let mut along = vec![1; shape.rank()];
    along[op.axis] = size;
    let numbered = super::constant::affine(
        step,
        marks,
        Some(&super::constant::tensor(&along, &numbers)?),
        None,
    )?;
    let last = step.apply(largest(op.keep_dims), &[numbered])?;
    let y = match op.select_last {
        true => step.affine(last, 1.0, -1.0)?,
        false => step.affine(last, -1.0, size as f64)?,
    };
    Ok(Some(vec![y]))
}
