//! A list of words, one on each line.

use crate::failure::Failure;
use caribou_ir::{Code, Finding, Findings, Limits, Origin, Place, Severity, Source};
use caribou_word_vectors::Words;
use std::path::Path;
use std::sync::Arc;

/// A word of the vocabulary that has no vector.
const UNKNOWN: Code = Code("W0211");
/// A word that the vocabulary lists twice.
const REPEATED: Code = Code("W0212");
/// How many of them are named.
const NAMED: usize = 20;

/// The words of a file in their order. Blank lines have no word, and keep their place.
pub(crate) struct Vocabulary {
    name: Arc<str>,
    lines: Vec<String>,
}

impl Vocabulary {
    /// Reads a file of UTF-8 with a word on each line.
    pub(crate) fn read(path: &Path, limits: &Limits) -> Result<Self, Failure> {
        let source = Source::open(path).map_err(|error| Failure::io(path, &error))?;
        let failed = |message: String| Failure::model(format!("{}: {message}", path.display()));
        if source.bytes().len() > limits.text_bytes {
            return Err(failed(format!(
                "a vocabulary of {} bytes is above the limit of {}; raise it with --limit text-bytes=…",
                source.bytes().len(),
                limits.text_bytes
            )));
        }
        let text = std::str::from_utf8(source.bytes()).map_err(|error| {
            let line = source.bytes()[..error.valid_up_to()]
                .iter()
                .filter(|&&byte| byte == b'\n')
                .count()
                + 1;
            failed(format!("line {line} is not UTF-8"))
        })?;
        let lines: Vec<String> = text
            .strip_prefix('\u{feff}')
            .unwrap_or(text)
            .lines()
            .map(str::to_owned)
            .collect();
        if lines.iter().all(String::is_empty) {
            return Err(failed("it lists no word".into()));
        }
        Ok(Self {
            name: path.display().to_string().into(),
            lines,
        })
    }

    /// The words, each with the line that it stands on, counted from zero.
    pub(crate) fn places(&self) -> impl Iterator<Item = (usize, &str)> + Clone {
        self.lines
            .iter()
            .map(String::as_str)
            .enumerate()
            .filter(|(_, word)| !word.is_empty())
    }

    /// The words, each with its row, where the word of the first line has row `first`.
    pub(crate) fn rows(&self, first: usize) -> impl Iterator<Item = (usize, &str)> + Clone {
        self.places()
            .map(move |(line, word)| (first.saturating_add(line), word))
    }

    /// What there is to say about words that are not known, and words that are listed twice.
    pub(crate) fn findings(&self, known: impl Fn(&str) -> bool) -> Findings {
        let unknown: Vec<_> = self.places().filter(|(_, word)| !known(word)).collect();
        let all = Words::from_words(self.places().map(|(_, word)| word));
        let mut seen = vec![false; all.len()];
        let repeated: Vec<_> = self
            .places()
            .filter(|(_, word)| {
                all.find(word)
                    .is_some_and(|row| std::mem::replace(&mut seen[row], true))
            })
            .collect();
        let mut findings = Findings::new();
        for (code, list, what) in [
            (UNKNOWN, unknown, "has no vector"),
            (REPEATED, repeated, "stands there already"),
        ] {
            let origin = Origin::new(self.name.clone(), "vocabulary");
            for (line, word) in list.iter().take(NAMED) {
                let line = u32::try_from(line + 1).unwrap_or(u32::MAX);
                let origin = origin.clone().at(Place::Line { line, column: 1 });
                findings.push(Finding::warning(
                    code,
                    &origin,
                    format!("the word {word:?} {what}"),
                ));
            }
            if list.len() > NAMED {
                let message = format!("{} more of the same kind", list.len() - NAMED);
                findings.push(Finding::new(Severity::Warning, code, Some(origin), message));
            }
        }
        findings
    }
}
