//! Which rules a file was written by.

/// A generation of Keras, within which names mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Generation {
    /// Keras 2, tf.keras and tf-keras; Keras 1, whose words are brought to those of Keras 2.
    Two,
    /// Keras 3 and what may come after it.
    Three,
}

impl Generation {
    /// That of a `keras_version`.
    pub(crate) fn of(version: &str) -> Self {
        if major(version) < 3 {
            Self::Two
        } else {
            Self::Three
        }
    }
}

/// The first number of a version; what is no version is of the time before they were written.
fn major(version: &str) -> u32 {
    let first = version.split('.').next().unwrap_or_default();
    first.trim().parse().unwrap_or(2)
}

/// Whether a version is newer than those whose rules are known.
pub(crate) fn is_future(version: &str) -> bool {
    major(version) > 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_by_their_first_number() {
        assert_eq!(Generation::of("2.15.0"), Generation::Two);
        assert_eq!(Generation::of("2.4.0-tf"), Generation::Two);
        assert_eq!(Generation::of("3.15.1"), Generation::Three);
        assert_eq!(Generation::of("4.0.0"), Generation::Three);
        assert_eq!(Generation::of("1.2.2"), Generation::Two);
        assert!(is_future("4.0") && !is_future("3.99"));
    }
}
