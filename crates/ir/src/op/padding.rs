//! Padding of the spatial axes of convolutions and pooling.

/// How much is added around the spatial axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Padding {
    /// `[before, after]` for each spatial axis.
    Explicit(Vec<[usize; 2]>),
    /// TensorFlow's `SAME`: `ceil(in / stride)` outputs; with an odd total, the larger half is behind.
    Same,
    /// All before: output `t` sees inputs up to `t` only. One spatial axis.
    Causal,
}

impl Padding {
    /// No padding on `axes` spatial axes.
    pub fn none(axes: usize) -> Self {
        Self::Explicit(vec![[0, 0]; axes])
    }

    /// `[before, after]` for one axis; `None` while the size of the axis is unknown and matters.
    ///
    /// `kernel` is the extent of the window with its dilation: `dilation * (k - 1) + 1`.
    pub fn resolve(
        &self,
        axis: usize,
        size: Option<usize>,
        kernel: usize,
        stride: usize,
    ) -> Option<[usize; 2]> {
        match self {
            Self::Explicit(sides) => sides.get(axis).copied(),
            Self::Causal => Some([kernel - 1, 0]),
            Self::Same => {
                let total = match size {
                    _ if stride == 1 => kernel - 1,
                    Some(size) => ((size.div_ceil(stride).max(1) - 1) * stride + kernel).saturating_sub(size),
                    None => return None,
                };
                Some([total / 2, total - total / 2])
            }
        }
    }
}

/// The extent of a window of `kernel` cells that stand `dilation` apart.
pub(super) fn dilated(kernel: usize, dilation: usize) -> usize {
    dilation * (kernel - 1) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_puts_the_odd_cell_behind() {
        assert_eq!(Padding::Same.resolve(0, Some(5), 2, 1), Some([0, 1]));
        assert_eq!(Padding::Same.resolve(0, Some(6), 3, 2), Some([0, 1]));
        assert_eq!(Padding::Same.resolve(0, Some(7), 3, 2), Some([1, 1]));
        assert_eq!(Padding::Same.resolve(0, None, 3, 2), None);
        assert_eq!(Padding::Same.resolve(0, Some(7), 1, 3), Some([0, 0]));
    }
}
