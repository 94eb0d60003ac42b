//! `caribou/quantization.json`: what the grid values of quantized parameters stand for. DL4J passes over an entry that it does
//! not know.
//!
//! ```json
//! { "version": 1,
//!   "parameters": [
//!     { "layer": "conv", "source": "conv2d", "role": "weight", "offset": 8, "elements": 432,
//!       "scheme": "symmetric", "bits": 8, "run": 27, "scales": [0.0078, …] },
//!     { …, "scheme": "affine", "bits": 4, "run": 27, "scales": […], "zero_points": […] },
//!     { …, "scheme": "half" }, { …, "scheme": "bfloat16" },
//!     { …, "scheme": "codebook", "bits": 4, "values": […] } ],
//!   "activations": [ { "layer": "conv2d", "least": 0.0, "greatest": 3.5 } ] }
//! ```
//!
//! A block is `elements` neighbours of `coefficients.bin` from the element `offset` on. Element `i` of a block has scale number
//! `(i / run) % scales.len()`, and its integer is `round(value / scale) + zero_point`; the integer of a half or bfloat16 is its
//! bits, that of a codebook the position of the value in the list. Numbers are written so that they are the 32-bit ones exactly.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The entry.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QuantizationEntry {
    /// The version of this description.
    pub version: u32,
    /// The blocks, in ascending order of their offsets.
    pub parameters: Vec<QuantizedBlock>,
    /// The ranges that activations were seen to have, by the names of the source's layers.
    pub activations: Vec<Range>,
}

/// Neighbours in the parameter vector whose values lie on a grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuantizedBlock {
    /// The layer or vertex of the archive.
    pub layer: String,
    /// The layer of the source.
    pub source: String,
    /// The parameter's role in it.
    pub role: String,
    /// The first element.
    pub offset: usize,
    /// How many there are.
    pub elements: usize,
    /// How integers are read off the values.
    #[serde(flatten)]
    pub grid: BlockGrid,
}

/// How integers are read off grid values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "scheme", rename_all = "lowercase")]
pub enum BlockGrid {
    /// `integer = round(value / scale)`.
    Symmetric {
        /// The bits of an integer.
        bits: u32,
        /// Neighbours with the same scale.
        run: usize,
        /// The scales.
        scales: Vec<f64>,
    },
    /// `integer = round(value / scale) + zero_point`.
    Affine {
        /// The bits of an integer.
        bits: u32,
        /// Neighbours with the same scale.
        run: usize,
        /// The scales.
        scales: Vec<f64>,
        /// The integers that stand for 0.
        zero_points: Vec<i32>,
    },
    /// IEEE 754 binary16.
    Half,
    /// The upper half of a binary32.
    Bfloat16,
    /// Positions in a list.
    Codebook {
        /// The bits of a position.
        bits: u32,
        /// The list, in ascending order.
        values: Vec<f64>,
    },
}

/// The values that a layer was seen to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// The layer of the source.
    pub layer: String,
    /// The least.
    pub least: f32,
    /// The greatest.
    pub greatest: f32,
}

impl QuantizationEntry {
    /// The only version so far.
    pub const VERSION: u32 = 1;

    /// Reads the entry of an archive with so many parameters.
    ///
    /// # Errors
    /// What is wrong with it, with the layer where it is a block.
    pub fn parse(bytes: &[u8], parameters: usize) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let version = value["version"].as_u64();
        if version != Some(u64::from(Self::VERSION)) {
            return Err(format!(
                "expected version {}, found {}",
                Self::VERSION,
                value["version"]
            ));
        }
        let list = value["parameters"].as_array().ok_or("it lists no parameters")?;
        let mut entry = Self {
            version: Self::VERSION,
            parameters: Vec::new(),
            activations: Vec::new(),
        };
        for block in list {
            let layer = block["layer"].as_str().unwrap_or("?").to_owned();
            let fail = |message: String| format!("layer {layer}: {message}");
            let block: QuantizedBlock =
                serde_json::from_value(block.clone()).map_err(|error| fail(error.to_string()))?;
            block.check(parameters).map_err(fail)?;
            entry.parameters.push(block);
        }
        if let Some(ranges) = value.get("activations") {
            entry.activations =
                serde_json::from_value(ranges.clone()).map_err(|error| format!("activations: {error}"))?;
        }
        Ok(entry)
    }
}

impl QuantizedBlock {
    /// The bits of one number.
    pub fn bits(&self) -> u32 {
        match &self.grid {
            BlockGrid::Symmetric { bits, .. }
            | BlockGrid::Affine { bits, .. }
            | BlockGrid::Codebook { bits, .. } => *bits,
            BlockGrid::Half | BlockGrid::Bfloat16 => 16,
        }
    }

    fn check(&self, parameters: usize) -> Result<(), String> {
        let end = self.offset.checked_add(self.elements);
        if end.is_none_or(|end| end > parameters) {
            return Err(format!(
                "elements {} and the {} behind it lie outside of the {parameters} parameters",
                self.offset, self.elements
            ));
        }
        if !(1..=16).contains(&self.bits()) {
            return Err(format!("{} bits, expected 1 to 16", self.bits()));
        }
        let (run, scales, zero_points) = match &self.grid {
            BlockGrid::Symmetric { run, scales, .. } => (*run, scales, None),
            BlockGrid::Affine {
                run,
                scales,
                zero_points,
                ..
            } => (*run, scales, Some(zero_points.len())),
            BlockGrid::Codebook { values, .. } if values.is_empty() => {
                return Err("its list of values is empty".into());
            }
            _ => return Ok(()),
        };
        if scales.is_empty() {
            return Err("its scales are missing".into());
        }
        if zero_points.is_some_and(|count| count != scales.len()) {
            return Err("it has not one zero point for each scale".into());
        }
        let usable = |&scale: &f64| scale > 0.0 && (scale as f32).is_finite() && scale as f32 > 0.0;
        if run == 0 || !scales.iter().all(usable) {
            return Err("a scale is no positive number, or runs have no length".into());
        }
        Ok(())
    }

    /// The integers behind the values of this block.
    ///
    /// # Errors
    /// When a value is not on the grid: the parameters were changed since.
    pub fn integers(&self, values: &[f32]) -> Result<Vec<i32>, String> {
        let read = |(i, &value): (usize, &f32)| {
            let integer = match &self.grid {
                BlockGrid::Symmetric { run, scales, .. } => {
                    on_grid(value, scales[(i / run) % scales.len()], 0)
                }
                BlockGrid::Affine {
                    run,
                    scales,
                    zero_points,
                    ..
                } => {
                    let at = (i / run) % scales.len();
                    on_grid(value, scales[at], zero_points[at])
                }
                BlockGrid::Half => {
                    let half = half::f16::from_f32(value);
                    (half.to_f32() == value).then(|| i32::from(half.to_bits()))
                }
                BlockGrid::Bfloat16 => {
                    let half = half::bf16::from_f32(value);
                    (half.to_f32() == value).then(|| i32::from(half.to_bits()))
                }
                BlockGrid::Codebook { values, .. } => values
                    .iter()
                    .position(|&entry| entry as f32 == value)
                    .and_then(|at| i32::try_from(at).ok()),
            };
            integer.ok_or_else(|| format!("layer {}: element {i}, {value}, is not on its grid", self.layer))
        };
        values.iter().enumerate().map(read).collect()
    }
}

/// The integer of a value, if that stands for it exactly.
fn on_grid(value: f32, scale: f64, zero_point: i32) -> Option<i32> {
    let scale = scale as f32;
    let steps = (value / scale).round_ties_even();
    (steps * scale == value).then_some(steps as i32 + zero_point)
}
