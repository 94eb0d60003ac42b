//! Pooling over one to three spatial axes.

use super::padding::dilated;
use super::{Operator, Padding, one};
use crate::{Infer, Shape, ShapeError};

/// What a window is reduced to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PoolKind {
    /// The largest value; padding never wins.
    Max,
    /// The sum over the window divided by a number of cells.
    Average(AverageDivisor),
    /// `(sum |x|^p)^(1/p)`.
    Lp(f64),
}

/// What an average divides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AverageDivisor {
    /// The cells of the window that lie on the input (Keras, TensorFlow).
    InputCells,
    /// The cells of the window that lie on the input or its padding; cells beyond both, which rounding up can
    /// reach, are not counted (Caffe).
    PaddedCells,
    /// All cells of the window.
    AllCells,
}

/// How a number of windows that is no integer is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Down: every window lies within the padded input.
    Floor,
    /// Up, but a last window that would start behind the input and its padding before is dropped (Caffe).
    Ceil,
}

/// Reduces each window of each channel to one number.
///
/// `[N, C, D…] -> [N, C, D'…]`, `D' = round((D + pads - kernel extent) / stride) + 1`.
#[derive(Debug, Clone, PartialEq)]
pub struct Pool {
    /// What a window is reduced to.
    pub kind: PoolKind,
    /// The extent of the window on each spatial axis.
    pub kernel: Vec<usize>,
    /// For each spatial axis.
    pub strides: Vec<usize>,
    /// For each spatial axis.
    pub dilations: Vec<usize>,
    /// Around the spatial axes.
    pub padding: Padding,
    /// How the number of windows is rounded.
    pub rounding: Rounding,
}

impl Pool {
    /// `[before, after]` of one axis and the number of windows on it, for an input of `size` cells.
    ///
    /// # Errors
    /// When the window is larger than the padded input.
    pub fn windows(&self, axis: usize, size: usize) -> Result<([usize; 2], usize), ShapeError> {
        let extent = dilated(self.kernel[axis], self.dilations[axis]);
        let stride = self.strides[axis];
        let pads = self
            .padding
            .resolve(axis, Some(size), extent, stride)
            .unwrap_or_default();
        let padded = size + pads[0] + pads[1];
        let room = match (padded.checked_sub(extent), self.rounding) {
            (Some(room), _) => room,
            // Caffe pools a window larger than its input into one.
            (None, Rounding::Ceil) => 0,
            (None, Rounding::Floor) => {
                return Err(ShapeError::new(format!(
                    "a window of {extent} is larger than the {padded} cells of axis {}",
                    axis + 2
                )));
            }
        };
        let mut count = match self.rounding {
            Rounding::Floor => room / stride + 1,
            Rounding::Ceil => room.div_ceil(stride) + 1,
        };
        if self.rounding == Rounding::Ceil && count > 1 && (count - 1) * stride >= size + pads[0] {
            count -= 1;
        }
        Ok((pads, count))
    }
}

impl Operator for Pool {
    fn name(&self) -> &'static str {
        match self.kind {
            PoolKind::Max => "MaxPool",
            PoolKind::Average(_) => "AveragePool",
            PoolKind::Lp(_) => "LpPool",
        }
    }

    fn infer(&self, inputs: &[&Shape], infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        let axes = self.kernel.len();
        let sides = match &self.padding {
            Padding::Explicit(sides) => sides.len(),
            _ => axes,
        };
        let valid = (1..=3).contains(&axes)
            && input.rank() == axes + 2
            && self.strides.len() == axes
            && self.dilations.len() == axes
            && sides == axes
            && self
                .kernel
                .iter()
                .chain(&self.strides)
                .chain(&self.dilations)
                .all(|&n| n > 0);
        if !valid {
            return Err(ShapeError::new(format!(
                "a window {:?} with strides {:?}, dilations {:?} and padding {:?} does not fit an input of shape {input}",
                self.kernel, self.strides, self.dilations, self.padding
            )));
        }
        let mut dims = input.dims()[..2].to_vec();
        for axis in 0..axes {
            let dim = input.dims()[axis + 2];
            let keeps = self.strides[axis] == 1 && self.padding == Padding::Same;
            dims.push(if keeps {
                dim
            } else {
                infer.map(dim, |size| Ok(self.windows(axis, size)?.1))?
            });
        }
        Ok(vec![Shape::new(dims)])
    }
}
