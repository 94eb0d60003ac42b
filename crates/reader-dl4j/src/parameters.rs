//! The parameter vector, taken block by block in the order of the layers.

use caribou_ir::{Tensor, TensorError};

/// What is left of the parameter vector.
pub(crate) struct Parameters {
    all: Tensor,
    next: usize,
}

impl Parameters {
    pub(crate) fn new(all: Tensor) -> Self {
        Self { all, next: 0 }
    }

    /// The next block, in C order.
    pub(crate) fn take(&mut self, shape: &[usize]) -> Result<Tensor, TensorError> {
        let count = shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
        let end = count
            .and_then(|count| self.next.checked_add(count))
            .filter(|&end| end <= self.all.len());
        let Some(end) = end else {
            return Err(TensorError::Read(format!(
                "parameters of shape {shape:?} were expected at number {}, the archive has {}",
                self.next,
                self.all.len()
            )));
        };
        let block = self.all.narrow(0, self.next, end)?;
        self.next = end;
        block.reshape(shape)
    }

    /// The next block, in Fortran order.
    pub(crate) fn take_fortran(&mut self, shape: &[usize]) -> Result<Tensor, TensorError> {
        let reversed: Vec<usize> = shape.iter().rev().copied().collect();
        let order: Vec<usize> = (0..shape.len()).rev().collect();
        self.take(&reversed)?.permute(&order)
    }

    /// How many parameters no layer has taken.
    pub(crate) fn left(&self) -> usize {
        self.all.len() - self.next
    }
}
