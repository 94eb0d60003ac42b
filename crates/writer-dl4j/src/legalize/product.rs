//! Matrix products of two values: DL4J has none, so the rows of one are multiplied with the columns of the other,
//! element by element, and added up by pooling.

use super::{Composed, Failure, Step};
use caribou_ir::ValueId;
use caribou_ir::op::{
    AverageDivisor, ElementwiseKind, MatMul, Padding, Pool, PoolKind, Reshape, Rounding, Size, Transpose,
};

/// The number of products of one example that is still sensible.
const PRODUCTS: usize = 1 << 24;

/// `[N, m, k]` and `[N, k, n]` to `[N, m, n]`, by way of `[N, m, k, n]`.
pub(super) fn mat_mul(step: &mut Step<'_>, op: &MatMul, inputs: &[ValueId]) -> Composed {
    let [a, b] = *inputs else { return Ok(None) };
    let (a, outer) = folded(step, a)?;
    let (b, other) = folded(step, b)?;
    if outer != other {
        return Err(Failure::Inexpressible(
            "a product of matrices of which one is repeated for the other".into(),
        ));
    }
    let a = turned(step, a, op.transpose_a)?;
    let b = turned(step, b, op.transpose_b)?;
    let sizes = |step: &Step<'_>, value: ValueId| step.graph.shape(value).feature_sizes();
    let (Some(&[m, k]), Some(&[_, n])) = (sizes(step, a).as_deref(), sizes(step, b).as_deref()) else {
        return Err(Failure::Inexpressible(format!(
            "a product of matrices of shapes {} and {}, whose sizes are unknown",
            step.graph.shape(a),
            step.graph.shape(b)
        )));
    };
    if m.saturating_mul(k).saturating_mul(n) > PRODUCTS {
        return Err(Failure::Inexpressible(format!(
            "a product of matrices of {m} x {k} and {k} x {n} elements, which takes {PRODUCTS} products and more"
        )));
    }
    step.rewrite(
        "matrix-product-by-pooling",
        "DL4J has no product of two values that are matrices: the products of their elements are added up by pooling",
    );
    let a = step.apply(Reshape::features(&[m, k, 1]), &[a])?;
    let b = step.apply(Reshape::features(&[1, k, n]), &[b])?;
    let products = step.elementwise(ElementwiseKind::Multiply, &[a, b])?;
    let pool = Pool {
        kind: PoolKind::Average(AverageDivisor::InputCells),
        kernel: vec![k, 1],
        strides: vec![1, 1],
        dilations: vec![1, 1],
        padding: Padding::none(2),
        rounding: Rounding::Floor,
    };
    let mean = step.leaf(pool, &[products])?;
    let sum = step.affine(mean, k as f64, 0.0)?;
    let y = match outer {
        None => step.apply(Reshape::features(&[m, n]), &[sum])?,
        Some(outer) => {
            let target = [Size::Rest]
                .into_iter()
                .chain(outer.iter().chain([&m, &n]).map(|&size| Size::Fixed(size)))
                .collect();
            step.apply(Reshape { target }, &[sum])?
        }
    };
    Ok(Some(vec![y]))
}

/// The axes between the batch and the matrices folded into the batch, and their sizes.
fn folded(step: &mut Step<'_>, x: ValueId) -> Result<(ValueId, Option<Vec<usize>>), Failure> {
    let shape = step.graph.shape(x).clone();
    let rank = shape.rank();
    if rank < 3 {
        return Err(Failure::Inexpressible(
            "a product of matrices over the batch".into(),
        ));
    }
    if rank == 3 {
        return Ok((x, None));
    }
    let sizes = shape.feature_sizes().ok_or_else(|| {
        Failure::Inexpressible(format!("matrices of shape {shape}, whose sizes are unknown"))
    })?;
    let (outer, matrix) = sizes.split_at(rank - 3);
    let target = [Size::Rest]
        .into_iter()
        .chain(matrix.iter().map(|&size| Size::Fixed(size)))
        .collect();
    let y = step.apply(Reshape { target }, &[x])?;
    Ok((y, Some(outer.to_vec())))
}

fn turned(step: &mut Step<'_>, x: ValueId, turn: bool) -> Result<ValueId, Failure> {
    if !turn {
        return Ok(x);
    }
    let permutation = vec![0, 2, 1];
    step.apply(Transpose { permutation }, &[x])
}
