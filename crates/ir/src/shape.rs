//! Shapes with an unknown batch size and unknown lengths, and the rules that operators share.

use std::fmt;

/// The size of one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dim {
    /// A size that is known.
    Fixed(usize),
    /// A multiple of the batch size: `1` for the batch axis itself, `T` when `T` steps were folded into it.
    Batch(usize),
    /// A size that is unknown; equal numbers are equal sizes within one graph.
    Unknown(u32),
}

impl Dim {
    /// The plain batch axis.
    pub const BATCH: Self = Self::Batch(1);

    /// The size, where it is known.
    pub const fn fixed(self) -> Option<usize> {
        match self {
            Self::Fixed(size) => Some(size),
            Self::Batch(_) | Self::Unknown(_) => None,
        }
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Batch(1) => f.write_str("N"),
            Self::Batch(times) => write!(f, "{times}N"),
            Self::Unknown(_) => f.write_str("?"),
        }
    }
}

impl From<usize> for Dim {
    fn from(size: usize) -> Self {
        Self::Fixed(size)
    }
}

/// The sizes of all axes of a value, outermost first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shape(Vec<Dim>);

impl Shape {
    /// A shape of these axes.
    pub fn new(dims: impl Into<Vec<Dim>>) -> Self {
        Self(dims.into())
    }

    /// A batch axis followed by known sizes.
    pub fn batched(sizes: &[usize]) -> Self {
        Self(
            std::iter::once(Dim::BATCH)
                .chain(sizes.iter().map(|&size| Dim::Fixed(size)))
                .collect(),
        )
    }

    /// Known sizes only.
    pub fn fixed(sizes: &[usize]) -> Self {
        Self(sizes.iter().map(|&size| Dim::Fixed(size)).collect())
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// All axes.
    pub fn dims(&self) -> &[Dim] {
        &self.0
    }

    /// The size of an axis; `None` where there is no such axis or its size is unknown.
    pub fn size(&self, axis: usize) -> Option<usize> {
        self.0.get(axis).and_then(|dim| dim.fixed())
    }

    /// The sizes of all axes behind the batch axis, where all are known.
    pub fn feature_sizes(&self) -> Option<Vec<usize>> {
        self.0.iter().skip(1).map(|dim| dim.fixed()).collect()
    }

    /// The number of elements of one example, where it is known.
    pub fn features(&self) -> Option<usize> {
        self.feature_sizes()?
            .into_iter()
            .try_fold(1usize, |n, size| n.checked_mul(size))
    }

    /// The axes in the order that `permutation` gives: axis `i` of the result is axis `permutation[i]` of this.
    pub fn permuted(&self, permutation: &[usize]) -> Self {
        Self(
            permutation
                .iter()
                .filter_map(|&axis| self.0.get(axis).copied())
                .collect(),
        )
    }

    /// The sizes with `batch` examples and `length` in place of every unknown size.
    pub fn concrete(&self, batch: usize, length: usize) -> Vec<usize> {
        self.0
            .iter()
            .map(|dim| match *dim {
                Dim::Fixed(size) => size,
                Dim::Batch(times) => times * batch,
                Dim::Unknown(_) => length,
            })
            .collect()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, dim) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{dim}")?;
        }
        f.write_str("]")
    }
}

/// Why an operator does not fit its inputs. The message says what was expected and what was there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ShapeError(pub String);

impl ShapeError {
    /// An error that says `message`.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// What shape inference needs besides the inputs: a source of names for sizes that are unknown.
#[derive(Debug, Clone, Default)]
pub struct Infer {
    next_unknown: u32,
}

impl Infer {
    /// A size that is equal to no other.
    pub fn unknown(&mut self) -> Dim {
        let dim = Dim::Unknown(self.next_unknown);
        self.next_unknown += 1;
        dim
    }

    /// The size that `f` gives for a known `dim`, an unknown one otherwise.
    pub fn map(
        &mut self,
        dim: Dim,
        f: impl FnOnce(usize) -> Result<usize, ShapeError>,
    ) -> Result<Dim, ShapeError> {
        match dim {
            Dim::Fixed(size) => Ok(Dim::Fixed(f(size)?)),
            Dim::Batch(_) | Dim::Unknown(_) => Ok(self.unknown()),
        }
    }

    /// The shape of `a` and `b` together, as NumPy broadcasts them: aligned at the last axis, size one stretches.
    pub fn broadcast(&mut self, a: &Shape, b: &Shape) -> Result<Shape, ShapeError> {
        let rank = a.rank().max(b.rank());
        let at = |shape: &Shape, axis: usize| {
            (axis + shape.rank())
                .checked_sub(rank)
                .map_or(Dim::Fixed(1), |axis| shape.dims()[axis])
        };
        let dims: Result<Vec<Dim>, ShapeError> = (0..rank)
            .map(|axis| match (at(a, axis), at(b, axis)) {
                (x, y) if x == y => Ok(x),
                (Dim::Fixed(1), other) | (other, Dim::Fixed(1)) => Ok(other),
                (Dim::Fixed(_), Dim::Fixed(_)) => {
                    Err(ShapeError::new(format!("shapes {a} and {b} do not broadcast")))
                }
                // A known size against an unknown one: the unknown must turn out equal (or one).
                (Dim::Fixed(size), _) | (_, Dim::Fixed(size)) => Ok(Dim::Fixed(size)),
                (x, _) => Ok(x),
            })
            .collect();
        Ok(Shape(dims?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_aligns_the_last_axes() {
        let mut infer = Infer::default();
        let image = Shape::batched(&[4, 5, 3]);
        assert_eq!(infer.broadcast(&image, &Shape::fixed(&[3])), Ok(image.clone()));
        assert_eq!(
            infer.broadcast(&Shape::batched(&[1, 1, 3]), &image),
            Ok(image.clone())
        );
        assert!(infer.broadcast(&image, &Shape::fixed(&[4])).is_err());
    }

    #[test]
    fn unknown_sizes_are_told_apart() {
        let mut infer = Infer::default();
        assert_ne!(infer.unknown(), infer.unknown());
    }
}
