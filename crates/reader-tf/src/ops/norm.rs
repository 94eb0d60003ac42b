//! Normalisation.

use super::conv::Frame;
use super::{Call, Found, MISFIT, Outputs, Row, real};
use crate::graph::Output;
use caribou_ir::Tensor;
use caribou_ir::op::{BatchNorm, LocalResponseNorm};

const BATCH: &[&str] = &["epsilon", "is_training", "data_format", "exponential_avg_factor"];

pub(super) const TABLE: &[Row] = &[
    real("FusedBatchNorm", BATCH, batch),
    real("FusedBatchNormV2", BATCH, batch),
    real("FusedBatchNormV3", BATCH, batch),
    real("LRN", &["depth_radius", "bias", "alpha", "beta"], local_response),
];

/// The share of the old statistics that a training step keeps; the graph of a trained network does not tell it.
pub(crate) const MOMENTUM: f64 = 0.99;

/// Normalisation with stored statistics.
fn batch(call: &mut Call<'_, '_>) -> Outputs {
    if call.flag("is_training", true)? {
        return Err(call.option(
            "it normalises with the statistics of the batch (is_training): freeze the graph as it is at inference",
        ));
    }
    let x = call.value(0)?;
    let rank = call.rank(x);
    let frame = Frame::of(call, rank.saturating_sub(2))?;
    let axis = if frame.channels_first { 1 } else { rank - 1 };
    let channels = call.size(x, axis)?;
    let op = BatchNorm {
        axis,
        scale: unless_constant(call, 1, 1.0)?,
        offset: unless_constant(call, 2, 0.0)?,
        mean: call.tensor(3)?,
        variance: call.tensor(4)?,
        epsilon: call.real("epsilon", 1e-4)?,
        momentum: MOMENTUM,
    };
    if op.mean.shape() != [channels] {
        return Err(call.refuse(
            MISFIT,
            format!(
                "statistics of shape {:?} for {channels} channels",
                op.mean.shape()
            ),
        ));
    }
    let y = call.apply(op, &[x])?;
    call.gives(y)
}

/// A parameter; `None` for a constant that the program itself has put there for one that it does not have.
fn unless_constant(call: &Call<'_, '_>, place: usize, neutral: f64) -> Found<Option<Tensor>> {
    let tensor = call.tensor(place)?;
    let node = call.through(call.node.inputs[place]).node;
    if call.builder.is_written_constant(Output { node, slot: 0 })
        && call
            .known(place)?
            .as_reals()
            .is_ok_and(|values| values.iter().all(|&value| value == neutral))
    {
        return Ok(None);
    }
    Ok(Some(tensor))
}

/// `x / (bias + alpha * sum x^2)^beta` over the neighbours on the last axis.
fn local_response(call: &mut Call<'_, '_>) -> Outputs {
    let x = call.value(0)?;
    let frame = Frame {
        axes: 2,
        channels_first: false,
    };
    let radius = usize::try_from(call.whole("depth_radius", 5)?)
        .map_err(|_| call.option("a negative depth_radius"))?;
    let op = LocalResponseNorm {
        size: 2 * radius + 1,
        alpha: call.real("alpha", 1.0)?,
        beta: call.real("beta", 0.5)?,
        bias: call.real("bias", 1.0)?,
    };
    let x = frame.ahead(call, x)?;
    let y = call.apply(op, &[x])?;
    let y = frame.behind(call, y)?;
    call.gives(y)
}
