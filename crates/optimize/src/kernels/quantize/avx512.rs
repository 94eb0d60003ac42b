//! AVX-512.

use super::vectors::vectors;
use super::{Integer, Rounding, Roundings, scalar};
use std::arch::x86_64::*;

pub(super) use super::avx2::{dequantize, dequantize_row};

vectors! { "avx2,f16c,bmi1,popcnt,avx512f,avx512bw,avx512dq,avx512vl", 16 x __m512 and __m512i:
    set1_ps = _mm512_set1_ps,
    set1_epi32 = _mm512_set1_epi32,
    div_ps = _mm512_div_ps,
    cvtps_epi32 = _mm512_cvtps_epi32,
    min_ps = _mm512_min_ps,
    max_ps = _mm512_max_ps,
    add_epi32 = _mm512_add_epi32,
    mul_ps = _mm512_mul_ps,
    cvtepi32_ps = _mm512_cvtepi32_ps,
}
