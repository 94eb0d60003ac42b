//! Whole numbers of shape arithmetic: known, or a known multiple of sizes that are not.

use caribou_ir::Dim;

/// A size that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Symbol {
    /// The number of examples.
    Batch,
    /// Another one; equal numbers are equal sizes.
    Unknown(u32),
    /// A number of which nothing is known.
    Any,
}

/// `factor` times the product of sizes that are not known.
#[derive(Debug, Clone)]
pub(crate) struct Whole {
    factor: i64,
    /// Sorted.
    symbols: Vec<Symbol>,
}

impl Whole {
    /// A number that is known.
    pub(crate) const fn known(factor: i64) -> Self {
        Self {
            factor,
            symbols: Vec::new(),
        }
    }

    /// A number of which nothing is known.
    pub(crate) fn any() -> Self {
        Self {
            factor: 1,
            symbols: vec![Symbol::Any],
        }
    }

    /// The size of an axis.
    pub(crate) fn of(dim: Dim) -> Self {
        match dim {
            Dim::Fixed(size) => i64::try_from(size).map_or_else(|_| Self::any(), Self::known),
            Dim::Batch(times) => Self {
                factor: i64::try_from(times).unwrap_or(i64::MAX),
                symbols: vec![Symbol::Batch],
            },
            Dim::Unknown(id) => Self {
                factor: 1,
                symbols: vec![Symbol::Unknown(id)],
            },
        }
    }

    /// The number, where it is known.
    pub(crate) fn number(&self) -> Option<i64> {
        self.symbols.is_empty().then_some(self.factor)
    }

    /// Whether both are the same number; `None` where that can't be told.
    pub(crate) fn same(&self, other: &Self) -> Option<bool> {
        if self.symbols != other.symbols || self.symbols.contains(&Symbol::Any) {
            return None;
        }
        Some(self.factor == other.factor)
    }

    /// Whether it is the size of this axis.
    pub(crate) fn is(&self, dim: Dim) -> bool {
        self.same(&Self::of(dim)) == Some(true)
    }

    fn or_any(number: Option<i64>) -> Self {
        number.map_or_else(Self::any, Self::known)
    }

    pub(crate) fn times(&self, other: &Self) -> Self {
        if self.number() == Some(0) || other.number() == Some(0) {
            return Self::known(0);
        }
        let Some(factor) = self.factor.checked_mul(other.factor) else {
            return Self::any();
        };
        let mut symbols = [&self.symbols[..], &other.symbols].concat();
        symbols.sort_unstable();
        Self { factor, symbols }
    }

    pub(crate) fn plus(&self, other: &Self) -> Self {
        self.joined(other, i64::checked_add)
    }

    pub(crate) fn minus(&self, other: &Self) -> Self {
        self.joined(other, i64::checked_sub)
    }

    fn joined(&self, other: &Self, f: fn(i64, i64) -> Option<i64>) -> Self {
        if other.number() == Some(0) {
            return self.clone();
        }
        if self.symbols != other.symbols || self.symbols.contains(&Symbol::Any) {
            return Self::any();
        }
        let factor = f(self.factor, other.factor);
        match factor {
            None => Self::any(),
            Some(0) => Self::known(0),
            Some(factor) => Self {
                factor,
                symbols: self.symbols.clone(),
            },
        }
    }

    /// The quotient, rounded down; `None` for a division by zero.
    pub(crate) fn divided(&self, by: &Self) -> Option<Self> {
        if by.number() == Some(0) {
            return None;
        }
        if let (Some(a), Some(b)) = (self.number(), by.number()) {
            let quotient = a.checked_div(b)?;
            let down = a % b != 0 && (a < 0) != (b < 0);
            return Some(Self::known(quotient - i64::from(down)));
        }
        let mut symbols = self.symbols.clone();
        for symbol in &by.symbols {
            match symbols.iter().position(|other| other == symbol) {
                Some(place) if *symbol != Symbol::Any => symbols.remove(place),
                _ => return Some(Self::any()),
            };
        }
        if self.factor % by.factor != 0 {
            return Some(Self::any());
        }
        Some(Self {
            factor: self.factor / by.factor,
            symbols,
        })
    }

    /// What is left of a division that rounds down.
    pub(crate) fn modulo(&self, by: &Self) -> Option<Self> {
        let (Some(a), Some(b)) = (self.number(), by.number()) else {
            return Some(Self::any());
        };
        if b == 0 {
            return None;
        }
        let rest = a.checked_rem(b)?;
        Some(Self::known(if rest != 0 && (rest < 0) != (b < 0) {
            rest + b
        } else {
            rest
        }))
    }

    /// A function of two numbers that are known.
    pub(crate) fn of_both(&self, other: &Self, f: impl Fn(i64, i64) -> Option<i64>) -> Self {
        match (self.number(), other.number()) {
            (Some(a), Some(b)) => Self::or_any(f(a, b)),
            _ => Self::any(),
        }
    }

    /// A function of a number that is known.
    pub(crate) fn map(&self, f: impl Fn(i64) -> Option<i64>) -> Self {
        self.number().map_or_else(Self::any, |a| Self::or_any(f(a)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_of_the_batch_are_counted() {
        let batch = Whole::of(Dim::BATCH);
        let steps = batch.times(&Whole::known(7));
        assert!(steps.is(Dim::Batch(7)));
        assert!(steps.divided(&Whole::known(7)).is_some_and(|n| n.is(Dim::BATCH)));
        assert_eq!(steps.divided(&batch).and_then(|n| n.number()), Some(7));
        assert_eq!(steps.minus(&steps).number(), Some(0));
        assert!(steps.plus(&batch).is(Dim::Batch(8)));
        assert_eq!(batch.plus(&Whole::known(1)).number(), None);
        assert_eq!(Whole::any().same(&Whole::any()), None);
    }

    #[test]
    fn divisions_round_down() {
        let quotient = |a, b| Whole::known(a).divided(&Whole::known(b)).and_then(|n| n.number());
        let rest = |a, b| Whole::known(a).modulo(&Whole::known(b)).and_then(|n| n.number());
        assert_eq!((quotient(-7, 2), rest(-7, 2)), (Some(-4), Some(1)));
        assert_eq!((quotient(7, -2), rest(7, -2)), (Some(-4), Some(-1)));
        assert_eq!((quotient(6, 3), rest(6, 0)), (Some(2), None));
    }
}
