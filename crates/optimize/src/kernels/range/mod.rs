//! The largest magnitude, and the least and the greatest element, of each channel.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;
mod wide;

// So many times as fast in the cache; memory is the limit beyond. wide over scalar: abs_max 1.2, min_max 1.0. AVX2 over wide:
// abs_max 4, min_max 3.5, by columns 3. AVX-512 over AVX2: min_max by columns 1.2, the others 1.0.
use super::dispatch::dispatch;
use super::{Channels, KernelError, Kernels};

/// All bits but the sign.
pub(super) const ABSOLUTE: u32 = 0x7fff_ffff;
/// The bits of infinity; magnitudes from here on are infinite or NaN.
pub(super) const INFINITE: u32 = 0x7f80_0000;

/// An integer in the order of floats: -NaN < -inf < … < -0 < 0 < … < inf < NaN.
fn key(value: f32) -> i32 {
    let bits = value.to_bits() as i32;
    bits ^ ((bits >> 31) & ABSOLUTE as i32)
}

/// The keys of the least and the greatest of some elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keys {
    least: i32,
    most: i32,
}

impl Keys {
    /// Of no element.
    const NONE: Self = Self {
        least: i32::MAX,
        most: i32::MIN,
    };

    fn merge(self, other: Self) -> Self {
        Self {
            least: self.least.min(other.least),
            most: self.most.max(other.most),
        }
    }

    fn finite(self) -> bool {
        self.most < INFINITE as i32 && self.least > !(INFINITE as i32) || self == Self::NONE
    }

    /// The two elements, when both are finite.
    pub(super) fn finite_values(self) -> Option<(f32, f32)> {
        self.finite().then(|| self.values())
    }

    /// The two elements; 0 and 0 of none.
    fn values(self) -> (f32, f32) {
        let value = |key: i32| f32::from_bits((key ^ ((key >> 31) & ABSOLUTE as i32)) as u32);
        if self == Self::NONE {
            (0.0, 0.0)
        } else {
            (value(self.least), value(self.most))
        }
    }
}

impl Kernels {
    /// The index of the first element that is NaN or infinite.
    pub fn not_finite(self, values: &[f32]) -> Option<usize> {
        let most = Channels::whole(values.len()).fold(
            values,
            0,
            |run| self.magnitude_run(run),
            |most, row| dispatch!(self, abs_max_row(most, row)),
            u32::max,
        );
        if most[0] < INFINITE {
            return None;
        }
        values.iter().position(|value| !value.is_finite())
    }

    /// The largest magnitude of each channel; 0 of an empty one.
    ///
    /// # Errors
    /// When the array has no such channels, or an element is NaN or infinite.
    pub fn abs_max(self, values: &[f32], channels: Channels) -> Result<Vec<f32>, KernelError> {
        channels.check(values.len())?;
        let most = channels.fold(
            values,
            0,
            |run| self.magnitude_run(run),
            |most, row| dispatch!(self, abs_max_row(most, row)),
            u32::max,
        );
        if most.iter().any(|&bits| bits >= INFINITE) {
            return Err(first_not_finite(values));
        }
        Ok(most.into_iter().map(f32::from_bits).collect())
    }

    /// The least and the greatest element of each channel; 0 and 0 of an empty one. -0 counts as less than 0.
    ///
    /// # Errors
    /// When the array has no such channels, or an element is NaN or infinite.
    pub fn min_max(self, values: &[f32], channels: Channels) -> Result<Vec<(f32, f32)>, KernelError> {
        channels.check(values.len())?;
        let keys = channels.fold(
            values,
            Keys::NONE,
            |run| self.keys_run(run),
            |keys, row| dispatch!(self, min_max_row(keys, row)),
            Keys::merge,
        );
        if !keys.iter().all(|keys| keys.finite()) {
            return Err(first_not_finite(values));
        }
        Ok(keys.into_iter().map(Keys::values).collect())
    }

    /// The bits of the largest magnitude.
    pub(super) fn magnitude_run(self, values: &[f32]) -> u32 {
        dispatch!(self, abs_max(values))
    }

    /// The least and the greatest; an error names no index.
    pub(super) fn keys_run(self, values: &[f32]) -> Keys {
        dispatch!(self, min_max(values))
    }
}

/// The error that names the first element that is not finite.
pub(super) fn first_not_finite(values: &[f32]) -> KernelError {
    let index = values.iter().position(|value| !value.is_finite()).unwrap_or(0);
    KernelError::NotFinite {
        index,
        value: values.get(index).copied().unwrap_or(f32::NAN),
    }
}
