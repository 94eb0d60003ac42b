//! The parameter vector, taken block by block in the order of the layers.

use caribou_ir::{Tensor, TensorError};

use std::sync::Arc;

/// A parameter that a layer has taken, as it is stored.
pub(crate) struct Taken {
    pub(crate) layer: Arc<str>,
    pub(crate) tensor: Tensor,
}

/// A parameter whose elements the graph has in an order that no view gives.
pub(crate) struct Copied {
    /// The view of what is stored that was copied.
    pub(crate) of: Tensor,
    /// The copy.
    pub(crate) copy: Tensor,
    /// What makes the copy of a view.
    pub(crate) order: fn(&Tensor, usize) -> Result<Tensor, TensorError>,
    /// The size that it needs to know.
    pub(crate) size: usize,
}

impl Copied {
    /// What belongs to the stored elements one by one, in the order of the copy.
    pub(crate) fn like(&self, stored: &Tensor) -> Result<Tensor, TensorError> {
        (self.order)(&self.of.same_view_of(stored)?, self.size)
    }
}

/// What is left of the parameter vector.
pub(crate) struct Parameters {
    all: Tensor,
    next: usize,
    /// What layers have taken, in the order of the vector.
    pub(crate) taken: Vec<Taken>,
    pub(crate) copied: Vec<Copied>,
}

impl Parameters {
    pub(crate) fn new(all: Tensor) -> Self {
        Self {
            all,
            next: 0,
            taken: Vec::new(),
            copied: Vec::new(),
        }
    }

    /// The next block, in C order, for `layer`.
    pub(crate) fn take(&mut self, shape: &[usize], layer: &Arc<str>) -> Result<Tensor, TensorError> {
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
        let block = self.all.part(self.next, end)?;
        self.next = end;
        self.taken.push(Taken {
            layer: layer.clone(),
            tensor: block.clone(),
        });
        block.reshape(shape)
    }

    /// The next block, in Fortran order, for `layer`.
    pub(crate) fn take_fortran(&mut self, shape: &[usize], layer: &Arc<str>) -> Result<Tensor, TensorError> {
        let reversed: Vec<usize> = shape.iter().rev().copied().collect();
        let order: Vec<usize> = (0..shape.len()).rev().collect();
        self.take(&reversed, layer)?.permute(&order)
    }

    /// How many parameters no layer has taken.
    pub(crate) fn left(&self) -> usize {
        self.all.len() - self.next
    }
}
