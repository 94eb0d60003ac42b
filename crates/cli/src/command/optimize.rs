//! `caribou optimize`.

use super::selected::{Inputs, Layers, number};
use crate::archive::{Changed, Model};
use crate::args::{Arguments, PrecisionChoice, Subject};
use crate::destination::{self, Destination};
use crate::failure::Failure;
use crate::labels::{Labels, loss};
use crate::optimization::{Examples, Optimization, Outcome, Truth, rewritten};
use crate::{model, progress};
use caribou_ir::{Findings, Graph, ValidGraph};
use caribou_optimize::recipe::{Applied, Recipe};
use caribou_optimize::search::{Judgement, Search, search};
use caribou_optimize::simplify::Simplify;
use caribou_runtime::Array;
use clap::Args;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(crate) struct Optimize {
    #[command(flatten)]
    pub(crate) subject: Subject,
    #[command(flatten)]
    pub(crate) layers: Layers,
    #[command(flatten)]
    pub(crate) inputs: Inputs,
    /// How far the network may fall behind, from 0 to 1: the largest difference of outputs relative to their largest magnitude, or,
    /// with --labels, the accuracy that it may lose.
    #[arg(long, value_name = "SHARE", value_parser = number, required_unless_present = "recipe", allow_negative_numbers = true)]
    pub(crate) max_drop: Option<f64>,
    /// The classes of the examples of --inputs, as indices [N] or rows [N, C] with one 1. Given several times, for several outputs.
    #[arg(long, value_name = "[OUTPUT=]FILE.npy", requires = "inputs")]
    pub(crate) labels: Vec<String>,
    /// The most networks that are run on the way.
    #[arg(long, value_name = "COUNT", default_value_t = 400)]
    pub(crate) evaluations: usize,
    /// Do what this file says, without a search; with --max-drop it is an error if the network falls further behind.
    #[arg(long, value_name = "FILE.toml", conflicts_with_all = ["only", "keep", "evaluations"])]
    pub(crate) recipe: Option<PathBuf>,
    /// Write what was done to each layer, as a file to edit and to give to --recipe.
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) save_recipe: Option<PathBuf>,
}

/// Seeded examples where none are given.
const SEEDED: usize = 8;

pub(crate) fn run(options: &Optimize, arguments: &Arguments) -> Result<(), Failure> {
    if options.subject.target.precision != PrecisionChoice::Single {
        let message =
            "--precision: the grids of a recipe are of 32-bit numbers; quantize by --precision alone";
        return Err(Failure::Usage(message.into()));
    }
    let given = options.recipe.as_deref().map(read).transpose()?;
    let target = &options.subject.target;
    let mut saved = match &options.save_recipe {
        Some(path) => {
            destination::distinct(path, &target.output)?;
            if let Some(report) = &target.report {
                destination::distinct(path, report)?;
            }
            let inputs = [Some(options.subject.model.as_path()), options.recipe.as_deref()];
            let inputs: Vec<&Path> = inputs.into_iter().flatten().collect();
            Some((path, Destination::create(path, target.force, &inputs)?))
        }
        None => None,
    };
    let mut pass = |model: Model| {
        let changed = change(options, arguments, given.as_ref(), model)?;
        if let (Some((path, file)), Some(found)) = (&mut saved, &changed.report.found) {
            let written = file.file().write_all(found.recipe.as_bytes());
            written.map_err(|error| Failure::io(path, &error))?;
        }
        Ok(changed)
    };
    rewritten(&options.subject, arguments, true, &mut pass)?;
    saved.map_or(Ok(()), |(_, file)| file.complete())
}

/// Reads a recipe.
fn read(path: &Path) -> Result<Recipe, Failure> {
    let fail = |message: String| Failure::Usage(format!("--recipe: {}: {message}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    Recipe::parse(&text).map_err(|error| fail(error.to_string()))
}

/// What networks are judged by.
struct Measure<'m> {
    truth: &'m Truth,
    labels: Option<Labels>,
}

impl Measure<'_> {
    /// How far a network with these outputs falls behind, by the measure that is bounded.
    fn drop(&self, graph: &ValidGraph, found: &[Array]) -> Result<f64, Failure> {
        match &self.labels {
            Some(labels) => Ok(loss(&labels.accuracies(found))),
            None => Ok(self.truth.distance(graph, found)?.largest()),
        }
    }

    /// The power of the difference of outputs, relative to theirs, of all outputs together.
    fn noise(&self, found: &[Array]) -> f64 {
        let outputs = self.truth.expected.iter().zip(found);
        outputs
            .map(|(expected, found)| {
                let (mut signal, mut noise) = (0f64, 0f64);
                for (&a, &b) in expected.iter().zip(found) {
                    let (a, b) = (f64::from(a), f64::from(b));
                    signal += a * a;
                    noise += (a - b) * (a - b);
                }
                if noise == 0.0 { 0.0 } else { noise / signal }
            })
            .sum()
    }
}

fn change(
    options: &Optimize,
    arguments: &Arguments,
    given: Option<&Recipe>,
    model: Model,
) -> Result<Changed, Failure> {
    let truth = match options.inputs.inputs.as_slice() {
        [] => Truth::seeded(model.source, SEEDED)?,
        files => Truth::given(model.source, files)?,
    };
    let labels = match options.labels.as_slice() {
        [] => None,
        given => Some(Labels::read(model.source, &truth.expected, given)?),
    };
    let measure = Measure {
        truth: &truth,
        labels,
    };
    let limits = arguments.limits();
    let validated = |graph: &Graph| model::validated(&options.subject.model, graph.clone(), &limits);
    let folding = Simplify {
        evaluate: Some(&caribou_runtime::evaluate),
    };
    let (recipe, applied, evaluations) = match given {
        Some(recipe) => {
            let applied = recipe.apply(&model.graph, &folding).map_err(Failure::optimize)?;
            (recipe.clone(), applied, 1)
        }
        None => {
            let wanted = Search {
                selection: options.layers.selection(false, &model.composed),
                evaluations: options.evaluations,
                ..Search::within(options.max_drop.unwrap_or(0.0))
            };
            let bar = progress::steps(options.evaluations as u64, "networks", arguments.quiet);
            let mut judge = |graph: &Graph| -> Result<Judgement, Failure> {
                let graph = validated(graph)?;
                let found = truth.outputs(&graph)?;
                bar.inc(1);
                Ok(Judgement {
                    drop: measure.drop(&graph, &found)?,
                    noise: measure.noise(&found),
                })
            };
            let found = search(&model.graph, &wanted, &folding, &mut judge)?;
            bar.finish_and_clear();
            (found.recipe, found.applied, found.evaluations)
        }
    };
    let Applied {
        graph,
        quantization,
        layers,
        rewrites,
    } = applied;
    let graph = validated(&graph)?;
    let outputs = truth.outputs(&graph)?;
    let drop = measure.drop(&graph, &outputs)?;
    if let Some(bound) = options.max_drop
        && drop > bound
    {
        return Err(Failure::Differ(format!(
            "--max-drop {bound}: the network falls behind by {drop:.2e}"
        )));
    }
    let accuracies = measure.labels.as_ref().map(|labels| labels.accuracies(&outputs));
    let mut report = Optimization::new("optimize", model.source, &graph);
    report.rewrites = rewrites;
    report.layers = layers;
    report.found = Some(Outcome {
        max_drop: options.max_drop,
        drop,
        accuracies: accuracies.unwrap_or_default(),
        evaluations,
        recipe: recipe.to_toml().map_err(Failure::optimize)?,
    });
    report.deviation = Some(truth.distance(&graph, &outputs)?);
    Ok(Changed {
        graph,
        report,
        findings: Findings::new(),
        quantization: Some(quantization),
        examples: Some(Examples {
            inputs: truth.inputs,
            outputs,
        }),
    })
}
