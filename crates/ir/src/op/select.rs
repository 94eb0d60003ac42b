//! Parts of values, and values put together.

use super::{Operator, check_axis, known, one};
use crate::{Dim, Infer, Shape, ShapeError};

/// Values one behind the other on `axis`; all other axes are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

impl Operator for Concat {
    fn name(&self) -> &'static str {
        "Concat"
    }

    fn infer(&self, inputs: &[&Shape], infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let [first, rest @ ..] = inputs else {
            return Err(ShapeError::new("expected at least one input, found none"));
        };
        check_axis(self.axis, first)?;
        let mut dims = first.dims().to_vec();
        for other in rest {
            let fits = other.rank() == first.rank()
                && other.dims().iter().zip(&dims).enumerate().all(|(axis, (a, b))| {
                    axis == self.axis || a.fixed().is_none() || b.fixed().is_none() || a == b
                });
            if !fits {
                return Err(ShapeError::new(format!(
                    "shapes {first} and {other} can't be joined on axis {}",
                    self.axis
                )));
            }
            for (axis, dim) in dims.iter_mut().enumerate() {
                let next = other.dims()[axis];
                *dim = match (*dim, next) {
                    (Dim::Fixed(a), Dim::Fixed(b)) if axis == self.axis => Dim::Fixed(a + b),
                    (Dim::Batch(a), Dim::Batch(b)) if axis == self.axis => Dim::Batch(a + b),
                    _ if axis == self.axis => infer.unknown(),
                    (Dim::Unknown(_), Dim::Fixed(b)) => Dim::Fixed(b),
                    (dim, _) => dim,
                };
            }
        }
        Ok(vec![Shape::new(dims)])
    }
}

/// Cuts `axis` into pieces of these sizes, one output each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The axis.
    pub axis: usize,
    /// The sizes of the pieces; they sum to the size of the axis.
    pub sizes: Vec<usize>,
}

impl Operator for Split {
    fn name(&self) -> &'static str {
        "Split"
    }

    fn infer(&self, inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        check_axis(self.axis, input)?;
        if known(input, self.axis, "the axis that is cut")? != self.sizes.iter().sum::<usize>() {
            return Err(ShapeError::new(format!(
                "pieces {:?} do not add up to axis {} of {input}",
                self.sizes, self.axis
            )));
        }
        let piece = |&size: &usize| {
            let mut dims = input.dims().to_vec();
            dims[self.axis] = Dim::Fixed(size);
            Shape::new(dims)
        };
        Ok(self.sizes.iter().map(piece).collect())
    }
}

/// What a [`Slice`] takes of one axis. Negative positions count from the end, as in Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceAxis {
    /// The axis.
    pub axis: usize,
    /// The first element.
    pub start: i64,
    /// The first element not taken any more; `None` for all up to the end.
    pub end: Option<i64>,
    /// The distance of two elements; negative to go backwards.
    pub step: i64,
    /// Whether the axis vanishes: the element at `start` alone is taken.
    pub squeeze: bool,
}

impl SliceAxis {
    /// The element at `index` alone; the axis vanishes.
    pub fn index(axis: usize, index: i64) -> Self {
        Self {
            axis,
            start: index,
            end: None,
            step: 1,
            squeeze: true,
        }
    }

    /// The elements `start..end`.
    pub fn range(axis: usize, start: i64, end: Option<i64>) -> Self {
        Self {
            axis,
            start,
            end,
            step: 1,
            squeeze: false,
        }
    }

    /// The positions that are taken of an axis of `size` elements: the first one, and how many.
    pub fn resolve(&self, size: usize) -> (usize, usize) {
        let n = size as i64;
        let wrap = |position: i64| if position < 0 { position + n } else { position };
        if self.squeeze {
            return (wrap(self.start).clamp(0, (n - 1).max(0)) as usize, 1);
        }
        if self.step > 0 {
            let start = wrap(self.start).clamp(0, n);
            let end = self.end.map_or(n, wrap).clamp(0, n);
            return (
                start as usize,
                ((end - start).max(0) as u64).div_ceil(self.step as u64) as usize,
            );
        }
        let start = wrap(self.start).clamp(-1, n - 1);
        let end = self.end.map_or(-1, wrap).clamp(-1, n - 1);
        let count = ((start - end).max(0) as u64).div_ceil(self.step.unsigned_abs().max(1));
        (start.max(0) as usize, count as usize)
    }
}

/// A part of each of some axes: cropping, taking a step, going backwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// The axes that are cut; the others are taken whole.
    pub axes: Vec<SliceAxis>,
}

impl Operator for Slice {
    fn name(&self) -> &'static str {
        "Slice"
    }

    fn infer(&self, inputs: &[&Shape], infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        let mut dims: Vec<Option<Dim>> = input.dims().iter().map(|&dim| Some(dim)).collect();
        for cut in &self.axes {
            check_axis(cut.axis, input)?;
            if cut.step == 0 {
                return Err(ShapeError::new("a slice of step zero"));
            }
            if let (true, Some(size)) = (cut.squeeze, input.size(cut.axis))
                && !(-(size as i64)..size as i64).contains(&cut.start)
            {
                return Err(ShapeError::new(format!(
                    "index {} lies outside of axis {} of {input}",
                    cut.start, cut.axis
                )));
            }
            dims[cut.axis] = if cut.squeeze {
                None
            } else if cut.start == 0 && cut.end.is_none() && cut.step == 1 {
                Some(input.dims()[cut.axis])
            } else {
                Some(infer.map(input.dims()[cut.axis], |size| Ok(cut.resolve(size).1))?)
            };
        }
        Ok(vec![Shape::new(dims.into_iter().flatten().collect::<Vec<_>>())])
    }
}

/// What stands in the added cells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PadMode {
    /// This number.
    Constant(f64),
    /// The mirror image, the outermost cell not repeated.
    Reflect,
    /// The mirror image, the outermost cell repeated.
    Symmetric,
    /// The outermost cell.
    Edge,
}

impl PadMode {
    /// The cell of an axis of `size` cells that a place shows, which may lie outside of it.
    pub fn cell(self, place: i64, size: i64) -> usize {
        let inside = match self {
            Self::Reflect if size > 1 => {
                let period = 2 * (size - 1);
                let wrapped = place.rem_euclid(period);
                wrapped.min(period - wrapped)
            }
            Self::Symmetric if size > 0 => {
                let wrapped = place.rem_euclid(2 * size);
                wrapped.min(2 * size - 1 - wrapped)
            }
            _ => place.min(size - 1).max(0),
        };
        usize::try_from(inside).unwrap_or(0)
    }
}

/// Adds cells around a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Pad {
    /// `[before, after]` for each axis, the batch included.
    pub pads: Vec<[usize; 2]>,
    /// What stands there.
    pub mode: PadMode,
}

impl Operator for Pad {
    fn name(&self) -> &'static str {
        "Pad"
    }

    fn infer(&self, inputs: &[&Shape], infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        if self.pads.len() != input.rank() {
            return Err(ShapeError::new(format!(
                "padding {:?} does not fit {input}",
                self.pads
            )));
        }
        let dims: Result<Vec<Dim>, ShapeError> = input
            .dims()
            .iter()
            .zip(&self.pads)
            .map(|(&dim, &[before, after])| {
                if before + after == 0 {
                    Ok(dim)
                } else {
                    infer.map(dim, |size| Ok(size + before + after))
                }
            })
            .collect();
        Ok(vec![Shape::new(dims?)])
    }
}

/// The elements of one axis at these positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gather {
    /// The axis.
    pub axis: usize,
    /// The positions, in order.
    pub indices: Vec<usize>,
}

impl Operator for Gather {
    fn name(&self) -> &'static str {
        "Gather"
    }

    fn infer(&self, inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        check_axis(self.axis, input)?;
        let size = known(input, self.axis, "the axis that is gathered from")?;
        if let Some(index) = self.indices.iter().find(|&&index| index >= size) {
            return Err(ShapeError::new(format!(
                "index {index} lies outside of axis {} of {input}",
                self.axis
            )));
        }
        let mut dims = input.dims().to_vec();
        dims[self.axis] = Dim::Fixed(self.indices.len());
        Ok(vec![Shape::new(dims)])
    }
}

/// The whole value repeated along each axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// How often, for each axis.
    pub repeats: Vec<usize>,
}

impl Operator for Tile {
    fn name(&self) -> &'static str {
        "Tile"
    }

    fn infer(&self, inputs: &[&Shape], infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        if self.repeats.len() != input.rank() {
            return Err(ShapeError::new(format!(
                "repeats {:?} do not fit {input}",
                self.repeats
            )));
        }
        let dims: Result<Vec<Dim>, ShapeError> = input
            .dims()
            .iter()
            .zip(&self.repeats)
            .map(|(&dim, &times)| match (dim, times) {
                (dim, 1) => Ok(dim),
                (Dim::Batch(n), times) => Ok(Dim::Batch(n * times)),
                (dim, times) => infer.map(dim, |size| Ok(size * times)),
            })
            .collect();
        Ok(vec![Shape::new(dims?)])
    }
}

/// The elements of one axis in reverse order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reverse {
    /// The axis.
    pub axis: usize,
}

impl Operator for Reverse {
    fn name(&self) -> &'static str {
        "Reverse"
    }

    fn infer(&self, inputs: &[&Shape], _infer: &mut Infer) -> Result<Vec<Shape>, ShapeError> {
        let input = one(inputs)?;
        check_axis(self.axis, input)?;
        Ok(vec![input.clone()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_count_as_python_does() {
        let cut = |start, end, step| {
            SliceAxis {
                axis: 1,
                start,
                end,
                step,
                squeeze: false,
            }
            .resolve(5)
        };
        assert_eq!(cut(1, Some(-1), 1), (1, 3));
        assert_eq!(cut(0, None, 2), (0, 3));
        assert_eq!(cut(-1, None, -1), (4, 5));
        assert_eq!(cut(3, Some(0), -2), (3, 2));
        assert_eq!(cut(4, Some(2), 1), (4, 0));
        assert_eq!(SliceAxis::index(1, -1).resolve(5), (4, 1));
    }
}
