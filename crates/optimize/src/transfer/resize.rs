//! Layers with another number of units or filters, and those that read them.

use super::TransferError;
use super::initialise::Initialiser;
use super::layers::{Layers, learns};
use super::rebuild::Rebuild;
use caribou_ir::op::{Cell, Conv, Operator};
use caribou_ir::{Graph, Node, NodeId, Op, Origin, Shape, Tensor};

const OPTION: &str = "--resize";

/// The graph with other numbers of units. Parameters that no longer fit are initialised anew.
pub(super) fn resize(
    graph: &Graph,
    sizes: &[(String, usize)],
    initialiser: &mut Initialiser,
) -> Result<Graph, TransferError> {
    if sizes.is_empty() {
        return Ok(graph.clone());
    }
    let layers = Layers::of(graph);
    let mut wanted: Vec<(NodeId, usize)> = Vec::new();
    for (name, units) in sizes {
        let nodes = layers.find(name, OPTION)?;
        let last = nodes.iter().rev().find(|&&id| learns(&graph.node(id).op));
        let Some(&id) = last else {
            let message = "it has no units or filters of its own: resize the layer in front of it";
            return Err(TransferError::layer(
                OPTION,
                &graph.node(nodes[0]).origin,
                message,
            ));
        };
        wanted.push((id, *units));
    }
    let mut rebuild = Rebuild::of(graph);
    for (id, node) in graph.nodes() {
        let units = wanted
            .iter()
            .find(|(node, _)| *node == id)
            .map(|&(_, units)| units);
        let inputs: Vec<&Shape> = node
            .inputs
            .iter()
            .map(|&value| rebuild.new.shape(rebuild.value(value)))
            .collect();
        let same = |(old, new): (&caribou_ir::ValueId, &&Shape)| {
            let old = graph.shape(*old);
            old.rank() == new.rank()
                && old
                    .dims()
                    .iter()
                    .zip(new.dims())
                    .all(|(a, b)| a.fixed() == b.fixed())
        };
        let unchanged = node.inputs.iter().zip(&inputs).all(same);
        let op = match (units, unchanged) {
            (None, true) => node.op.clone(),
            (units, _) => refitted(node, &inputs, units, initialiser)?,
        };
        rebuild.copy_as(node, op)?;
    }
    Ok(rebuild.finish(&[]))
}

/// The operator with parameters for these inputs and, if given, this number of units.
fn refitted(
    node: &Node,
    inputs: &[&Shape],
    units: Option<usize>,
    new: &mut Initialiser,
) -> Result<Op, TransferError> {
    let origin = &node.origin;
    let refuse = |message: String| TransferError::layer(OPTION, origin, message);
    let size = |axis: usize| {
        let size = inputs.first().and_then(|shape| shape.size(axis));
        size.ok_or_else(|| refuse("the number of features that it reads is not known".into()))
    };
    let mut op = node.op.clone();
    match &mut op {
        Op::Dense(dense) => {
            let rank = inputs.first().map_or(2, |shape| shape.rank());
            let (features, units) = (size(rank - 1)?, units.unwrap_or(dense.weight.shape()[1]));
            let fans = (features as f64, units as f64);
            dense.weight = new.kernel(origin, "weight", &[features, units], fans)?;
            if dense.bias.is_some() {
                dense.bias = Some(new.constant(origin, "bias", &[units], 0.0)?);
            }
        }
        Op::Conv(conv) => refit_conv(conv, size(1)?, units, (OPTION, origin), new)?,
        Op::ConvTranspose(conv) if conv.groups == 1 => {
            let mut shape = conv.weight.shape();
            shape[0] = size(1)?;
            shape[1] = units.unwrap_or(shape[1]);
            let cells: usize = shape[2..].iter().product();
            let stride: usize = conv.strides.iter().product();
            let fans = (
                (shape[0] * cells) as f64,
                (shape[1] * cells) as f64 / stride as f64,
            );
            conv.weight = new.kernel(origin, "weight", &shape, fans)?;
            if conv.bias.is_some() {
                conv.bias = Some(new.constant(origin, "bias", &[shape[1]], 0.0)?);
            }
        }
        Op::Recurrent(recurrent) => {
            let (cell, features) = (&mut recurrent.cell, size(2)?);
            refit_cell(cell, features, units.unwrap_or(cell.units()), node, new)?;
        }
        Op::Embedding(embedding) => {
            let [rows, features] = embedding.table.shape()[..] else {
                return Err(refuse("its table has no two axes".into()));
            };
            let units = units.unwrap_or(features);
            embedding.table = new.kernel(origin, "table", &[rows, units], (rows as f64, units as f64))?;
        }
        Op::BatchNorm(norm) if units.is_none() => {
            let channels = size(norm.axis)?;
            for (role, parameter) in norm.parameters_mut() {
                let value = if matches!(role, "scale" | "variance") {
                    1.0
                } else {
                    0.0
                };
                *parameter = new.constant(origin, role, &[channels], value)?;
            }
        }
        Op::PRelu(prelu) if units.is_none() => {
            let mut shape = prelu.slope.shape();
            for (axis, extent) in shape.iter_mut().enumerate().filter(|(_, extent)| **extent != 1) {
                *extent = size(axis + 1)?;
            }
            prelu.slope = new.constant(origin, "slope", &shape, 0.0)?;
        }
        op if units.is_none() && op.parameters().is_empty() => {}
        op => {
            return Err(refuse(format!(
                "{} has no number of units that can be changed",
                op.name()
            )));
        }
    }
    Ok(op)
}

/// Gives a convolution of `channels` other filters, as many as before or `units`.
pub(super) fn refit_conv(
    conv: &mut Conv,
    channels: usize,
    units: Option<usize>,
    (option, origin): (&'static str, &Origin),
    new: &mut Initialiser,
) -> Result<(), TransferError> {
    let mut shape = conv.weight.shape();
    let depthwise = conv.groups > 1 && shape[1] == 1;
    if depthwise && units.is_none() {
        // As many filters for each channel as before.
        shape[0] = shape[0] / conv.groups * channels;
        conv.groups = channels;
    } else if conv.groups == 1 {
        shape[0] = units.unwrap_or(shape[0]);
        shape[1] = channels;
    } else {
        let message = "its filters are in groups, whose number can't be changed";
        return Err(TransferError::layer(option, origin, message));
    }
    let cells: usize = shape[2..].iter().product();
    let stride: usize = conv.strides.iter().product();
    let inputs = if depthwise { channels } else { shape[1] };
    let fans = ((inputs * cells) as f64, (shape[0] * cells) as f64 / stride as f64);
    conv.weight = new.kernel(origin, "weight", &shape, fans)?;
    if conv.bias.is_some() {
        conv.bias = Some(new.constant(origin, "bias", &[shape[0]], 0.0)?);
    }
    Ok(())
}

/// DL4J counts the units of a recurrent layer as what leads in, and inputs and units as what leads out.
fn refit_cell(
    cell: &mut Cell,
    features: usize,
    units: usize,
    node: &Node,
    new: &mut Initialiser,
) -> Result<(), TransferError> {
    let origin = &node.origin;
    let gates = cell.gates();
    let fans = match cell {
        Cell::Simple(_) => (features as f64, units as f64),
        _ => (units as f64, (features + units) as f64),
    };
    let mut kernel = |role: &str, rows: usize| new.kernel(origin, role, &[rows, gates * units], fans);
    let (weight, recurrent) = (kernel("weight", features)?, kernel("recurrent", units)?);
    let mut rest = |role: &str| new.constant(origin, role, &[gates * units], 0.0);
    match cell {
        Cell::Lstm(cell) => {
            (cell.weight, cell.recurrent) = (weight, recurrent);
            if cell.bias.is_some() {
                // The blocks are i, f, c, o; a forget gate starts open.
                let bias: Vec<f32> = (0..4 * units)
                    .map(|i| f32::from(u8::from(i / units == 1)))
                    .collect();
                cell.bias = Some(new.given(origin, "bias", &bias));
            }
            if let Some(peephole) = &mut cell.peephole {
                let roles: [(&str, &mut Tensor); 3] = [
                    ("peephole input", &mut peephole.input),
                    ("peephole forget", &mut peephole.forget),
                    ("peephole output", &mut peephole.output),
                ];
                for (role, parameter) in roles {
                    *parameter = new.constant(origin, role, &[units], 0.0)?;
                }
            }
        }
        Cell::Gru(cell) => {
            (cell.weight, cell.recurrent) = (weight, recurrent);
            if cell.bias.is_some() {
                cell.bias = Some(rest("bias")?);
            }
            if cell.recurrent_bias.is_some() {
                cell.recurrent_bias = Some(rest("recurrent bias")?);
            }
        }
        Cell::Simple(cell) => {
            (cell.weight, cell.recurrent) = (weight, recurrent);
            if cell.bias.is_some() {
                cell.bias = Some(rest("bias")?);
            }
        }
    }
    Ok(())
}
