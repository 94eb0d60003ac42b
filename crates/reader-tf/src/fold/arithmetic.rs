//! Arithmetic on known arrays.

use super::structure::broadcast;
use super::{Array, Elements, Folded, Whole, round};
use caribou_ir::DType;

/// A function of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Subtract,
    Multiply,
    /// Of fractions.
    Divide,
    /// Rounded down.
    FloorDivide,
    /// Rounded towards zero, as C divides.
    TruncateDivide,
    /// What `FloorDivide` leaves.
    Modulo,
    Maximum,
    Minimum,
    Power,
    SquaredDifference,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    And,
    Or,
}

impl Binary {
    fn compares(self) -> bool {
        matches!(
            self,
            Self::Equal | Self::NotEqual | Self::Less | Self::LessEqual | Self::Greater | Self::GreaterEqual
        )
    }

    fn reals(self, a: f64, b: f64) -> Option<f64> {
        let truth = |flag: bool| Some(f64::from(u8::from(flag)));
        match self {
            Self::Add => Some(a + b),
            Self::Subtract => Some(a - b),
            Self::Multiply => Some(a * b),
            Self::Divide => Some(a / b),
            Self::FloorDivide => Some((a / b).floor()),
            Self::Maximum => Some(if a.is_nan() || b.is_nan() {
                f64::NAN
            } else {
                a.max(b)
            }),
            Self::Minimum => Some(if a.is_nan() || b.is_nan() {
                f64::NAN
            } else {
                a.min(b)
            }),
            Self::Power => Some(a.powf(b)),
            Self::SquaredDifference => Some((a - b) * (a - b)),
            Self::Equal => truth(a == b),
            Self::NotEqual => truth(a != b),
            Self::Less => truth(a < b),
            Self::LessEqual => truth(a <= b),
            Self::Greater => truth(a > b),
            Self::GreaterEqual => truth(a >= b),
            Self::TruncateDivide | Self::Modulo | Self::And | Self::Or => None,
        }
    }

    fn wholes(self, a: &Whole, b: &Whole) -> Folded<Whole> {
        let zero = || "a division by zero".to_owned();
        let compared = |f: fn(&i64, &i64) -> bool| a.of_both(b, |a, b| Some(i64::from(f(&a, &b))));
        Ok(match self {
            Self::Add => a.plus(b),
            Self::Subtract => a.minus(b),
            Self::Multiply => a.times(b),
            Self::FloorDivide => a.divided(b).ok_or_else(zero)?,
            Self::TruncateDivide => match b.number() {
                Some(0) => return Err(zero()),
                // Sizes are not negative, so that both divisions are the same.
                _ if a.number().is_none() || b.number().is_none() => a.divided(b).ok_or_else(zero)?,
                _ => a.of_both(b, i64::checked_div),
            },
            Self::Modulo => a.modulo(b).ok_or_else(zero)?,
            Self::Maximum => match a.same(b) {
                Some(true) => a.clone(),
                _ => a.of_both(b, |a, b| Some(a.max(b))),
            },
            Self::Minimum => match a.same(b) {
                Some(true) => a.clone(),
                _ => a.of_both(b, |a, b| Some(a.min(b))),
            },
            Self::Power => a.of_both(b, |a, b| u32::try_from(b).ok().and_then(|b| a.checked_pow(b))),
            Self::SquaredDifference => {
                let difference = a.minus(b);
                difference.times(&difference)
            }
            Self::Equal => a
                .same(b)
                .map_or_else(Whole::any, |same| Whole::known(same.into())),
            Self::NotEqual => a
                .same(b)
                .map_or_else(Whole::any, |same| Whole::known((!same).into())),
            Self::Less => compared(i64::lt),
            Self::LessEqual => compared(i64::le),
            Self::Greater => compared(i64::gt),
            Self::GreaterEqual => compared(i64::ge),
            Self::And => a.times(b),
            Self::Or => a.of_both(b, |a, b| Some(a | b)),
            Self::Divide => return Err("a division of whole numbers that may leave a rest".into()),
        })
    }
}

/// A function of the elements of two arrays, which are stretched to each other.
pub(crate) fn binary(function: Binary, a: &Array, b: &Array) -> Folded<Array> {
    let shape = broadcast(&a.shape(), &b.shape())?;
    let dtype = if function.compares() {
        DType::Bool
    } else {
        a.dtype()
    };
    let (a, b) = (a.stretched(&shape)?, b.stretched(&shape)?);
    match (a.elements()?, b.elements()?) {
        (Elements::Real(x), Elements::Real(y)) => {
            let values: Folded<Vec<f64>> = x
                .iter()
                .zip(&y)
                .map(|(&x, &y)| {
                    function
                        .reals(x, y)
                        .ok_or_else(|| format!("{function:?} of constant fractions"))
                })
                .collect();
            let values = values?;
            if function.compares() {
                let values = values.into_iter().map(|v| Whole::known(v as i64)).collect();
                return Array::wholes(dtype, shape, values);
            }
            if function == Binary::SquaredDifference {
                // TensorFlow rounds the difference before it squares it.
                let type_ = a.dtype();
                let values: Vec<f64> = x
                    .iter()
                    .zip(&y)
                    .map(|(x, y)| round(type_, x - y).powi(2))
                    .collect();
                return Array::reals(type_, &shape, &values);
            }
            Array::reals(dtype, &shape, &values)
        }
        (Elements::Whole(x), Elements::Whole(y)) => {
            let values: Folded<Vec<Whole>> = x.iter().zip(&y).map(|(x, y)| function.wholes(x, y)).collect();
            Array::wholes(dtype, shape, values?)
        }
        _ => Err("it combines constants of different types".into()),
    }
}

/// The elements of `x` where a condition is true, those of `y` elsewhere; all three are stretched to each other.
pub(crate) fn chosen(condition: &Array, x: &Array, y: &Array) -> Folded<Array> {
    let shape = broadcast(&broadcast(&condition.shape(), &x.shape())?, &y.shape())?;
    let flags = condition.stretched(&shape)?.integers()?;
    fn pick<T>(flags: &[i64], x: Vec<T>, y: Vec<T>) -> Vec<T> {
        let both = flags.iter().zip(x.into_iter().zip(y));
        both.map(|(&flag, (x, y))| if flag == 1 { x } else { y })
            .collect()
    }
    let elements = match (x.stretched(&shape)?.elements()?, y.stretched(&shape)?.elements()?) {
        (Elements::Real(x), Elements::Real(y)) => Elements::Real(pick(&flags, x, y)),
        (Elements::Whole(x), Elements::Whole(y)) => Elements::Whole(pick(&flags, x, y)),
        _ => return Err("a choice between constants of different types".into()),
    };
    x.with(shape, elements)
}

/// The product of two matrices, each sum rounded once.
pub(crate) fn product(a: &Array, b: &Array) -> Folded<Array> {
    let (&[rows, inner], &[other, columns]) = (&a.shape()[..], &b.shape()[..]) else {
        return Err("a product of constants that are no matrices".into());
    };
    if inner != other || a.dtype() != b.dtype() || !a.dtype().is_float() {
        return Err(format!(
            "a product of {rows} x {inner} and {other} x {columns} constants"
        ));
    }
    if rows.saturating_mul(inner).saturating_mul(columns) > super::MOST {
        return Err(format!(
            "a product of constants that takes {rows} x {inner} x {columns} products"
        ));
    }
    let (x, y) = (a.as_reals()?, b.as_reals()?);
    let mut sums = vec![0.0; rows * columns];
    for row in 0..rows {
        for (i, factor) in x[row * inner..(row + 1) * inner].iter().enumerate() {
            for column in 0..columns {
                sums[row * columns + column] += factor * y[i * columns + column];
            }
        }
    }
    Array::reals(a.dtype(), &[rows, columns], &sums)
}

/// A function of one number; `None` where it is not computed on such.
#[derive(Clone, Copy)]
pub(crate) struct Fold {
    /// Of fractions.
    pub(crate) real: Option<fn(f64) -> f64>,
    /// Of whole numbers.
    pub(crate) whole: Option<fn(i64) -> Option<i64>>,
}

/// A function of the elements of an array.
pub(crate) fn unary(function: Fold, array: &Array) -> Folded<Array> {
    let elements = match (array.elements()?, function.real, function.whole) {
        (Elements::Real(list), Some(f), _) => Elements::Real(list.into_iter().map(f).collect()),
        (Elements::Whole(list), _, Some(f)) => Elements::Whole(list.iter().map(|v| v.map(f)).collect()),
        _ => return Err(format!("its constant input of type {}", array.dtype())),
    };
    array.with(array.shape(), elements)
}

/// The elements along `axes` (ascending) combined one after the other. A mean divides the sum at the end.
pub(crate) fn reduced(
    function: Binary,
    array: &Array,
    axes: &[usize],
    keep_dims: bool,
    mean: bool,
) -> Folded<Array> {
    let shape = array.shape();
    let kept: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
    let order: Vec<usize> = kept.iter().chain(axes).copied().collect();
    let inner: usize = axes.iter().map(|&axis| shape[axis]).product();
    let outer: usize = kept.iter().map(|&axis| shape[axis]).product();
    if inner == 0 {
        return Err("it reduces nothing".into());
    }
    let dtype = array.dtype();
    let elements = match array.permuted(&order)?.elements()? {
        Elements::Real(list) => {
            let mut values = Vec::with_capacity(outer);
            for run in list.chunks_exact(inner) {
                let mut value = run[0];
                for &next in &run[1..] {
                    value = function
                        .reals(value, next)
                        .ok_or_else(|| format!("{function:?} of constant fractions"))?;
                }
                values.push(if mean { value / inner as f64 } else { value });
            }
            Elements::Real(values)
        }
        Elements::Whole(list) => {
            let mut values = Vec::with_capacity(outer);
            for run in list.chunks_exact(inner) {
                let mut value = run[0].clone();
                for next in &run[1..] {
                    value = function.wholes(&value, next)?;
                }
                if mean {
                    value = value
                        .divided(&Whole::known(inner as i64))
                        .ok_or("a mean of nothing")?;
                }
                values.push(value);
            }
            Elements::Whole(values)
        }
    };
    let shape: Vec<usize> = match keep_dims {
        true => (0..shape.len())
            .map(|axis| if axes.contains(&axis) { 1 } else { shape[axis] })
            .collect(),
        false => kept.iter().map(|&axis| shape[axis]).collect(),
    };
    match elements {
        Elements::Real(values) => Array::reals(dtype, &shape, &values),
        Elements::Whole(values) => Array::wholes(dtype, shape, values),
    }
}

/// The sums of the elements along an axis up to each, or from each on (`reverse`), itself left out if `exclusive`.
pub(crate) fn cumulated(array: &Array, axis: usize, exclusive: bool, reverse: bool) -> Folded<Array> {
    let turned = |array: &Array| match reverse {
        true => array.reversed(axis),
        false => Ok(array.clone()),
    };
    let ahead = turned(array)?;
    let size = array.shape()[axis];
    let Some(last) = size.checked_sub(1) else {
        return Ok(array.clone());
    };
    let mut sums = Vec::with_capacity(size);
    for place in 0..size {
        let part = ahead.cut(axis, place, 1, 1)?;
        sums.push(match sums.last() {
            Some(before) => binary(Binary::Add, before, &part)?,
            None => part,
        });
    }
    if exclusive {
        let first = &sums[0];
        let nothing = match first.elements()? {
            Elements::Real(list) => Elements::Real(vec![0.0; list.len()]),
            Elements::Whole(list) => Elements::Whole(vec![Whole::known(0); list.len()]),
        };
        sums.insert(0, first.with(first.shape(), nothing)?);
        sums.truncate(last + 1);
    }
    turned(&Array::joined(&sums, axis)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use caribou_ir::Tensor;

    #[test]
    fn sums_run_along_an_axis() {
        let numbers = |list: &[i64]| list.iter().map(|&number| Whole::known(number)).collect();
        let array = Array::wholes(DType::I32, vec![2, 3], numbers(&[1, 2, 3, 4, 5, 6])).unwrap();
        for (axis, exclusive, reverse, expected) in [
            (1, false, false, [1, 3, 6, 4, 9, 15]),
            (1, true, false, [0, 1, 3, 0, 4, 9]),
            (1, true, true, [5, 3, 0, 11, 6, 0]),
            (0, false, true, [5, 7, 9, 4, 5, 6]),
        ] {
            let sums = cumulated(&array, axis, exclusive, reverse).unwrap();
            assert_eq!(sums.integers().unwrap(), expected);
        }
    }

    #[test]
    fn every_step_is_rounded_to_the_type() {
        let array = |value: f32| Array::stored(Tensor::vector(&[value]));
        let sum = binary(Binary::Add, &array(0.1), &array(0.2)).unwrap();
        assert_eq!(sum.as_reals().unwrap(), [f64::from(0.1f32 + 0.2f32)]);
        let root = Fold {
            real: Some(|v| 1.0 / v.sqrt()),
            whole: None,
        };
        assert_eq!(unary(root, &array(3.0)).unwrap().dtype(), DType::F32);
    }

    #[test]
    fn whole_numbers_overflow_aloud() {
        let array = |value| Array::wholes(DType::I32, vec![], vec![Whole::known(value)]).unwrap();
        let most = i64::from(i32::MAX);
        assert!(binary(Binary::Add, &array(most), &array(1)).is_err());
        let both = Array::wholes(
            DType::I32,
            vec![2],
            vec![Whole::known(3), Whole::of(caribou_ir::Dim::BATCH)],
        );
        let product = reduced(Binary::Multiply, &both.unwrap(), &[0], false, false).unwrap();
        assert!(product.as_wholes().unwrap()[0].is(caribou_ir::Dim::Batch(3)));
    }
}
