//! Known arrays in another type.

use super::{Array, Elements, Folded, Whole};
use caribou_ir::DType;

impl Array {
    /// The elements in another type, as TensorFlow casts them: fractions are cut off, and whole numbers beyond the type
    /// are an error.
    pub(crate) fn cast(&self, to: DType) -> Folded<Self> {
        let shape = self.shape();
        match (self.elements()?, to) {
            (Elements::Whole(values), DType::Bool) => {
                let values = values
                    .iter()
                    .map(|v| v.map(|v| Some(i64::from(v != 0))))
                    .collect();
                Array::wholes(to, shape, values)
            }
            (Elements::Whole(_), to) if to.is_float() => Array::reals(to, &shape, &self.as_reals()?),
            (Elements::Whole(values), to) => Array::wholes(to, shape, values),
            (Elements::Real(values), to) if to.is_float() => match self {
                Array::Stored { tensor, .. } if to == DType::F32 && self.dtype() == to => {
                    Ok(Array::stored(tensor.clone()))
                }
                _ => Array::reals(to, &shape, &values),
            },
            (Elements::Real(values), to) => {
                let whole = |value: &f64| {
                    let cut = value.trunc();
                    match to {
                        DType::Bool => Ok(Whole::known(i64::from(*value != 0.0))),
                        _ if cut.abs() < 9e15 => Ok(Whole::known(cut as i64)),
                        _ => Err(format!("{value} is no whole number of 64 bits")),
                    }
                };
                let values: Result<Vec<Whole>, String> = values.iter().map(whole).collect();
                Array::wholes(to, shape, values?)
            }
        }
    }
}
