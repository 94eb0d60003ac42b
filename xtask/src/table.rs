//! The README's table of what is supported, made from the cases: a layer is listed as converted only where a case
//! converts it, and a refusal only where a case is refused so.

use crate::Failure;
use crate::case::{Case, cases};
use crate::verify;
use caribou_writer_dl4j::ArchiveLayout;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where the table starts and ends in the README.
const MARKS: [&str; 2] = [
    "<!-- cases: made by `cargo xtask table` -->",
    "<!-- end of cases -->",
];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write nothing, and fail when the README is out of date.
    #[arg(long)]
    pub(crate) check: bool,
}

/// What the cases of one framework show.
#[derive(Default)]
struct Support {
    /// The number of cases that convert a class.
    converted: BTreeMap<String, usize>,
    /// The reasons why cases are refused, by class.
    refused: BTreeMap<String, BTreeSet<String>>,
}

pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Failure> {
    let readme = root.join("README.md");
    let text = std::fs::read_to_string(&readme)?;
    let table = table(root)?;
    let replaced = replace(&text, &table).ok_or("README.md has no place for the table")?;
    if replaced == text {
        return Ok(ExitCode::SUCCESS);
    }
    if options.check {
        eprintln!("README.md does not say what the cases show; run cargo xtask table");
        return Ok(ExitCode::FAILURE);
    }
    std::fs::write(&readme, replaced)?;
    Ok(ExitCode::SUCCESS)
}

/// The text with another table between the marks.
fn replace(text: &str, table: &str) -> Option<String> {
    let [start, end] = MARKS;
    let (before, rest) = text.split_once(start)?;
    let (_, after) = rest.split_once(end)?;
    Some(format!("{before}{start}\n\n{table}\n{end}{after}"))
}

fn table(root: &Path) -> Result<String, Failure> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(root.join("testdata"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    folders.sort();
    let work = tempfile::tempdir()?;
    let mut text = String::new();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        let mut support = Support::default();
        let cases = cases(folder, "*")?;
        if cases.is_empty() {
            continue;
        }
        for case in &cases {
            support.add(case, work.path());
        }
        let name = match folder.file_name().and_then(|name| name.to_str()) {
            Some("keras3") => "Keras 3",
            Some("keras") => "Keras 2",
            Some(other) => other,
            None => continue,
        };
        support.describe(name, &mut text)?;
    }
    Ok(text)
}

impl Support {
    fn add(&mut self, case: &Case, work: &Path) {
        match verify::convert(case, ArchiveLayout::Keep, work) {
            Ok(converted) if case.expect == "convert" => {
                let classes: BTreeSet<&str> = converted
                    .graph
                    .nodes()
                    .map(|(_, node)| &*node.origin.kind)
                    .collect();
                for class in classes {
                    *self.converted.entry(class.to_owned()).or_default() += 1;
                }
            }
            Err(findings) if case.expect == "refuse" => {
                for finding in findings.iter() {
                    if let Some(origin) = &finding.origin
                        && Some(&*origin.layer) == case.layer.as_deref()
                    {
                        self.refused
                            .entry(origin.kind.to_string())
                            .or_default()
                            .insert(finding.message.clone());
                    }
                }
            }
            // The judges report what is not as expected; the table shows it as neither.
            _ => {}
        }
    }

    fn describe(&self, framework: &str, text: &mut String) -> Result<(), std::fmt::Error> {
        let converted: Vec<String> = self
            .converted
            .iter()
            .map(|(class, count)| format!("{class} ({count})"))
            .collect();
        writeln!(
            text,
            "{framework} layers that are converted, with the number of cases that show it: {}.\n",
            converted.join(", ")
        )?;
        writeln!(
            text,
            "| {framework} layer | refused, in the words of the command |\n|---|---|"
        )?;
        for (class, reasons) in &self.refused {
            let reasons: Vec<String> = reasons.iter().map(|reason| reason.replace('|', "\\|")).collect();
            writeln!(text, "| {class} | {} |", reasons.join("; "))?;
        }
        Ok(())
    }
}
