//! Look-up of learned vectors.

use super::{Operator, one};
use crate::{Dim, Infer, Shape, ShapeError, Tensor};

/// `y[…] = table[x[…]]`: `[…] -> […, F]`. The inputs are integers, held in whatever type the values have.
#[derive(Debug, Clone)]
pub struct Embedding {
    /// `[V, F]`, one row for each index.
    pub table: Tensor,
}

impl Operator for Embedding {
    fn name(&self) -> &'static str {
        "Embedding"
    }

    fn infer(&self, inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        let [_, features] = self.table.shape()[..] else {
            return Err(ShapeError::new(format!(
                "expected a table of rank 2, found {:?}",
                self.table.shape()
            )));
        };
        let mut dims = input.dims().to_vec();
        dims.push(Dim::Fixed(features));
        Ok(vec![Shape::new(dims)])
    }

    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        vec![("table", &self.table)]
    }

    fn parameters_mut(&mut self) -> Vec<(&'static str, &mut Tensor)> {
        vec![("table", &mut self.table)]
    }
}
