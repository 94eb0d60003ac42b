//! Tensors that are read lazily, under a view that is permuted, split and joined without touching their bytes.
//!
//! A trained model is almost all weights, and almost all that a conversion does with them is to change the order of
//! their elements. So a [`Tensor`] is a stored run of elements plus a *view*: each axis is a list of factors, and
//! each factor an extent with a stride in elements. Permuting the axes permutes the lists, splitting an axis splits
//! its list, and joining axes joins their lists, also where a plain strided view would need a copy: the rows of a
//! dense kernel behind a flattened channels-last feature map are one axis made of the factors height, width and
//! channel in whatever order is wanted. Elements are read in blocks of bounded size ([`Tensor::stream`]).

mod entries;
mod exact;
mod gather;
mod store;
mod values;
mod view;

pub use entries::Entries;
pub use store::{ReadAt, TensorData};
pub use values::Values;

use crate::{DType, Endian};
use std::sync::Arc;
use store::Stored;
use view::View;

/// Why a tensor could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum TensorError {
    /// The bytes that are there do not fit the shape.
    #[error("expected {expected} bytes for shape {shape:?} of {dtype}, found {found}")]
    Size {
        /// The shape.
        shape: Vec<usize>,
        /// The type of its elements.
        dtype: DType,
        /// The bytes that it needs; `usize::MAX` when the number overflows.
        expected: usize,
        /// The bytes that are there.
        found: usize,
    },
    /// A view does not fit the tensor.
    #[error("a tensor of shape {from:?} can't be viewed as {to}")]
    View {
        /// The shape it has.
        from: Vec<usize>,
        /// What was asked.
        to: String,
    },
    /// A deferred read failed.
    #[error("reading a tensor failed: {0}")]
    Read(String),
}

/// An array of numbers in C order: a shape, an element type, and bytes that are read when they are needed.
/// Cloning one is cheap and shares the bytes.
#[derive(Debug, Clone)]
pub struct Tensor {
    stored: Stored,
    view: View,
}

impl Tensor {
    /// A tensor of `shape` over stored bytes in C order.
    ///
    /// # Errors
    /// When the number of bytes is not the one that shape and type need.
    pub fn new(shape: &[usize], dtype: DType, endian: Endian, data: TensorData) -> Result<Self, TensorError> {
        let expected = shape
            .iter()
            .try_fold(1usize, |n, &size| n.checked_mul(size))
            .and_then(|n| n.checked_mul(dtype.size()))
            .unwrap_or(usize::MAX);
        if data.len() != expected {
            return Err(TensorError::Size {
                shape: shape.to_vec(),
                dtype,
                expected,
                found: data.len(),
            });
        }
        Ok(Self {
            stored: Stored { dtype, endian, data },
            view: View::contiguous(shape),
        })
    }

    /// A tensor of `shape` that owns `values`.
    ///
    /// # Errors
    /// When there are more or fewer values than the shape has elements.
    pub fn from_f32(shape: &[usize], values: &[f32]) -> Result<Self, TensorError> {
        let bytes: Arc<[u8]> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self::new(shape, DType::F32, Endian::Little, TensorData::Owned(bytes))
    }

    /// The same without a copy of the values.
    ///
    /// # Errors
    /// When there are more or fewer values than the shape has elements.
    pub fn from_values(shape: &[usize], values: impl Into<Values>) -> Result<Self, TensorError> {
        let endian = if cfg!(target_endian = "big") {
            Endian::Big
        } else {
            Endian::Little
        };
        Self::new(
            shape,
            DType::F32,
            endian,
            TensorData::Floats(Arc::new(values.into())),
        )
    }

    /// A tensor of one axis that owns `values`.
    pub fn vector(values: &[f32]) -> Self {
        let bytes: Arc<[u8]> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self {
            stored: Stored {
                dtype: DType::F32,
                endian: Endian::Little,
                data: TensorData::Owned(bytes),
            },
            view: View::contiguous(&[values.len()]),
        }
    }

    /// A tensor of `shape` in which every element is `value`; it stores one number.
    pub fn filled(shape: &[usize], value: f32) -> Self {
        Self {
            view: View::constant(shape),
            ..Self::vector(&[value])
        }
    }

    /// The sizes of its axes.
    pub fn shape(&self) -> Vec<usize> {
        self.view.shape()
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.view.rank()
    }

    /// The type of its stored elements.
    pub fn dtype(&self) -> DType {
        self.stored.dtype
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.view.len()
    }

    /// Whether it has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether both read the same stored bytes, whatever their views.
    pub fn shares_storage(&self, other: &Self) -> bool {
        self.stored.data.same(&other.stored.data)
    }

    /// Whether it was made by [`Tensor::filled`]: one number in place of elements.
    pub fn is_filled(&self) -> bool {
        self.stored.data.len() == self.stored.dtype.size() && self.len() > 1
    }

    /// This tensor's view over the elements of `other`: what has happened to this one since it was stored, done to
    /// `other`. That is how what belongs to a parameter, element by element, takes the parameter's order.
    ///
    /// # Errors
    /// When `other` is under a view itself, or has more or fewer elements than this one stores.
    pub fn same_view_of(&self, other: &Self) -> Result<Self, TensorError> {
        let elements = |stored: &Stored| stored.data.len() / stored.dtype.size();
        let shape = other.shape();
        if elements(&self.stored) != elements(&other.stored) || other.view != View::contiguous(&shape) {
            return Err(TensorError::View {
                from: shape,
                to: format!("the parameter of shape {:?} that it belongs to", self.shape()),
            });
        }
        Ok(Self {
            stored: other.stored.clone(),
            view: self.view.clone(),
        })
    }

    /// `values`, which belong to this tensor's elements one by one, in the order in which those are stored: what
    /// [`Tensor::same_view_of`] brings back into this tensor's order. They are read when they are needed.
    ///
    /// # Errors
    /// When `values` has another shape, or this tensor does not show every element that it stores once.
    pub fn as_stored(&self, values: &Self) -> Result<Self, TensorError> {
        let elements = self.stored.data.len() / self.stored.dtype.size();
        let factors = self
            .view
            .factors_as_stored(elements)
            .filter(|_| values.shape() == self.shape());
        let Some((extents, order)) = factors else {
            return Err(TensorError::View {
                from: values.shape(),
                to: format!(
                    "what belongs to the stored elements of one of shape {:?}",
                    self.shape()
                ),
            });
        };
        let stored = values.gathered().reshape(&extents)?.permute(&order)?;
        Ok(stored.reshape(&[elements])?.gathered())
    }

    /// The same elements, stored in C order; they are brought into it each time they are read.
    #[must_use]
    pub fn gathered(&self) -> Self {
        Self {
            stored: Stored {
                dtype: DType::F32,
                endian: Endian::Little,
                data: TensorData::Deferred(Arc::new(gather::Gathered(self.clone()))),
            },
            view: View::contiguous(&self.shape()),
        }
    }

    /// The elements `start..end` of a tensor of one axis. Where its bytes are at hand the part has a storage of its own:
    /// it is told from other parts by [`Tensor::shares_storage`].
    ///
    /// # Errors
    /// When the range does not lie within the axis.
    pub fn part(&self, start: usize, end: usize) -> Result<Self, TensorError> {
        let part = self.narrow(0, start, end)?;
        let size = self.stored.dtype.size();
        let whole = self.rank() == 1 && self.view == View::contiguous(&self.shape());
        match self.stored.data.part(start * size..end * size).filter(|_| whole) {
            Some(data) => Self::new(&[end - start], self.stored.dtype, self.stored.endian, data),
            None => Ok(part),
        }
    }

    /// Which entry of the first axis of `parameter`, of which this is a view, each element belongs to: element `i` belongs to
    /// `entries[(i / run) % entries.len()]`. `None` where this is no view of `parameter`'s storage, `parameter` is not as it
    /// is stored, or its entries lie in no such order.
    pub fn entries_of(&self, parameter: &Self) -> Option<Entries> {
        let shape = parameter.shape();
        let whole = parameter.view == View::contiguous(&shape) && self.shares_storage(parameter);
        let size = parameter.len() / shape.first().filter(|&&count| count > 0)?;
        (whole && size > 0 && !self.is_empty()).then(|| entries::of(&self.view, size))?
    }

    /// The tensor with its axes in the given order: axis `i` of the result is axis `permutation[i]` of this one.
    ///
    /// # Errors
    /// When `permutation` is none of the tensor's axes.
    pub fn permute(&self, permutation: &[usize]) -> Result<Self, TensorError> {
        Ok(Self {
            view: self.view.permute(permutation)?,
            ..self.clone()
        })
    }

    /// The same elements in C order under another shape.
    ///
    /// # Errors
    /// When the numbers of elements differ, or when an axis would have to be cut where its elements are not
    /// evenly spaced; [`Tensor::to_owned_f32`] first makes any reshape possible.
    pub fn reshape(&self, shape: &[usize]) -> Result<Self, TensorError> {
        Ok(Self {
            view: self.view.reshape(shape)?,
            ..self.clone()
        })
    }

    /// The elements `start..end` of one axis.
    ///
    /// # Errors
    /// When the range does not lie within the axis, or cuts an axis whose elements are not evenly spaced.
    pub fn narrow(&self, axis: usize, start: usize, end: usize) -> Result<Self, TensorError> {
        Ok(Self {
            view: self.view.narrow(axis, start, end)?,
            ..self.clone()
        })
    }

    /// The tensor with the elements of one axis in reverse order.
    ///
    /// # Errors
    /// When there is no such axis.
    pub fn reverse(&self, axis: usize) -> Result<Self, TensorError> {
        Ok(Self {
            view: self.view.reverse(axis)?,
            ..self.clone()
        })
    }

    /// Gives all elements in C order, as `f32`, in blocks of bounded size.
    ///
    /// # Errors
    /// When a read fails, or with what `sink` returns.
    pub fn stream<E: From<TensorError>>(
        &self,
        mut sink: impl FnMut(&[f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        gather::stream(&self.stored, &self.view, &mut sink)
    }

    /// All elements in C order, as `f32`. All threads of the current `rayon` pool bring them there.
    ///
    /// # Errors
    /// When a read fails.
    pub fn to_vec(&self) -> Result<Vec<f32>, TensorError> {
        let mut values = vec![0.0; self.len()];
        gather::collect(&self.stored, &self.view, &mut values, |_, _| ())?;
        Ok(values)
    }

    /// The same for many that are to be changed in place and become a tensor again, with what `each` says of each block of
    /// them, as [`Tensor::scan`] has it.
    ///
    /// # Errors
    /// When a read fails.
    pub fn to_values<R: Send>(
        &self,
        each: impl Fn(usize, &[f32]) -> R + Sync,
    ) -> Result<(Values, Vec<R>), TensorError> {
        let mut values = Values::zeros(self.len());
        let said = gather::collect(&self.stored, &self.view, &mut values, each)?;
        Ok((values, said))
    }

    /// What `each` says of each of the blocks that all elements in C order are cut into, in their order. It is given the
    /// place of a block's first element, and its elements as `f32`; blocks are shared out among the threads of the current
    /// `rayon` pool. How elements are cut depends on the view alone.
    ///
    /// # Errors
    /// When a read fails.
    pub fn scan<R: Send>(&self, each: impl Fn(usize, &[f32]) -> R + Sync) -> Result<Vec<R>, TensorError> {
        gather::scan(&self.stored, &self.view, each)
    }

    /// All elements in C order, with all their digits.
    ///
    /// # Errors
    /// When a read fails, the type is one of fractions, or a number does not fit.
    pub fn to_i64(&self) -> Result<Vec<i64>, TensorError> {
        exact::integers(&self.stored, &self.view)
    }

    /// All elements in C order, in double precision.
    ///
    /// # Errors
    /// When a read fails.
    pub fn to_f64(&self) -> Result<Vec<f64>, TensorError> {
        exact::reals(&self.stored, &self.view)
    }

    /// A tensor of the same shape that owns its elements, as `f32` in C order.
    ///
    /// # Errors
    /// When a read fails.
    pub fn to_owned_f32(&self) -> Result<Self, TensorError> {
        Self::from_f32(&self.shape(), &self.to_vec()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counting(shape: &[usize]) -> Tensor {
        let n: usize = shape.iter().product();
        Tensor::from_f32(shape, &(0..n).map(|i| i as f32).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn rows_of_a_flattened_map_are_reordered_without_a_copy() {
        // A [h*w*c, out] kernel with h=2, w=1, c=3, out=2, brought to rows in the order c, h, w.
        let kernel = counting(&[6, 2]);
        let rows = kernel
            .reshape(&[2, 1, 3, 2])
            .unwrap()
            .permute(&[2, 0, 1, 3])
            .unwrap()
            .reshape(&[6, 2])
            .unwrap();
        let expected: Vec<f32> = [0, 3, 1, 4, 2, 5]
            .iter()
            .flat_map(|row| [row * 2, row * 2 + 1])
            .map(|i| i as f32)
            .collect();
        assert_eq!(rows.to_vec().unwrap(), expected);
        assert!(rows.shares_storage(&kernel));
    }

    #[test]
    fn what_belongs_to_a_parameter_takes_its_order() {
        let parameter = counting(&[2, 3]);
        let moment = Tensor::from_f32(&[2, 3], &[0.0, 0.1, 0.2, 0.3, 0.4, 0.5]).unwrap();
        let written = parameter.permute(&[1, 0]).unwrap().narrow(0, 1, 3).unwrap();
        let moved = written.same_view_of(&moment).unwrap();
        assert_eq!(moved.to_vec().unwrap(), [0.1, 0.4, 0.2, 0.5]);
        assert!(written.same_view_of(&counting(&[7])).is_err());
        assert!(written.same_view_of(&moment.permute(&[1, 0]).unwrap()).is_err());
    }

    #[test]
    fn what_belongs_to_elements_takes_their_order_in_storage() {
        let kernel = counting(&[6, 4]);
        let view = kernel
            .reshape(&[2, 3, 4])
            .unwrap()
            .permute(&[2, 1, 0])
            .unwrap()
            .reshape(&[4, 6])
            .unwrap();
        // The numbers of the view itself, in storage order, are those of the kernel.
        let stored = view.as_stored(&view).unwrap();
        assert_eq!(stored.to_vec().unwrap(), kernel.to_vec().unwrap());
        let back = view.same_view_of(&stored).unwrap();
        assert_eq!(back.to_vec().unwrap(), view.to_vec().unwrap());
        assert!(
            view.narrow(0, 0, 2)
                .unwrap()
                .as_stored(&counting(&[2, 6]))
                .is_err()
        );
        assert!(view.as_stored(&counting(&[6, 4])).is_err());
        assert!(Tensor::filled(&[3], 1.0).as_stored(&counting(&[3])).is_err());
    }

    #[test]
    fn parts_have_a_storage_of_their_own() {
        let all = counting(&[10]);
        let (a, b) = (all.part(2, 5).unwrap(), all.part(5, 10).unwrap());
        assert_eq!(a.to_vec().unwrap(), [2.0, 3.0, 4.0]);
        assert_eq!(b.part(1, 3).unwrap().to_vec().unwrap(), [6.0, 7.0]);
        assert!(!a.shares_storage(&b) && a.shares_storage(&all.part(2, 5).unwrap()));
        assert!(all.part(5, 11).is_err());
        assert_eq!(all.part(3, 3).unwrap().len(), 0);
    }

    #[test]
    fn bytes_that_do_not_fit_are_refused() {
        let data = TensorData::Owned(Arc::from(vec![0u8; 7]));
        assert!(matches!(
            Tensor::new(&[2], DType::F32, Endian::Little, data),
            Err(TensorError::Size {
                expected: 8,
                found: 7,
                ..
            })
        ));
        let data = TensorData::Owned(Arc::from(Vec::new()));
        assert!(Tensor::new(&[usize::MAX, 2], DType::F32, Endian::Little, data).is_err());
    }

    #[test]
    fn halves_and_doubles_are_read_as_f32() {
        let halves: Arc<[u8]> = [1.5f32, -2.0]
            .iter()
            .flat_map(|v| half::f16::from_f32(*v).to_be_bytes())
            .collect();
        let tensor = Tensor::new(&[2], DType::F16, Endian::Big, TensorData::Owned(halves)).unwrap();
        assert_eq!(tensor.to_vec().unwrap(), [1.5, -2.0]);
        let doubles: Arc<[u8]> = [0.1f64, 3.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        let tensor = Tensor::new(&[2], DType::F64, Endian::Little, TensorData::Owned(doubles)).unwrap();
        assert_eq!(tensor.to_vec().unwrap(), [0.1f64 as f32, 3.0]);
    }

    /// What a permutation does to a plain array, written down with index arithmetic only.
    fn permuted(values: &[f32], shape: &[usize], permutation: &[usize]) -> Vec<f32> {
        let out: Vec<usize> = permutation.iter().map(|&axis| shape[axis]).collect();
        (0..values.len())
            .map(|mut flat| {
                let mut index = vec![0; shape.len()];
                for axis in (0..out.len()).rev() {
                    index[permutation[axis]] = flat % out[axis];
                    flat /= out[axis];
                }
                values[index.iter().zip(shape).fold(0, |flat, (i, size)| flat * size + i)]
            })
            .collect()
    }

    proptest! {
        #[test]
        fn permutations_match_index_arithmetic(
            sizes in prop::collection::vec(1usize..40, 1..4),
            seed in 0usize..24,
        ) {
            let mut permutation: Vec<usize> = (0..sizes.len()).collect();
            let rotation = seed % sizes.len();
            permutation.rotate_left(rotation);
            if seed % 2 == 1 { permutation.reverse(); }
            let tensor = counting(&sizes);
            let expected = permuted(&tensor.to_vec().unwrap(), &sizes, &permutation);
            prop_assert_eq!(tensor.permute(&permutation).unwrap().to_vec().unwrap(), expected);
        }
    }
}
