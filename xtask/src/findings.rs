//! The book's page of findings, made from the sources: each code stands there with the sentence above it.

use crate::Failure;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Write nothing, and fail when the page is out of date.
    #[arg(long)]
    pub(crate) check: bool,
}

/// Who speaks, by the first letter of a code.
const SPEAKERS: [(char, &str); 6] = [
    ('K', "Keras' files"),
    ('T', "TensorFlow's files"),
    ('C', "Caffe's files"),
    ('D', "DeepLearning4j's archives, written and read"),
    ('I', "The graph, and what was done to it"),
    ('W', "Word vectors"),
];

const START: &str = "# Findings

Whatever caribou has to say of a model it says with a stable code, the layer, and where there is one the place in the file. An **error** means
that the model is refused; a **warning**, that the outputs are right and something else was not carried over; a **note** is worth knowing.
`--report FILE.json` and `--json` give the same for programs.
";

pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Failure> {
    let file = root.join("docs/findings.md");
    let page = page(&root.join("crates"))?;
    if std::fs::read_to_string(&file).ok().as_ref() == Some(&page) {
        return Ok(ExitCode::SUCCESS);
    }
    if options.check {
        eprintln!("docs/findings.md does not say what the crates do; run cargo xtask findings");
        return Ok(ExitCode::FAILURE);
    }
    std::fs::write(&file, page)?;
    Ok(ExitCode::SUCCESS)
}

fn page(crates: &Path) -> Result<String, Failure> {
    let mut sentences: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in sources(crates)? {
        collect(&std::fs::read_to_string(&file)?, &mut sentences)
            .map_err(|code| format!("{}: no sentence stands above {code}", file.display()))?;
    }
    let mut page = START.to_owned();
    for (letter, speaker) in SPEAKERS {
        write!(page, "\n## {speaker}\n\n| code | what it says |\n|---|---|\n")?;
        for (code, said) in sentences.iter().filter(|(code, _)| code.starts_with(letter)) {
            let said: Vec<&str> = said.iter().map(String::as_str).collect();
            writeln!(page, "| {code} | {} |", said.join(" "))?;
        }
    }
    Ok(page)
}

/// The sources of all crates, without their tests.
fn sources(crates: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut folders = Vec::new();
    for each in std::fs::read_dir(crates)? {
        folders.push(each?.path().join("src"));
    }
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.ends_with("tests.rs") {
                files.push(path);
            }
        }
    }
    Ok(files)
}

/// Takes the sentence in front of each code.
///
/// # Errors
/// A code that has none.
fn collect(source: &str, sentences: &mut BTreeMap<String, BTreeSet<String>>) -> Result<(), String> {
    let mut sentence = String::new();
    let own = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or(source);
    for line in own.lines().map(str::trim) {
        if let Some(more) = line.strip_prefix("///") {
            sentence.push_str(if sentence.is_empty() { "" } else { " " });
            sentence.push_str(more.trim());
            continue;
        }
        if let Some(code) = line.split('"').skip(1).step_by(2).find(|text| is_code(text)) {
            if sentence.is_empty() {
                return Err(code.to_owned());
            }
            let said = std::mem::take(&mut sentence);
            sentences.entry(code.to_owned()).or_default().insert(said);
        }
        sentence.clear();
    }
    Ok(())
}

/// Whether a text is a letter and four digits.
fn is_code(text: &str) -> bool {
    let mut characters = text.chars();
    let letter = characters.next();
    SPEAKERS.iter().any(|(speaker, _)| Some(*speaker) == letter)
        && text.len() == 5
        && characters.all(|character| character.is_ascii_digit())
}
