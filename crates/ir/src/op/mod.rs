//! The operators, one struct each, one file a family.
//!
//! Every struct's documentation gives its equation and shapes. `N` is the batch, `C` channels, `D…` spatial axes,
//! `T` time steps, `F` features. An operator that is easily composed of others is not here: a separable
//! convolution is a depthwise [`Conv`] and a pointwise one, a fully connected layer on images is a [`Dense`] on
//! their last axis, cropping is a [`Slice`], and squeezing or inserting an axis is a [`Reshape`].

mod activation;
mod attention;
mod constant;
mod conv;
mod elementwise;
mod embedding;
mod interpolation;
mod linear;
mod noise;
mod norm;
mod padding;
mod pool;
mod rearrange;
mod recurrent;
mod reduce;
mod reshape;
mod resize;
mod select;
mod value;

pub use activation::{Activate, Activation, LogSoftmax, PRelu, Softmax};
pub use attention::{Attention, Projection};
pub use constant::{Constant, Identity, Opaque};
pub use conv::{Conv, ConvTranspose};
pub use elementwise::{Elementwise, ElementwiseKind, Unary, UnaryKind};
pub use embedding::Embedding;
pub use interpolation::Kernel;
pub use linear::{Dense, MatMul};
pub use noise::{Noise, NoiseKind};
pub use norm::{BatchNorm, Centring, GroupNorm, L2Normalize, LayerNorm, LocalResponseNorm, NormEpsilon};
pub use padding::Padding;
pub use pool::{AverageDivisor, Pool, PoolKind, Rounding};
pub use rearrange::{BatchToSpace, DepthToSpace, SpaceToBatch, SpaceToDepth};
pub use recurrent::{Cell, Direction, Gru, Lstm, MaskedStep, Merge, Peephole, Recurrent, SimpleRnn};
pub use reduce::{ArgMax, Reduce, ReduceKind};
pub use reshape::{Reshape, Size, Transpose};
pub use resize::{Coordinates, Interpolation, Resize, ResizeTarget};
pub use select::{Concat, Gather, Pad, PadMode, Reverse, Slice, SliceAxis, Split, Tile};

use crate::{Infer, Shape, ShapeError, Tensor};

/// What every operator can say of itself.
pub trait Operator {
    /// Its name, such as `Conv`.
    fn name(&self) -> &'static str;

    /// The shapes of its outputs for these inputs.
    ///
    /// # Errors
    /// When the operator does not fit the inputs.
    fn infer(&self, inputs: &[&Shape], infer: &mut Infer) -> Result<Vec<Shape>, ShapeError>;

    /// Its stored parameters with their roles, in a fixed order.
    fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
        Vec::new()
    }

    /// The same, to change them. A replacement must have the same shape.
    fn parameters_mut(&mut self) -> Vec<(&'static str, &mut Tensor)> {
        Vec::new()
    }

    /// Multiplications with addition for one example, where the sizes are known.
    fn multiply_adds(&self, _inputs: &[&Shape], _outputs: &[&Shape]) -> Option<u64> {
        Some(0)
    }
}

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Any operator.
        #[derive(Debug, Clone)]
        pub enum Op {
            $($(#[$doc])* $name($name),)*
        }

        $(impl From<$name> for Op {
            fn from(op: $name) -> Self {
                Self::$name(op)
            }
        })*

        impl Operator for Op {
            fn name(&self) -> &'static str {
                match self { $(Self::$name(op) => op.name(),)* }
            }

            fn infer(&self, inputs: &[&Shape], infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
                match self { $(Self::$name(op) => op.infer(inputs, infer),)* }
            }

            fn parameters(&self) -> Vec<(&'static str, &Tensor)> {
                match self { $(Self::$name(op) => op.parameters(),)* }
            }

            fn parameters_mut(&mut self) -> Vec<(&'static str, &mut Tensor)> {
                match self { $(Self::$name(op) => op.parameters_mut(),)* }
            }

            fn multiply_adds(&self, inputs: &[&Shape], outputs: &[&Shape]) -> Option<u64> {
                match self { $(Self::$name(op) => op.multiply_adds(inputs, outputs),)* }
            }
        }
    };
}

ops! {
    /// See [`Activate`].
    Activate,
    /// See [`ArgMax`].
    ArgMax,
    /// See [`Attention`].
    Attention,
    /// See [`BatchNorm`].
    BatchNorm,
    /// See [`BatchToSpace`].
    BatchToSpace,
    /// See [`Concat`].
    Concat,
    /// See [`Constant`].
    Constant,
    /// See [`Conv`].
    Conv,
    /// See [`ConvTranspose`].
    ConvTranspose,
    /// See [`Dense`].
    Dense,
    /// See [`DepthToSpace`].
    DepthToSpace,
    /// See [`Elementwise`].
    Elementwise,
    /// See [`Embedding`].
    Embedding,
    /// See [`Gather`].
    Gather,
    /// See [`GroupNorm`].
    GroupNorm,
    /// See [`Identity`].
    Identity,
    /// See [`L2Normalize`].
    L2Normalize,
    /// See [`LayerNorm`].
    LayerNorm,
    /// See [`LocalResponseNorm`].
    LocalResponseNorm,
    /// See [`LogSoftmax`].
    LogSoftmax,
    /// See [`MatMul`].
    MatMul,
    /// See [`Noise`].
    Noise,
    /// See [`Opaque`].
    Opaque,
    /// See [`PRelu`].
    PRelu,
    /// See [`Pad`].
    Pad,
    /// See [`Pool`].
    Pool,
    /// See [`Recurrent`].
    Recurrent,
    /// See [`Reduce`].
    Reduce,
    /// See [`Reshape`].
    Reshape,
    /// See [`Resize`].
    Resize,
    /// See [`Reverse`].
    Reverse,
    /// See [`Slice`].
    Slice,
    /// See [`Softmax`].
    Softmax,
    /// See [`SpaceToBatch`].
    SpaceToBatch,
    /// See [`SpaceToDepth`].
    SpaceToDepth,
    /// See [`Split`].
    Split,
    /// See [`Tile`].
    Tile,
    /// See [`Transpose`].
    Transpose,
    /// See [`Unary`].
    Unary,
}

/// The only input.
fn one<'a>(inputs: &[&'a Shape]) -> Result<&'a Shape, ShapeError> {
    match inputs {
        [input] => Ok(input),
        _ => Err(ShapeError::new(format!(
            "expected one input, found {}",
            inputs.len()
        ))),
    }
}

/// Whether `axis` is one of the axes of `shape`.
fn check_axis(axis: usize, shape: &Shape) -> Result<(), ShapeError> {
    if axis < shape.rank() {
        return Ok(());
    }
    Err(ShapeError::new(format!(
        "axis {axis} is not one of the {} axes of {shape}",
        shape.rank()
    )))
}

/// Whether `tensor` has the shape that was expected of the parameter `role`.
fn check_parameter(role: &str, tensor: &Tensor, expected: &[usize]) -> Result<(), ShapeError> {
    if tensor.shape() == expected {
        return Ok(());
    }
    Err(ShapeError::new(format!(
        "expected {role} of shape {expected:?}, found {:?}",
        tensor.shape()
    )))
}

/// The known size of an axis that an operator can't do without.
fn known(shape: &Shape, axis: usize, what: &str) -> Result<usize, ShapeError> {
    shape
        .size(axis)
        .ok_or_else(|| ShapeError::new(format!("{what} of {shape} (axis {axis}) must be known")))
}

/// Parameters that are there, with their roles; `None` ones are left out.
fn present<'a>(list: Vec<(&'static str, Option<&'a Tensor>)>) -> Vec<(&'static str, &'a Tensor)> {
    list.into_iter()
        .filter_map(|(role, tensor)| tensor.map(|tensor| (role, tensor)))
        .collect()
}

/// The same for [`Operator::parameters_mut`].
fn present_mut<'a>(list: Vec<(&'static str, Option<&'a mut Tensor>)>) -> Vec<(&'static str, &'a mut Tensor)> {
    list.into_iter()
        .filter_map(|(role, tensor)| tensor.map(|tensor| (role, tensor)))
        .collect()
}
