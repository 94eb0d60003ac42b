//! Quantization in vectors, the same at every width.

/// The functions of one level: its instructions, the numbers in a vector, the types of vectors of `f32` and of `i32`, and
/// the intrinsics, by their names without the width.
macro_rules! vectors {
    ($features:literal, $n:literal x $Floats:ident and $Integers:ident:
        set1_ps = $set1_ps:ident,
        set1_epi32 = $set1_epi32:ident,
        div_ps = $div_ps:ident,
        cvtps_epi32 = $cvtps_epi32:ident,
        min_ps = $min_ps:ident,
        max_ps = $max_ps:ident,
        add_epi32 = $add_epi32:ident,
        mul_ps = $mul_ps:ident,
        cvtepi32_ps = $cvtepi32_ps:ident $(,)?
    ) => {
        /// The elements of a vector.
        const N: usize = $n;

        #[target_feature(enable = $features)]
        pub(super) fn quantize<I: Integer>(values: &[f32], rounding: Rounding, out: &mut [I]) {
            let (vectors, rest) = values.as_chunks::<N>();
            let (out, rest_out) = out.as_chunks_mut::<N>();
            let vector = Vector::splat(rounding);
            for (out, value) in out.iter_mut().zip(vectors) {
                *out = vector.integers(value);
            }
            scalar::quantize(rest, rounding, rest_out);
        }

        #[target_feature(enable = $features)]
        pub(super) fn quantize_row<I: Integer>(values: &[f32], roundings: Roundings<'_>, out: &mut [I]) {
            let (vectors, rest) = values.as_chunks::<N>();
            let (out, rest_out) = out.as_chunks_mut::<N>();
            let (scales, zeros) = (roundings.scale.as_chunks().0, roundings.zero.as_chunks().0);
            let (lows, highs) = (roundings.low.as_chunks().0, roundings.high.as_chunks().0);
            for ((((out, value), (scale, zero)), low), high) in out
                .iter_mut()
                .zip(vectors)
                .zip(scales.iter().zip(zeros))
                .zip(lows)
                .zip(highs)
            {
                *out = Vector::load(scale, zero, low, high).integers(value);
            }
            scalar::quantize_row(rest, roundings.from(vectors.len() * N), rest_out);
        }

        #[target_feature(enable = $features)]
        pub(super) fn snap(values: &mut [f32], rounding: Rounding) {
            let (vectors, rest) = values.as_chunks_mut::<N>();
            let vector = Vector::splat(rounding);
            for value in vectors {
                *value = vector.snapped(value);
            }
            scalar::snap(rest, rounding);
        }

        #[target_feature(enable = $features)]
        pub(super) fn snap_row(values: &mut [f32], roundings: Roundings<'_>) {
            let (vectors, rest) = values.as_chunks_mut::<N>();
            let rest_roundings = roundings.from(vectors.len() * N);
            let (scales, zeros) = (roundings.scale.as_chunks().0, roundings.zero.as_chunks().0);
            let (lows, highs) = (roundings.low.as_chunks().0, roundings.high.as_chunks().0);
            for (((value, (scale, zero)), low), high) in vectors
                .iter_mut()
                .zip(scales.iter().zip(zeros))
                .zip(lows)
                .zip(highs)
            {
                *value = Vector::load(scale, zero, low, high).snapped(value);
            }
            scalar::snap_row(rest, rest_roundings);
        }

        /// A rounding in vectors.
        #[derive(Clone, Copy)]
        struct Vector {
            scale: $Floats,
            zero: $Integers,
            low: $Floats,
            high: $Floats,
        }

        impl Vector {
            #[inline]
            #[target_feature(enable = $features)]
            fn splat(rounding: Rounding) -> Self {
                Self {
                    scale: $set1_ps(rounding.scale),
                    zero: $set1_epi32(rounding.zero),
                    low: $set1_ps(rounding.low),
                    high: $set1_ps(rounding.high),
                }
            }

            #[inline]
            #[target_feature(enable = $features)]
            fn load(scale: &[f32; N], zero: &[i32; N], low: &[f32; N], high: &[f32; N]) -> Self {
                Self {
                    scale: bytemuck::cast(*scale),
                    zero: bytemuck::cast(*zero),
                    low: bytemuck::cast(*low),
                    high: bytemuck::cast(*high),
                }
            }

            /// Integers less the zero point, by the rounding mode that every thread starts with: to the nearest, ties to even.
            #[inline]
            #[target_feature(enable = $features)]
            fn levels(self, values: &[f32; N]) -> $Integers {
                let quotients = $div_ps(bytemuck::cast(*values), self.scale);
                $cvtps_epi32($min_ps($max_ps(quotients, self.low), self.high))
            }

            #[inline]
            #[target_feature(enable = $features)]
            fn integers<I: Integer>(self, values: &[f32; N]) -> [I; N] {
                let integers = $add_epi32(self.levels(values), self.zero);
                bytemuck::cast::<_, [i32; N]>(integers).map(I::from_i32)
            }

            #[inline]
            #[target_feature(enable = $features)]
            fn snapped(self, values: &[f32; N]) -> [f32; N] {
                bytemuck::cast($mul_ps($cvtepi32_ps(self.levels(values)), self.scale))
            }
        }
    };
}
pub(super) use vectors;
