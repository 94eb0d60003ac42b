//! Other shapes and other orders of the same elements.

use super::{Operator, one};
use crate::{Dim, Infer, Shape, ShapeError};

/// One size of the target of a [`Reshape`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// This size.
    Fixed(usize),
    /// The size of this axis of the input.
    Keep(usize),
    /// Whatever is left; at most one.
    Rest,
}

/// The same elements in C order under another shape. Flattening is `[Keep(0), Rest]`, squeezing and inserting axes
/// are reshapes too, and folding time into the batch is `[Rest, …]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reshape {
    /// The target, one entry an axis.
    pub target: Vec<Size>,
}

impl Reshape {
    /// The batch axis kept, everything else in one axis.
    pub fn flatten() -> Self {
        Self {
            target: vec![Size::Keep(0), Size::Rest],
        }
    }

    /// The batch axis kept, then these sizes.
    pub fn features(sizes: &[usize]) -> Self {
        Self {
            target: std::iter::once(Size::Keep(0))
                .chain(sizes.iter().map(|&size| Size::Fixed(size)))
                .collect(),
        }
    }
}

impl Reshape {
    /// New axes of size one: where `new` says so, the result has one, and elsewhere the next axis of the input.
    pub fn with_new_axes(new: &[bool]) -> Self {
        let mut old = 0..;
        let size = |&new: &bool| match new {
            true => Size::Fixed(1),
            false => Size::Keep(old.next().unwrap_or_default()),
        };
        Self {
            target: new.iter().map(size).collect(),
        }
    }
}

/// A product of sizes: its known part, the multiples of the batch, and the unknown factors.
#[derive(Debug, Clone, Default, PartialEq)]
struct Product {
    known: usize,
    batches: usize,
    unknown: Vec<u32>,
}

impl Product {
    fn of(dims: impl IntoIterator<Item = Dim>) -> Option<Self> {
        let mut product = Self {
            known: 1,
            ..Self::default()
        };
        for dim in dims {
            match dim {
                Dim::Fixed(size) => product.known = product.known.checked_mul(size)?,
                Dim::Batch(times) => {
                    product.known = product.known.checked_mul(times)?;
                    product.batches += 1;
                }
                Dim::Unknown(id) => product.unknown.push(id),
            }
        }
        product.unknown.sort_unstable();
        Some(product)
    }

    /// The size that makes `part` times it equal to this product, where it can be told.
    fn rest(&self, part: &Self) -> Option<Dim> {
        let mut unknown = self.unknown.clone();
        for id in &part.unknown {
            unknown.remove(unknown.iter().position(|other| other == id)?);
        }
        let batches = self.batches.checked_sub(part.batches)?;
        if part.known == 0 || !self.known.is_multiple_of(part.known) {
            return None;
        }
        let known = self.known / part.known;
        match (batches, unknown.as_slice()) {
            (0, []) => Some(Dim::Fixed(known)),
            (1, []) => Some(Dim::Batch(known)),
            (0, [id]) if known == 1 => Some(Dim::Unknown(*id)),
            _ => None,
        }
    }
}

impl Operator for Reshape {
    fn name(&self) -> &'static str {
        "Reshape"
    }

    fn infer(&self, inputs: &[&Shape], infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        let overflow = || ShapeError::new(format!("the number of elements of {input} overflows"));
        let total = Product::of(input.dims().iter().copied()).ok_or_else(overflow)?;
        let mut given = Vec::new();
        for size in &self.target {
            match *size {
                Size::Fixed(size) => given.push(Dim::Fixed(size)),
                Size::Keep(axis) => given.push(*input.dims().get(axis).ok_or_else(|| {
                    ShapeError::new(format!("axis {axis} of {input} is to be kept, and there is none"))
                })?),
                Size::Rest => {}
            }
        }
        let part = Product::of(given).ok_or_else(overflow)?;
        let rests = self
            .target
            .iter()
            .filter(|size| matches!(size, Size::Rest))
            .count();
        let mismatch = || ShapeError::new(format!("{input} can't be reshaped to {:?}", self.target));
        let rest = match (rests, total.rest(&part)) {
            (0, Some(Dim::Fixed(1))) => Dim::Fixed(1),
            (1, Some(rest)) => rest,
            // Sizes that can't be told from the known ones are left to the run, but known ones must agree.
            (1, None) if !total.unknown.is_empty() => infer.unknown(),
            (0, None) if !total.unknown.is_empty() => Dim::Fixed(1),
            _ => return Err(mismatch()),
        };
        let dims = self.target.iter().map(|size| match *size {
            Size::Fixed(size) => Dim::Fixed(size),
            Size::Keep(axis) => input.dims()[axis],
            Size::Rest => rest,
        });
        Ok(vec![Shape::new(dims.collect::<Vec<_>>())])
    }
}

/// The axes in another order: axis `i` of the result is axis `permutation[i]` of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transpose {
    /// One entry an axis.
    pub permutation: Vec<usize>,
}

impl Transpose {
    /// `[N, D…, C] -> [N, C, D…]` for this rank.
    pub fn channels_first(rank: usize) -> Self {
        Self {
            permutation: [0, rank - 1].into_iter().chain(1..rank - 1).collect(),
        }
    }

    /// `[N, C, D…] -> [N, D…, C]` for this rank.
    pub fn channels_last(rank: usize) -> Self {
        Self {
            permutation: std::iter::once(0).chain(2..rank).chain([1]).collect(),
        }
    }
}

impl Operator for Transpose {
    fn name(&self) -> &'static str {
        "Transpose"
    }

    fn infer(&self, inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        let mut sorted = self.permutation.clone();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..input.rank()) {
            return Err(ShapeError::new(format!(
                "{:?} is no order of the axes of {input}",
                self.permutation
            )));
        }
        Ok(vec![input.permuted(&self.permutation)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reshape(input: &Shape, target: &[Size]) -> Result<Shape, ShapeError> {
        let op = Reshape {
            target: target.to_vec(),
        };
        op.infer(&[input], &mut Infer::default())
            .map(|mut shapes| shapes.remove(0))
    }

    #[test]
    fn time_folds_into_the_batch_and_out_again() {
        let folded = reshape(
            &Shape::batched(&[7, 4, 3]),
            &[Size::Rest, Size::Keep(2), Size::Keep(3)],
        )
        .unwrap();
        assert_eq!(folded, Shape::new([Dim::Batch(7), Dim::Fixed(4), Dim::Fixed(3)]));
        let unfolded = reshape(&folded, &[Size::Rest, Size::Fixed(7), Size::Fixed(12)]).unwrap();
        assert_eq!(unfolded, Shape::batched(&[7, 12]));
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let input = Shape::batched(&[6]);
        assert!(reshape(&input, &[Size::Keep(0), Size::Fixed(4)]).is_err());
        assert!(reshape(&input, &[Size::Keep(0), Size::Fixed(4), Size::Rest]).is_err());
        assert!(reshape(&input, &[Size::Keep(0), Size::Keep(5)]).is_err());
        assert_eq!(
            reshape(&input, &[Size::Keep(0), Size::Fixed(2), Size::Rest]).unwrap(),
            Shape::batched(&[2, 3])
        );
    }
}
