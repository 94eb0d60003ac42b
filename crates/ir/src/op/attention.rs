//! Scaled dot-product attention.

use super::{Operator, check_parameter, known};
use crate::{Dim, Infer, Shape, ShapeError, Tensor};

/// A learned projection `x W + b`, its columns grouped by head.
#[derive(Debug, Clone)]
pub struct Projection {
    /// `[in, out]`.
    pub weight: Tensor,
    /// `[out]`.
    pub bias: Option<Tensor>,
}

/// Multi-head attention (Vaswani et al. 2017) of queries `[N, T, Fq]` over keys `[N, S, Fk]` and values
/// `[N, S, Fv]`: for each head, `softmax(scale * (q Wq + bq) (k Wk + bk)^T) (v Wv + bv)` over the axis `S`, the heads
/// side by side, then the output projection: `[N, T, F]`. Inputs in this order.
#[derive(Debug, Clone)]
pub struct Attention {
    /// The number of heads; the columns of the projections are divided among them.
    pub heads: usize,
    /// Projection of the queries; the identity where absent.
    pub query: Option<Projection>,
    /// Projection of the keys; the identity where absent.
    pub key: Option<Projection>,
    /// Projection of the values; the identity where absent.
    pub value: Option<Projection>,
    /// Projection of the result; the identity where absent.
    pub output: Option<Projection>,
    /// Factor of the products, usually `1 / sqrt(head size)`.
    pub scale: f64,
    /// Whether step `t` sees the steps up to `t` only.
    pub causal: bool,
}

impl Attention {
    fn projections(&self) -> [(&Option<Projection>, &'static str, &'static str); 4] {
        [
            (&self.query, "query weight", "query bias"),
            (&self.key, "key weight", "key bias"),
            (&self.value, "value weight", "value bias"),
            (&self.output, "output weight", "output bias"),
        ]
    }
}

fn project(projection: &Option<Projection>, features: usize, role: &str) -> Result<usize, ShapeError> {
    let Some(Projection { weight, bias }) = projection else {
        return Ok(features);
    };
    let columns = weight.shape().get(1).copied().unwrap_or(0);
    check_parameter(role, weight, &[features, columns])?;
    if let Some(bias) = bias {
        check_parameter(role, bias, &[columns])?;
    }
    Ok(columns)
}

impl Operator for Attention {
    fn name(&self) -> &'static str {
        "Attention"
    }

    fn infer(&self, inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let [query, key, value] = inputs else {
            return Err(ShapeError::new(format!(
                "expected queries, keys and values, found {} inputs",
                inputs.len()
            )));
        };
        for shape in inputs {
            if shape.rank() != 3 {
                return Err(ShapeError::new(format!("expected [N, T, F], found {shape}")));
            }
        }
        let features = |shape: &Shape| known(shape, 2, "the number of features");
        let q = project(&self.query, features(query)?, "query weight")?;
        let k = project(&self.key, features(key)?, "key weight")?;
        let v = project(&self.value, features(value)?, "value weight")?;
        if q != k || self.heads == 0 || !q.is_multiple_of(self.heads) || !v.is_multiple_of(self.heads) {
            return Err(ShapeError::new(format!(
                "queries of {q}, keys of {k} and values of {v} columns do not fit {} heads",
                self.heads
            )));
        }
        let out = project(&self.output, v, "output weight")?;
        Ok(vec![Shape::new([
            query.dims()[0],
            query.dims()[1],
            Dim::Fixed(out),
        ])])
    }

    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        let mut list = Vec::new();
        for (projection, weight, bias) in self.projections() {
            if let Some(projection) = projection {
                list.push((weight, &projection.weight));
                list.extend(projection.bias.as_ref().map(|tensor| (bias, tensor)));
            }
        }
        list
    }

    fn parameters_mut(&mut self) -> Vec<(&'static str, &mut Tensor)> {
        let mut list = Vec::new();
        let projections = [
            (&mut self.query, "query weight", "query bias"),
            (&mut self.key, "key weight", "key bias"),
            (&mut self.value, "value weight", "value bias"),
            (&mut self.output, "output weight", "output bias"),
        ];
        for (projection, weight, bias) in projections {
            if let Some(projection) = projection {
                list.push((weight, &mut projection.weight));
                list.extend(projection.bias.as_mut().map(|tensor| (bias, tensor)));
            }
        }
        list
    }
}
