//! What the judges found, counted and printed.

use caribou_ir::{Findings, Severity};

/// What a judge found.
#[derive(Clone)]
pub(crate) enum Verdict {
    /// The numbers agree, with this relative error.
    Right(f64),
    /// The layer that was expected was refused.
    RefusedAsExpected,
    /// The numbers differ, and a finding says so to the user, as the case expects.
    DiffersAsTold,
    /// Refused, and it should not have been.
    Refused(String),
    /// Other numbers, or none.
    Wrong(String),
}

/// The verdicts of one judge.
#[derive(Clone)]
pub(crate) struct Column {
    name: &'static str,
    /// Whether the error of each right case is printed too.
    each: bool,
    right: usize,
    as_expected: usize,
    refused: usize,
    wrong: usize,
    worst: f64,
    worst_case: String,
}

impl Column {
    pub(crate) fn new(name: &'static str, each: bool) -> Self {
        Self {
            name,
            each,
            right: 0,
            as_expected: 0,
            refused: 0,
            wrong: 0,
            worst: 0.0,
            worst_case: String::new(),
        }
    }

    pub(crate) fn add(&mut self, case: &str, verdict: Verdict) {
        match verdict {
            Verdict::Right(error) => {
                self.right += 1;
                if self.each {
                    println!("{case}: {}: right: {error:.1e}", self.name);
                }
                if error > self.worst {
                    (self.worst, self.worst_case) = (error, case.to_owned());
                }
            }
            Verdict::RefusedAsExpected | Verdict::DiffersAsTold => self.as_expected += 1,
            Verdict::Refused(why) => {
                self.refused += 1;
                println!("{case}: {}: refused: {why}", self.name);
            }
            Verdict::Wrong(what) => {
                self.wrong += 1;
                println!("{case}: {}: WRONG: {what}", self.name);
            }
        }
    }

    /// Whether anything was refused that should not have been, or wrong.
    pub(crate) fn failed(&self) -> bool {
        self.refused + self.wrong > 0
    }
}

/// The table of all judges. "Refused or told" counts the cases whose refusal, or whose difference in training, is what
/// the case expects the user to be told.
pub(crate) fn print(columns: &[Column]) {
    println!(
        "\n{:<16} {:>6} {:>19} {:>8} {:>6}   worst error",
        "judge", "right", "refused or told", "refused", "wrong"
    );
    for column in columns {
        println!(
            "{:<16} {:>6} {:>19} {:>8} {:>6}   {:.1e} {}",
            column.name,
            column.right,
            column.as_expected,
            column.refused,
            column.wrong,
            column.worst,
            column.worst_case
        );
    }
}

/// The first errors; a large network may have hundreds of the same kind.
pub(crate) fn shortened(findings: &Findings) -> String {
    let errors = || {
        findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
    };
    let mut text: Vec<String> = errors().take(3).map(ToString::to_string).collect();
    let more = errors().count().saturating_sub(text.len());
    if more > 0 {
        text.push(format!("and {more} more"));
    }
    text.join("\n")
}
