//! Magnitude pruning: the smallest weights become 0 (Han et al. 2015, "Learning both Weights and Connections").
//!
//! A network of zeros takes as much memory and as many multiplications as before; its archive deflates better.
//! Only taking whole filters out makes a network really smaller: [`structured`](crate::structured).

use crate::OptimizeError;
use crate::kernels::Kernels;
use crate::layer::LayerChange;
use crate::selection::{Overrides, Selection, check, override_of};
use crate::weights::{Weight, weights};
use caribou_ir::Graph;

/// Which weights become 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// Exactly `round(sparsity * n)` of `n` weights, those of the smallest magnitude; of equal ones, the first of the matrix
    /// `[output channels, inputs]`. Weights that are 0 already count.
    Sparsity(f64),
    /// Those whose magnitude is not larger.
    Threshold(f32),
    /// Of every `m` neighbours that lead into one output, all but the `n` largest (Mishra et al. 2021).
    NOfM {
        /// How many stay.
        n: usize,
        /// Out of so many.
        m: usize,
    },
    /// Whole blocks of the matrix `[output channels, inputs]`, those of the smallest sum of magnitudes, until the share of
    /// zeros is reached.
    Blocks {
        /// Output channels of a block.
        rows: usize,
        /// Inputs of a block.
        columns: usize,
        /// The share of blocks that become 0.
        sparsity: f64,
    },
}

/// Where weights are compared with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// In all selected layers at once: layers of small weights lose more.
    #[default]
    Global,
    /// In each layer by itself.
    PerLayer,
}

/// How to prune.
#[derive(Debug, Clone, PartialEq)]
pub struct Prune {
    /// Which weights become 0.
    pub target: Target,
    /// Where they are compared.
    pub scope: Scope,
    /// The layers.
    pub selection: Selection,
    /// Sparsities of some layers in place of the common one; such a layer is pruned by itself.
    pub overrides: Overrides<f64>,
}

/// A pruned graph.
#[derive(Debug)]
pub struct Pruned {
    /// The graph; its shapes are those of before.
    pub graph: Graph,
    /// What was done to each weight.
    pub layers: Vec<LayerChange>,
}

/// How many of `elements` weights a sparsity takes.
pub(crate) fn count(sparsity: f64, elements: usize) -> usize {
    ((sparsity * elements as f64).round() as usize).min(elements)
}

/// # Errors
/// When a sparsity is none.
pub(crate) fn check_sparsity(option: &'static str, sparsity: f64) -> Result<(), OptimizeError> {
    if (0.0..1.0).contains(&sparsity) {
        return Ok(());
    }
    Err(OptimizeError::option(
        option,
        format!("{sparsity} is no sparsity: expected a share from 0 up to, but not including, 1"),
    ))
}

/// The sparsities of a gradual schedule of `steps`: `s_t = s_f + (s_i - s_f) (1 - t / n)^3` (Zhu and Gupta 2017), the last
/// one `to`.
pub fn gradual(from: f64, to: f64, steps: usize) -> Vec<f64> {
    (1..=steps)
        .map(|t| to + (from - to) * (1.0 - t as f64 / steps as f64).powi(3))
        .collect()
}

/// Prunes a graph.
///
/// # Errors
/// When an option can't be or selects nothing, a pattern does not divide a layer, or weights can't be read or are NaN.
pub fn prune(mut graph: Graph, options: &Prune) -> Result<Pruned, OptimizeError> {
    match options.target {
        Target::Sparsity(sparsity) => check_sparsity("--sparsity", sparsity)?,
        Target::Blocks { sparsity, .. } => check_sparsity("--sparsity", sparsity)?,
        Target::Threshold(threshold) if !(0.0..f32::MAX).contains(&threshold) => {
            let message = format!("{threshold} is no magnitude: expected a number, 0 or larger");
            return Err(OptimizeError::option("--threshold", message));
        }
        _ => {}
    }
    let all = weights(&graph);
    for (pattern, sparsity) in &options.overrides {
        check("--layer", pattern, &all)?;
        check_sparsity("--layer", *sparsity)?;
    }
    let selected = options.selection.select(&graph)?;
    let (own, common): (Vec<&Weight>, Vec<&Weight>) = selected
        .iter()
        .partition(|weight| override_of(&options.overrides, weight).is_some());
    let mut layers = Vec::new();
    for weight in own {
        let sparsity = override_of(&options.overrides, weight).copied().unwrap_or(0.0);
        layers.push(one(&mut graph, weight, with(options.target, sparsity))?);
    }
    match (options.target, options.scope) {
        (Target::Sparsity(sparsity), Scope::Global) => global(&mut graph, &common, sparsity, &mut layers)?,
        (target, _) => {
            for weight in common {
                layers.push(one(&mut graph, weight, target)?);
            }
        }
    }
    let place = |change: &LayerChange| {
        let matching = |weight: &Weight| *weight.origin.layer == *change.layer && weight.role == change.role;
        selected.iter().position(matching)
    };
    layers.sort_by_key(place);
    Ok(Pruned { graph, layers })
}

/// The same target with a layer's own sparsity.
fn with(target: Target, sparsity: f64) -> Target {
    match target {
        Target::Blocks { rows, columns, .. } => Target::Blocks {
            rows,
            columns,
            sparsity,
        },
        _ => Target::Sparsity(sparsity),
    }
}

/// Prunes all weights together.
fn global(
    graph: &mut Graph,
    selected: &[&Weight],
    sparsity: f64,
    layers: &mut Vec<LayerChange>,
) -> Result<(), OptimizeError> {
    let kernels = Kernels::best();
    let mut parts = Vec::with_capacity(selected.len());
    for weight in selected {
        parts.push(weight.load(graph, &weight.channels_first())?);
    }
    let elements: usize = parts.iter().map(|part| part.len()).sum();
    let views: Vec<&[f32]> = parts.iter().map(|part| &**part).collect();
    let fail = |error| match selected.first() {
        Some(weight) => weight.failed(error),
        None => OptimizeError::option("--only", error.to_string()),
    };
    let cut = kernels
        .smallest(&views, count(sparsity, elements))
        .map_err(fail)?;
    let mut targets: Vec<&mut [f32]> = parts.iter_mut().map(|part| &mut **part).collect();
    kernels.zero(&mut targets, &cut).map_err(fail)?;
    for (weight, after) in selected.iter().zip(parts) {
        layers.push(LayerChange::measured(weight, graph, &after)?);
        weight.store(graph, &weight.channels_first(), after)?;
    }
    Ok(())
}

/// Prunes one weight by itself, in place: one layer may be most of a network.
fn one(graph: &mut Graph, weight: &Weight, target: Target) -> Result<LayerChange, OptimizeError> {
    let kernels = Kernels::best();
    let fail = |error| weight.failed(error);
    let order = weight.channels_first();
    let mut values = weight.load(graph, &order)?;
    match target {
        Target::Sparsity(sparsity) => {
            let k = count(sparsity, values.len());
            kernels.prune(&mut values, k).map_err(fail)?;
        }
        Target::Threshold(threshold) => {
            let above = threshold.next_up();
            kernels.zero_smaller(&mut values, above).map_err(fail)?;
        }
        Target::NOfM { n, m } => {
            let (_, columns) = weight.matrix();
            kernels.keep_n_of_m(&mut values, columns, n, m).map_err(fail)?;
        }
        Target::Blocks {
            rows,
            columns,
            sparsity,
        } => blocks(weight, &mut values, (rows, columns), sparsity)?,
    }
    let change = LayerChange::measured(weight, graph, &values)?;
    weight.store(graph, &order, values)?;
    Ok(change)
}

/// Zeroes the blocks of the smallest sums of magnitudes.
fn blocks(
    weight: &Weight,
    values: &mut [f32],
    block: (usize, usize),
    sparsity: f64,
) -> Result<(), OptimizeError> {
    let (rows, columns) = weight.matrix();
    if block.0 == 0 || block.1 == 0 || rows % block.0 != 0 || columns % block.1 != 0 {
        return Err(OptimizeError::layer(
            &weight.origin,
            format!(
                "blocks of {}x{} do not divide its {rows}x{columns} {}",
                block.0, block.1, weight.role
            ),
        ));
    }
    let across = columns / block.1;
    let place = |i: usize| (i / columns / block.0) * across + (i % columns) / block.1;
    let mut sums = vec![0f64; (rows / block.0) * across];
    for (i, value) in values.iter().enumerate() {
        sums[place(i)] += f64::from(value.abs());
    }
    let mut order: Vec<usize> = (0..sums.len()).collect();
    order.sort_by(|&a, &b| sums[a].total_cmp(&sums[b]));
    let mut gone = vec![false; sums.len()];
    for &place in &order[..count(sparsity, sums.len())] {
        gone[place] = true;
    }
    for (i, value) in values.iter_mut().enumerate() {
        if gone[place(i)] {
            *value = 0.0;
        }
    }
    Ok(())
}
