//! Flattening a permuted feature map: the kernel behind it is permuted instead of the map.

use super::{Order, Placed, Sinker, inverse, is_identity};
use crate::op::{BatchNorm, Dense, Op, Reshape, Size, Transpose};
use crate::{Node, Origin, Rewrite, ShapeError, Tensor, ValueId};

impl Sinker<'_> {
    /// A flatten of a permuted value, where all sizes but the batch are known. Whether it was one.
    pub(super) fn flatten(&mut self, node: &Node) -> Result<bool, ShapeError> {
        let Op::Reshape(Reshape { target }) = &node.op else {
            return Ok(false);
        };
        let [Size::Keep(0), Size::Rest | Size::Fixed(_)] = target[..] else {
            return Ok(false);
        };
        let old = self.old.shape(node.inputs[0]);
        let Placed {
            value,
            order: Order::Axes(axes),
        } = self.placed(node.inputs[0])
        else {
            return Ok(false);
        };
        let (Some(sizes), true) = (old.feature_sizes(), axes.first() == Some(&0)) else {
            return Ok(false);
        };
        // Only the axes that have an extent matter: [N, 1, 1, C] flattens to the same in any order.
        let permutation: Vec<usize> = inverse(&axes)[1..].iter().map(|&axis| axis - 1).collect();
        let moved: Vec<usize> = permutation
            .iter()
            .copied()
            .filter(|&axis| sizes[axis] != 1)
            .collect();
        let order = if moved.windows(2).all(|pair| pair[0] < pair[1]) {
            Order::Axes(vec![0, 1])
        } else {
            Order::Flattened { sizes, permutation }
        };
        self.emit(node, Reshape::flatten(), &[value], Some(&[order]))?;
        Ok(true)
    }

    /// An operator that reads a flattened, permuted value. Whether it could be adapted to the order.
    pub(super) fn behind_flatten(&mut self, node: &Node) -> Result<bool, ShapeError> {
        let [input] = node.inputs[..] else {
            return Ok(false);
        };
        let Placed {
            value,
            order: Order::Flattened { sizes, permutation },
        } = self.placed(input)
        else {
            return Ok(false);
        };
        let reorder = |tensor: &Tensor| reorder_rows(tensor, &sizes, &permutation);
        let order = Order::Flattened {
            sizes: sizes.clone(),
            permutation: permutation.clone(),
        };
        match &node.op {
            Op::Activate(_) | Op::Unary(_) | Op::Noise(_) | Op::Identity(_) => {
                self.emit(node, node.op.clone(), &[value], Some(&[order]))?;
            }
            Op::Dense(dense) => {
                let op = Dense {
                    weight: reorder(&dense.weight)?,
                    bias: dense.bias.clone(),
                };
                self.emit(node, op, &[value], None)?;
                self.rewrites.push(Rewrite::new(
                    "flatten-into-kernel-rows",
                    &node.origin,
                    "the rows of the kernel were put in the order of the channels-first map that it reads",
                ));
            }
            Op::BatchNorm(norm) if norm.axis == 1 => {
                let op = BatchNorm {
                    scale: norm.scale.as_ref().map(reorder).transpose()?,
                    offset: norm.offset.as_ref().map(reorder).transpose()?,
                    mean: reorder(&norm.mean)?,
                    variance: reorder(&norm.variance)?,
                    ..norm.clone()
                };
                self.emit(node, op, &[value], Some(&[order]))?;
                self.rewrites.push(Rewrite::new(
                    "flatten-into-statistics",
                    &node.origin,
                    "the statistics were put in the order of the channels-first map that was flattened",
                ));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The flattened value in the source's order.
    pub(super) fn unflatten(
        &mut self,
        value: ValueId,
        sizes: &[usize],
        permutation: &[usize],
        origin: &Origin,
    ) -> Result<ValueId, ShapeError> {
        let stored: Vec<usize> = permutation.iter().map(|&axis| sizes[axis]).collect();
        let map = self.new.apply(Reshape::features(&stored), &[value], origin)?;
        let back: Vec<usize> = std::iter::once(0)
            .chain(inverse(permutation).iter().map(|&axis| axis + 1))
            .collect();
        let map = if is_identity(&back) {
            map
        } else {
            self.new.apply(Transpose { permutation: back }, &[map], origin)?
        };
        self.new.apply(Reshape::flatten(), &[map], origin)
    }
}

/// The rows of `[K, …]`, which stand for axes of `sizes` in their order, in the order `permutation` of these axes.
fn reorder_rows(tensor: &Tensor, sizes: &[usize], permutation: &[usize]) -> Result<Tensor, ShapeError> {
    let shape = tensor.shape();
    let split: Vec<usize> = sizes.iter().chain(&shape[1..]).copied().collect();
    let axes: Vec<usize> = permutation
        .iter()
        .copied()
        .chain(sizes.len()..split.len())
        .collect();
    let failed = |error: crate::TensorError| ShapeError::new(error.to_string());
    tensor
        .reshape(&split)
        .and_then(|t| t.permute(&axes))
        .and_then(|t| t.reshape(&shape))
        .map_err(failed)
}
