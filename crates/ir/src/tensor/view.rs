//! A view of stored elements: axes made of factors, each an extent and a stride.

use super::TensorError;

/// `extent` elements that stand `stride` stored elements apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Factor {
    pub(super) extent: usize,
    pub(super) stride: isize,
}

/// Which stored element each index reads: the sum over all factors of all axes, plus an offset. The factors of one
/// axis are ordered outermost first, and there is none of extent one; an axis of size one has no factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    axes: Vec<Vec<Factor>>,
    pub(super) offset: usize,
    empty: Option<Vec<usize>>,
}

impl View {
    pub(super) fn contiguous(shape: &[usize]) -> Self {
        if shape.contains(&0) {
            return Self::none(shape);
        }
        let mut stride = 1isize;
        let mut axes: Vec<Vec<Factor>> = shape
            .iter()
            .rev()
            .map(|&extent| {
                let factor = Factor { extent, stride };
                stride *= extent as isize;
                if extent == 1 { Vec::new() } else { vec![factor] }
            })
            .collect();
        axes.reverse();
        Self {
            axes,
            offset: 0,
            empty: None,
        }
    }

    pub(super) fn constant(shape: &[usize]) -> Self {
        if shape.contains(&0) {
            return Self::none(shape);
        }
        let axes = shape
            .iter()
            .map(|&extent| {
                if extent == 1 {
                    Vec::new()
                } else {
                    vec![Factor { extent, stride: 0 }]
                }
            })
            .collect();
        Self {
            axes,
            offset: 0,
            empty: None,
        }
    }

    /// A view without elements: only its shape matters.
    fn none(shape: &[usize]) -> Self {
        Self {
            axes: Vec::new(),
            offset: 0,
            empty: Some(shape.to_vec()),
        }
    }

    pub(super) fn shape(&self) -> Vec<usize> {
        match &self.empty {
            Some(shape) => shape.clone(),
            None => self
                .axes
                .iter()
                .map(|axis| axis.iter().map(|factor| factor.extent).product())
                .collect(),
        }
    }

    pub(super) fn rank(&self) -> usize {
        self.empty.as_ref().map_or(self.axes.len(), Vec::len)
    }

    pub(super) fn len(&self) -> usize {
        self.shape().iter().product()
    }

    fn error(&self, to: impl Into<String>) -> TensorError {
        TensorError::View {
            from: self.shape(),
            to: to.into(),
        }
    }

    pub(super) fn permute(&self, permutation: &[usize]) -> Result<Self, TensorError> {
        let mut seen = vec![false; self.rank()];
        let valid = permutation.len() == self.rank()
            && permutation.iter().all(|&axis| {
                seen.get_mut(axis)
                    .is_some_and(|seen| !std::mem::replace(seen, true))
            });
        if !valid {
            return Err(self.error(format!("axes {permutation:?}")));
        }
        if let Some(shape) = &self.empty {
            return Ok(Self::none(
                &permutation.iter().map(|&axis| shape[axis]).collect::<Vec<_>>(),
            ));
        }
        let axes = permutation.iter().map(|&axis| self.axes[axis].clone()).collect();
        Ok(Self { axes, ..self.clone() })
    }

    pub(super) fn reshape(&self, shape: &[usize]) -> Result<Self, TensorError> {
        let wanted = shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size));
        if wanted != Some(self.len()) {
            return Err(self.error(format!("{shape:?}")));
        }
        if wanted == Some(0) {
            return Ok(Self::none(shape));
        }
        // Innermost axes first: each takes whole factors from the end of the list, and cuts the last one it needs.
        let mut factors: Vec<Factor> = self.axes.iter().flatten().copied().collect();
        let mut axes = Vec::with_capacity(shape.len());
        for &size in shape.iter().rev() {
            let mut needed = size;
            let mut axis = Vec::new();
            while needed > 1 {
                let factor = factors.pop().ok_or_else(|| self.error(format!("{shape:?}")))?;
                if needed % factor.extent == 0 {
                    needed /= factor.extent;
                    axis.push(factor);
                } else if factor.extent % needed == 0 {
                    axis.push(Factor {
                        extent: needed,
                        stride: factor.stride,
                    });
                    factors.push(Factor {
                        extent: factor.extent / needed,
                        stride: factor.stride * needed as isize,
                    });
                    needed = 1;
                } else {
                    // Evenly spaced neighbours may have to be joined before they can be cut elsewhere.
                    let joined = factors
                        .pop()
                        .filter(|outer| outer.stride == factor.stride * factor.extent as isize);
                    let Some(outer) = joined else {
                        return Err(self.error(format!("{shape:?}")));
                    };
                    factors.push(Factor {
                        extent: outer.extent * factor.extent,
                        stride: factor.stride,
                    });
                }
            }
            axis.reverse();
            axes.push(axis);
        }
        axes.reverse();
        Ok(Self {
            axes,
            offset: self.offset,
            empty: None,
        })
    }

    pub(super) fn narrow(&self, axis: usize, start: usize, end: usize) -> Result<Self, TensorError> {
        let shape = self.shape();
        let refuse = || self.error(format!("elements {start}..{end} of axis {axis}"));
        let size = *shape.get(axis).ok_or_else(refuse)?;
        if start > end || end > size {
            return Err(refuse());
        }
        if start == 0 && end == size {
            return Ok(self.clone());
        }
        let length = end - start;
        if length == 0 || self.empty.is_some() {
            let mut shape = shape;
            shape[axis] = length;
            return Ok(Self::none(&shape));
        }
        let mut view = self.clone();
        let factors = &self.axes[axis];
        let inner: usize = factors.iter().skip(1).map(|factor| factor.extent).product();
        let first = *factors.first().ok_or_else(refuse)?;
        if start.is_multiple_of(inner) && length.is_multiple_of(inner) {
            // Whole steps of the outermost factor.
            view.axes[axis][0].extent = length / inner;
            view.offset = self.moved(first.stride * (start / inner) as isize);
            view.axes[axis].retain(|factor| factor.extent != 1);
            return Ok(view);
        }
        let even = factors
            .windows(2)
            .all(|pair| pair[0].stride == pair[1].stride * pair[1].extent as isize);
        let last = *factors.last().ok_or_else(refuse)?;
        if !even {
            return Err(refuse());
        }
        view.axes[axis] = vec![Factor {
            extent: length,
            stride: last.stride,
        }];
        view.axes[axis].retain(|factor| factor.extent != 1);
        view.offset = self.moved(last.stride * start as isize);
        Ok(view)
    }

    pub(super) fn reverse(&self, axis: usize) -> Result<Self, TensorError> {
        if axis >= self.rank() {
            return Err(self.error(format!("axis {axis} reversed")));
        }
        let mut view = self.clone();
        if self.empty.is_some() {
            return Ok(view);
        }
        for factor in &mut view.axes[axis] {
            view.offset = view
                .offset
                .wrapping_add_signed(factor.stride * (factor.extent as isize - 1));
            factor.stride = -factor.stride;
        }
        Ok(view)
    }

    fn moved(&self, by: isize) -> usize {
        self.offset.wrapping_add_signed(by)
    }

    /// The extents of all factors in C order, and the order in which they are those of `elements` stored ones. `None` for a
    /// view that does not show every one of these exactly once.
    pub(super) fn factors_as_stored(&self, elements: usize) -> Option<(Vec<usize>, Vec<usize>)> {
        let factors: Vec<Factor> = self.axes.iter().flatten().copied().collect();
        let mut order: Vec<usize> = (0..factors.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(factors[i].stride));
        let mut inner = 1;
        for &i in order.iter().rev() {
            if factors[i].stride != isize::try_from(inner).ok()? {
                return None;
            }
            inner *= factors[i].extent;
        }
        let all = inner == elements && self.offset == 0 && self.empty.is_none();
        all.then(|| (factors.iter().map(|factor| factor.extent).collect(), order))
    }

    /// The loops that visit all elements in C order, outermost first, with neighbours joined where they can be.
    pub(super) fn loops(&self) -> Vec<Factor> {
        let mut loops: Vec<Factor> = Vec::new();
        for &factor in self.axes.iter().flatten() {
            match loops.last_mut() {
                Some(outer) if outer.stride == factor.stride * factor.extent as isize => {
                    *outer = Factor {
                        extent: outer.extent * factor.extent,
                        stride: factor.stride,
                    };
                }
                _ => loops.push(factor),
            }
        }
        loops
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permuted_axis_can_be_split_again() {
        let view = View::contiguous(&[6, 4])
            .permute(&[1, 0])
            .unwrap()
            .reshape(&[24])
            .unwrap();
        assert_eq!(view.shape(), [24]);
        assert_eq!(view.reshape(&[4, 6]).unwrap().shape(), [4, 6]);
        assert!(view.reshape(&[5, 5]).is_err());
        assert!(
            view.reshape(&[3, 8]).is_err(),
            "the elements of rows of eight are not evenly spaced"
        );
    }

    #[test]
    fn a_contiguous_tensor_takes_any_shape() {
        let view = View::contiguous(&[6, 4]);
        assert_eq!(
            view.reshape(&[3, 8]).unwrap().loops(),
            [Factor {
                extent: 24,
                stride: 1
            }]
        );
        assert_eq!(view.reshape(&[8, 3]).unwrap().shape(), [8, 3]);
    }

    #[test]
    fn narrowing_moves_the_offset() {
        let view = View::contiguous(&[4, 6]).narrow(1, 2, 5).unwrap();
        assert_eq!((view.shape(), view.offset), (vec![4, 3], 2));
        assert!(view.narrow(1, 2, 4).is_err());
        assert_eq!(view.narrow(0, 1, 1).unwrap().len(), 0);
    }
}
