//! What a kernel can't do.

/// Why a kernel refused its arguments.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// A weight is NaN or infinite.
    #[error("element {index} is {value}: expected finite numbers")]
    NotFinite {
        /// The first such element, counted from 0.
        index: usize,
        /// What it is.
        value: f32,
    },
    /// Two slices that belong together differ in length.
    #[error("expected {expected} {what}, found {found}")]
    Length {
        /// What is counted.
        what: &'static str,
        /// How many there should be.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// More elements were to be selected than there are.
    #[error("can't select {wanted} of {elements} elements")]
    Count {
        /// How many were wanted.
        wanted: usize,
        /// How many there are.
        elements: usize,
    },
    /// A scale that is no positive finite number.
    #[error("the scale of channel {channel} is {scale}: expected a positive finite number")]
    Scale {
        /// The channel.
        channel: usize,
        /// Its scale.
        scale: f32,
    },
    /// A zero point that is not on the grid.
    #[error("the zero point of channel {channel} is {zero_point}: expected one of {low} to {high}")]
    ZeroPoint {
        /// The channel.
        channel: usize,
        /// Its zero point.
        zero_point: i32,
        /// The grid's lowest integer.
        low: i32,
        /// The grid's highest integer.
        high: i32,
    },
    /// A number of bits for which there is no grid, or one that the integer type can't hold.
    #[error("no grid of {bits} bits: expected 2 to {most}")]
    Bits {
        /// The bits asked for.
        bits: u32,
        /// The most that can be.
        most: u32,
    },
    /// A pattern of N in M that can't be, or that does not divide a row.
    #[error("can't keep {n} of every {m} in rows of {columns}: expected 0 < N <= M, and rows that M divides")]
    Pattern {
        /// How many are kept.
        n: usize,
        /// Out of so many.
        m: usize,
        /// The elements of a row.
        columns: usize,
    },
    /// Bounds between which nothing lies.
    #[error("can't clip to {low} ..= {high}: expected finite bounds, the lower one first")]
    Bounds {
        /// The lower bound.
        low: f32,
        /// The upper bound.
        high: f32,
    },
}
