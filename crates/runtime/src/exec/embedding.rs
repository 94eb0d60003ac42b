//! Look-up of vectors.

use super::{Array, ExecError, Result};
use caribou_ir::op::Embedding;
use ndarray::IxDyn;

pub(super) fn embedding(op: &Embedding, x: &Array) -> Result<Array> {
    let table = op.table.to_vec()?;
    let shape = op.table.shape();
    let (rows, features) = (shape[0], shape[1]);
    let mut values = Vec::with_capacity(x.len() * features);
    for &index in x {
        let valid = index.fract() == 0.0 && index >= 0.0 && (index as usize) < rows;
        if !valid {
            return Err(ExecError::new(format!(
                "index {index} is none of the {rows} rows of the embedding"
            )));
        }
        values.extend_from_slice(&table[index as usize * features..][..features]);
    }
    let shape: Vec<usize> = x.shape().iter().copied().chain([features]).collect();
    Ok(Array::from_shape_vec(IxDyn(&shape), values)?)
}
