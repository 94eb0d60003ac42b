//! Convolutions of one to three axes.

use super::{Lowered, Lowering, identity, inexpressible, viewed};
use crate::format::{
    Convolution1DLayer, Convolution3D, ConvolutionLayer, Deconvolution2D, Deconvolution3D,
    DepthwiseConvolution2D, Window,
};
use caribou_ir::op::{Conv, ConvTranspose, Padding};
use caribou_ir::{Finding, Node, Origin, Tensor, ValueId};

/// How a window is padded in DL4J: its mode and the cells on both sides of each axis.
pub(super) struct Mode {
    pub(super) name: &'static str,
    pub(super) padding: Vec<usize>,
}

/// `padding`, with cells in place of `Same` where stock DL4J fails on it: it computes less than no padding when a
/// stride leads over two or more cells that no window reads.
pub(super) fn settled(
    padding: &Padding,
    sizes: &[Option<usize>],
    extents: &[usize],
    strides: &[usize],
    origin: &Origin,
) -> Lowered<Padding> {
    let skips = |axis: usize| match sizes[axis] {
        Some(size) => (size.div_ceil(strides[axis]).max(1) - 1) * strides[axis] + extents[axis] + 2 <= size,
        None => strides[axis] >= extents[axis] + 2,
    };
    if *padding != Padding::Same || !(0..sizes.len()).any(skips) {
        return Ok(padding.clone());
    }
    (0..sizes.len())
        .map(|axis| match extents[axis] {
            1 => Some([0, 0]),
            extent => padding.resolve(axis, sizes[axis], extent, strides[axis]),
        })
        .collect::<Option<_>>()
        .map(Padding::Explicit)
        .ok_or_else(|| inexpressible(origin, "its padding depends on a size that is unknown"))
}

/// The mode that pads as `padding` does on an input of these sizes; `None` when there is none.
pub(super) fn mode(
    padding: &Padding,
    sizes: &[Option<usize>],
    extents: &[usize],
    strides: &[usize],
) -> Option<Mode> {
    let zeros = vec![0; extents.len()];
    match padding {
        Padding::Same => Some(Mode {
            name: "Same",
            padding: zeros,
        }),
        Padding::Causal => Some(Mode {
            name: "Causal",
            padding: zeros,
        }),
        Padding::Explicit(sides) if sides.iter().all(|[before, after]| before == after) => Some(Mode {
            name: "Truncate",
            padding: sides.iter().map(|side| side[0]).collect(),
        }),
        Padding::Explicit(sides) => {
            let same = sides.iter().enumerate().all(|(axis, side)| {
                strides[axis] < extents[axis] + 2
                    && Padding::Same.resolve(axis, sizes[axis], extents[axis], strides[axis]) == Some(*side)
            });
            same.then_some(Mode {
                name: "Same",
                padding: zeros,
            })
        }
    }
}

/// Whether DL4J has a mode that pads as `padding` does.
pub(crate) fn pads_as(
    padding: &Padding,
    sizes: &[Option<usize>],
    extents: &[usize],
    strides: &[usize],
) -> bool {
    mode(padding, sizes, extents, strides).is_some()
}

/// The window of a layer; those of one axis carry a second element.
pub(super) fn window(kernel: &[usize], strides: &[usize], dilations: &[usize], mode: &Mode) -> Window {
    let pair = |list: &[usize], second: usize| {
        let mut list = list.to_vec();
        if list.len() == 1 {
            list.push(second);
        }
        list
    };
    Window {
        kernel_size: pair(kernel, 1),
        stride: pair(strides, 1),
        padding: pair(&mode.padding, 0),
        dilation: pair(dilations, 1),
        convolution_mode: mode.name.to_owned(),
    }
}

/// Kernel extents with their dilation.
fn extents(kernel: &[usize], dilations: &[usize]) -> Vec<usize> {
    kernel
        .iter()
        .zip(dilations)
        .map(|(k, d)| d * (k - 1) + 1)
        .collect()
}

impl Lowering<'_> {
    pub(super) fn conv(&mut self, node: &Node, op: &Conv) -> Lowered<()> {
        let origin = &node.origin;
        let shape = self.graph.shape(node.inputs[0]).clone();
        let weight = op.weight.shape();
        let kernel = &weight[2..];
        if kernel == [1] && op.strides == [1] && op.groups == weight[0] && weight[1] == 1 {
            return self.scale_steps(node, op);
        }
        let sizes: Vec<Option<usize>> = (2..shape.rank()).map(|axis| shape.size(axis)).collect();
        let mut input = self.array(node.inputs[0], &identity(shape.rank()), origin)?;
        let extents = extents(kernel, &op.dilations);
        let padding = settled(&op.padding, &sizes, &extents, &op.strides, origin)?;
        let mode = match mode(&padding, &sizes, &extents, &op.strides) {
            Some(mode) => mode,
            None => {
                let Padding::Explicit(sides) = &padding else {
                    return Err(inexpressible(
                        origin,
                        "its padding depends on a size that is unknown",
                    ));
                };
                input = self.zero_padding(origin, "pad", input, sides)?;
                self.rewrite(
                    "pad-before-convolution",
                    origin,
                    "DL4J pads both sides of an axis alike",
                );
                Mode {
                    name: "Truncate",
                    padding: vec![0; kernel.len()],
                }
            }
        };
        let window = window(kernel, &op.strides, &op.dilations, &mode);
        let channels = weight[1] * op.groups;
        let name = if op.groups == 1 {
            self.plain_conv(origin, "", input, &op.weight, op.bias.as_ref(), window)?
        } else if op.groups == channels && kernel.len() == 2 {
            self.depthwise(origin, input, op, channels, window)?
        } else {
            self.grouped(origin, input, op, channels, &window, node.outputs[0])?
        };
        self.put(node.outputs[0], name, identity(shape.rank()));
        Ok(())
    }

    /// A convolution without groups; the kernel is `[out, in, K…]`.
    pub(super) fn plain_conv(
        &mut self,
        origin: &Origin,
        suffix: &str,
        input: String,
        weight: &Tensor,
        bias: Option<&Tensor>,
        window: Window,
    ) -> Lowered<String> {
        let shape = weight.shape();
        let (nout, nin, has_bias) = (shape[0], shape[1], bias.is_some());
        // One-axis kernels are stored as [k, in, out], the others as [out, in, K…].
        let stored = if shape.len() == 3 {
            viewed(weight.permute(&[2, 1, 0]), origin)?
        } else {
            weight.clone()
        };
        let parameters: Vec<Tensor> = bias.cloned().into_iter().chain([stored]).collect();
        Ok(self.layer(origin, suffix, input, None, parameters, |base| {
            match shape.len() {
                3 => Convolution1DLayer {
                    base,
                    nin,
                    nout,
                    has_bias,
                    window,
                    rnn_data_format: "NCW".into(),
                }
                .into(),
                4 => ConvolutionLayer {
                    base,
                    nin,
                    nout,
                    has_bias,
                    window,
                    cnn_2d_data_format: "NCHW".into(),
                }
                .into(),
                _ => Convolution3D {
                    base,
                    nin,
                    nout,
                    has_bias,
                    window,
                    data_format: "NCDHW".into(),
                }
                .into(),
            }
        }))
    }

    fn depthwise(
        &mut self,
        origin: &Origin,
        input: String,
        op: &Conv,
        channels: usize,
        window: Window,
    ) -> Lowered<String> {
        let shape = op.weight.shape();
        let multiplier = shape[0] / channels;
        let split = op.weight.reshape(&[channels, multiplier, shape[2], shape[3]]);
        let stored = viewed(split.and_then(|split| split.permute(&[2, 3, 0, 1])), origin)?;
        let parameters: Vec<Tensor> = op.bias.clone().into_iter().chain([stored]).collect();
        let has_bias = op.bias.is_some();
        Ok(self.layer(origin, "", input, None, parameters, |base| {
            DepthwiseConvolution2D {
                base,
                nin: channels,
                nout: shape[0],
                depth_multiplier: multiplier,
                has_bias,
                window,
                cnn_2d_data_format: "NCHW".into(),
            }
            .into()
        }))
    }

    /// Each group by itself: its channels cut out, convolved, and put side by side again.
    fn grouped(
        &mut self,
        origin: &Origin,
        input: String,
        op: &Conv,
        channels: usize,
        window: &Window,
        output: ValueId,
    ) -> Lowered<String> {
        let (inside, outside) = (channels / op.groups, op.weight.shape()[0] / op.groups);
        let mut parts = Vec::with_capacity(op.groups);
        for group in 0..op.groups {
            let part = self.channels(
                origin,
                &input,
                [group * inside, (group + 1) * inside, channels],
                window.kernel_size.len(),
            )?;
            let rows =
                |tensor: &Tensor| viewed(tensor.narrow(0, group * outside, (group + 1) * outside), origin);
            let weight = rows(&op.weight)?;
            let bias = op.bias.as_ref().map(rows).transpose()?;
            parts.push(self.plain_conv(
                origin,
                &format!("group_{group}"),
                part,
                &weight,
                bias.as_ref(),
                window.clone(),
            )?);
        }
        self.rewrite(
            "split-groups",
            origin,
            "DL4J has no grouped convolution: each group became one of its own",
        );
        let sizes = self.graph.shape(output).feature_sizes().map(|mut sizes| {
            sizes[0] = outside;
            sizes
        });
        let sizes = vec![sizes; parts.len()];
        Ok(self.side_by_side(origin, "", 1, &parts, &sizes))
    }

    pub(super) fn conv_transpose(&mut self, node: &Node, op: &ConvTranspose) -> Lowered<()> {
        let origin = &node.origin;
        let weight = op.weight.shape();
        let axes = weight.len() - 2;
        if op.groups != 1 || op.dilations.iter().any(|&dilation| dilation != 1) || axes == 1 {
            return Err(inexpressible(
                origin,
                "DL4J has no transposed convolution with groups, dilation, or one axis",
            ));
        }
        let input = self.array(node.inputs[0], &identity(axes + 2), origin)?;
        let symmetric = op.crops.iter().all(|[before, after]| before == after);
        let added: usize = op.output_padding.iter().sum();
        // Cells behind the last one hold the bias alone, as they do when the kernel ends in that many zeros.
        let kernel = if added == 0 {
            op.weight.clone()
        } else {
            self.findings.push(crate::legalize::zeros_learn(origin));
            extended(&op.weight, &op.output_padding, origin)?
        };
        let padding = op
            .crops
            .iter()
            .map(|side| if symmetric { side[0] } else { 0 })
            .collect();
        let mode = Mode {
            name: "Truncate",
            padding,
        };
        let window = window(&kernel.shape()[2..], &op.strides, &op.dilations, &mode);
        let (nin, nout, has_bias) = (weight[0], weight[1], op.bias.is_some());
        let stored = match axes {
            3 => viewed(kernel.permute(&[2, 3, 4, 1, 0]), origin)?,
            _ => kernel,
        };
        let parameters: Vec<Tensor> = op.bias.clone().into_iter().chain([stored]).collect();
        let mut name = self.layer(origin, "", input, None, parameters, |base| match axes {
            2 => Deconvolution2D {
                base,
                nin,
                nout,
                has_bias,
                window,
                cnn_2d_data_format: "NCHW".into(),
            }
            .into(),
            _ => Deconvolution3D {
                base,
                nin,
                nout,
                has_bias,
                window,
                data_format: "NCDHW".into(),
            }
            .into(),
        });
        if !symmetric {
            name = self.cropping(origin, "crop", name, &op.crops)?;
            self.rewrite(
                "crop-behind-convolution",
                origin,
                "DL4J crops both sides of an axis alike",
            );
        }
        self.put(node.outputs[0], name, identity(axes + 2));
        Ok(())
    }
}

/// The kernel with zeros behind each spatial axis.
fn extended(weight: &Tensor, behind: &[usize], origin: &Origin) -> Result<Tensor, Box<Finding>> {
    let from = weight.shape();
    let mut to = from.clone();
    for (size, added) in to[2..].iter_mut().zip(behind) {
        *size += added;
    }
    let values = viewed(weight.to_vec(), origin)?;
    let mut zeros = vec![0f32; to.iter().product()];
    for (mut flat, value) in values.into_iter().enumerate() {
        let mut index = 0;
        let mut step = 1;
        for axis in (0..from.len()).rev() {
            index += flat % from[axis] * step;
            flat /= from[axis];
            step *= to[axis];
        }
        zeros[index] = value;
    }
    viewed(Tensor::from_f32(&to, &zeros), origin)
}
