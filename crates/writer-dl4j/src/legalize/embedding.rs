//! Embeddings of other arrays than the sequences that DL4J looks up.

use super::{Composed, Failure, Step};
use caribou_ir::ValueId;
use caribou_ir::op::{Embedding, Reshape};

/// Indices of any number of axes are looked up as one sequence.
pub(super) fn embedding(step: &mut Step<'_>, op: &Embedding, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    let shape = step.graph.shape(x);
    if shape.rank() == 2 {
        return Ok(None);
    }
    let Some(mut sizes) = shape.feature_sizes() else {
        let message = format!("an embedding of indices {shape}, whose sizes are unknown");
        return Err(Failure::Inexpressible(message));
    };
    let indices = sizes.iter().product();
    let x = step.apply(Reshape::features(&[indices]), &[x])?;
    let y = step.leaf(op.clone(), &[x])?;
    sizes.extend(op.table.shape().get(1));
    step.rewrite(
        "look-up-as-sequence",
        "DL4J looks sequences up; the indices are one sequence meanwhile",
    );
    Ok(Some(vec![step.apply(Reshape::features(&sizes), &[y])?]))
}
