//! Units that go together: sets that are joined, and reasons why some of them stay.

use caribou_ir::Origin;

/// A filter, or what else fills one place of an axis. What must be taken out together is one set.
pub(super) type Unit = u32;

/// Why units stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reason {
    /// The layer that stands in the way.
    pub(super) origin: Option<Origin>,
    /// What of it does.
    pub(super) message: String,
}

impl Reason {
    pub(super) fn of(origin: &Origin, message: impl Into<String>) -> Self {
        Self {
            origin: Some(origin.clone()),
            message: message.into(),
        }
    }

    pub(super) fn plain(message: impl Into<String>) -> Self {
        Self {
            origin: None,
            message: message.into(),
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.origin {
            Some(origin) => write!(f, "{origin}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Disjoint sets of units. The first reason of a set to stay is kept.
#[derive(Debug, Default)]
pub(super) struct Units {
    parent: Vec<Unit>,
    /// Of the set that a root stands for: a position in `reasons`.
    stays: Vec<Option<usize>>,
    reasons: Vec<Reason>,
}

impl Units {
    /// `count` units, each by itself.
    pub(super) fn fresh(&mut self, count: usize) -> Vec<Unit> {
        let first = self.parent.len();
        let units: Vec<Unit> = (first..first + count).map(|unit| unit as Unit).collect();
        self.parent.extend(&units);
        self.stays.resize(first + count, None);
        units
    }

    /// The unit that stands for the set.
    pub(super) fn root(&self, unit: Unit) -> Unit {
        let mut unit = unit;
        while self.parent[unit as usize] != unit {
            unit = self.parent[unit as usize];
        }
        unit
    }

    /// Makes one set of two.
    pub(super) fn join(&mut self, a: Unit, b: Unit) {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return;
        }
        // The older unit stands for both: chains stay short, and the result does not depend on the order of joins.
        let (root, other) = (a.min(b), a.max(b));
        self.parent[other as usize] = root;
        let stays = self.stays[root as usize].or(self.stays[other as usize]);
        self.stays[root as usize] = stays;
    }

    /// Makes the sets of all these units stay.
    pub(super) fn pin(&mut self, units: &[Unit], reason: Reason) {
        let position = self.reasons.len();
        self.reasons.push(reason);
        for &unit in units {
            let root = self.root(unit) as usize;
            self.stays[root].get_or_insert(position);
        }
    }

    /// Why the unit's set stays; `None` where it need not.
    pub(super) fn reason(&self, unit: Unit) -> Option<&Reason> {
        self.stays[self.root(unit) as usize].map(|position| &self.reasons[position])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joined_units_stay_for_the_reason_of_one() {
        let mut units = Units::default();
        let list = units.fresh(4);
        units.join(list[3], list[1]);
        units.pin(&[list[3]], Reason::plain("seen"));
        units.join(list[0], list[1]);
        assert_eq!(units.root(list[3]), 0);
        assert_eq!(units.reason(list[0]).unwrap().message, "seen");
        assert!(units.reason(list[2]).is_none());
    }
}
