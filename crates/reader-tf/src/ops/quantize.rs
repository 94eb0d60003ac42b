//! Weights that were trained to lie on a grid: they are put on it when the file is read. The formulas are those of
//! TensorFlow's kernels (`fake_quant_ops_functor.h`, `quantize_and_dequantize_op.h`, `dequantize_op.cc`), step by step in
//! single precision.

use super::{Call, Found, Outputs, Row, any, real};
use crate::build::Held;
use crate::fold::Array;
use caribou_ir::DType;

const FAKE: &[&str] = &["num_bits", "narrow_range"];
const BOTH: &[&str] = &[
    "signed_input",
    "num_bits",
    "range_given",
    "round_mode",
    "narrow_range",
    "axis",
];

pub(super) const TABLE: &[Row] = &[
    real(
        "FakeQuantWithMinMaxArgs",
        &["min", "max", "num_bits", "narrow_range"],
        |call| {
            let ends = [call.real("min", -6.0)? as f32, call.real("max", 6.0)? as f32];
            let grid = Grid::fake(call, ends)?;
            let array = weights(call)?;
            on_grids(call, &array, &[grid])
        },
    ),
    real("FakeQuantWithMinMaxVars", FAKE, fake),
    real("FakeQuantWithMinMaxVarsPerChannel", FAKE, fake),
    real("QuantizeAndDequantizeV2", BOTH, quantize_and_dequantize),
    real("QuantizeAndDequantizeV3", BOTH, quantize_and_dequantize),
    real("QuantizeAndDequantizeV4", BOTH, quantize_and_dequantize),
    any("Dequantize", &["mode", "narrow_range", "axis"], dequantize),
];

/// The array that is quantized, which must be known: values that depend on the inputs would be off by a whole step of the
/// grid wherever DL4J rounds otherwise in the last digit.
fn weights(call: &Call<'_, '_>) -> Found<Array> {
    match call.input(0)? {
        Held::Known(array) => Ok(array.clone()),
        Held::Value(..) => Err(call.option(
            "it rounds activations to a grid, which DL4J has no layer for; only weights are quantized so",
        )),
    }
}

/// Evenly spaced numbers.
#[derive(Debug, Clone, Copy)]
struct Grid {
    min: f32,
    max: f32,
    step: f32,
    inverse: f32,
}

impl Grid {
    /// The grid of fake quantization, moved so that zero is on it.
    fn fake(call: &Call<'_, '_>, [min, max]: [f32; 2]) -> Found<Self> {
        let bits = call.whole("num_bits", 8)?;
        if !(2..=16).contains(&bits) || min > max || !min.is_finite() || !max.is_finite() {
            return Err(call.option(format!("{bits} bits from {min} to {max}")));
        }
        let low = if call.flag("narrow_range", false)? {
            1.0f32
        } else {
            0.0
        };
        let high = ((1u32 << bits) - 1) as f32;
        let step = (max - min) / (high - low);
        let zero = low - min / step;
        let zero = match zero {
            zero if zero < low => low,
            zero if zero > high => high,
            zero => zero.round(),
        };
        Ok(Self {
            min: (low - zero) * step,
            max: (high - zero) * step,
            step,
            inverse: 1.0 / step,
        })
    }

    fn nearest(self, value: f32) -> f32 {
        if self.step == 0.0 {
            return 0.0;
        }
        let inside = value.max(self.min).min(self.max) - self.min;
        (inside * self.inverse + 0.5).floor() * self.step + self.min
    }
}

/// These numbers in the shape of the array that they were made of.
fn gives(call: &Call<'_, '_>, array: &Array, values: &[f64]) -> Outputs {
    let made = Array::reals(DType::F32, &array.shape(), values);
    Ok(vec![Held::Known(call.folded(made)?)])
}

/// One grid, or one for each element of the last axis.
fn fake(call: &mut Call<'_, '_>) -> Outputs {
    let array = weights(call)?;
    let ends = |call: &Call<'_, '_>, place: usize| {
        let list = call.folded(call.known(place)?.as_reals())?;
        Ok::<_, Box<caribou_ir::Finding>>(list.into_iter().map(|v| v as f32).collect::<Vec<f32>>())
    };
    let (low, high) = (ends(call, 1)?, ends(call, 2)?);
    let grids: Vec<Grid> = low
        .iter()
        .zip(&high)
        .map(|(&low, &high)| Grid::fake(call, [low, high]))
        .collect::<Result<_, _>>()?;
    let last = array.shape().last().copied().unwrap_or(1);
    if low.len() != high.len() || (grids.len() != 1 && grids.len() != last) {
        return Err(call.option(format!(
            "{} grids for an array of shape {:?}",
            grids.len(),
            array.shape()
        )));
    }
    on_grids(call, &array, &grids)
}

fn on_grids(call: &Call<'_, '_>, array: &Array, grids: &[Grid]) -> Outputs {
    let values: Vec<f64> = call
        .folded(array.as_reals())?
        .iter()
        .enumerate()
        .map(|(i, &value)| f64::from(grids[i % grids.len()].nearest(value as f32)))
        .collect();
    gives(call, array, &values)
}

/// Symmetric grids, or those of numbers without a sign.
fn quantize_and_dequantize(call: &mut Call<'_, '_>) -> Outputs {
    let array = weights(call)?;
    if call.whole("axis", -1)? != -1 {
        return Err(call.option("a grid for each element of an axis"));
    }
    let bits = match &*call.node.op {
        "QuantizeAndDequantizeV3" => call.integer(3)?,
        _ => call.whole("num_bits", 8)?,
    };
    if !(2..=24).contains(&bits) {
        return Err(call.option(format!("{bits} bits")));
    }
    let round: fn(f32) -> f32 = match call.text("round_mode", "HALF_TO_EVEN")? {
        "HALF_TO_EVEN" => f32::round_ties_even,
        "HALF_UP" => |value| (value + 0.5).floor(),
        other => return Err(call.option(format!("round_mode {other}"))),
    };
    let signed = call.flag("signed_input", true)?;
    let narrow = i64::from(call.flag("narrow_range", false)?);
    let (low, high) = match signed {
        true => (-(1i64 << (bits - 1)) + narrow, (1i64 << (bits - 1)) - 1),
        false => (0, (1i64 << bits) - 1),
    };
    let (low, high) = (low as f32, high as f32);
    let values: Vec<f32> = call
        .folded(array.as_reals())?
        .into_iter()
        .map(|v| v as f32)
        .collect();
    // Version 2 does not, and the others do say by default that the range is given.
    let given = call.flag("range_given", &*call.node.op != "QuantizeAndDequantizeV2")?;
    let end = |place: usize| {
        call.known(place)?
            .scalar()
            .map(|end| end as f32)
            .ok_or_else(|| call.option("ends of the range that are no numbers"))
    };
    let (mut min, mut max) = match given {
        true => (end(1)?, end(2)?),
        false => values
            .iter()
            .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| {
                (low.min(v), high.max(v))
            }),
    };
    let side = |quantized: f32, real: f32| {
        if quantized * real > 0.0 {
            quantized / real
        } else {
            f32::MAX
        }
    };
    let (from_min, from_max) = (side(low, min), side(high, max));
    let (scale, inverse);
    if from_min < from_max {
        (scale, inverse) = (from_min, min / low);
        max = high * inverse;
    } else {
        (scale, inverse) = (from_max, max / high);
        min = low * inverse;
    }
    let nearest = |value: f32| {
        let inside = if given { value.max(min).min(max) } else { value };
        f64::from(round(inside * scale) * inverse)
    };
    let rounded: Vec<f64> = values.into_iter().map(nearest).collect();
    gives(call, &array, &rounded)
}

/// Numbers of eight bits without a sign as the fractions that they stand for.
fn dequantize(call: &mut Call<'_, '_>) -> Outputs {
    let array = match call.input(0)? {
        Held::Known(array) if array.dtype() == DType::U8 => array.clone(),
        _ => return Err(call.option("only stored numbers of eight bits without a sign are read so")),
    };
    if call.whole("axis", -1)? != -1 {
        return Err(call.option("a range for each element of an axis"));
    }
    let end = |place: usize| {
        call.known(place)?
            .scalar()
            .map(|end| end as f32)
            .ok_or_else(|| call.option("ends of the range that are no numbers"))
    };
    let (min, max) = (end(1)?, end(2)?);
    let step = (max - min) / 255.0;
    let start = match call.text("mode", "MIN_COMBINED")? {
        "MIN_COMBINED" => min,
        "MIN_FIRST" if step != 0.0 => (min / step).round() * step,
        other => return Err(call.option(format!("mode {other}"))),
    };
    let values: Vec<f64> = call
        .folded(array.integers())?
        .into_iter()
        .map(|value| f64::from(value as f32 * step + start))
        .collect();
    gives(call, &array, &values)
}
