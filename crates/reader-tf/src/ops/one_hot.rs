//! Whole numbers as rows that are one at the number's place.

use super::arithmetic::elementwise;
use super::reshape::expanded;
use super::{Call, MISFIT, Outputs, Row, any};
use crate::build::Held;
use crate::fold::Array;
use caribou_ir::op::{ElementwiseKind as Kind, Op, Unary, UnaryKind};
use caribou_ir::{DType, ValueId};

pub(super) const TABLE: &[Row] = &[any("OneHot", &["axis", "TI"], one_hot)];

/// The most places.
const PLACES: i64 = 1 << 20;

/// `on` at the place that the number says, `off` elsewhere, and everywhere for a number that is none of the places.
fn one_hot(call: &mut Call<'_, '_>) -> Outputs {
    let count = call.integer(1)?;
    if !(1..=PLACES).contains(&count) {
        return Err(call.refuse(MISFIT, format!("{count} places")));
    }
    let level = |call: &Call<'_, '_>, place: usize| {
        let number = call.known(place)?.scalar();
        number.ok_or_else(|| call.option("it marks with arrays"))
    };
    let (on, off) = (level(call, 2)?, level(call, 3)?);
    let dtype = call.known(2)?.dtype();
    let places: Vec<f64> = (0..count).map(|place| place as f64).collect();
    match call.input(0)?.clone() {
        Held::Known(numbers) => {
            let rank = numbers.rank() as i64;
            let axis = call.whole("axis", -1)?;
            if axis != -1 && axis != rank {
                return Err(call.option("constants marked on another axis than the last"));
            }
            let numbers_shape = numbers.shape();
            let numbers = call.folded(numbers.integers())?;
            let marks: Vec<f64> = numbers
                .iter()
                .flat_map(|&number| (0..count).map(move |place| if place == number { on } else { off }))
                .collect();
            let shape: Vec<usize> = numbers_shape.into_iter().chain([count as usize]).collect();
            let array = call.folded(Array::reals(DType::F32, &shape, &marks))?;
            Ok(vec![Held::Known(call.folded(array.cast(dtype))?)])
        }
        Held::Value(x, kind) => {
            if kind.is_float() || kind == DType::Bool {
                return Err(call.option(format!("numbers of type {kind} as places")));
            }
            let rank = call.rank(x);
            let axis = call.axis(call.whole("axis", -1)?, rank + 1)?;
            if axis == 0 {
                return Err(call.option("it puts a new axis before the examples"));
            }
            let numbers = expanded(call, x, rank)?;
            let places = call.folded(Array::reals(DType::F32, &[count as usize], &places))?;
            let apart = elementwise(
                call,
                Kind::Subtract,
                &Held::Value(numbers, kind),
                &Held::Known(places),
            )?;
            let unary =
                |call: &mut Call<'_, '_>, kind: UnaryKind, x: ValueId| call.apply(Unary { kind }, &[x]);
            let distance = unary(call, UnaryKind::Abs, apart)?;
            let other = unary(call, UnaryKind::Step { threshold: 0.0 }, distance)?;
            let mut y = call.apply(Op::affine(off - on, on), &[other])?;
            if axis != rank {
                let mut order: Vec<usize> = (0..rank).collect();
                order.insert(axis, rank);
                y = call.permuted(y, order)?;
            }
            Ok(vec![Held::Value(y, dtype)])
        }
    }
}
