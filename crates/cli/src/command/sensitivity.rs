//! `caribou sensitivity`.

use super::selected::{Inputs, Layers, number};
use crate::archive::Model;
use crate::args::{Arguments, Parts};
use crate::destination::Destination;
use crate::failure::Failure;
use crate::output::{complain, print};
use crate::plot::{self, Line, Panel};
use crate::{formats, model};
use caribou_ir::{Graph, layout};
use caribou_optimize::kernels::Scheme;
use caribou_optimize::prune::{Prune, Scope, Target, prune};
use caribou_optimize::quantize::{EXACT, Format, Quantize, ScaleRule, quantize};
use caribou_optimize::selection::Selection;
use clap::Args;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Sensitivity {
    /// The model; its format is found by its content.
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) parts: Parts,
    #[command(flatten)]
    pub(crate) layers: Layers,
    #[command(flatten)]
    pub(crate) inputs: Inputs,
    /// The sparsities that each layer is pruned to by itself.
    #[arg(long, value_name = "SHARE,…", value_delimiter = ',', value_parser = number, default_values_t = [0.5, 0.7, 0.9])]
    pub(crate) levels: Vec<f64>,
    /// The bits that each layer is quantized to by itself.
    #[arg(long, value_name = "BITS,…", value_delimiter = ',', default_values_t = [8, 4])]
    pub(crate) bits: Vec<u32>,
    /// Also draw it: a line for each layer over the levels.
    #[arg(long, value_name = "FILE.svg")]
    pub(crate) plot: Option<PathBuf>,
    /// Replace a chart that is there.
    #[arg(long, requires = "plot")]
    pub(crate) force: bool,
}

/// What is done to one layer.
#[derive(Clone, Copy)]
enum Level {
    Sparsity(f64),
    Bits(u32),
}

impl Level {
    fn name(self) -> String {
        match self {
            Self::Sparsity(sparsity) => format!("{}% zeros", sparsity * 100.0),
            Self::Bits(bits) => format!("{bits} bits"),
        }
    }

    fn apply(self, graph: Graph, layer: &str) -> Result<Graph, Failure> {
        let selection = Selection {
            only: vec![layer.to_owned()],
            ..Selection::default()
        };
        match self {
            Self::Sparsity(sparsity) => {
                let options = Prune {
                    target: Target::Sparsity(sparsity),
                    scope: Scope::PerLayer,
                    selection,
                    overrides: Vec::new(),
                };
                prune(graph, &options).map(|pruned| pruned.graph)
            }
            Self::Bits(bits) => {
                let options = Quantize {
                    format: Format::Integer {
                        bits,
                        scheme: Scheme::Symmetric,
                        per_channel: true,
                        scale: ScaleRule::Max,
                        scale_bits: EXACT,
                    },
                    selection,
                    overrides: Vec::new(),
                    bias_correction: None,
                };
                quantize(graph, &options).map(|quantized| quantized.graph)
            }
        }
        .map_err(Failure::optimize)
    }
}

pub(crate) fn run(options: &Sensitivity, arguments: &Arguments) -> Result<(), Failure> {
    let plot = match &options.plot {
        Some(path) => Some((path, Destination::create(path, options.force, &[&options.model])?)),
        None => None,
    };
    let limits = arguments.limits();
    let read = options.parts.options(limits.clone());
    let opened = formats::open(&options.model, &options.parts)?;
    let import = opened.reader.read(&opened.source, &read).map_err(Failure::read)?;
    let (sunk, _) = layout::sink_transposes(&import.graph)
        .map_err(|error| Failure::model(format!("{}: {error}", options.model.display())))?;
    let source = model::validated(&options.model, import.graph, &limits)?;
    let graph = model::validated(&options.model, sunk, &limits)?;
    let pass = Model {
        source: &source,
        graph: graph.clone(),
        composed: opened.composed(&limits)?,
    };
    let Some(truth) = options.inputs.truth(&pass, false)? else {
        return Ok(());
    };
    let selected = options
        .layers
        .selection(false, &pass.composed)
        .select(&graph)
        .map_err(Failure::optimize)?;
    let mut layers: Vec<String> = selected
        .iter()
        .map(|weight| weight.origin.layer.to_string())
        .collect();
    layers.dedup();
    let sparsities = options.levels.iter().map(|&sparsity| Level::Sparsity(sparsity));
    let levels: Vec<Level> = sparsities
        .chain(options.bits.iter().map(|&bits| Level::Bits(bits)))
        .collect();
    let mut rows = Vec::new();
    for layer in layers {
        let mut moved = Vec::new();
        for level in &levels {
            let changed = level.apply(Graph::clone(&graph), &layer)?;
            let changed = model::validated(&options.model, changed, &limits)?;
            moved.push(truth.deviation(&changed)?.largest());
        }
        rows.push((layer, moved));
    }
    if !arguments.quiet {
        import.findings.iter().for_each(complain);
    }
    let kind = if truth.seeded { "seeded" } else { "given" };
    if let Some((path, mut file)) = plot {
        let svg = chart(options, &rows, truth.samples, kind)?;
        let written = file.file().write_all(svg.as_bytes());
        written.map_err(|error| Failure::io(path, &error))?;
        file.complete()?;
    }
    if arguments.json {
        let names: Vec<String> = levels.iter().map(|level| level.name()).collect();
        let rows: Vec<_> = rows
            .iter()
            .map(|(layer, moved)| json!({ "layer": layer, "max_rel": moved }))
            .collect();
        return print(&format!(
            "{:#}",
            json!({ "inputs": kind, "samples": truth.samples, "levels": names, "layers": rows })
        ));
    }
    let mut lines = vec![format!(
        "how far outputs move, relative to their largest magnitude, on {} {kind} examples, one layer changed at a time",
        truth.samples
    )];
    let cells = |cells: Vec<String>| {
        cells
            .iter()
            .map(|cell| format!(" {cell:>10}"))
            .collect::<String>()
    };
    lines.push(format!(
        "{:<32}{}",
        "layer",
        cells(levels.iter().map(|level| level.name()).collect())
    ));
    for (layer, moved) in &rows {
        let worst = moved.iter().copied().fold(0.0, f64::max);
        let numbers = moved.iter().map(|moved| format!("{moved:.1e}")).collect();
        lines.push(format!("{layer:<32}{}  {}", cells(numbers), bar(worst)));
    }
    print(&lines.join("\n"))
}

/// The same as a chart: zeros and bits beside each other.
fn chart(
    options: &Sensitivity,
    rows: &[(String, Vec<f64>)],
    samples: usize,
    kind: &str,
) -> Result<String, Failure> {
    // Bits from the mildest level on, as zeros are.
    let mut bits: Vec<usize> = (0..options.bits.len()).collect();
    bits.sort_by_key(|&at| std::cmp::Reverse(options.bits[at]));
    let mut zeros: Vec<usize> = (0..options.levels.len()).collect();
    zeros.sort_by(|&a, &b| options.levels[a].total_cmp(&options.levels[b]));
    let panels = [
        (
            Panel {
                title: "share of zeros".into(),
                levels: zeros
                    .iter()
                    .map(|&at| {
                        format!("{:.4}", options.levels[at])
                            .trim_end_matches('0')
                            .to_owned()
                    })
                    .collect(),
            },
            zeros,
        ),
        (
            Panel {
                title: "bits of a weight".into(),
                levels: bits.iter().map(|&at| options.bits[at].to_string()).collect(),
            },
            bits.iter().map(|at| options.levels.len() + at).collect(),
        ),
    ];
    let (panels, columns): (Vec<Panel>, Vec<Vec<usize>>) = panels
        .into_iter()
        .filter(|(panel, _)| !panel.levels.is_empty())
        .unzip();
    let lines: Vec<Line> = rows
        .iter()
        .map(|(layer, moved)| Line {
            name: layer.clone(),
            values: columns
                .iter()
                .map(|places| places.iter().map(|&at| moved[at]).collect())
                .collect(),
        })
        .collect();
    let name = options.model.file_name().unwrap_or_default().to_string_lossy();
    plot::chart(
        &format!("Sensitivity of the layers of {name}"),
        &format!("one layer changed at a time, {samples} {kind} examples"),
        "largest deviation of outputs, relative",
        &panels,
        &lines,
    )
    .map_err(|message| Failure::model(format!("the chart can't be drawn: {message}")))
}

/// A bar whose length is a logarithm: one mark for each third of a power of ten above a millionth.
fn bar(moved: f64) -> String {
    let marks = ((moved.max(1e-6).log10() + 6.0) * 3.0).clamp(0.0, 24.0);
    "#".repeat(marks as usize)
}
