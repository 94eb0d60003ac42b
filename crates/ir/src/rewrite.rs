//! Named changes of a graph.

use crate::Origin;

/// One change that was made to a graph, so that a user can audit how the source's layers became the target's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    /// The name of the rule, such as `flatten-into-kernel-rows`.
    pub name: &'static str,
    /// The layer it was applied to.
    pub origin: Origin,
    /// Why the function of the graph stays the same, or what made the change necessary.
    pub reason: String,
}

impl Rewrite {
    /// The rule `name`, applied to `origin` because of `reason`.
    pub fn new(name: &'static str, origin: &Origin, reason: impl Into<String>) -> Self {
        Self {
            name,
            origin: origin.clone(),
            reason: reason.into(),
        }
    }
}
