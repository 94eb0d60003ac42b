//! Normalisations.

use super::{Operator, check_axis, check_parameter, known, one, present, present_mut};
use crate::{Infer, Shape, ShapeError, Tensor};

/// `y = scale * (x - mean) / sqrt(variance + epsilon) + offset` along one axis, with stored statistics
/// (Ioffe and Szegedy 2015, inference). All parameters are `[C]`, `C` the size of the axis.
#[derive(Debug, Clone)]
pub struct BatchNorm {
    /// The axis that the parameters run along.
    pub axis: usize,
    /// Gamma; one where absent.
    pub scale: Option<Tensor>,
    /// Beta; zero where absent.
    pub offset: Option<Tensor>,
    /// Moving mean.
    pub mean: Tensor,
    /// Moving variance.
    pub variance: Tensor,
    /// Added to the variance.
    pub epsilon: f64,
    /// The share of the old statistics that a training step keeps.
    pub momentum: f64,
}

impl Operator for BatchNorm {
    fn name(&self) -> &'static str {
        "BatchNorm"
    }

    fn infer(&self, inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        check_axis(self.axis, input)?;
        let channels = known(input, self.axis, "the normalised axis")?;
        for (role, tensor) in self.parameters() {
            check_parameter(role, tensor, &[channels])?;
        }
        Ok(vec![input.clone()])
    }

    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        present(vec![
            ("scale", self.scale.as_ref()),
            ("offset", self.offset.as_ref()),
            ("mean", Some(&self.mean)),
            ("variance", Some(&self.variance)),
        ])
    }

    fn parameters_mut(&mut self) -> Vec<(&'static str, &mut Tensor)> {
        present_mut(vec![
            ("scale", self.scale.as_mut()),
            ("offset", self.offset.as_mut()),
            ("mean", Some(&mut self.mean)),
            ("variance", Some(&mut self.variance)),
        ])
    }
}

/// Where the small constant of a normalisation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormEpsilon {
    /// `sqrt(variance + epsilon)`.
    InsideRoot,
    /// `sqrt(variance) + epsilon` (Caffe's MVN).
    OutsideRoot,
}

/// What the mean of a normalisation is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Centring {
    /// The values and so their squares: `(x - mean) / sqrt(variance + epsilon)`.
    Values,
    /// The squares only: `x / sqrt(variance + epsilon)` (Keras' `rms_scaling`).
    Squares,
    /// Nothing: `x / sqrt(mean of x^2 + epsilon)` (Zhang and Sennrich 2019).
    Nothing,
}

/// `y = scale * (x - mean) / sqrt(variance + epsilon) + offset` with the mean and the (population) variance of the
/// example itself over `axes` (Ba, Kiros and Hinton 2016).
#[derive(Debug, Clone)]
pub struct LayerNorm {
    /// The axes that are normalised together, ascending.
    pub axes: Vec<usize>,
    /// What the mean is taken from.
    pub centring: Centring,
    /// Of the shape of these axes; one where absent.
    pub scale: Option<Tensor>,
    /// Of the shape of these axes; zero where absent.
    pub offset: Option<Tensor>,
    /// The small constant.
    pub epsilon: f64,
    /// Where it is added.
    pub placement: NormEpsilon,
    /// Whether the division takes place at all (Caffe's MVN can leave it out).
    pub divide: bool,
}

impl Operator for LayerNorm {
    fn name(&self) -> &'static str {
        "LayerNorm"
    }

    fn infer(&self, inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        for &axis in &self.axes {
            check_axis(axis, input)?;
        }
        for (role, tensor) in self.parameters() {
            let sizes: Result<Vec<usize>, _> = self
                .axes
                .iter()
                .map(|&axis| known(input, axis, "the normalised axis"))
                .collect();
            check_parameter(role, tensor, &sizes?)?;
        }
        Ok(vec![input.clone()])
    }

    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        present(vec![
            ("scale", self.scale.as_ref()),
            ("offset", self.offset.as_ref()),
        ])
    }

    fn parameters_mut(&mut self) -> Vec<(&'static str, &mut Tensor)> {
        present_mut(vec![
            ("scale", self.scale.as_mut()),
            ("offset", self.offset.as_mut()),
        ])
    }
}

/// [`LayerNorm`] over groups of neighbouring channels and all spatial axes of `[N, C, D…]`, with `[C]` parameters
/// (Wu and He 2018). One group for each channel is instance normalisation.
#[derive(Debug, Clone)]
pub struct GroupNorm {
    /// The number of groups that the channels are divided into.
    pub groups: usize,
    /// `[C]`; one where absent.
    pub scale: Option<Tensor>,
    /// `[C]`; zero where absent.
    pub offset: Option<Tensor>,
    /// Added to the variance.
    pub epsilon: f64,
}

impl Operator for GroupNorm {
    fn name(&self) -> &'static str {
        "GroupNorm"
    }

    fn infer(&self, inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        let channels = known(input, 1, "the number of channels")?;
        if self.groups == 0 || !channels.is_multiple_of(self.groups) {
            return Err(ShapeError::new(format!(
                "{channels} channels can't be divided into {} groups",
                self.groups
            )));
        }
        for (role, tensor) in self.parameters() {
            check_parameter(role, tensor, &[channels])?;
        }
        Ok(vec![input.clone()])
    }

    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        present(vec![
            ("scale", self.scale.as_ref()),
            ("offset", self.offset.as_ref()),
        ])
    }

    fn parameters_mut(&mut self) -> Vec<(&'static str, &mut Tensor)> {
        present_mut(vec![
            ("scale", self.scale.as_mut()),
            ("offset", self.offset.as_mut()),
        ])
    }
}

/// `y[c] = x[c] / (bias + alpha * sum over |j - c| <= size / 2 of x[j]^2)^beta` over the channels (axis 1) of
/// `[N, C, D…]` (Krizhevsky et al. 2012). `alpha` multiplies the plain sum: Caffe's is divided by `size` first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LocalResponseNorm {
    /// Channels in the window; odd.
    pub size: usize,
    /// Factor of the sum of squares.
    pub alpha: f64,
    /// Exponent.
    pub beta: f64,
    /// Added to the scaled sum.
    pub bias: f64,
}

impl Operator for LocalResponseNorm {
    fn name(&self) -> &'static str {
        "LocalResponseNorm"
    }

    fn infer(&self, inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        check_axis(1, input)?;
        if self.size.is_multiple_of(2) {
            return Err(ShapeError::new(format!(
                "expected a window of odd size, found {}",
                self.size
            )));
        }
        Ok(vec![input.clone()])
    }
}

/// `y = x / max(sqrt(sum x^2), epsilon)`, the sum over `axes`.
#[derive(Debug, Clone, PartialEq)]
pub struct L2Normalize {
    /// The axes of the norm, ascending.
    pub axes: Vec<usize>,
    /// The smallest divisor.
    pub epsilon: f64,
}

impl Operator for L2Normalize {
    fn name(&self) -> &'static str {
        "L2Normalize"
    }

    fn infer(&self, inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        for &axis in &self.axes {
            check_axis(axis, input)?;
        }
        Ok(vec![input.clone()])
    }
}
