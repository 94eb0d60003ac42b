//! Structured pruning: whole filters and units are taken out, and the network is really smaller.
//!
//! A filter that goes takes with it its channel of all that follows: statistics and scales, slopes, the filters of depthwise
//! convolutions, the rows of the kernels that read it. Channels that are added to each other go together, those behind a
//! concatenation or a flattening are found at their places there. The smaller network computes what the larger one does
//! when those channels are 0 wherever a layer reads them ([`masked`]): each sum has the same terms in the same order but for
//! the zeros. Where a sum is one run, as those of up to 256 terms are in `caribou-runtime`, it is the same to the last bit;
//! zeros in longer ones move the bounds between runs, and with them the rounding.
//!
//! | criterion | what goes first |
//! |---|---|
//! | [`Criterion::L1`] | filters of the smallest mean magnitude (Li et al. 2017, "Pruning Filters for Efficient ConvNets") |
//! | [`Criterion::L2`] | filters of the smallest mean square |
//! | [`Criterion::Median`] | filters that the others of their layer can best stand in for: the nearest to all of them (He et al. 2019, "Filter Pruning via Geometric Median") |
//!
//! All are means over the weights of a filter, so that layers with filters of other sizes compare; filters that go together
//! have one score.

mod choose;
mod cuts;
mod follow;
mod layers;
mod masked;
mod reshape;
mod score;
mod shrink;
mod units;

pub use cuts::Cuts;
pub use masked::masked;

use crate::OptimizeError;
use crate::prune::{Scope, check_sparsity};
use crate::selection::{Overrides, Selection, UNNAMED, check};
use crate::weights::{Weight, WeightKind, weights};
use caribou_ir::Graph;
use caribou_ir::op::Operator;
use follow::{Followed, follow};
use layers::Filters;
use units::{Reason, Units};

/// By what the units that go are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Criterion {
    /// The mean magnitude of their weights.
    #[default]
    L1,
    /// The root of the mean square of their weights.
    L2,
    /// The mean distance to the other filters of the layer.
    Median,
}

/// How to take units out.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// By what they are found.
    pub criterion: Criterion,
    /// The share of the units of the selected layers that goes: `round(sparsity * n)` of `n`.
    pub sparsity: f64,
    /// Where they are compared.
    pub scope: Scope,
    /// The layers whose own filters or units may go; others lose what they read.
    pub selection: Selection,
    /// Shares of some layers in place of the common one; such a layer is treated by itself.
    pub overrides: Overrides<f64>,
}

/// What was done to the units of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitChange {
    /// The layer.
    pub layer: String,
    /// The parameter that the units are entries of.
    pub role: String,
    /// How many there were.
    pub before: usize,
    /// How many are left.
    pub after: usize,
    /// Why some or all of them had to stay; `None` where each might have gone.
    pub reason: Option<String>,
}

/// A smaller network.
#[derive(Debug)]
pub struct Shrunk {
    /// The graph.
    pub graph: Graph,
    /// What was done to each layer with units, in the order of the graph.
    pub layers: Vec<UnitChange>,
    /// What stays of the values of the graph before.
    pub cuts: Cuts,
    /// How many units, or sets of units that go together, there were to choose from.
    pub candidates: usize,
    /// How many of them were to go.
    pub wanted: usize,
    /// How many went: fewer where an axis would have been left empty.
    pub taken: usize,
}

/// Takes whole filters and units out of a graph.
///
/// # Errors
/// When an option can't be or selects nothing, nothing that is selected can be taken out, or weights can't be read or are NaN.
pub fn shrink(graph: &Graph, options: &Options) -> Result<Shrunk, OptimizeError> {
    check_sparsity("--sparsity", options.sparsity)?;
    let all = weights(graph);
    for (pattern, share) in &options.overrides {
        check("--layer", pattern, &all)?;
        check_sparsity("--layer", *share)?;
    }
    options.selection.select(graph)?;
    let Followed {
        mut units,
        axes,
        layers,
    } = follow(graph);
    let layers: Vec<(Filters, Weight)> = layers
        .into_iter()
        .filter_map(|layer| {
            let own = |weight: &&Weight| weight.node == layer.node && weight.role == layer.role;
            let weight = all.iter().find(own)?.clone();
            Some((layer, weight))
        })
        .collect();
    for (layer, weight) in &layers {
        // The filters of a depthwise convolution go with what it reads, unless it is to stay by its name.
        let reason = match layer.follows {
            true => options.selection.kept(weight),
            false => options.selection.reason(weight, &all),
        };
        if let Some(reason) = reason {
            units.pin(&layer.units, Reason::of(&weight.origin, reason));
        }
    }
    let scores = score::scores(graph, &layers, &units, options.criterion)?;
    let chosen = choose::choose(&layers, &axes, &units, &scores, options);
    let cuts = Cuts::of(&axes, &units, &chosen.units);
    let change = |(layer, weight): &(Filters, Weight)| {
        let gone = |unit: &&units::Unit| chosen.units.contains(&units.root(**unit));
        UnitChange {
            layer: weight.origin.layer.to_string(),
            role: weight.role.to_owned(),
            before: layer.units.len(),
            after: layer.units.len() - layer.units.iter().filter(gone).count(),
            reason: why(&units, layer, weight),
        }
    };
    let mut changes: Vec<(usize, UnitChange)> = layers
        .iter()
        .map(|layer| (layer.0.node.index(), change(layer)))
        .collect();
    changes.extend(without_filters(graph, &all, &layers));
    changes.sort_by_key(|(position, _)| *position);
    let changes: Vec<UnitChange> = changes.into_iter().map(|(_, change)| change).collect();
    if chosen.candidates == 0 {
        return Err(nothing(&changes));
    }
    Ok(Shrunk {
        graph: shrink::shrink(graph, &cuts)?,
        layers: changes,
        cuts,
        candidates: chosen.candidates,
        wanted: chosen.wanted,
        taken: chosen.units.len(),
    })
}

/// Why units of a layer stay. Its own name need not be said.
fn why(units: &Units, layer: &Filters, weight: &Weight) -> Option<String> {
    let reason = layer.units.iter().find_map(|&unit| units.reason(unit))?;
    Some(match &reason.origin {
        Some(origin) if origin.layer == weight.origin.layer => reason.message.clone(),
        _ => reason.to_string(),
    })
}

/// Layers with weights whose units are not taken out one by one.
fn without_filters(graph: &Graph, all: &[Weight], layers: &[(Filters, Weight)]) -> Vec<(usize, UnitChange)> {
    let mut list: Vec<(usize, UnitChange)> = Vec::new();
    for weight in all {
        let known = layers.iter().any(|(layer, _)| layer.node == weight.node);
        if known || list.iter().any(|(position, _)| *position == weight.node.index()) {
            continue;
        }
        let node = graph.node(weight.node);
        let (units, message) = match (weight.kind, &node.op) {
            (WeightKind::Recurrent, caribou_ir::Op::Recurrent(op)) => {
                (op.cell.units(), "the units of a recurrent layer read each other")
            }
            _ => (weight.matrix().0, "its heads share its columns"),
        };
        let change = UnitChange {
            layer: weight.origin.layer.to_string(),
            role: node.op.name().to_owned(),
            before: units,
            after: units,
            reason: Some(message.to_owned()),
        };
        list.push((weight.node.index(), change));
    }
    list
}

/// That nothing can be taken out, and why.
fn nothing(changes: &[UnitChange]) -> OptimizeError {
    const NAMED: usize = 4;
    let mut reasons: Vec<String> = changes
        .iter()
        .filter_map(|change| Some((change, change.reason.as_deref()?)))
        .filter(|(_, reason)| *reason != UNNAMED)
        .map(|(change, reason)| format!("{}: {reason}", change.layer))
        .collect();
    let more = reasons.len().saturating_sub(NAMED);
    reasons.truncate(NAMED);
    let rest = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    OptimizeError::option(
        "--structured",
        format!("no unit can be taken out: {}{rest}", reasons.join("; ")),
    )
}
