//! Options that several commands share: layers by name, and examples to judge by.

use crate::archive::{Model, SAMPLES};
use crate::failure::Failure;
use crate::optimization::Truth;
use caribou_optimize::selection::Selection;
use clap::Args;
use std::path::PathBuf;

/// Which layers are changed.
#[derive(Args)]
pub(crate) struct Layers {
    /// Change only layers whose name matches; * stands for any characters. Such layers are not protected.
    #[arg(long, value_name = "GLOB")]
    pub(crate) only: Vec<String>,
    /// Leave layers as they are whose name matches.
    #[arg(long, value_name = "GLOB")]
    pub(crate) keep: Vec<String>,
}

impl Layers {
    /// With or without protection of embeddings, the first and the last layer.
    pub(crate) fn selection(&self, protect: bool, composed: &[String]) -> Selection {
        Selection {
            only: self.only.clone(),
            keep: self.keep.clone(),
            protect,
            composed: composed.to_vec(),
        }
    }
}

/// What the outputs are compared on.
#[derive(Args)]
pub(crate) struct Inputs {
    /// Examples to compare the outputs on, in the order of the model's inputs; seeded ones without.
    #[arg(long = "inputs", value_name = "FILE.npy")]
    pub(crate) inputs: Vec<PathBuf>,
}

impl Inputs {
    /// The examples with what the source gives for them; nothing where nothing is to be run.
    pub(crate) fn truth(&self, model: &Model, no_verify: bool) -> Result<Option<Truth>, Failure> {
        match self.inputs.as_slice() {
            [] if no_verify => Ok(None),
            [] => Truth::seeded(model.source, SAMPLES).map(Some),
            files => Truth::given(model.source, files).map(Some),
        }
    }
}

/// A finite number.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err("expected a number".into()),
    }
}

/// `GLOB=VALUE`.
pub(crate) fn assigned<T: std::str::FromStr>(text: &str) -> Result<(String, T), String> {
    let (glob, value) = text.rsplit_once('=').ok_or("expected GLOB=VALUE")?;
    let value = value.parse().map_err(|_| format!("{value} is no number"))?;
    Ok((glob.to_owned(), value))
}
