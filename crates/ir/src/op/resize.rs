//! Changes of resolution.

use super::{Kernel, Operator, one};
use crate::{Dim, Infer, Shape, ShapeError};

/// How values between cells are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// The nearest cell.
    Nearest,
    /// Linear on each axis.
    Linear,
    /// By a kernel on each axis, at half-pixel places.
    Kernel(Kernel),
}

/// Which place of the input an output cell shows; `s` is the input size divided by the output size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coordinates {
    /// `(i + 0.5) * s - 0.5`.
    HalfPixel,
    /// `i * s`.
    Asymmetric,
    /// `i * (in - 1) / (out - 1)`.
    AlignCorners,
}

/// `[N, C, D…] -> [N, C, D'…]`. By whole factors and with the nearest cell, every coordinate rule repeats each cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resize {
    /// How values between cells are made.
    pub interpolation: Interpolation,
    /// Which place is shown.
    pub coordinates: Coordinates,
    /// The size of each spatial axis afterwards.
    pub target: ResizeTarget,
}

/// The size after a [`Resize`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResizeTarget {
    /// Each spatial axis times this.
    Factors(Vec<usize>),
    /// These sizes.
    Sizes(Vec<usize>),
}

impl Operator for Resize {
    fn name(&self) -> &'static str {
        "Resize"
    }

    fn infer(&self, inputs: &[&Shape], infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        let list = match &self.target {
            ResizeTarget::Factors(list) | ResizeTarget::Sizes(list) => list,
        };
        if input.rank() != list.len() + 2 || list.contains(&0) {
            return Err(ShapeError::new(format!(
                "{:?} does not fit an input of shape {input}",
                self.target
            )));
        }
        let mut dims = input.dims()[..2].to_vec();
        for (axis, &n) in list.iter().enumerate() {
            dims.push(match &self.target {
                ResizeTarget::Factors(_) => infer.map(input.dims()[axis + 2], |size| {
                    size.checked_mul(n)
                        .ok_or_else(|| ShapeError::new(format!("{size} x {n} overflows")))
                })?,
                ResizeTarget::Sizes(_) => Dim::Fixed(n),
            });
        }
        Ok(vec![Shape::new(dims)])
    }
}
