//! Blocks of cells moved between axes.

use super::{Operator, known, one};
use crate::{Dim, Infer, Shape, ShapeError};

fn divide(size: usize, by: usize) -> Result<usize, ShapeError> {
    if by == 0 || !size.is_multiple_of(by) {
        return Err(ShapeError::new(format!(
            "{size} can't be divided into blocks of {by}"
        )));
    }
    Ok(size / by)
}

fn image(input: &Shape) -> Result<(), ShapeError> {
    if input.rank() != 4 {
        return Err(ShapeError::new(format!("expected [N, C, H, W], found {input}")));
    }
    Ok(())
}

/// `[N, C, H, W] -> [N, B*B*C, H/B, W/B]`; output channel `(y * B + x) * C + c` is input channel `c` at `(y, x)` of
/// the block (TensorFlow's order).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpaceToDepth {
    /// `B`.
    pub block: usize,
}

impl Operator for SpaceToDepth {
    fn name(&self) -> &'static str {
        "SpaceToDepth"
    }

    fn infer(&self, inputs: &[&Shape], infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        image(input)?;
        let channels = known(input, 1, "the number of channels")?;
        let height = infer.map(input.dims()[2], |size| divide(size, self.block))?;
        let width = infer.map(input.dims()[3], |size| divide(size, self.block))?;
        Ok(vec![Shape::new([
            input.dims()[0],
            Dim::Fixed(channels * self.block * self.block),
            height,
            width,
        ])])
    }
}

/// The inverse of [`SpaceToDepth`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepthToSpace {
    /// The edge of a block.
    pub block: usize,
}

impl Operator for DepthToSpace {
    fn name(&self) -> &'static str {
        "DepthToSpace"
    }

    fn infer(&self, inputs: &[&Shape], infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        image(input)?;
        let channels = divide(
            known(input, 1, "the number of channels")?,
            self.block * self.block,
        )?;
        let height = infer.map(input.dims()[2], |size| Ok(size * self.block))?;
        let width = infer.map(input.dims()[3], |size| Ok(size * self.block))?;
        Ok(vec![Shape::new([
            input.dims()[0],
            Dim::Fixed(channels),
            height,
            width,
        ])])
    }
}

/// `[N, C, D…]`, padded with zeros, to `[N * prod(B), C, D/B…]`: the cells of a block become examples, the block's
/// position outermost in the batch (TensorFlow's `space_to_batch`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpaceToBatch {
    /// `B`, for each spatial axis.
    pub blocks: Vec<usize>,
    /// `[before, after]` for each spatial axis.
    pub pads: Vec<[usize; 2]>,
}

impl Operator for SpaceToBatch {
    fn name(&self) -> &'static str {
        "SpaceToBatch"
    }

    fn infer(&self, inputs: &[&Shape], infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        if input.rank() != self.blocks.len() + 2 || self.pads.len() != self.blocks.len() {
            return Err(ShapeError::new(format!(
                "blocks {:?} do not fit an input of shape {input}",
                self.blocks
            )));
        }
        let block: usize = self.blocks.iter().product();
        let batch = match input.dims()[0] {
            Dim::Batch(times) => Dim::Batch(times * block),
            Dim::Fixed(size) => Dim::Fixed(size * block),
            Dim::Unknown(_) => infer.unknown(),
        };
        let mut dims = vec![batch, input.dims()[1]];
        for (axis, (&block, pads)) in self.blocks.iter().zip(&self.pads).enumerate() {
            dims.push(infer.map(input.dims()[axis + 2], |size| {
                divide(size + pads[0] + pads[1], block)
            })?);
        }
        Ok(vec![Shape::new(dims)])
    }
}

/// The inverse of [`SpaceToBatch`], with cells cut away instead of added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchToSpace {
    /// The edges of a block.
    pub blocks: Vec<usize>,
    /// `[before, after]` for each spatial axis.
    pub crops: Vec<[usize; 2]>,
}

impl Operator for BatchToSpace {
    fn name(&self) -> &'static str {
        "BatchToSpace"
    }

    fn infer(&self, inputs: &[&Shape], infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        if input.rank() != self.blocks.len() + 2 || self.crops.len() != self.blocks.len() {
            return Err(ShapeError::new(format!(
                "blocks {:?} do not fit an input of shape {input}",
                self.blocks
            )));
        }
        let block: usize = self.blocks.iter().product();
        let batch = match input.dims()[0] {
            Dim::Batch(times) => Dim::Batch(divide(times, block)?),
            Dim::Fixed(size) => Dim::Fixed(divide(size, block)?),
            Dim::Unknown(_) => infer.unknown(),
        };
        let mut dims = vec![batch, input.dims()[1]];
        for (axis, (&block, crops)) in self.blocks.iter().zip(&self.crops).enumerate() {
            dims.push(infer.map(input.dims()[axis + 2], |size| {
                (size * block)
                    .checked_sub(crops[0] + crops[1])
                    .ok_or_else(|| ShapeError::new(format!("cropping {crops:?} of {} cells", size * block)))
            })?);
        }
        Ok(vec![Shape::new(dims)])
    }
}
