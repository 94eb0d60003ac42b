//! What is said of a file while it is read: every kind of finding is counted, and the first few of each are told.

use caribou_ir::{Code, Finding, Findings, Origin, Place, Severity};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many findings of one kind are told one by one.
const TOLD: usize = 20;

/// A kind of finding.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    pub(crate) code: Code,
    pub(crate) severity: Severity,
    pub(crate) help: &'static str,
}

macro_rules! kinds {
    ($($(#[$attribute:meta])* $name:ident $severity:ident $code:literal $help:literal;)*) => {
        $($(#[$attribute])* pub(crate) const $name: Kind = Kind { code: Code($code), severity: Severity::$severity, help: $help };)*
    };
}

kinds! {
    // Lines and records that can't be read; a warning where they may be left out.
    /// Something in the place of a number that is none.
    NUMBER Error "W0101" "correct the line, or give --skip-malformed to leave such lines out";
    /// A line with more or fewer numbers than the others.
    COUNT Error "W0102" "correct the line, or give --skip-malformed to leave such lines out";
    /// A line or record without a word.
    NO_WORD Error "W0103" "correct the line, or give --skip-malformed to leave such lines out";
    /// A word that is no UTF-8.
    NOT_UTF8 Error "W0104" "words are read as UTF-8; convert the file, or give --skip-malformed to leave such words out";
    /// A line with tabs, which other programs take for parts of words.
    TABS Error "W0105" "words and numbers are separated by one space, as word2vec, gensim and DeepLearning4j do it";
    // Headers that lie, and ends that come early.
    /// Fewer words than the header says.
    MISSING Error "W0111" "the file may be cut off; --skip-malformed reads what is there";
    /// More words than the header says.
    SURPLUS Warning "W0112" "gensim would stop reading there; all of them are kept here";
    /// A header with another number of dimensions than the lines have.
    DIMENSIONS Error "W0113" "correct the first line; --skip-malformed goes by the lines instead";
    /// A first line that may be a header or a word that is a number.
    AMBIGUOUS Error "W0115" "put a first line before it with how many words and numbers there are; --skip-malformed takes it for a header";
    /// Bytes behind the last word.
    UNREAD Error "W0114" "the file may hold more words than its header says, or be damaged; --skip-malformed leaves them out";
    // What the words are, not how they are written.
    /// A word that comes twice.
    DUPLICATE Warning "W0121" "the first is kept, as gensim does";
    /// A vector that holds NaN or infinity.
    NOT_FINITE Warning "W0122" "similarities with it have no value";
    /// A word with spaces.
    SPACES Note "W0123" "plain text can't hold such a word for other programs; B64: words can";
    /// A word that begins with B64: and is not Base64.
    NOT_BASE64 Warning "W0124" "DeepLearning4j would read the whole file as something else; it is written as B64: of itself";
    // How the file is written.
    /// A file without a header whose first word is a number.
    FIRST_IS_WORD Note "W0131" "where the first line is no header, DeepLearning4j's loadStaticModel would take it for one and lose the word";
    /// Lines that end as on Windows.
    CARRIAGE_RETURNS Note "W0132" "";
    /// A byte order mark.
    MARK Note "W0133" "";
    /// A blank line.
    BLANK Note "W0134" "";
    /// Frequencies in an archive that do not fit its words.
    FREQUENCIES Error "W0141" "DeepLearning4j would give words the vectors of others; take frequencies.txt out of the archive";
    /// Parts of an archive that only training needs.
    TRAINING Note "W0142" "";
}

/// The findings of one file, or of one part of it.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    origin: Origin,
    /// Whether what can't be read is left out: errors become warnings.
    skip: bool,
    told: Vec<Finding>,
    counts: BTreeMap<Code, (usize, Severity)>,
}

impl Log {
    /// No findings yet about the file called `name`, which is of the form `form`.
    pub(crate) fn new(name: impl Into<Arc<str>>, form: impl Into<Arc<str>>, skip: bool) -> Self {
        Self {
            origin: Origin::new(name, form),
            skip,
            told: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    /// An empty one about the same file, for a part that is read by itself.
    pub(crate) fn part(&self) -> Self {
        Self {
            origin: self.origin.clone(),
            skip: self.skip,
            told: Vec::new(),
            counts: BTreeMap::new(),
        }
    }

    /// Notes a finding.
    pub(crate) fn push(&mut self, kind: &Kind, place: Option<Place>, message: impl FnOnce() -> String) {
        let left_out = self.skip && kind.severity == Severity::Error;
        let severity = if left_out {
            Severity::Warning
        } else {
            kind.severity
        };
        let (count, _) = self.counts.entry(kind.code).or_insert((0, severity));
        *count += 1;
        if *count <= TOLD {
            let origin = Origin {
                place,
                ..self.origin.clone()
            };
            let help = if left_out { "" } else { kind.help };
            let finding = Finding::new(severity, kind.code, Some(origin), message());
            self.told.push(finding.with_help(help));
        }
    }

    /// Notes a finding about a line.
    pub(crate) fn line(&mut self, kind: &Kind, line: u64, column: usize, message: impl FnOnce() -> String) {
        let clamped = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let place = Place::Line {
            line: clamped(line),
            column: clamped(column as u64),
        };
        self.push(kind, Some(place), message);
    }

    /// Adds what was found in a later part of the file.
    pub(crate) fn append(&mut self, part: Self) {
        for finding in part.told {
            let told = self.told.iter().filter(|told| told.code == finding.code).count();
            if told < TOLD {
                self.told.push(finding);
            }
        }
        for (code, (count, severity)) in part.counts {
            self.counts.entry(code).or_insert((0, severity)).0 += count;
        }
    }

    /// How often something was found.
    pub(crate) fn count(&self, kind: &Kind) -> usize {
        self.counts.get(&kind.code).map_or(0, |(count, _)| *count)
    }

    /// How many lines or records could not be read.
    pub(crate) fn unread(&self) -> usize {
        [&NUMBER, &COUNT, &NO_WORD, &NOT_UTF8, &TABS]
            .iter()
            .map(|kind| self.count(kind))
            .sum()
    }

    /// All of them; where there were too many of a kind to tell, their number.
    pub(crate) fn findings(self) -> Findings {
        let mut findings = Findings::new();
        for finding in self.told {
            findings.push(finding);
        }
        for (code, (count, severity)) in self.counts {
            if count > TOLD {
                let message = format!("{} more of the same kind", count - TOLD);
                findings.push(Finding::new(severity, code, Some(self.origin.clone()), message));
            }
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_findings_of_a_kind_are_counted_and_a_few_told() {
        let mut log = Log::new("a.txt", "text", true);
        for block in 0..3 {
            let mut part = log.part();
            for line in 0..15 {
                part.line(&NUMBER, block * 15 + line + 1, 3, || format!("line {line}"));
            }
            log.append(part);
        }
        assert_eq!(log.count(&NUMBER), 45);
        let findings = log.findings();
        assert_eq!(findings.len(), TOLD + 1);
        assert!(!findings.has_errors());
        let last = findings.iter().last().unwrap().to_string();
        assert_eq!(last, "warning[W0101] a.txt (text): 25 more of the same kind");
    }
}
