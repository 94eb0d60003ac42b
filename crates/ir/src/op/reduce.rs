//! Reductions over axes.

use super::{Operator, check_axis, one};
use crate::{Dim, Infer, Shape, ShapeError};

/// What the elements are reduced to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReduceKind {
    /// The mean.
    Mean,
    /// The sum.
    Sum,
    /// The largest.
    Max,
    /// The smallest.
    Min,
    /// The product.
    Product,
    /// The square root of the sum of squares.
    L2,
    /// The sum of absolute values.
    L1,
    /// The sum of squares.
    SumOfSquares,
}

/// Reduces all elements along `axes` to one. Global pooling is a reduction over the spatial axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reduce {
    /// To what.
    pub kind: ReduceKind,
    /// Ascending.
    pub axes: Vec<usize>,
    /// Whether the axes stay, with size one.
    pub keep_dims: bool,
}

fn reduced(input: &Shape, axes: &[usize], keep_dims: bool) -> Result<Vec<Shape>, ShapeError> {
    for &axis in axes {
        check_axis(axis, input)?;
    }
    let dims =
        input
            .dims()
            .iter()
            .enumerate()
            .filter_map(|(axis, &dim)| match (axes.contains(&axis), keep_dims) {
                (true, true) => Some(Dim::Fixed(1)),
                (true, false) => None,
                (false, _) => Some(dim),
            });
    Ok(vec![Shape::new(dims.collect::<Vec<_>>())])
}

impl Operator for Reduce {
    fn name(&self) -> &'static str {
        match self.kind {
            ReduceKind::Mean => "ReduceMean",
            ReduceKind::Sum => "ReduceSum",
            ReduceKind::Max => "ReduceMax",
            ReduceKind::Min => "ReduceMin",
            ReduceKind::Product => "ReduceProd",
            ReduceKind::L2 => "ReduceL2",
            ReduceKind::L1 => "ReduceL1",
            ReduceKind::SumOfSquares => "ReduceSumSquare",
        }
    }

    fn infer(&self, inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        reduced(one(inputs)?, &self.axes, self.keep_dims)
    }
}

/// The position of the largest element along an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArgMax {
    /// The axis.
    pub axis: usize,
    /// Whether the axis stays, with size one.
    pub keep_dims: bool,
    /// Whether it is the last among equals (Caffe), not the first.
    pub select_last: bool,
}

impl Operator for ArgMax {
    fn name(&self) -> &'static str {
        "ArgMax"
    }

    fn infer(&self, inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        reduced(one(inputs)?, &[self.axis], self.keep_dims)
    }
}
