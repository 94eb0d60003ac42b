//! Which layers a pass touches.

use crate::OptimizeError;
use crate::weights::{Weight, WeightKind, weights};
use caribou_ir::Graph;

/// Whether `name` matches a pattern in which `*` stands for any characters and `?` for one.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    // Where the last star is, and up to where it has been taken to reach.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, n));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == name[n]) {
            (p, n) = (p + 1, n + 1);
        } else if let Some((at, reach)) = star {
            star = Some((at, reach + 1));
            (p, n) = (at + 1, reach + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// Why a layer stays that no name of `only` matches.
pub(crate) const UNNAMED: &str = "--only does not name it";

/// Which layers a pass touches, by the names of the source's layers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selection {
    /// Only layers that match one of these; all when there is none. A layer that is named so is not protected.
    pub only: Vec<String>,
    /// Layers that stay as they are.
    pub keep: Vec<String>,
    /// Whether embeddings, the first and the last layer with weights stay as they are unless `only` names them.
    pub protect: bool,
    /// Layers by name that were composed and never learned, such as kernels that centre a normalisation; they stay as they are unless
    /// `only` names them, and are neither the first nor the last layer.
    pub composed: Vec<String>,
}

impl Selection {
    /// The weights of the layers that are selected, in the order of the graph.
    ///
    /// # Errors
    /// When a pattern matches no layer with weights, or nothing is selected.
    pub fn select(&self, graph: &Graph) -> Result<Vec<Weight>, OptimizeError> {
        let all = weights(graph);
        for (option, patterns) in [("--only", &self.only), ("--keep", &self.keep)] {
            for pattern in patterns {
                check(option, pattern, &all)?;
            }
        }
        let selected: Vec<Weight> = all
            .iter()
            .filter(|weight| self.reason(weight, &all).is_none())
            .cloned()
            .collect();
        if selected.is_empty() {
            let message = match all.is_empty() {
                true => "the network has no layer with weights",
                false => {
                    "no layer is left: embeddings, the first and the last layer are protected unless named"
                }
            };
            return Err(OptimizeError::option("--only", message));
        }
        Ok(selected)
    }

    /// Why a weight, one of `all`, stays as it is; `None` where it is selected.
    pub(crate) fn reason(&self, weight: &Weight, all: &[Weight]) -> Option<&'static str> {
        let end = |weight_at_end: Option<&Weight>| {
            weight_at_end.is_some_and(|end| end.origin.layer == weight.origin.layer)
        };
        let composed = |weight: &Weight| self.composed.iter().any(|name| *name == *weight.origin.layer);
        let mut learned = all.iter().filter(|weight| !composed(weight));
        let (first, last) = (learned.next(), learned.next_back());
        let protected = || match self.protect {
            _ if composed(weight) => Some("what conversion composed is protected unless named"),
            true if weight.kind == WeightKind::Embedding => Some("embeddings are protected unless named"),
            true if end(first) => Some("the first layer is protected unless named"),
            true if end(last.or(first)) => Some("the last layer is protected unless named"),
            _ => None,
        };
        self.kept(weight).or_else(|| match self.only.is_empty() {
            true => protected(),
            false => (!named(&self.only, weight)).then_some(UNNAMED),
        })
    }

    /// Why a weight stays as it is by its name.
    pub(crate) fn kept(&self, weight: &Weight) -> Option<&'static str> {
        named(&self.keep, weight).then_some("it is kept by --keep")
    }
}

fn named(patterns: &[String], weight: &Weight) -> bool {
    patterns
        .iter()
        .any(|pattern| matches(pattern, &weight.origin.layer))
}

/// # Errors
/// When the pattern matches no layer with weights.
pub(crate) fn check(option: &'static str, pattern: &str, all: &[Weight]) -> Result<(), OptimizeError> {
    if all.iter().any(|weight| matches(pattern, &weight.origin.layer)) {
        return Ok(());
    }
    let message = format!("{pattern} matches no layer with weights; {}", names_of(all));
    Err(OptimizeError::option(option, message))
}

/// The names of the first layers with weights, for messages.
pub(crate) fn names_of(all: &[Weight]) -> String {
    let mut names: Vec<&str> = all.iter().map(|weight| &*weight.origin.layer).collect();
    names.dedup();
    let more = names.len().saturating_sub(8);
    names.truncate(8);
    let rest = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    format!("there are {}{rest}", names.join(", "))
}

/// Values of some layers in place of the value of all, by pattern; the last that matches counts.
pub type Overrides<T> = Vec<(String, T)>;

/// The value of a layer in place of the common one.
pub(crate) fn override_of<'o, T>(overrides: &'o Overrides<T>, weight: &Weight) -> Option<&'o T> {
    let matching = overrides.iter().rev();
    matching
        .map(|(pattern, value)| (matches(pattern, &weight.origin.layer), value))
        .find_map(|(matches, value)| matches.then_some(value))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_any_text_and_a_question_mark_one_character() {
        for (pattern, name) in [
            ("*", ""),
            ("conv*", "conv2d_1"),
            ("*_?", "conv2d_1"),
            ("a*b*c", "aXXbYYbc"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("", "a"), ("conv", "conv1"), ("?", ""), ("a*c", "ab")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn whole_names_are_matched() {
        for (glob, name, expected) in [
            ("conv*", "conv2d_1", true),
            ("conv*", "my_conv", false),
            ("*conv*", "my_conv", true),
            ("block?_*", "block3_pool", true),
            ("block?_*", "block12_pool", false),
            ("", "", true),
            ("*", "", true),
            ("größe?", "größe1", true),
        ] {
            assert_eq!(matches(glob, name), expected, "{glob} {name}");
        }
    }
}
