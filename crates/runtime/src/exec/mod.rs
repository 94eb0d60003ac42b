//! What each operator computes. One file a family, named as the file that defines it.

mod activation;
mod attention;
mod conv;
mod elements;
mod elementwise;
mod embedding;
mod linear;
mod norm;
mod pool;
mod rearrange;
mod recurrent;
mod reduce;
mod reshape;
mod resize;
mod select;

use crate::{Array, RunError};
use caribou_ir::op::Op;
use caribou_ir::{Origin, Tensor, TensorError};
use ndarray::IxDyn;
use std::borrow::Cow;

/// Why an operator could not be computed; [`ExecError::at`] adds where.
#[derive(Debug)]
pub(crate) enum ExecError {
    Tensor(TensorError),
    Message(String),
}

impl std::fmt::Display for ExecError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tensor(source) => source.fmt(f),
            Self::Message(message) => f.write_str(message),
        }
    }
}

impl From<TensorError> for ExecError {
    fn from(error: TensorError) -> Self {
        Self::Tensor(error)
    }
}

impl From<ndarray::ShapeError> for ExecError {
    fn from(error: ndarray::ShapeError) -> Self {
        Self::Message(error.to_string())
    }
}

impl From<caribou_ir::ShapeError> for ExecError {
    fn from(error: caribou_ir::ShapeError) -> Self {
        Self::Message(error.to_string())
    }
}

impl ExecError {
    fn new(message: impl Into<String>) -> Self {
        Self::Message(message.into())
    }

    pub(crate) fn at(self, origin: &Origin) -> RunError {
        match self {
            Self::Tensor(source) => RunError::Tensor {
                origin: origin.clone(),
                source,
            },
            Self::Message(message) => RunError::Operator {
                origin: origin.clone(),
                message,
            },
        }
    }
}

type Result<T> = std::result::Result<T, ExecError>;

/// A parameter as an array.
fn array(tensor: &Tensor) -> Result<Array> {
    Ok(Array::from_shape_vec(IxDyn(&tensor.shape()), tensor.to_vec()?)?)
}

/// The sizes that an array of `sizes` has in memory, refused when that is more than any model's values need.
fn checked(sizes: &[usize]) -> Result<usize> {
    sizes
        .iter()
        .try_fold(1usize, |n, &size| n.checked_mul(size))
        .filter(|&n| n <= 1 << 33)
        .ok_or_else(|| ExecError::new(format!("a value of shape {sizes:?} is too large to compute")))
}

/// The elements in C order.
fn flat(array: &Array) -> Cow<'_, [f32]> {
    match array.as_slice() {
        Some(slice) => Cow::Borrowed(slice),
        None => Cow::Owned(array.iter().copied().collect()),
    }
}

/// The first input; the graph was validated, so it is there.
fn first<'a>(inputs: &[&'a Array]) -> Result<&'a Array> {
    inputs
        .first()
        .copied()
        .ok_or_else(|| ExecError::new("it has no input"))
}

/// Computes one operator. Inputs that it owns are read by nothing else, and may become its output.
pub(crate) fn run(op: &Op, inputs: Vec<Cow<'_, Array>>) -> Result<Vec<Array>> {
    match op {
        Op::Activate(op) => in_place(inputs, |x, _| Ok(activation::activate(op, x))),
        Op::BatchNorm(op) => in_place(inputs, |x, _| norm::batch_norm(op, x)),
        Op::Elementwise(op) => in_place(inputs, |x, rest| elementwise::elementwise(op, x, rest)),
        Op::Identity(_) | Op::Noise(_) => in_place(inputs, |x, _| Ok(x)),
        Op::Reshape(op) => in_place(inputs, |x, _| reshape::reshape(op, x)),
        Op::Unary(op) => in_place(inputs, |x, _| Ok(elementwise::unary(op, x))),
        _ => anew(op, &inputs.iter().map(AsRef::as_ref).collect::<Vec<_>>()),
    }
}

/// What becomes of the first input, element by element, with the others.
fn in_place(
    inputs: Vec<Cow<'_, Array>>,
    compute: impl FnOnce(Array, &[&Array]) -> Result<Array>,
) -> Result<Vec<Array>> {
    let mut inputs = inputs.into_iter();
    let x = inputs.next().ok_or_else(|| ExecError::new("it has no input"))?;
    let rest: Vec<&Array> = inputs.as_slice().iter().map(AsRef::as_ref).collect();
    compute(x.into_owned(), &rest).map(|y| vec![y])
}

/// Computes an operator whose output is another value than its inputs.
fn anew(op: &Op, inputs: &[&Array]) -> Result<Vec<Array>> {
    match op {
        Op::Split(op) => return select::split(op, first(inputs)?),
        Op::Recurrent(op) => return recurrent::recurrent(op, inputs),
        _ => {}
    }
    let one = |result: Result<Array>| result.map(|array| vec![array]);
    one(match op {
        Op::PRelu(op) => activation::prelu(op, first(inputs)?),
        Op::Softmax(op) => activation::softmax(op.axis, first(inputs)?, false),
        Op::LogSoftmax(op) => activation::softmax(op.axis, first(inputs)?, true),
        Op::Attention(op) => attention::attention(op, inputs),
        Op::Conv(op) => conv::conv(op, first(inputs)?),
        Op::ConvTranspose(op) => conv::conv_transpose(op, first(inputs)?),
        Op::Pool(op) => pool::pool(op, first(inputs)?),
        Op::Dense(op) => linear::dense(op, first(inputs)?),
        Op::MatMul(op) => linear::matmul(op, inputs),
        Op::LayerNorm(op) => norm::layer_norm(op, first(inputs)?),
        Op::GroupNorm(op) => norm::group_norm(op, first(inputs)?),
        Op::LocalResponseNorm(op) => norm::local_response_norm(op, first(inputs)?),
        Op::L2Normalize(op) => norm::l2_normalize(op, first(inputs)?),
        Op::Embedding(op) => embedding::embedding(op, first(inputs)?),
        Op::Reduce(op) => reduce::reduce(op, first(inputs)?),
        Op::ArgMax(op) => reduce::arg_max(op, first(inputs)?),
        Op::Transpose(op) => reshape::transpose(op, first(inputs)?),
        Op::Concat(op) => select::concat(op, inputs),
        Op::Slice(op) => select::slice(op, first(inputs)?),
        Op::Pad(op) => select::pad(op, first(inputs)?),
        Op::Gather(op) => Ok(first(inputs)?.select(ndarray::Axis(op.axis), &op.indices)),
        Op::Tile(op) => select::tile(op, first(inputs)?),
        Op::Reverse(op) => select::reverse(op.axis, first(inputs)?),
        Op::Resize(op) => resize::resize(op, first(inputs)?),
        Op::SpaceToDepth(op) => rearrange::space_to_depth(op, first(inputs)?),
        Op::DepthToSpace(op) => rearrange::depth_to_space(op, first(inputs)?),
        Op::SpaceToBatch(op) => rearrange::space_to_batch(op, first(inputs)?),
        Op::BatchToSpace(op) => rearrange::batch_to_space(op, first(inputs)?),
        Op::Constant(op) => array(&op.value),
        Op::Opaque(op) => Err(ExecError::new(op.reason.clone())),
        Op::Activate(_)
        | Op::BatchNorm(_)
        | Op::Elementwise(_)
        | Op::Identity(_)
        | Op::Noise(_)
        | Op::Reshape(_)
        | Op::Unary(_) => Err(ExecError::new("it is computed in place")),
        Op::Split(_) | Op::Recurrent(_) => Err(ExecError::new("it has several outputs")),
    })
}
