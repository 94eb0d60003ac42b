//! Which instructions are used, chosen at run time.

use std::sync::OnceLock;

/// A set of instructions that kernels are written for, from the plainest to the widest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The reference: plain Rust, one element after the other.
    Scalar,
    /// Vectors of the `wide` crate: what the target of the build has (SSE2 on x86-64, NEON on AArch64).
    Wide,
    /// AVX2, with F16C, BMI1 and POPCNT.
    Avx2,
    /// AVX-512 F, BW, DQ and VL, with what [`Level::Avx2`] has.
    Avx512,
}

impl Level {
    /// All levels, in order.
    pub const ALL: [Self; 4] = [Self::Scalar, Self::Wide, Self::Avx2, Self::Avx512];

    fn detected(self) -> bool {
        match self {
            Self::Scalar | Self::Wide => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("f16c")
                    && is_x86_feature_detected!("bmi1")
                    && is_x86_feature_detected!("popcnt")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                Self::Avx2.detected()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }
}

/// The kernels at one [`Level`]. Results are the same at all of them, to the bit.
///
/// A value of a level exists only where the processor has the instructions: it is the proof that the dispatch rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernels {
    level: Level,
}

impl Kernels {
    /// The kernels of the highest level that the processor has.
    pub fn best() -> Self {
        static BEST: OnceLock<Kernels> = OnceLock::new();
        *BEST.get_or_init(|| {
            let level = Level::ALL.into_iter().rev().find(|level| level.detected());
            Self {
                level: level.unwrap_or(Level::Scalar),
            }
        })
    }

    /// The kernels of one level; nothing where the processor does not have it.
    pub fn at(level: Level) -> Option<Self> {
        level.detected().then_some(Self { level })
    }

    /// The level in use.
    pub fn level(self) -> Level {
        self.level
    }
}
