//! Convolutions.

use crate::build::{Builder, Built, UNKNOWN, refuse};
use caribou_ir::op::{Conv, ConvTranspose, Padding};
use caribou_ir::{Origin, Tensor, TensorError, ValueId};
use caribou_writer_dl4j::format::{Layer, Window};

/// A window's padding in the graph's words; `None` for modes that are not known.
pub(super) fn padding(window: &Window, axes: usize) -> Option<Padding> {
    match window.convolution_mode.as_str() {
        "Same" => Some(Padding::Same),
        "Causal" => Some(Padding::Causal),
        "Truncate" | "Strict" => Some(Padding::Explicit(
            (0..axes)
                .map(|axis| [window.padding.get(axis).copied().unwrap_or(0); 2])
                .collect(),
        )),
        _ => None,
    }
}

/// The first `axes` entries, filled up with ones.
pub(super) fn leading(list: &[usize], axes: usize) -> Vec<usize> {
    (0..axes)
        .map(|axis| list.get(axis).copied().unwrap_or(1))
        .collect()
}

/// What the classes have in common.
struct Common<'l> {
    window: &'l Window,
    nin: usize,
    nout: usize,
    has_bias: bool,
    format: &'l str,
    axes: usize,
}

impl Builder {
    pub(super) fn convolution(&mut self, layer: &Layer, x: ValueId, origin: &Origin) -> Built<ValueId> {
        macro_rules! common {
            ($l:expr, $format:expr, $axes:literal) => {
                Common {
                    window: &$l.window,
                    nin: $l.nin,
                    nout: $l.nout,
                    has_bias: $l.has_bias,
                    format: $format,
                    axes: $axes,
                }
            };
        }
        let common = match layer {
            Layer::ConvolutionLayer(l) => common!(l, &l.cnn_2d_data_format, 2),
            Layer::Convolution1DLayer(l) => common!(l, &l.rnn_data_format, 1),
            Layer::Convolution3D(l) => common!(l, &l.data_format, 3),
            Layer::DepthwiseConvolution2D(l) => common!(l, &l.cnn_2d_data_format, 2),
            Layer::SeparableConvolution2D(l) => common!(l, &l.cnn_2d_data_format, 2),
            Layer::Deconvolution2D(l) => common!(l, &l.cnn_2d_data_format, 2),
            Layer::Deconvolution3D(l) => common!(l, &l.data_format, 3),
            other => {
                return Err(refuse(
                    UNKNOWN,
                    origin,
                    format!("{} is no convolution", other.class()),
                ));
            }
        };
        let Common {
            window,
            nin,
            nout,
            has_bias,
            format,
            axes,
        } = common;
        let kernel = leading(&window.kernel_size, axes);
        let bias = if has_bias {
            Some(self.take(&[nout], origin)?)
        } else {
            None
        };
        let last = matches!(format, "NHWC" | "NDHWC" | "NWC");
        let rank = axes + 2;
        let first: Vec<usize> = [0, rank - 1].into_iter().chain(1..rank - 1).collect();
        let x = if last {
            self.permuted(x, &first, origin)?
        } else {
            x
        };
        let shape = |before: &[usize], behind: &[usize]| -> Vec<usize> {
            before.iter().chain(&kernel).chain(behind).copied().collect()
        };
        let mode = padding(window, axes).ok_or_else(|| {
            refuse(
                UNKNOWN,
                origin,
                format!("the mode {} is not known", window.convolution_mode),
            )
        })?;
        let viewed = |result: Result<Tensor, TensorError>| {
            result.map_err(|error| refuse(UNKNOWN, origin, error.to_string()))
        };
        let conv = |weight: Tensor, bias: Option<Tensor>, groups: usize| Conv {
            weight,
            bias,
            strides: leading(&window.stride, axes),
            dilations: leading(&window.dilation, axes),
            padding: mode.clone(),
            groups,
        };
        let y = match layer {
            Layer::Convolution1DLayer(_) => {
                let stored = self.take(&shape(&[], &[nin, nout]), origin)?;
                let op = conv(viewed(stored.permute(&[2, 1, 0]))?, bias, 1);
                self.apply(op, &[x], origin)?
            }
            Layer::DepthwiseConvolution2D(l) => {
                let multiplier = l.depth_multiplier;
                let stored = self.take(&shape(&[], &[nin, multiplier]), origin)?;
                let rows = shape(&[nin * multiplier, 1], &[]);
                let weight = viewed(
                    stored
                        .permute(&[2, 3, 0, 1])
                        .and_then(|weight| weight.reshape(&rows)),
                )?;
                let op = conv(weight, bias, nin);
                self.apply(op, &[x], origin)?
            }
            Layer::SeparableConvolution2D(l) => {
                let multiplier = l.depth_multiplier;
                let stored = self.take(&shape(&[multiplier, nin], &[]), origin)?;
                let rows = shape(&[nin * multiplier, 1], &[]);
                let weight = viewed(
                    stored
                        .permute(&[1, 0, 2, 3])
                        .and_then(|weight| weight.reshape(&rows)),
                )?;
                let op = conv(weight, None, nin);
                let middle = self.apply(op, &[x], origin)?;
                let pointwise = Conv {
                    weight: self.take(&[nout, nin * multiplier, 1, 1], origin)?,
                    bias,
                    strides: vec![1; 2],
                    dilations: vec![1; 2],
                    padding: Padding::none(2),
                    groups: 1,
                };
                self.apply(pointwise, &[middle], origin)?
            }
            Layer::Deconvolution2D(_) | Layer::Deconvolution3D(_) => {
                let stored = match axes {
                    2 => self.take(&shape(&[nin, nout], &[]), origin)?,
                    _ => {
                        let stored = self.take(&shape(&[], &[nout, nin]), origin)?;
                        viewed(stored.permute(&[4, 3, 0, 1, 2]))?
                    }
                };
                let strides = leading(&window.stride, axes);
                let crops = match &mode {
                    Padding::Explicit(sides) => sides.clone(),
                    _ => kernel
                        .iter()
                        .zip(&strides)
                        .map(|(k, s)| {
                            let total = k.saturating_sub(*s);
                            [total / 2, total - total / 2]
                        })
                        .collect(),
                };
                let op = ConvTranspose {
                    weight: stored,
                    bias,
                    strides,
                    dilations: leading(&window.dilation, axes),
                    crops,
                    output_padding: vec![0; axes],
                    groups: 1,
                };
                self.apply(op, &[x], origin)?
            }
            _ => {
                let weight = self.take(&shape(&[nout, nin], &[]), origin)?;
                self.apply(conv(weight, bias, 1), &[x], origin)?
            }
        };
        let back: Vec<usize> = std::iter::once(0).chain(2..rank).chain([1]).collect();
        let y = if last { self.permuted(y, &back, origin)? } else { y };
        let class = layer.base().map(|base| base.activation_fn.clone());
        match class {
            Some(class) => self.activated(y, &class, None, origin),
            None => Ok(y),
        }
    }
}
