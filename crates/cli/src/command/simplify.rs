//! `caribou simplify`.

use crate::archive::{self, Changed, Model, SAMPLES};
use crate::args::{Arguments, Subject};
use crate::failure::Failure;
use crate::model;
use crate::optimization::{Optimization, Truth, rewritten};
use caribou_optimize::simplify::{Simplify as Options, simplify};
use clap::Args;

#[derive(Args)]
pub(crate) struct Simplify {
    #[command(flatten)]
    pub(crate) subject: Subject,
}

pub(crate) fn run(options: &Simplify, arguments: &Arguments) -> Result<(), Failure> {
    let mut pass = |model: Model| change(options, arguments, model);
    rewritten(&options.subject, arguments, false, &mut pass)
}

fn change(options: &Simplify, arguments: &Arguments, model: Model) -> Result<Changed, Failure> {
    let folding = Options {
        evaluate: Some(&caribou_runtime::evaluate),
    };
    let simplified = simplify(&model.graph, &folding).map_err(Failure::optimize)?;
    let graph = model::validated(&options.subject.model, simplified.graph, &arguments.limits())?;
    let mut report = Optimization::new("simplify", model.source, &graph);
    report.rewrites = simplified.rewrites;
    let truth = match options.subject.target.no_verify {
        true => None,
        false => Some(Truth::seeded(model.source, SAMPLES)?),
    };
    let changed = Changed::judged(graph, report, truth)?;
    let tolerance = archive::tolerance(model.source);
    match &changed.report.deviation {
        Some(deviation) if deviation.largest() > tolerance => Err(Failure::Differ(format!(
            "the simplified network computes something else: a relative difference of {:.1e}, tolerance {tolerance:.0e}",
            deviation.largest()
        ))),
        _ => Ok(changed),
    }
}
