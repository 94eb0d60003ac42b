//! What a reader, the validator or a writer has to say about a model: all of it, each with its layer.

use crate::Origin;
use std::fmt;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; the outputs are unaffected.
    Note,
    /// The outputs are right, but something of the source was not carried over.
    Warning,
    /// The model can't be carried over as it is.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// A stable identifier such as `K0107`: a letter for the crate (`I` graph, `K` Keras, `T` TensorFlow, `C` Caffe,
/// `D` DL4J), then a number that never changes its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub &'static str);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// One statement about one place of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What kind of statement it is.
    pub code: Code,
    /// The layer or node it speaks of; `None` when it speaks of the whole model.
    pub origin: Option<Origin>,
    /// One line that says what is the case.
    pub message: String,
    /// One line that says what to do about it; empty when there is nothing to do.
    pub help: String,
}

impl Finding {
    /// A finding without a line of help.
    pub fn new(severity: Severity, code: Code, origin: Option<Origin>, message: impl Into<String>) -> Self {
        Self {
            severity,
            code,
            origin,
            message: message.into(),
            help: String::new(),
        }
    }

    /// An error at `origin`.
    pub fn error(code: Code, origin: &Origin, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, Some(origin.clone()), message)
    }

    /// A warning at `origin`.
    pub fn warning(code: Code, origin: &Origin, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, Some(origin.clone()), message)
    }

    /// A note at `origin`.
    pub fn note(code: Code, origin: &Origin, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, Some(origin.clone()), message)
    }

    /// The same finding with a line of help.
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = help.into();
        self
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.severity, self.code)?;
        if let Some(origin) = &self.origin {
            write!(f, " {origin}")?;
        }
        write!(f, ": {}", self.message)?;
        if !self.help.is_empty() {
            write!(f, "\n  help: {}", self.help)?;
        }
        Ok(())
    }
}

/// The findings of one run, in the order in which they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// No findings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one; an exact repetition is left out.
    pub fn push(&mut self, finding: Finding) {
        if !self.0.contains(&finding) {
            self.0.push(finding);
        }
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: Findings) {
        for finding in other.0 {
            self.push(finding);
        }
    }

    /// Whether there is an error among them.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Finding> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Finding> for Findings {
    fn from(finding: Finding) -> Self {
        Self(vec![finding])
    }
}

impl IntoIterator for Findings {
    type Item = Finding;
    type IntoIter = std::vec::IntoIter<Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a Findings {
    type Item = &'a Finding;
    type IntoIter = std::slice::Iter<'a, Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, finding) in self.0.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{finding}")?;
        }
        Ok(())
    }
}
