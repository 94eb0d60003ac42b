//! What the values inside a network are, on given examples.

use crate::failure::Failure;
use crate::model;
use caribou_ir::op::Op;
use caribou_ir::{ActivationRange, ValidGraph, ValueId};
use caribou_optimize::quantize::InputMeans;
use caribou_runtime::{Array, Session};
use ndarray::Axis;
use std::collections::HashMap;
use std::path::PathBuf;

/// Ranges and means of the values inside a network.
pub(crate) struct Calibration {
    /// The range of each layer's outputs.
    pub(crate) ranges: Vec<ActivationRange>,
    /// The means of the channels that layers with weights read.
    pub(crate) means: InputMeans,
}

impl Calibration {
    /// Of the arrays in these files, in the order of the graph's inputs.
    pub(crate) fn of(graph: &ValidGraph, files: &[PathBuf]) -> Result<Self, Failure> {
        let inputs = model::arrays(graph, files, "--calibrate")?;
        // The values that layers with weights read, with the axis of their channels.
        let mut wanted: HashMap<ValueId, (usize, Option<Vec<f64>>)> = HashMap::new();
        for (_, node) in graph.nodes() {
            if let Some(axis) = feature_axis(
                &node.op,
                graph
                    .shape(*node.inputs.first().unwrap_or(&node.outputs[0]))
                    .rank(),
            ) {
                wanted.insert(node.inputs[0], (axis, None));
            }
        }
        for (port, array) in graph.inputs().iter().zip(&inputs) {
            if let Some((axis, means)) = wanted.get_mut(&port.value) {
                *means = Some(channel_means(array, *axis));
            }
        }
        let mut ranges: Vec<ActivationRange> = Vec::new();
        Session::new(graph)
            .run_observed(&inputs, &mut |node, outputs| {
                for (value, array) in node.outputs.iter().zip(outputs) {
                    if let Some((axis, means)) = wanted.get_mut(value) {
                        *means = Some(channel_means(array, *axis));
                    }
                    let bounds = array
                        .iter()
                        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| {
                            (low.min(value), high.max(value))
                        });
                    // The operators of one layer follow each other: what the last of them makes is the layer's output.
                    let layer = &*node.origin.layer;
                    let range = ActivationRange {
                        layer: layer.to_owned(),
                        least: bounds.0,
                        greatest: bounds.1,
                    };
                    let finite = bounds.0.is_finite() && bounds.1.is_finite();
                    match ranges.last_mut() {
                        Some(last) if last.layer == layer && finite => *last = range,
                        _ if finite => ranges.push(range),
                        _ => {}
                    }
                }
            })
            .map_err(|error| Failure::Usage(format!("--calibrate: {error}")))?;
        let means = graph
            .nodes()
            .filter_map(|(id, node)| {
                let (_, means) = wanted.get(node.inputs.first()?)?;
                Some((id, means.clone()?))
            })
            .collect();
        Ok(Self { ranges, means })
    }
}

/// The axis of the channels that a layer with weights reads; `None` for other operators.
fn feature_axis(op: &Op, rank: usize) -> Option<usize> {
    match op {
        Op::Conv(_) => Some(1),
        Op::Dense(_) => rank.checked_sub(1),
        _ => None,
    }
}

fn channel_means(array: &Array, axis: usize) -> Vec<f64> {
    if axis >= array.ndim() {
        return Vec::new();
    }
    let lanes = array.axis_iter(Axis(axis));
    lanes
        .map(|lane| lane.iter().map(|&value| f64::from(value)).sum::<f64>() / lane.len().max(1) as f64)
        .collect()
}
