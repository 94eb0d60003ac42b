//! Arrays that are known when the file is read: constants, and what is computed of them and of the shapes of values.
//!
//! Whole numbers are exact, and may be multiples of sizes that are not known ([`Whole`]). Fractions stay in the file
//! under a view as long as nothing is computed with them; arithmetic on them is rounded after every step to the type
//! of the array, as TensorFlow rounds it.

mod arithmetic;
mod cast;
mod structure;
mod whole;

pub(crate) use arithmetic::{Binary, Fold, binary, chosen, cumulated, product, reduced, unary};
pub(crate) use whole::Whole;

use caribou_ir::{DType, Endian, Tensor, TensorData};

/// Why an array can't be computed.
pub(crate) type Folded<T> = Result<T, String>;

/// The most elements of an array that is computed element by element.
const MOST: usize = 1 << 26;

/// An array that is known.
#[derive(Debug, Clone)]
pub(crate) enum Array {
    /// Elements in the file, or computed ones.
    Stored {
        /// The type that TensorFlow has for it.
        dtype: DType,
        /// Its elements.
        tensor: Tensor,
    },
    /// Whole numbers or truth values.
    Whole {
        /// Their type.
        dtype: DType,
        /// The sizes of the axes.
        shape: Vec<usize>,
        /// The numbers in C order.
        values: Vec<Whole>,
    },
}

/// The elements of an array, in C order.
#[derive(Debug, Clone)]
pub(crate) enum Elements {
    Real(Vec<f64>),
    Whole(Vec<Whole>),
}

impl Array {
    /// The array that a file holds.
    pub(crate) fn stored(tensor: Tensor) -> Self {
        Self::Stored {
            dtype: tensor.dtype(),
            tensor,
        }
    }

    /// Whole numbers of this type. A number beyond the type's range is an error: TensorFlow would wrap it around.
    pub(crate) fn wholes(dtype: DType, shape: Vec<usize>, values: Vec<Whole>) -> Folded<Self> {
        let (min, max) = range(dtype);
        for number in values.iter().filter_map(Whole::number) {
            if number < min || number > max {
                return Err(format!("{number} is beyond the numbers of type {dtype}"));
            }
        }
        Ok(Self::Whole { dtype, shape, values })
    }

    /// Fractions of this type, rounded to it.
    pub(crate) fn reals(dtype: DType, shape: &[usize], values: &[f64]) -> Folded<Self> {
        let (stored, bytes): (DType, Vec<u8>) = match dtype {
            DType::F64 => (DType::F64, values.iter().flat_map(|v| v.to_le_bytes()).collect()),
            _ => (
                DType::F32,
                values
                    .iter()
                    .flat_map(|v| (round(dtype, *v) as f32).to_le_bytes())
                    .collect(),
            ),
        };
        let data = TensorData::Owned(bytes.into());
        let tensor = Tensor::new(shape, stored, Endian::Little, data).map_err(|error| error.to_string())?;
        Ok(Self::Stored { dtype, tensor })
    }

    pub(crate) fn dtype(&self) -> DType {
        match self {
            Self::Stored { dtype, .. } | Self::Whole { dtype, .. } => *dtype,
        }
    }

    pub(crate) fn shape(&self) -> Vec<usize> {
        match self {
            Self::Stored { tensor, .. } => tensor.shape(),
            Self::Whole { shape, .. } => shape.clone(),
        }
    }

    pub(crate) fn rank(&self) -> usize {
        self.shape().len()
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Stored { tensor, .. } => tensor.len(),
            Self::Whole { values, .. } => values.len(),
        }
    }

    /// All elements.
    pub(crate) fn elements(&self) -> Folded<Elements> {
        if self.len() > MOST {
            return Err(format!("it computes with a constant of {} elements", self.len()));
        }
        match self {
            Self::Whole { values, .. } => Ok(Elements::Whole(values.clone())),
            Self::Stored { dtype, tensor } if dtype.is_float() => tensor
                .to_f64()
                .map(Elements::Real)
                .map_err(|error| error.to_string()),
            Self::Stored { tensor, .. } => tensor
                .to_i64()
                .map(|list| Elements::Whole(list.into_iter().map(Whole::known).collect()))
                .map_err(|error| error.to_string()),
        }
    }

    /// An array of this one's type with these elements.
    pub(crate) fn with(&self, shape: Vec<usize>, elements: Elements) -> Folded<Self> {
        match elements {
            Elements::Real(values) => Self::reals(self.dtype(), &shape, &values),
            Elements::Whole(values) => Self::wholes(self.dtype(), shape, values),
        }
    }

    /// Whole numbers, known or not.
    pub(crate) fn as_wholes(&self) -> Folded<Vec<Whole>> {
        match self.elements()? {
            Elements::Whole(values) => Ok(values),
            Elements::Real(_) => Err(format!("it holds fractions ({})", self.dtype())),
        }
    }

    /// Whole numbers, all of which must be known.
    pub(crate) fn integers(&self) -> Folded<Vec<i64>> {
        let known = |value: &Whole| value.number().ok_or_else(|| UNKNOWN.to_owned());
        self.as_wholes()?.iter().map(known).collect()
    }

    /// The elements as fractions, all of which must be known.
    pub(crate) fn as_reals(&self) -> Folded<Vec<f64>> {
        match self.elements()? {
            Elements::Real(values) => Ok(values),
            Elements::Whole(values) => values
                .iter()
                .map(|value| value.number().map(|n| n as f64).ok_or_else(|| UNKNOWN.to_owned()))
                .collect(),
        }
    }

    /// The only element, as a fraction.
    pub(crate) fn scalar(&self) -> Option<f64> {
        match self.len() {
            1 => self.as_reals().ok()?.first().copied(),
            _ => None,
        }
    }

    /// The array as a parameter of the graph. What is not in the file as it is was computed and is owned.
    pub(crate) fn tensor(&self) -> Folded<Tensor> {
        match self {
            Self::Stored { tensor, .. } => Ok(tensor.clone()),
            Self::Whole { shape, .. } => {
                let values: Vec<f32> = self.as_reals()?.into_iter().map(|v| v as f32).collect();
                Tensor::from_f32(shape, &values).map_err(|error| error.to_string())
            }
        }
    }
}

/// What is said where a number is needed that is not known.
const UNKNOWN: &str = "it computes with a size that is unknown";

/// The numbers of a type of whole numbers.
pub(crate) fn range(dtype: DType) -> (i64, i64) {
    match dtype {
        DType::Bool => (0, 1),
        DType::I8 => (i64::from(i8::MIN), i64::from(i8::MAX)),
        DType::U8 => (0, i64::from(u8::MAX)),
        DType::I16 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        DType::U16 => (0, i64::from(u16::MAX)),
        DType::I32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        DType::U32 => (0, i64::from(u32::MAX)),
        DType::U64 => (0, i64::MAX),
        _ => (i64::MIN, i64::MAX),
    }
}

/// The number of this type that is nearest.
pub(crate) fn round(dtype: DType, value: f64) -> f64 {
    match dtype {
        DType::F64 => value,
        DType::F16 => half::f16::from_f64(value).to_f64(),
        DType::BF16 => half::bf16::from_f64(value).to_f64(),
        _ => f64::from(value as f32),
    }
}
