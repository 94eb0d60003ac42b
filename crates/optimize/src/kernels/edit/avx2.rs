//! The reference, compiled for the instructions of the level: the compiler makes vectors of it.

use super::scalar;
use crate::kernels::dispatch::compile_for;

compile_for! { "avx2,f16c,bmi1,popcnt":
    fn clip(values: &mut [f32], low: f32, high: f32) -> usize = scalar::clip;
    fn mask(values: &mut [f32], keep: &[bool]) = scalar::mask;
    fn scale(values: &mut [f32], factor: f32) = scalar::scale;
    fn scale_row(values: &mut [f32], factors: &[f32]) = scalar::scale_row;
}
