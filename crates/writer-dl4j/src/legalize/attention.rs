//! Attention, `softmax(scale q k^T) v`, by products of matrices, which train rightly. DL4J's own vertex for it, whose gradient is
//! wrong, takes over where the number of steps is unknown or the products are too many: without projections and with one
//! head, rows the features of `[N, F, T]`. The projections are dense layers, with their biases; heads are folded into the batch.

use super::{Composed, Failure, Step};
use caribou_ir::op::{
    Attention, Concat, Conv, Dense, MatMul, Padding, Projection, Reshape, Size, Slice, SliceAxis, Softmax,
    Transpose,
};
use caribou_ir::{Tensor, TensorError, ValueId};

/// Added to the products of steps that a query must not see, as Keras does: nothing is left of them.
const HIDDEN: f32 = -1e9;

/// Steps of a causal attention: its mask takes as many parameters as the square.
const CAUSAL_STEPS: usize = 1024;

/// The number of products of one example above which the vertex attends, which forms none of them one by one.
const PRODUCTS: usize = 1 << 23;

const SWAP: [usize; 3] = [0, 2, 1];

/// The factor by which the vertex multiplies the products.
pub(crate) fn vertex_scale(size: usize) -> f64 {
    1.0 / (size as f64).sqrt()
}

/// Whether the vertex computes it as it is.
fn is_vertex(op: &Attention, size: Option<usize>) -> bool {
    let plain = op.query.is_none() && op.key.is_none() && op.value.is_none() && op.output.is_none();
    plain
        && op.heads == 1
        && !op.causal
        && size.is_some_and(|size| (op.scale / vertex_scale(size) - 1.0).abs() < 1e-7)
}

pub(super) fn attention(step: &mut Step<'_>, op: &Attention, inputs: &[ValueId]) -> Composed {
    let [query, key, value] = *inputs else {
        return Ok(None);
    };
    let small = {
        // Of the projected values: their features are the columns of the projections.
        let columns = |projection: &Option<Projection>, x| match projection {
            Some(projection) => projection.weight.shape().get(1).copied(),
            None => step.graph.shape(x).size(2),
        };
        let features = [columns(&op.query, query), columns(&op.value, value)];
        let steps = [query, key].map(|x| step.graph.shape(x).size(1));
        is_small(steps, features)
    };
    if !small && is_vertex(op, step.graph.shape(query).size(2)) {
        return Ok(None);
    }
    if small {
        step.rewrite(
            "attention-by-products",
            "the gradient of DL4J's attention is wrong: dense layers project, and products of matrices attend, the heads in the batch",
        );
    } else {
        step.rewrite(
            "attention-by-vertex",
            "DL4J's attention has no biases: dense layers project, and a vertex without projections attends, the heads in the batch",
        );
    }
    let query = projected(step, &op.query, query)?;
    let key = projected(step, &op.key, key)?;
    let value = projected(step, &op.value, value)?;
    let steps = |step: &Step<'_>, value| step.graph.shape(value).size(1);
    let y = match (op.heads, steps(step, query), steps(step, key)) {
        (1, ..) => head(step, op, small, query, key, value)?,
        (heads, Some(queries), Some(_)) => {
            let mut folded = [query, key, value];
            for value in &mut folded {
                *value = fold(step, *value, heads)?;
            }
            let [query, key, value] = folded;
            let y = head(step, op, small, query, key, value)?;
            unfold(step, y, heads, queries)?
        }
        (heads, ..) => {
            // Of unknown length, so that the heads can't be folded: one by one.
            let mut parts = Vec::with_capacity(heads);
            for i in 0..heads {
                let cut = |step: &mut Step<'_>, value: ValueId| -> Result<ValueId, Failure> {
                    let size = step.graph.shape(value).size(2).unwrap_or(0) / heads;
                    let range = SliceAxis::range(2, (i * size) as i64, Some(((i + 1) * size) as i64));
                    step.apply(Slice { axes: vec![range] }, &[value])
                };
                let (query, key) = (cut(step, query)?, cut(step, key)?);
                let value = cut(step, value)?;
                parts.push(head(step, op, small, query, key, value)?);
            }
            step.apply(Concat { axis: 2 }, &parts)?
        }
    };
    Ok(Some(vec![projected(step, &op.output, y)?]))
}

fn projected(step: &mut Step<'_>, projection: &Option<Projection>, x: ValueId) -> Result<ValueId, Failure> {
    let Some(Projection { weight, bias }) = projection.clone() else {
        return Ok(x);
    };
    step.apply(Dense { weight, bias }, &[x])
}

/// `[N, T, heads * F]` to `[N * heads, T, F]`.
fn fold(step: &mut Step<'_>, x: ValueId, heads: usize) -> Result<ValueId, Failure> {
    let shape = step.graph.shape(x).clone();
    let (Some(steps), Some(columns)) = (shape.size(1), shape.size(2)) else {
        return Err(Failure::Inexpressible(format!(
            "heads of {shape}, whose sizes are unknown"
        )));
    };
    let permutation = SWAP.to_vec();
    let y = step.apply(
        Transpose {
            permutation: permutation.clone(),
        },
        &[x],
    )?;
    let target = vec![Size::Rest, Size::Fixed(columns / heads), Size::Fixed(steps)];
    let y = step.apply(Reshape { target }, &[y])?;
    step.apply(Transpose { permutation }, &[y])
}

/// `[N * heads, T, F]` to `[N, T, heads * F]`.
fn unfold(step: &mut Step<'_>, x: ValueId, heads: usize, steps: usize) -> Result<ValueId, Failure> {
    let features = step.graph.shape(x).size(2).unwrap_or(0);
    let permutation = SWAP.to_vec();
    let y = step.apply(
        Transpose {
            permutation: permutation.clone(),
        },
        &[x],
    )?;
    let target = vec![Size::Rest, Size::Fixed(heads * features), Size::Fixed(steps)];
    let y = step.apply(Reshape { target }, &[y])?;
    step.apply(Transpose { permutation }, &[y])
}

/// Whether all products of an example, of the features of all heads, can be formed one by one.
fn is_small(steps: [Option<usize>; 2], features: [Option<usize>; 2]) -> bool {
    let ([Some(queries), Some(keys)], [Some(size), Some(values)]) = (steps, features) else {
        return false;
    };
    queries.saturating_mul(keys).saturating_mul(size.max(values)) <= PRODUCTS
}

/// `softmax(scale q k^T) v`.
fn products(
    step: &mut Step<'_>,
    scale: f64,
    query: ValueId,
    key: ValueId,
    value: ValueId,
) -> Result<ValueId, Failure> {
    let product = |transpose_b| MatMul {
        transpose_a: false,
        transpose_b,
    };
    let scores = step.apply(product(true), &[query, key])?;
    let scores = step.affine(scores, scale, 0.0)?;
    let weights = step.apply(Softmax { axis: 2 }, &[scores])?;
    step.apply(product(false), &[weights, value])
}

/// One head, without projections; `small` where its products are formed one by one.
fn head(
    step: &mut Step<'_>,
    op: &Attention,
    small: bool,
    mut query: ValueId,
    mut key: ValueId,
    value: ValueId,
) -> Result<ValueId, Failure> {
    let shape = step.graph.shape(query).clone();
    let mut size = shape.size(2).ok_or_else(|| {
        Failure::Inexpressible(format!(
            "attention of {shape}, whose number of features is unknown"
        ))
    })?;
    let steps = (shape.size(1), step.graph.shape(key).size(1));
    let extra = match (op.causal, steps) {
        (false, _) => 0,
        (true, (Some(queries), Some(keys))) if queries.max(keys) <= CAUSAL_STEPS => keys,
        (true, _) => {
            return Err(Failure::Inexpressible(format!(
                "a causal attention whose steps are unknown, or more than {CAUSAL_STEPS}"
            )));
        }
    };
    size += extra;
    let factor = op.scale / vertex_scale(size);
    if (factor - 1.0).abs() >= 1e-7 {
        query = step.affine(query, factor, 0.0)?;
    }
    if let (true, (Some(queries), Some(keys))) = (op.causal, steps) {
        // A feature for each step: the product of what is added is the mask.
        step.rewrite(
            "causal-mask-by-features",
            "the vertex has no causal mask: further features of queries and keys, fixed, add it to their products",
        );
        let rows = |f: &dyn Fn(usize, usize) -> f32, count: usize| -> Vec<f32> {
            (0..count * keys).map(|at| f(at / keys, at % keys)).collect()
        };
        let hidden = (f64::from(HIDDEN) / vertex_scale(size)) as f32;
        let mask = rows(&|t, s| if s > t { hidden } else { 0.0 }, queries);
        let own = rows(&|s, column| if s == column { 1.0 } else { 0.0 }, keys);
        let mask = constant(step, query, queries, keys, &mask)?;
        let own = constant(step, key, keys, keys, &own)?;
        query = step.apply(Concat { axis: 2 }, &[query, mask])?;
        key = step.apply(Concat { axis: 2 }, &[key, own])?;
    }
    if small {
        return products(step, vertex_scale(size), query, key, value);
    }
    let core = Attention {
        heads: 1,
        query: None,
        key: None,
        value: None,
        output: None,
        scale: vertex_scale(size),
        causal: false,
    };
    step.leaf(core, &[query, key, value])
}

fn viewed(result: Result<Tensor, TensorError>) -> Result<Tensor, Failure> {
    result.map_err(|error| Failure::Inexpressible(error.to_string()))
}

/// The numbers `[T, columns]` for each example of `like`, which is `[N, T, F]`: nothing of it, and a bias.
fn constant(
    step: &mut Step<'_>,
    like: ValueId,
    steps: usize,
    columns: usize,
    numbers: &[f32],
) -> Result<ValueId, Failure> {
    let first = SliceAxis::range(2, 0, Some(1));
    let y = step.apply(Slice { axes: vec![first] }, &[like])?;
    let y = step.apply(Reshape::features(&[steps, 1, 1]), &[y])?;
    let op = Conv {
        weight: Tensor::filled(&[steps * columns, 1, 1, 1], 0.0),
        bias: Some(viewed(Tensor::from_f32(&[steps * columns], numbers))?),
        strides: vec![1, 1],
        dilations: vec![1, 1],
        padding: Padding::none(2),
        groups: steps,
    };
    let y = step.fixed(op, &[y])?;
    step.apply(Reshape::features(&[steps, columns]), &[y])
}
