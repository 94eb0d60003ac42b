//! What the model was compiled with: `training_config` of HDF5 files, `compile_config` of archives.

pub(crate) mod layer;
mod loss;
mod optimizer;
mod schedule;
mod state;

pub(crate) use optimizer::Extra;

use crate::weights::{WeightStore, Weights};
use caribou_ir::{Code, Finding, Findings, Graph, Severity, Training};
use serde_json::Value;

/// Something of the training configuration that was not carried over, or will be different.
const LOST: Code = Code("K0301");

/// The state of the optimizer can't be read.
const STATE: Code = Code("K0302");

/// The training configuration of a `.keras` archive: the `compile_config` of its `config.json`; `None` for a model that
/// was not compiled.
pub(crate) fn of_archive(config: &str) -> Option<String> {
    let config: Value = crate::config::json(config).ok()?;
    let compiled = config.get("compile_config")?.as_object()?;
    (!compiled.is_empty()).then(|| Value::Object(compiled.clone()).to_string())
}

/// Parses the text of `training_config` or `compile_config`. What is not known becomes a warning, never an error: the
/// outputs of the model do not depend on it.
pub(crate) fn parse(text: &str, graph: &Graph, findings: &mut Findings) -> Option<(Training, Extra)> {
    let value: Value = serde_json::from_str(text).ok()?;
    let mut lost = |message: String| findings.push(Finding::new(Severity::Warning, LOST, None, message));
    let (mut training, mut extra) = (Training::default(), Extra::default());
    let optimizer = ["optimizer_config", "optimizer"]
        .iter()
        .find_map(|key| value.get(key).filter(|value| !value.is_null()));
    match optimizer.map(optimizer::read) {
        Some(Ok(read)) => {
            training.updater = Some(read.updater);
            extra = read.extra;
            read.differences.into_iter().for_each(&mut lost);
        }
        Some(Err(message)) => lost(format!("{message}; plain gradient descent takes its place")),
        None => {}
    }
    training.losses = loss::read(&value, graph, &mut lost);
    Some((training, extra))
}

/// Adds what the optimizer remembers, when the file of `store` holds it, to `training`.
pub(crate) fn go_on(
    training: &mut Training,
    extra: &Extra,
    store: &WeightStore<'_>,
    weights: &[Weights],
    findings: &mut Findings,
) {
    let Some(updater) = &training.updater else { return };
    let mut lost = |message: String| findings.push(Finding::new(Severity::Warning, STATE, None, message));
    match state::read(store, weights, &updater.kind, extra) {
        Ok(read) => {
            training.state = read.map(|read| {
                read.lost.into_iter().for_each(lost);
                read.state
            });
        }
        Err(error) => lost(format!(
            "the state of the optimizer was not carried over: {error}"
        )),
    }
}
