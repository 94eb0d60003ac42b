//! Clipping: weights that are far from the others are brought nearer, so that a grid of few integers fits the rest.

use crate::OptimizeError;
use crate::kernels::{Channels, Kernels};
use crate::layer::LayerChange;
use crate::selection::Selection;
use crate::weights::Weight;
use caribou_ir::Graph;

/// The bound of weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// Each weight to `[-value, value]`.
    Value(f32),
    /// The weights of each layer to a Euclidean norm of at most this: `w * min(1, norm / |w|)`.
    LayerNorm(f32),
    /// The same for each output channel.
    ChannelNorm(f32),
    /// Each weight to the magnitude that this share of the layer's weights, in percent, does not exceed.
    Percentile(f64),
}

/// How to clip.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// The bound.
    pub bound: Bound,
    /// The layers.
    pub selection: Selection,
}

/// A clipped graph.
#[derive(Debug)]
pub struct Clipped {
    /// The graph; its shapes are those of before.
    pub graph: Graph,
    /// What was done to each weight.
    pub layers: Vec<LayerChange>,
}

/// Clips the weights of a graph.
///
/// # Errors
/// When the bound is none or nothing is selected, or weights can't be read or are NaN.
pub fn clip(mut graph: Graph, options: &Clip) -> Result<Clipped, OptimizeError> {
    let positive = |option, bound: f32| match bound > 0.0 && bound.is_finite() {
        true => Ok(()),
        false => Err(OptimizeError::option(
            option,
            format!("{bound} is no bound: expected a number above 0"),
        )),
    };
    match options.bound {
        Bound::Value(value) => positive("--value", value)?,
        Bound::LayerNorm(norm) | Bound::ChannelNorm(norm) => positive("--norm", norm)?,
        Bound::Percentile(percent) if !(percent > 0.0 && percent <= 100.0) => {
            let message = format!("{percent} is no percentage: expected a number above 0, up to 100");
            return Err(OptimizeError::option("--percentile", message));
        }
        Bound::Percentile(_) => {}
    }
    let mut layers = Vec::new();
    for weight in options.selection.select(&graph)? {
        let order = weight.channels_first();
        let mut after = weight.load(&graph, &order)?;
        bounded(&weight, &mut after, options.bound)?;
        layers.push(LayerChange::measured(&weight, &graph, &after)?);
        weight.store(&mut graph, &order, after)?;
    }
    Ok(Clipped { graph, layers })
}

fn bounded(weight: &Weight, values: &mut [f32], bound: Bound) -> Result<(), OptimizeError> {
    let kernels = Kernels::best();
    let fail = |error| weight.failed(error);
    let (rows, columns) = weight.matrix();
    match bound {
        Bound::Value(value) => {
            kernels.clip(values, -value, value).map_err(fail)?;
        }
        Bound::Percentile(percent) => {
            let k = (percent / 100.0 * values.len() as f64).ceil() as usize;
            let value = kernels
                .kth_magnitude(values, k.clamp(1, values.len()))
                .map_err(fail)?;
            kernels.clip(values, -value, value).map_err(fail)?;
        }
        Bound::LayerNorm(norm) => shrink(values, Channels::whole(rows * columns), norm).map_err(fail)?,
        Bound::ChannelNorm(norm) => shrink(values, Channels::rows(rows, columns), norm).map_err(fail)?,
    }
    Ok(())
}

/// Scales each channel down to the norm.
fn shrink(values: &mut [f32], channels: Channels, norm: f32) -> Result<(), crate::kernels::KernelError> {
    let factors: Vec<f32> = values
        .chunks(channels.len().max(1))
        .map(|row| {
            row.iter()
                .map(|&value| f64::from(value) * f64::from(value))
                .sum::<f64>()
                .sqrt()
        })
        .map(|found| {
            if found > f64::from(norm) {
                (f64::from(norm) / found) as f32
            } else {
                1.0
            }
        })
        .collect();
    Kernels::best().scale(values, channels, &factors)
}
