//! The reference, compiled for the instructions of the level, where that is faster than with AVX2.

use super::{Keys, scalar};
use crate::kernels::dispatch::compile_for;

pub(super) use super::avx2::{abs_max, abs_max_row, min_max};

compile_for! { "avx2,f16c,bmi1,popcnt,avx512f,avx512bw,avx512dq,avx512vl":
    fn min_max_row(keys: &mut [Keys], row: &[f32]) = scalar::min_max_row;
}
