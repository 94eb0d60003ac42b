//! Recorded cases: a model, inputs, and the outputs that its own framework computed.

use crate::Failure;
use ndarray::ArrayD;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The names that a model may have in the folder of its case.
const MODELS: [&str; 2] = ["model.h5", "model.keras"];

/// One case, as `case.json` describes it.
#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    pub(crate) case: String,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    /// Largest difference, relative to the largest magnitude of the output.
    pub(crate) tolerance: f64,
    /// `convert` or `refuse`.
    pub(crate) expect: String,
    /// The layer that a refusal must name.
    pub(crate) layer: Option<String>,
    /// Whether stock DL4J can train the converted network; false where it has a fault of its own.
    #[serde(default = "yes")]
    pub(crate) trains: bool,
    /// The option `--unroll-recurrent` of the conversion.
    pub(crate) unroll_recurrent: Option<usize>,
    /// How the source framework went on training it.
    pub(crate) training: Option<Course>,
    #[serde(skip)]
    pub(crate) directory: PathBuf,
}

/// Recorded training: batches, used one after the other and then again, and the loss of each before its step.
#[derive(Debug, Deserialize)]
pub(crate) struct Course {
    /// For each input a file with an array whose first axis counts batches.
    pub(crate) inputs: Vec<String>,
    /// The same for the labels of each output.
    pub(crate) labels: Vec<String>,
    pub(crate) losses: Vec<f64>,
    /// Largest relative difference of a loss.
    pub(crate) tolerance: f64,
    /// The code of the finding that must say why the losses differ, where they can't be the same in
    /// one of the layouts.
    pub(crate) differs: Option<String>,
}

fn yes() -> bool {
    true
}

/// An input or output.
#[derive(Debug, Deserialize)]
pub(crate) struct Port {
    pub(crate) file: String,
}

impl Case {
    /// The model, in the form that the case has it.
    pub(crate) fn model(&self) -> PathBuf {
        MODELS
            .iter()
            .map(|name| self.directory.join(name))
            .find(|path| path.exists())
            .unwrap_or_else(|| self.directory.join(MODELS[0]))
    }

    pub(crate) fn arrays(&self, ports: &[Port]) -> Result<Vec<ArrayD<f32>>, Failure> {
        ports
            .iter()
            .map(|port| Ok(ndarray_npy::read_npy(self.directory.join(&port.file))?))
            .collect()
    }
}

/// The cases of a folder whose names match, by name.
pub(crate) fn cases(folder: &Path, pattern: &str) -> Result<Vec<Case>, Failure> {
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let directory = entry?.path();
        let Ok(text) = std::fs::read_to_string(directory.join("case.json")) else {
            continue;
        };
        let case: Case = serde_json::from_str(&text)?;
        if matches(pattern, &case.case) {
            cases.push(Case { directory, ..case });
        }
    }
    cases.sort_by(|a, b| a.case.cmp(&b.case));
    Ok(cases)
}

/// Whether `name` matches a pattern in which `*` stands for any characters.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            (0..=name.len())
                .filter(|&i| name.is_char_boundary(i))
                .any(|i| matches(rest, &name[i..]))
        }),
    }
}
