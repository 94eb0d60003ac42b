//! `caribou prune --structured`: filters and units taken out.

use super::prune::Prune;
use crate::archive::{self, Changed, Model};
use crate::args::Arguments;
use crate::failure::Failure;
use crate::model;
use crate::optimization::{Optimization, Truth};
use caribou_ir::{Finding, Findings, Severity, ValidGraph};
use caribou_optimize::prune::Scope;
use caribou_optimize::structured::{Criterion, Options, Shrunk, masked, shrink};
use caribou_runtime::Session;
use clap::ValueEnum;

/// What is taken out.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Structure {
    /// Whole filters of convolutions and units of dense layers.
    Filters,
}

/// By what filters are found.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CriterionChoice {
    L1,
    L2,
    Median,
}

impl From<CriterionChoice> for Criterion {
    fn from(choice: CriterionChoice) -> Self {
        match choice {
            CriterionChoice::L1 => Self::L1,
            CriterionChoice::L2 => Self::L2,
            CriterionChoice::Median => Self::Median,
        }
    }
}

/// The network without the filters of the last of these shares; each step is told.
pub(crate) fn change(
    options: &Prune,
    steps: &[f64],
    arguments: &Arguments,
    model: &Model,
) -> Result<Changed, Failure> {
    let truth = options.inputs.truth(model, options.subject.target.no_verify)?;
    let limits = arguments.limits();
    let smaller = |sparsity: f64| -> Result<(Shrunk, ValidGraph), Failure> {
        let shrunk = shrink(
            &model.graph,
            &Options {
                criterion: options.criterion.into(),
                sparsity,
                scope: match options.per_layer {
                    true => Scope::PerLayer,
                    false => Scope::Global,
                },
                selection: options.layers.selection(true, &model.composed),
                overrides: options.overrides.clone(),
            },
        )
        .map_err(Failure::optimize)?;
        let graph = model::validated(&options.subject.model, shrunk.graph.clone(), &limits)?;
        Ok((shrunk, graph))
    };
    let mut findings = Findings::new();
    let (last, before) = steps.split_last().unwrap_or((&0.0, &[]));
    for &sparsity in before {
        let (_, graph) = smaller(sparsity)?;
        if let Some(truth) = &truth {
            findings.push(archive::step(sparsity, truth.deviation(&graph)?.largest()));
        }
    }
    let (shrunk, graph) = smaller(*last)?;
    if shrunk.taken < shrunk.wanted {
        let message = format!(
            "of {} units that may go, {} were to, and {} did: something has to stay in every layer",
            shrunk.candidates, shrunk.wanted, shrunk.taken
        );
        findings.push(Finding::new(Severity::Warning, archive::TOO_FEW, None, message));
    }
    let mut report = Optimization::new("prune", model.source, &graph);
    report.units = shrunk.layers;
    if let Some(truth) = &truth {
        let whole = masked(&model.graph, &shrunk.cuts).map_err(Failure::optimize)?;
        let whole = model::validated(&options.subject.model, whole, &limits)?;
        report.masked = Some(proven(truth, &whole, &graph)?);
    }
    Ok(Changed {
        findings,
        ..Changed::judged(graph, report, truth)?
    })
}

/// How far the smaller network is from the whole one in which the same filters are masked.
///
/// # Errors
/// When that is more than rounding: the analysis has a fault then, and its network is not written.
fn proven(truth: &Truth, whole: &ValidGraph, smaller: &ValidGraph) -> Result<f64, Failure> {
    let run = |graph: &ValidGraph| {
        let outputs = Session::new(graph).run(&truth.inputs);
        outputs.map_err(|error| Failure::Differ(format!("the changed network can't be run: {error}")))
    };
    let differences = model::differences(&run(whole)?, &run(smaller)?).map_err(Failure::Differ)?;
    let mut worst = 0.0f64;
    for ((_, relative), port) in differences.iter().zip(smaller.outputs()) {
        if relative.is_nan() || *relative > archive::tolerance(whole) {
            return Err(Failure::Differ(format!(
                "the smaller network is not the one with the same filters masked: output {} differs by {relative:.1e}",
                port.name
            )));
        }
        worst = worst.max(*relative);
    }
    Ok(worst)
}
