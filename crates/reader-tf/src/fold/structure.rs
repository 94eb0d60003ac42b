//! Other shapes, orders and parts of known arrays. Views of what is stored where they can be had.

use super::{Array, Elements, Folded, MOST};
use caribou_ir::Tensor;

/// The shape of two arrays together, as NumPy broadcasts them.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Folded<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |shape: &[usize], axis: usize| {
        (axis + shape.len())
            .checked_sub(rank)
            .map_or(1, |axis| shape[axis])
    };
    let shape: Folded<Vec<usize>> = (0..rank)
        .map(|axis| match (at(a, axis), at(b, axis)) {
            (x, y) if x == y => Ok(x),
            (1, other) | (other, 1) => Ok(other),
            _ => Err(format!(
                "constants of shapes {a:?} and {b:?} do not fit each other"
            )),
        })
        .collect();
    let shape = shape?;
    match count(&shape) {
        Some(_) => Ok(shape),
        None => Err(format!("a constant of shape {shape:?} is larger than the limit")),
    }
}

fn count(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1usize, |n, &size| n.checked_mul(size))
        .filter(|&n| n <= MOST)
}

/// For each element of an array of `shape` in C order, the sum of its indices times `strides`.
pub(super) fn places(shape: &[usize], strides: &[isize], start: isize) -> Vec<isize> {
    let total: usize = shape.iter().product();
    let mut places = Vec::with_capacity(total);
    let mut index = vec![0usize; shape.len()];
    for _ in 0..total {
        let moved: isize = index.iter().zip(strides).map(|(&i, s)| i as isize * s).sum();
        places.push(start + moved);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    places
}

/// The distance of neighbours on each axis.
pub(super) fn strides(shape: &[usize]) -> Vec<isize> {
    let mut stride = 1isize;
    let mut strides: Vec<isize> = shape
        .iter()
        .rev()
        .map(|&size| {
            let own = stride;
            stride = stride.saturating_mul(size as isize);
            own
        })
        .collect();
    strides.reverse();
    strides
}

impl Array {
    /// The elements at these places of the C order.
    pub(crate) fn picked(&self, shape: Vec<usize>, places: &[isize]) -> Folded<Self> {
        fn pick<T: Clone>(list: &[T], places: &[isize]) -> Folded<Vec<T>> {
            places
                .iter()
                .map(|&place| {
                    usize::try_from(place)
                        .ok()
                        .and_then(|place| list.get(place))
                        .cloned()
                })
                .collect::<Option<_>>()
                .ok_or_else(|| "an element that is not there".to_owned())
        }
        let elements = match self.elements()? {
            Elements::Real(list) => Elements::Real(pick(&list, places)?),
            Elements::Whole(list) => Elements::Whole(pick(&list, places)?),
        };
        self.with(shape, elements)
    }

    fn viewed(&self, view: impl Fn(&Tensor) -> Option<Tensor>) -> Option<Self> {
        match self {
            Self::Stored { dtype, tensor } => view(tensor).map(|tensor| Self::Stored {
                dtype: *dtype,
                tensor,
            }),
            Self::Whole { .. } => None,
        }
    }

    /// The same elements in C order under another shape.
    pub(crate) fn reshaped(&self, shape: &[usize]) -> Folded<Self> {
        if count(shape) != Some(self.len()) && shape.iter().product::<usize>() != self.len() {
            return Err(format!(
                "a constant of shape {:?} can't be reshaped to {shape:?}",
                self.shape()
            ));
        }
        if let Some(array) = self.viewed(|tensor| tensor.reshape(shape).ok()) {
            return Ok(array);
        }
        let elements = self.elements()?;
        self.with(shape.to_vec(), elements)
    }

    /// The axes in another order.
    pub(crate) fn permuted(&self, permutation: &[usize]) -> Folded<Self> {
        if let Some(array) = self.viewed(|tensor| tensor.permute(permutation).ok()) {
            return Ok(array);
        }
        let old = self.shape();
        let mut sorted = permutation.to_vec();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..old.len()) {
            return Err(format!("{permutation:?} is no order of the axes of {old:?}"));
        }
        let from = strides(&old);
        let shape: Vec<usize> = permutation.iter().map(|&axis| old[axis]).collect();
        let steps: Vec<isize> = permutation.iter().map(|&axis| from[axis]).collect();
        self.picked(shape.clone(), &places(&shape, &steps, 0))
    }

    /// `count` elements of one axis from `start` on, `step` apart.
    pub(crate) fn cut(&self, axis: usize, start: usize, count: usize, step: isize) -> Folded<Self> {
        let old = self.shape();
        let Some(&size) = old.get(axis) else {
            return Err(format!("axis {axis} is none of those of {old:?}"));
        };
        let last = start as isize + step * (count as isize - 1);
        if count > 0 && (start >= size || !(0..size as isize).contains(&last)) {
            return Err(format!("elements beyond axis {axis} of {old:?}"));
        }
        if step == 1
            && let Some(array) = self.viewed(|tensor| tensor.narrow(axis, start, start + count).ok())
        {
            return Ok(array);
        }
        let mut steps = strides(&old);
        let begin = steps[axis] * start as isize;
        steps[axis] *= step;
        let mut shape = old;
        shape[axis] = count;
        self.picked(shape.clone(), &places(&shape, &steps, begin))
    }

    /// The elements of one axis in reverse order.
    pub(crate) fn reversed(&self, axis: usize) -> Folded<Self> {
        if let Some(array) = self.viewed(|tensor| tensor.reverse(axis).ok()) {
            return Ok(array);
        }
        let size = self.shape().get(axis).copied().unwrap_or(0);
        self.cut(axis, size.saturating_sub(1), size, -1)
    }

    /// The elements of one axis at these positions.
    pub(crate) fn gathered(&self, axis: usize, positions: &[usize]) -> Folded<Self> {
        let parts: Folded<Vec<Self>> = positions
            .iter()
            .map(|&position| self.cut(axis, position, 1, 1))
            .collect();
        Self::joined(&parts?, axis)
    }

    /// Stretched to another shape as NumPy does it.
    pub(crate) fn stretched(&self, shape: &[usize]) -> Folded<Self> {
        let old = self.shape();
        if old == shape {
            return Ok(self.clone());
        }
        if broadcast(&old, shape)? != shape {
            return Err(format!(
                "a constant of shape {old:?} can't be stretched to {shape:?}"
            ));
        }
        let own = strides(&old);
        let missing = shape.len() - old.len();
        let steps: Vec<isize> = (0..shape.len())
            .map(|axis| match axis.checked_sub(missing) {
                Some(axis) if old[axis] != 1 => own[axis],
                _ => 0,
            })
            .collect();
        self.picked(shape.to_vec(), &places(shape, &steps, 0))
    }

    /// The whole array repeated along each axis.
    pub(crate) fn tiled(&self, repeats: &[usize]) -> Folded<Self> {
        let old = self.shape();
        if repeats.len() != old.len() {
            return Err(format!("repeats {repeats:?} for a constant of shape {old:?}"));
        }
        let mut array = self.clone();
        for (axis, &times) in repeats.iter().enumerate() {
            if times == 0
                || count(&old)
                    .and_then(|n| n.checked_mul(times))
                    .is_none_or(|n| n > MOST)
            {
                return Err(format!("{times} repeats of a constant"));
            }
            if times > 1 {
                array = Self::joined(&vec![array; times], axis)?;
            }
        }
        Ok(array)
    }

    /// Arrays one behind the other on `axis`.
    pub(crate) fn joined(parts: &[Self], axis: usize) -> Folded<Self> {
        let Some(first) = parts.first() else {
            return Err("a concatenation of nothing".into());
        };
        if parts.len() == 1 {
            return Ok(first.clone());
        }
        let mut shape = first.shape();
        let fits = |other: &Self| {
            let other_shape = other.shape();
            other.dtype() == first.dtype()
                && other_shape.len() == shape.len()
                && axis < shape.len()
                && (0..shape.len()).all(|i| i == axis || other_shape[i] == shape[i])
        };
        if !parts.iter().all(fits) {
            return Err("constants of different shapes or types are put together".into());
        }
        let outer: usize = shape[..axis].iter().product();
        let inner: usize = shape[axis + 1..].iter().product();
        shape[axis] = parts.iter().map(|part| part.shape()[axis]).sum();
        if count(&shape).is_none() {
            return Err(format!("a constant of shape {shape:?} is larger than the limit"));
        }
        fn weave<T: Clone>(lists: &[(Vec<T>, usize)], outer: usize) -> Vec<T> {
            (0..outer)
                .flat_map(|i| {
                    lists
                        .iter()
                        .flat_map(move |(list, run)| &list[i * run..(i + 1) * run])
                })
                .cloned()
                .collect()
        }
        let mut reals = Vec::new();
        let mut wholes = Vec::new();
        for part in parts {
            let run = part.shape()[axis] * inner;
            match part.elements()? {
                Elements::Real(list) => reals.push((list, run)),
                Elements::Whole(list) => wholes.push((list, run)),
            }
        }
        let elements = match wholes.is_empty() {
            true => Elements::Real(weave(&reals, outer)),
            false => Elements::Whole(weave(&wholes, outer)),
        };
        first.with(shape, elements)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Whole;
    use super::*;
    use caribou_ir::DType;

    fn counting(shape: &[usize]) -> Array {
        let n: usize = shape.iter().product();
        let values = (0..n as i64).map(Whole::known).collect();
        Array::wholes(DType::I32, shape.to_vec(), values).unwrap()
    }

    #[test]
    fn parts_and_orders() {
        let array = counting(&[2, 3]);
        assert_eq!(
            array.permuted(&[1, 0]).unwrap().integers().unwrap(),
            [0, 3, 1, 4, 2, 5]
        );
        assert_eq!(array.cut(1, 2, 2, -2).unwrap().integers().unwrap(), [2, 0, 5, 3]);
        assert_eq!(array.reversed(0).unwrap().integers().unwrap(), [3, 4, 5, 0, 1, 2]);
        assert_eq!(
            array.gathered(1, &[2, 2]).unwrap().integers().unwrap(),
            [2, 2, 5, 5]
        );
        assert_eq!(
            counting(&[2, 1]).stretched(&[2, 2]).unwrap().integers().unwrap(),
            [0, 0, 1, 1]
        );
        assert_eq!(
            counting(&[2]).tiled(&[2]).unwrap().integers().unwrap(),
            [0, 1, 0, 1]
        );
        let joined = Array::joined(&[counting(&[2, 1]), counting(&[2, 2])], 1).unwrap();
        assert_eq!(joined.integers().unwrap(), [0, 0, 1, 1, 2, 3]);
        assert!(array.cut(1, 2, 2, 1).is_err());
        assert!(array.reshaped(&[4]).is_err());
    }
}
