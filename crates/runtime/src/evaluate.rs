//! One operator by itself.

use crate::{Array, exec};
use caribou_ir::op::Op;
use caribou_ir::{Tensor, TensorError};
use ndarray::IxDyn;
use std::borrow::Cow;

/// What the operator gives for stored values, for the folding of constants.
///
/// # Errors
/// When a value can't be read, or the operator does not fit them.
pub fn evaluate(op: &Op, inputs: &[&Tensor]) -> Result<Vec<Tensor>, String> {
    let read = |error: TensorError| error.to_string();
    let arrays: Result<Vec<Array>, String> = inputs
        .iter()
        .map(|tensor| {
            let values = tensor.to_vec().map_err(read)?;
            Array::from_shape_vec(IxDyn(&tensor.shape()), values).map_err(|error| error.to_string())
        })
        .collect();
    let arrays = arrays?.into_iter().map(Cow::Owned).collect();
    let outputs = exec::run(op, arrays).map_err(|error| error.to_string())?;
    outputs
        .iter()
        .map(|array| {
            let values: Vec<f32> = array.iter().copied().collect();
            Tensor::from_values(array.shape(), values).map_err(read)
        })
        .collect()
}
