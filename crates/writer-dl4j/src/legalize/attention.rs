//! Attention by DL4J's vertex for it, without projections and with one head: `softmax(q k^T / sqrt(size)) v`, rows the
//! features of `[N, F, T]`. The projections are dense layers, with their biases; heads are folded into the batch.

use super::{Composed, Failure, Step};
use caribou_ir::op::{
    Attention, Concat, Conv, Dense, Padding, Projection, Reshape, Size, Slice, SliceAxis, Transpose,
};
use caribou_ir::{Tensor, TensorError, ValueId};

/// Added to the products of steps that a query must not see, as Keras does: nothing is left of them.
const HIDDEN: f32 = -1e9;

/// Steps of a causal attention: its mask takes as many parameters as the square.
const CAUSAL_STEPS: usize = 1024;

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
    if is_vertex(op, step.graph.shape(query).size(2)) {
        return Ok(None);
    }
    step.rewrite(
        "attention-by-vertex",
        "DL4J's attention has no biases: dense layers project, and a vertex without projections attends, the heads in the batch",
    );
    let query = projected(step, &op.query, query)?;
    let key = projected(step, &op.key, key)?;
    let value = projected(step, &op.value, value)?;
    let steps = |step: &Step<'_>, value| step.graph.shape(value).size(1);
    let y = match (op.heads, steps(step, query), steps(step, key)) {
        (1, ..) => head(step, op, query, key, value)?,
        (heads, Some(queries), Some(_)) => {
            let mut folded = [query, key, value];
            for value in &mut folded {
                *value = fold(step, *value, heads)?;
            }
            let [query, key, value] = folded;
            let y = head(step, op, query, key, value)?;
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
                parts.push(head(step, op, query, key, value)?);
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

/// One head, without projections.
fn head(
    step: &mut Step<'_>,
    op: &Attention,
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
