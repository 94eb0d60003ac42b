//! One body, compiled for several sets of instructions; one call, to the version of the level in use.

/// Compiles functions that are `#[inline(always)]` for AVX2 or AVX-512, under the same names.
macro_rules! compile_for {
    ($features:literal: $(fn $name:ident $(<$generic:ident: $bound:path>)? ($($argument:ident: $type:ty),* $(,)?) $(-> $out:ty)? = $body:path;)*) => {
        $(
            #[target_feature(enable = $features)]
            pub(super) fn $name $(<$generic: $bound>)? ($($argument: $type),*) $(-> $out)? {
                $body($($argument),*)
            }
        )*
    };
}

/// Calls `scalar::name`, `wide::name`, `avx2::name` or `avx512::name`.
macro_rules! dispatch {
    ($kernels:expr, $name:ident($($argument:expr),* $(,)?)) => {
        match $kernels.level() {
            $crate::kernels::Level::Scalar => scalar::$name($($argument),*),
            $crate::kernels::Level::Wide => wide::$name($($argument),*),
            // SAFETY: these functions are safe but for the instructions that they are compiled to, and `Kernels` of a level
            // exist only where the processor was found to have all of them (`Kernels::at`, `Kernels::best`).
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code)]
            $crate::kernels::Level::Avx2 => unsafe { avx2::$name($($argument),*) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            #[allow(unsafe_code)]
            $crate::kernels::Level::Avx512 => unsafe { avx512::$name($($argument),*) },
            #[cfg(not(target_arch = "x86_64"))]
            _ => wide::$name($($argument),*),
        }
    };
}

pub(super) use {compile_for, dispatch};
