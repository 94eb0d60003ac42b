//! Matrix products.

use super::{Operator, check_parameter, known, one, present, present_mut};
use crate::{Dim, Infer, Shape, ShapeError, Tensor};

/// `y = x W + b` on the last axis: `[…, in] -> […, out]`, whatever axes there are before it.
#[derive(Debug, Clone)]
pub struct Dense {
    /// `[in, out]`.
    pub weight: Tensor,
    /// `[out]`.
    pub bias: Option<Tensor>,
}

impl Operator for Dense {
    fn name(&self) -> &'static str {
        "Dense"
    }

    fn infer(&self, inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        let [rows, out] = self.weight.shape()[..] else {
            return Err(ShapeError::new(format!(
                "expected a kernel of rank 2, found {:?}",
                self.weight.shape()
            )));
        };
        if input.rank() < 2 {
            return Err(ShapeError::new(format!(
                "expected at least two axes, found {input}"
            )));
        }
        let last = input.rank() - 1;
        let features = known(input, last, "the last axis")?;
        if features != rows {
            return Err(ShapeError::new(format!(
                "a kernel of shape {:?} does not fit an input of shape {input}",
                self.weight.shape()
            )));
        }
        if let Some(bias) = &self.bias {
            check_parameter("a bias", bias, &[out])?;
        }
        let mut dims = input.dims().to_vec();
        dims[last] = Dim::Fixed(out);
        Ok(vec![Shape::new(dims)])
    }

    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        present(vec![("weight", Some(&self.weight)), ("bias", self.bias.as_ref())])
    }

    fn parameters_mut(&mut self) -> Vec<(&'static str, &mut Tensor)> {
        present_mut(vec![
            ("weight", Some(&mut self.weight)),
            ("bias", self.bias.as_mut()),
        ])
    }

    fn multiply_adds(&self, inputs: &[&Shape], _outputs: &[&Shape]) -> Option<u64> {
        let sizes = inputs.first()?.feature_sizes()?;
        let rows: usize = sizes[..sizes.len().saturating_sub(1)].iter().product();
        Some(self.weight.len() as u64 * rows as u64)
    }
}

/// The product of two values on their last two axes: `[…, m, k] x […, k, n] -> […, m, n]`; the axes before are
/// the same or broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatMul {
    /// Whether the last two axes of the first input are swapped first.
    pub transpose_a: bool,
    /// Whether the last two axes of the second input are swapped first.
    pub transpose_b: bool,
}

impl Operator for MatMul {
    fn name(&self) -> &'static str {
        "MatMul"
    }

    fn infer(&self, inputs: &[&Shape], infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let [a, b] = inputs else {
            return Err(ShapeError::new(format!(
                "expected two inputs, found {}",
                inputs.len()
            )));
        };
        if a.rank() < 2 || b.rank() < 2 {
            return Err(ShapeError::new(format!("expected matrices, found {a} and {b}")));
        }
        let split = |shape: &Shape, transpose: bool| {
            let (outer, matrix) = shape.dims().split_at(shape.rank() - 2);
            let (rows, columns) = if transpose {
                (matrix[1], matrix[0])
            } else {
                (matrix[0], matrix[1])
            };
            (Shape::new(outer), rows, columns)
        };
        let (outer_a, m, k) = split(a, self.transpose_a);
        let (outer_b, k_b, n) = split(b, self.transpose_b);
        if let (Some(x), Some(y)) = (k.fixed(), k_b.fixed())
            && x != y
        {
            return Err(ShapeError::new(format!(
                "matrices of shapes {a} and {b} can't be multiplied"
            )));
        }
        let mut dims = infer.broadcast(&outer_a, &outer_b)?.dims().to_vec();
        dims.extend([m, n]);
        Ok(vec![Shape::new(dims)])
    }

    fn multiply_adds(&self, inputs: &[&Shape], outputs: &[&Shape]) -> Option<u64> {
        let a = inputs.first()?;
        let k = a.size(a.rank().checked_sub(if self.transpose_a { 2 } else { 1 })?)?;
        Some(outputs.first()?.features()? as u64 * k as u64)
    }
}
