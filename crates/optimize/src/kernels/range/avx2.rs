//! The reference, compiled for the instructions of the level: the compiler makes vectors of it.

use super::{Keys, scalar};
use crate::kernels::dispatch::compile_for;

compile_for! { "avx2,f16c,bmi1,popcnt":
    fn abs_max(values: &[f32]) -> u32 = scalar::abs_max;
    fn abs_max_row(most: &mut [u32], row: &[f32]) = scalar::abs_max_row;
    fn min_max(values: &[f32]) -> Keys = scalar::min_max;
    fn min_max_row(keys: &mut [Keys], row: &[f32]) = scalar::min_max_row;
}
