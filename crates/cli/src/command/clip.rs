//! `caribou clip`.

use super::selected::{Inputs, Layers, number};
use crate::archive::{Changed, Model};
use crate::args::{Arguments, Subject};
use crate::failure::Failure;
use crate::model;
use crate::optimization::{Optimization, rewritten};
use caribou_optimize::clip::{Bound, Clip as Options, clip};
use clap::Args;

#[derive(Args)]
#[command(group(clap::ArgGroup::new("bound").required(true).args(["value", "norm", "percentile"])))]
pub(crate) struct Clip {
    #[command(flatten)]
    pub(crate) subject: Subject,
    #[command(flatten)]
    pub(crate) layers: Layers,
    #[command(flatten)]
    pub(crate) inputs: Inputs,
    /// Each weight to a magnitude of at most this.
    #[arg(long, value_name = "X")]
    pub(crate) value: Option<f32>,
    /// The weights of each output channel to a Euclidean norm of at most this.
    #[arg(long, value_name = "X")]
    pub(crate) norm: Option<f32>,
    /// With --norm, the weights of each layer as a whole.
    #[arg(long, requires = "norm")]
    pub(crate) per_layer: bool,
    /// Each weight to the magnitude that so many percent of its layer's weights do not exceed.
    #[arg(long, value_name = "P", value_parser = number)]
    pub(crate) percentile: Option<f64>,
}

pub(crate) fn run(options: &Clip, arguments: &Arguments) -> Result<(), Failure> {
    let mut pass = |model: Model| change(options, arguments, model);
    rewritten(&options.subject, arguments, true, &mut pass)
}

fn change(options: &Clip, arguments: &Arguments, model: Model) -> Result<Changed, Failure> {
    let bound = match (options.value, options.norm, options.percentile) {
        (Some(value), ..) => Bound::Value(value),
        (None, Some(norm), _) if options.per_layer => Bound::LayerNorm(norm),
        (None, Some(norm), _) => Bound::ChannelNorm(norm),
        (None, None, percent) => Bound::Percentile(percent.unwrap_or(100.0)),
    };
    let truth = options.inputs.truth(&model, options.subject.target.no_verify)?;
    let selection = options.layers.selection(false, &model.composed);
    let clipped = clip(model.graph.into_graph(), &Options { bound, selection }).map_err(Failure::optimize)?;
    let graph = model::validated(&options.subject.model, clipped.graph, &arguments.limits())?;
    let mut report = Optimization::new("clip", model.source, &graph);
    report.layers = clipped.layers;
    Changed::judged(graph, report, truth)
}
