//! Convolutions over one to three spatial axes.

use super::padding::dilated;
use super::{Operator, Padding, check_parameter, known, one, present, present_mut};
use crate::{Dim, Infer, Shape, ShapeError, Tensor};

/// Cross-correlation, as every framework's convolution layer computes it:
/// `y[n, o, p…] = bias[o] + sum over i, k of x[n, g*I/G + i, p*stride + k*dilation - pad] * weight[o, i, k]`, with
/// `g` the group of output channel `o`.
///
/// `[N, I, D…] -> [N, O, D'…]`, `D' = floor((D + pads - kernel extent) / stride) + 1`. With `groups == I` it is a
/// depthwise convolution with multiplier `O / I`, and output channel `c * multiplier + m` sees input channel `c`.
#[derive(Debug, Clone)]
pub struct Conv {
    /// `[O, I / groups, K…]`.
    pub weight: Tensor,
    /// `[O]`.
    pub bias: Option<Tensor>,
    /// For each spatial axis.
    pub strides: Vec<usize>,
    /// For each spatial axis.
    pub dilations: Vec<usize>,
    /// Around the spatial axes.
    pub padding: Padding,
    /// Groups of channels that do not see each other.
    pub groups: usize,
}

/// What a convolution and a transposed one have in common: an input `[N, C, D…]` with as many spatial axes as the
/// kernel, and well-formed attributes.
fn check_spatial(
    input: &Shape,
    weight: &Tensor,
    strides: &[usize],
    dilations: &[usize],
    padding: &Padding,
) -> Result<usize, ShapeError> {
    let axes = weight.rank().saturating_sub(2);
    if !(1..=3).contains(&axes) || input.rank() != axes + 2 {
        return Err(ShapeError::new(format!(
            "a kernel of shape {:?} does not fit an input of shape {input}",
            weight.shape()
        )));
    }
    let sides = match padding {
        Padding::Explicit(sides) => sides.len(),
        Padding::Causal if axes != 1 => 0,
        _ => axes,
    };
    let valid = strides.len() == axes
        && dilations.len() == axes
        && sides == axes
        && strides
            .iter()
            .chain(dilations)
            .chain(&weight.shape()[2..])
            .all(|&n| n > 0);
    if !valid {
        return Err(ShapeError::new(format!(
            "strides {strides:?}, dilations {dilations:?} and padding {padding:?} do not fit {axes} spatial axes"
        )));
    }
    Ok(axes)
}

impl Operator for Conv {
    fn name(&self) -> &'static str {
        "Conv"
    }

    fn infer(&self, inputs: &[&Shape], infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        let axes = check_spatial(input, &self.weight, &self.strides, &self.dilations, &self.padding)?;
        let kernel = self.weight.shape();
        let channels = known(input, 1, "the number of channels")?;
        let (out, groups) = (kernel[0], self.groups);
        if groups == 0 || !out.is_multiple_of(groups) || kernel[1].checked_mul(groups) != Some(channels) {
            return Err(ShapeError::new(format!(
                "a kernel of shape {kernel:?} in {groups} groups does not fit {channels} input channels"
            )));
        }
        if let Some(bias) = &self.bias {
            check_parameter("a bias", bias, &[out])?;
        }
        let mut dims = vec![input.dims()[0], Dim::Fixed(out)];
        for axis in 0..axes {
            let extent = dilated(kernel[axis + 2], self.dilations[axis]);
            let stride = self.strides[axis];
            let dim = input.dims()[axis + 2];
            let keeps = stride == 1 && matches!(self.padding, Padding::Same | Padding::Causal);
            dims.push(if keeps {
                dim
            } else {
                infer.map(dim, |size| {
                    let pads = self
                        .padding
                        .resolve(axis, Some(size), extent, stride)
                        .unwrap_or_default();
                    let padded = size + pads[0] + pads[1];
                    if padded < extent {
                        return Err(ShapeError::new(format!(
                            "a window of {extent} is larger than the {padded} cells of axis {} of {input}",
                            axis + 2
                        )));
                    }
                    Ok((padded - extent) / stride + 1)
                })?
            });
        }
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

    fn multiply_adds(&self, _inputs: &[&Shape], outputs: &[&Shape]) -> Option<u64> {
        let cells: usize = outputs.first()?.feature_sizes()?.iter().skip(1).product();
        Some(self.weight.len() as u64 * cells as u64)
    }
}

/// Transposed convolution, the gradient of [`Conv`] with respect to its input: every input cell adds its value
/// times the kernel to the output at `p * stride + k * dilation - pad[0]`.
///
/// `[N, I, D…] -> [N, O, D'…]`,
/// `D' = stride * (D - 1) + kernel extent - pad[0] - pad[1] + output padding`.
#[derive(Debug, Clone)]
pub struct ConvTranspose {
    /// `[I, O / groups, K…]`.
    pub weight: Tensor,
    /// `[O]`.
    pub bias: Option<Tensor>,
    /// For each spatial axis.
    pub strides: Vec<usize>,
    /// For each spatial axis.
    pub dilations: Vec<usize>,
    /// `[before, after]`: cells taken away from each side of each spatial axis.
    pub crops: Vec<[usize; 2]>,
    /// Cells added behind each spatial axis (they hold the bias).
    pub output_padding: Vec<usize>,
    /// Groups of channels that do not see each other.
    pub groups: usize,
}

impl Operator for ConvTranspose {
    fn name(&self) -> &'static str {
        "ConvTranspose"
    }

    fn infer(&self, inputs: &[&Shape], infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        let crops = Padding::Explicit(self.crops.clone());
        let axes = check_spatial(input, &self.weight, &self.strides, &self.dilations, &crops)?;
        let kernel = self.weight.shape();
        let channels = known(input, 1, "the number of channels")?;
        if self.groups == 0 || !channels.is_multiple_of(self.groups) || kernel[0] != channels {
            return Err(ShapeError::new(format!(
                "a kernel of shape {kernel:?} in {} groups does not fit {channels} input channels",
                self.groups
            )));
        }
        if self.output_padding.len() != axes {
            return Err(ShapeError::new(format!(
                "output padding {:?} for {axes} axes",
                self.output_padding
            )));
        }
        let out = kernel[1] * self.groups;
        if let Some(bias) = &self.bias {
            check_parameter("a bias", bias, &[out])?;
        }
        let mut dims = vec![input.dims()[0], Dim::Fixed(out)];
        for axis in 0..axes {
            let extent = dilated(kernel[axis + 2], self.dilations[axis]);
            let full =
                |size: usize| self.strides[axis] * (size.max(1) - 1) + extent + self.output_padding[axis];
            let crop = self.crops[axis][0] + self.crops[axis][1];
            dims.push(infer.map(input.dims()[axis + 2], |size| {
                full(size).checked_sub(crop).ok_or_else(|| {
                    ShapeError::new(format!(
                        "cropping {crop} of the {} cells of axis {}",
                        full(size),
                        axis + 2
                    ))
                })
            })?);
        }
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
        let cells: usize = inputs.first()?.feature_sizes()?.iter().skip(1).product();
        Some(self.weight.len() as u64 * cells as u64)
    }
}
