//! Reductions over any axes by those that DL4J has: of all steps of a sequence, or all cells of an image.

use super::{Composed, Failure, Step};
use caribou_ir::ValueId;
use caribou_ir::op::{Reduce, ReduceKind as Kind, Reshape, Transpose, Unary, UnaryKind};

pub(super) fn reduce(step: &mut Step<'_>, op: &Reduce, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    let unary = |step: &mut Step<'_>, kind: UnaryKind, x: ValueId| step.apply(Unary { kind }, &[x]);
    let again = |kind: Kind| Reduce { kind, ..op.clone() };
    let y = match op.kind {
        Kind::Mean | Kind::Sum | Kind::Max => return over(step, op, x),
        Kind::Min => {
            let x = step.affine(x, -1.0, 0.0)?;
            let y = step.apply(again(Kind::Max), &[x])?;
            step.affine(y, -1.0, 0.0)?
        }
        Kind::L1 => {
            let x = unary(step, UnaryKind::Abs, x)?;
            step.apply(again(Kind::Sum), &[x])?
        }
        Kind::SumOfSquares => {
            let x = unary(step, UnaryKind::Square, x)?;
            step.apply(again(Kind::Sum), &[x])?
        }
        Kind::L2 => {
            let y = step.apply(again(Kind::SumOfSquares), &[x])?;
            unary(step, UnaryKind::Sqrt, y)?
        }
        Kind::Product => return Err(Failure::Inexpressible("a product over an axis".into())),
    };
    Ok(Some(vec![y]))
}

/// The axes that stay in one, those that go in another: `[N, kept, reduced]`.
fn over(step: &mut Step<'_>, op: &Reduce, x: ValueId) -> Composed {
    let shape = step.graph.shape(x).clone();
    let rank = shape.rank();
    let kept: Vec<usize> = (1..rank).filter(|axis| !op.axes.contains(axis)).collect();
    if op.axes.contains(&0) || (kept.len() == 1 && (3..=5).contains(&rank)) {
        return Ok(None);
    }
    if op.axes.is_empty() {
        return Ok(Some(vec![x]));
    }
    let sizes = shape
        .feature_sizes()
        .ok_or_else(|| Failure::Inexpressible(format!("a reduction of {shape}, whose sizes are unknown")))?;
    step.rewrite(
        "reduce-as-sequence",
        "DL4J reduces all steps of a sequence: the axes that go are made the steps, the others the features",
    );
    let order: Vec<usize> = [0].iter().chain(&kept).chain(&op.axes).copied().collect();
    let of = |axes: &[usize]| axes.iter().map(|&axis| sizes[axis - 1]).product::<usize>();
    let mut y = step.apply(Transpose { permutation: order }, &[x])?;
    y = step.apply(Reshape::features(&[of(&kept), of(&op.axes)]), &[y])?;
    let pool = Reduce {
        kind: op.kind,
        axes: vec![2],
        keep_dims: false,
    };
    y = step.apply(pool, &[y])?;
    let target: Vec<usize> = (1..rank)
        .filter_map(|axis| match (op.axes.contains(&axis), op.keep_dims) {
            (true, true) => Some(1),
            (true, false) => None,
            (false, _) => Some(sizes[axis - 1]),
        })
        .collect();
    if target.is_empty() {
        return Err(Failure::Inexpressible(
            "a reduction to one number an example without an axis".into(),
        ));
    }
    y = step.apply(Reshape::features(&target), &[y])?;
    Ok(Some(vec![y]))
}
