//! Integer grids, and how floats lie on them.

use crate::kernels::KernelError;

/// The integers that a quantized weight can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    low: i32,
    high: i32,
}

impl Grid {
    /// `-(2^(bits - 1) - 1) ..= 2^(bits - 1) - 1`: as many negative as positive integers, -127 to 127 for 8 bits.
    ///
    /// # Errors
    /// When there are fewer than 2 or more than 16 bits.
    pub fn symmetric(bits: u32) -> Result<Self, KernelError> {
        let full = Self::full(bits)?;
        Ok(Self {
            low: -full.high,
            ..full
        })
    }

    /// `-2^(bits - 1) ..= 2^(bits - 1) - 1`: all integers of so many bits, -128 to 127 for 8.
    ///
    /// # Errors
    /// When there are fewer than 2 or more than 16 bits.
    pub fn full(bits: u32) -> Result<Self, KernelError> {
        if !(2..=16).contains(&bits) {
            return Err(KernelError::Bits { bits, most: 16 });
        }
        let half = 1 << (bits - 1);
        Ok(Self {
            low: -half,
            high: half - 1,
        })
    }

    /// The lowest integer.
    pub fn low(self) -> i32 {
        self.low
    }

    /// The highest integer.
    pub fn high(self) -> i32 {
        self.high
    }

    /// The symmetric scale that takes a largest magnitude to the highest integer: `most / high`, zero point 0. A channel
    /// of zeros has the scale 1, and no scale is a denormal number.
    pub fn scale_of(self, most: f32) -> Quantization {
        Quantization {
            scale: usable(most / self.high as f32, most == 0.0),
            zero_point: 0,
        }
    }

    /// The affine scale that takes `least ..= most`, widened to hold 0, to the whole grid, in double precision:
    /// `scale = (most - least) / (high - low)`, `zero_point = low - round(least / scale)`, so that 0 stays exactly 0.
    pub fn affine_of(self, least: f32, most: f32) -> Quantization {
        let (least, most) = (f64::from(least.min(0.0)), f64::from(most.max(0.0)));
        let scale = ((most - least) / f64::from(self.high - self.low)) as f32;
        let scale = usable(scale, most == least);
        let zero_point = f64::from(self.low) - (least / f64::from(scale)).round_ties_even();
        Quantization {
            scale,
            zero_point: (zero_point as i32).clamp(self.low, self.high),
        }
    }
}

fn usable(scale: f32, no_range: bool) -> f32 {
    if no_range {
        1.0
    } else {
        scale.max(f32::MIN_POSITIVE)
    }
}

/// Where the grid lies around 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// The zero point is 0, and the largest magnitude goes to the highest integer.
    Symmetric,
    /// The least and the greatest element go to the ends of the grid.
    Affine,
}

/// How a channel lies on its grid: `weight = (integer - zero_point) * scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quantization {
    /// The distance between neighbouring integers; positive and finite.
    pub scale: f32,
    /// The integer that stands for 0.
    pub zero_point: i32,
}

/// A type that holds integers of a grid; grids of less than 8 bits are held in `i8`.
pub trait Integer:
    Copy + Send + Sync + Default + PartialEq + std::fmt::Debug + sealed::Sealed + 'static
{
    /// The widest grid that it holds.
    const BITS: u32;
    /// An integer of a grid that it holds.
    fn from_i32(value: i32) -> Self;
    /// Its value.
    fn to_i32(self) -> i32;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for i8 {}
    impl Sealed for i16 {}
}

impl Integer for i8 {
    const BITS: u32 = 8;
    fn from_i32(value: i32) -> Self {
        value as Self
    }
    fn to_i32(self) -> i32 {
        self.into()
    }
}

impl Integer for i16 {
    const BITS: u32 = 16;
    fn from_i32(value: i32) -> Self {
        value as Self
    }
    fn to_i32(self) -> i32 {
        self.into()
    }
}

/// What takes the elements of a run to their grid.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rounding {
    pub(super) scale: f32,
    /// The zero point.
    pub(super) zero: i32,
    /// The bounds of the grid, less the zero point: rounding to an integer and clamping to integers commute, so that
    /// vectors clamp first, and then convert what fits an `i32`.
    pub(super) low: f32,
    pub(super) high: f32,
}

impl Rounding {
    pub(super) fn new(grid: Grid, on: Quantization) -> Self {
        Self {
            scale: on.scale,
            zero: on.zero_point,
            low: (grid.low - on.zero_point) as f32,
            high: (grid.high - on.zero_point) as f32,
        }
    }
}

/// The same of neighbouring channels, field by field, for rows with one element of each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Roundings<'a> {
    pub(super) scale: &'a [f32],
    pub(super) zero: &'a [i32],
    pub(super) low: &'a [f32],
    pub(super) high: &'a [f32],
}

impl<'a> Roundings<'a> {
    /// Those of the channels from `first` on.
    pub(super) fn from(self, first: usize) -> Self {
        Self {
            scale: &self.scale[first..],
            zero: &self.zero[first..],
            low: &self.low[first..],
            high: &self.high[first..],
        }
    }

    #[inline(always)]
    pub(super) fn each(self) -> impl Iterator<Item = Rounding> + 'a {
        let bounds = self.low.iter().zip(self.high);
        self.scale
            .iter()
            .zip(self.zero)
            .zip(bounds)
            .map(|((scale, zero), (low, high))| Rounding {
                scale: *scale,
                zero: *zero,
                low: *low,
                high: *high,
            })
    }
}

/// The fields of the roundings of all channels.
#[derive(Debug, Default)]
pub(super) struct AllRoundings {
    scale: Vec<f32>,
    zero: Vec<i32>,
    low: Vec<f32>,
    high: Vec<f32>,
}

impl AllRoundings {
    pub(super) fn push(&mut self, rounding: Rounding) {
        self.scale.push(rounding.scale);
        self.zero.push(rounding.zero);
        self.low.push(rounding.low);
        self.high.push(rounding.high);
    }

    pub(super) fn at(&self, channel: usize) -> Rounding {
        Rounding {
            scale: self.scale[channel],
            zero: self.zero[channel],
            low: self.low[channel],
            high: self.high[channel],
        }
    }

    /// Those of `number` channels from `first` on.
    pub(super) fn row(&self, first: usize, number: usize) -> Roundings<'_> {
        let range = first..first + number;
        Roundings {
            scale: &self.scale[range.clone()],
            zero: &self.zero[range.clone()],
            low: &self.low[range.clone()],
            high: &self.high[range],
        }
    }
}
