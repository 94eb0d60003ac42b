//! `caribou prune`.

use super::selected::{Inputs, Layers, number};
use super::structured::{self, CriterionChoice, Structure};
use crate::archive::{Changed, Model};
use crate::args::{Arguments, Subject};
use crate::failure::Failure;
use crate::optimization::{Optimization, rewritten};
use crate::{archive, model};
use caribou_ir::Findings;
use caribou_optimize::layer::LayerChange;
use caribou_optimize::prune::{Prune as Options, Scope, Target as Zeros, prune};
use clap::Args;

#[derive(Args)]
#[command(group(clap::ArgGroup::new("how").required(true).args(["sparsity", "threshold", "n_m", "steps"])))]
pub(crate) struct Prune {
    #[command(flatten)]
    pub(crate) subject: Subject,
    #[command(flatten)]
    pub(crate) layers: Layers,
    #[command(flatten)]
    pub(crate) inputs: Inputs,
    /// The share of the selected weights that becomes 0: those of the smallest magnitude, exactly so many.
    #[arg(long, value_name = "SHARE", value_parser = number)]
    pub(crate) sparsity: Option<f64>,
    /// Sparsities that are reached one after the other, each told with what it does to the outputs; the last one is written.
    #[arg(long, value_name = "SHARE,…", value_delimiter = ',', value_parser = number)]
    pub(crate) steps: Vec<f64>,
    /// Weights of at most this magnitude become 0.
    #[arg(long, value_name = "MAGNITUDE")]
    pub(crate) threshold: Option<f32>,
    /// Of every M neighbours that lead into one output, all but the N largest become 0: 2:4, 4:8.
    #[arg(long = "n-m", value_name = "N:M", value_parser = n_m)]
    pub(crate) n_m: Option<(usize, usize)>,
    /// Whole blocks of so many output channels and inputs become 0, in place of single weights.
    #[arg(long, value_name = "ROWSxCOLUMNS", value_parser = block, conflicts_with_all = ["threshold", "n_m", "steps", "global"])]
    pub(crate) block: Option<(usize, usize)>,
    /// Take whole filters and units out in place of single weights, so that the network is really smaller; --sparsity is the
    /// share of those that may go.
    #[arg(long, value_enum, conflicts_with_all = ["threshold", "n_m", "block"])]
    pub(crate) structured: Option<Structure>,
    /// Which filters go first: those of the smallest magnitudes (l1), of the smallest squares (l2), or nearest to the others of
    /// their layer (median).
    #[arg(long, value_enum, default_value = "l1", requires = "structured")]
    pub(crate) criterion: CriterionChoice,
    /// Compare weights in each layer by itself.
    #[arg(long, conflicts_with = "global")]
    pub(crate) per_layer: bool,
    /// Compare the weights of all selected layers with each other (the default).
    #[arg(long)]
    pub(crate) global: bool,
    /// The sparsity of some layers in place of the common one.
    #[arg(long = "layer", value_name = "GLOB=SHARE", value_parser = super::selected::assigned::<f64>)]
    pub(crate) overrides: Vec<(String, f64)>,
}

fn n_m(text: &str) -> Result<(usize, usize), String> {
    pair(text, ':').ok_or_else(|| "expected N:M, such as 2:4, with 0 < N <= M".into())
}

fn block(text: &str) -> Result<(usize, usize), String> {
    pair(text, 'x').ok_or_else(|| "expected ROWSxCOLUMNS, such as 4x1".into())
}

fn pair(text: &str, between: char) -> Option<(usize, usize)> {
    let (a, b) = text.split_once(between)?;
    let (a, b) = (a.parse().ok()?, b.parse().ok()?);
    (a > 0 && b > 0 && (between != ':' || a <= b)).then_some((a, b))
}

pub(crate) fn run(options: &Prune, arguments: &Arguments) -> Result<(), Failure> {
    let mut pass = |model: Model| change(options, arguments, model);
    let repetitive = options.structured.is_none();
    rewritten(&options.subject, arguments, repetitive, &mut pass)
}

fn change(options: &Prune, arguments: &Arguments, model: Model) -> Result<Changed, Failure> {
    let zeros = |sparsity: f64| match (options.block, options.threshold, options.n_m) {
        (Some((rows, columns)), ..) => Zeros::Blocks {
            rows,
            columns,
            sparsity,
        },
        (None, Some(threshold), _) => Zeros::Threshold(threshold),
        (None, None, Some((n, m))) => Zeros::NOfM { n, m },
        (None, None, None) => Zeros::Sparsity(sparsity),
    };
    let steps = match options.steps.as_slice() {
        [] => vec![options.sparsity.unwrap_or(0.0)],
        steps => steps.to_vec(),
    };
    if options.structured.is_some() {
        return structured::change(options, &steps, arguments, &model);
    }
    let truth = options.inputs.truth(&model, options.subject.target.no_verify)?;
    // Every step is one of the source: what is told of the weights is told against those that were trained.
    let source = model.graph;
    let mut graph = source.clone();
    let (mut changes, mut findings) = (Vec::<LayerChange>::new(), Findings::new());
    for (i, &sparsity) in steps.iter().enumerate() {
        let pruned = prune(
            source.clone().into_graph(),
            &Options {
                target: zeros(sparsity),
                scope: if options.per_layer {
                    Scope::PerLayer
                } else {
                    Scope::Global
                },
                selection: options.layers.selection(true, &model.composed),
                overrides: options.overrides.clone(),
            },
        )
        .map_err(Failure::optimize)?;
        changes = pruned.layers;
        graph = model::validated(&options.subject.model, pruned.graph, &arguments.limits())?;
        if i + 1 < steps.len()
            && let Some(truth) = &truth
        {
            findings.push(archive::step(sparsity, truth.deviation(&graph)?.largest()));
        }
    }
    let mut report = Optimization::new("prune", model.source, &graph);
    report.layers = changes;
    Ok(Changed {
        findings,
        ..Changed::judged(graph, report, truth)?
    })
}
