//! The network as it was, in which what would be taken out is 0 wherever a layer reads it.

use super::cuts::Cuts;
use super::layers::summed;
use crate::OptimizeError;
use caribou_ir::op::{Constant, Elementwise, ElementwiseKind, Op};
use caribou_ir::{Graph, Origin, ShapeError, Tensor, ValueId};

/// The network with masks in front of every operator that sums over units that [`Cuts`] takes out: it computes what the
/// smaller network does, in sums that have zeros in addition.
///
/// # Errors
/// Only when the cuts are those of another graph.
pub fn masked(graph: &Graph, cuts: &Cuts) -> Result<Graph, OptimizeError> {
    let (mut new, mut values) = graph.same_inputs();
    for (_, node) in graph.nodes() {
        let failed = |source: ShapeError| OptimizeError::Shape {
            origin: node.origin.clone(),
            source,
        };
        let mut whole = Vec::new();
        for (position, &input) in node.inputs.iter().enumerate() {
            let shape = graph.shape(input);
            for axis in summed(&node.op, position, shape.rank()) {
                if let (Some(kept), Some(size)) = (cuts.kept(input, axis), shape.size(axis)) {
                    let before = values[&input];
                    whole.push((input, before));
                    let mask = mask(kept, size, shape.rank() - axis);
                    values.insert(
                        input,
                        times(&mut new, before, mask, &node.origin).map_err(failed)?,
                    );
                }
            }
        }
        new.push_mapped(node, node.op.clone(), &mut values)
            .map_err(failed)?;
        values.extend(whole.into_iter().rev());
    }
    for port in graph.outputs() {
        new.output_like(port, values[&port.value]);
    }
    Ok(new)
}

/// Ones and zeros along the first of `rank` axes.
fn mask(kept: &[usize], size: usize, rank: usize) -> Result<Tensor, ShapeError> {
    let mut values = vec![0f32; size];
    kept.iter().for_each(|&place| values[place] = 1.0);
    let mut shape = vec![1; rank];
    shape[0] = size;
    Tensor::from_values(&shape, values).map_err(|error| ShapeError::new(error.to_string()))
}

fn times(
    graph: &mut Graph,
    x: ValueId,
    mask: Result<Tensor, ShapeError>,
    origin: &Origin,
) -> Result<ValueId, ShapeError> {
    let mask = graph.apply(Constant { value: mask? }, &[], origin)?;
    let product = Op::from(Elementwise {
        kind: ElementwiseKind::Multiply,
    });
    graph.apply(product, &[x, mask], origin)
}
