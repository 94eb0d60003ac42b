//! Layers that have filters, and those that sum over what others make.

use super::follow::{Axis, Follower};
use super::units::{Reason, Unit};
use caribou_ir::op::{Op, Operator};
use caribou_ir::{Node, NodeId, Tensor};
use std::rc::Rc;

/// A layer whose filters are units.
#[derive(Debug, Clone)]
pub(super) struct Filters {
    pub(super) node: NodeId,
    /// The parameter that they are entries of.
    pub(super) role: &'static str,
    /// The unit of each filter.
    pub(super) units: Rc<[Unit]>,
    /// Whether they follow the channels that the layer reads, as those of a depthwise convolution do.
    pub(super) follows: bool,
    /// What the layer reads along the axis that it sums over.
    inputs: Vec<Axis>,
}

/// The units behind a layer with parameters that mix channels; `None` where the operator is no such layer.
pub(super) fn follow(follower: &mut Follower, id: NodeId, node: &Node) -> Option<Vec<Vec<Axis>>> {
    let reason = |message: &str| Reason::of(&node.origin, message);
    let x = *node.inputs.first()?;
    let rank = follower.graph.shape(*node.outputs.first()?).rank();
    match &node.op {
        Op::Conv(op) if op.groups > 1 => {
            Some(vec![grouped(follower, id, node, op.groups, op.weight.shape()[0])])
        }
        Op::ConvTranspose(op) if op.groups > 1 => {
            let out = op.weight.shape()[1] * op.groups;
            Some(vec![grouped(follower, id, node, op.groups, out)])
        }
        Op::Conv(_) | Op::ConvTranspose(_) => {
            let out = follower.graph.shape(node.outputs[0]).size(1)?;
            let mut axes = follower.of(x);
            let input = axes[1].take();
            let reason = reason("it treats them as places");
            axes.iter().for_each(|axis| follower.stay(axis, &reason));
            let mut after = vec![None; rank];
            after[1] = Some(follower.filters(id, "weight", out, vec![input]));
            Some(vec![after])
        }
        Op::Dense(op) => {
            let mut after = follower.of(x);
            let input = after[rank - 1].take();
            after[rank - 1] = Some(follower.filters(id, "weight", op.weight.shape()[1], vec![input]));
            Some(vec![after])
        }
        Op::Embedding(op) => {
            let mut after = follower.of(x);
            after.push(Some(follower.filters(
                id,
                "table",
                op.table.shape()[1],
                Vec::new(),
            )));
            Some(vec![after])
        }
        Op::Recurrent(_) => {
            // Whatever the layer reads besides the features of its sequence is counted, not summed.
            let reason = reason("a recurrent layer reads them as states, or step by step");
            for (i, &input) in node.inputs.iter().enumerate() {
                for (axis, units) in follower.of(input).iter().enumerate() {
                    if (i, axis) != (0, 2) {
                        follower.stay(units, &reason);
                    }
                }
            }
            let ranks = node
                .outputs
                .iter()
                .map(|&value| follower.graph.shape(value).rank());
            Some(ranks.map(|rank| vec![None; rank]).collect())
        }
        Op::Attention(op) => {
            let reason = reason("they are divided among the heads of its attention, or are its steps");
            let projections = [&op.query, &op.key, &op.value];
            let mut inputs = Vec::new();
            for (&input, projection) in node.inputs.iter().zip(projections) {
                let mut axes = follower.of(input);
                if projection.is_some() {
                    inputs.push(axes[2].take());
                }
                axes.iter().for_each(|axis| follower.stay(axis, &reason));
            }
            let mut after = vec![None; rank];
            if let Some(output) = &op.output {
                let columns = output.weight.shape()[1];
                after[2] = Some(follower.filters(id, "output weight", columns, inputs));
            }
            Some(vec![after])
        }
        Op::GroupNorm(op) => {
            let axes = follower.of(x);
            let stays = reason("it normalises all of them together");
            for (axis, units) in axes.iter().enumerate() {
                if axis != 1 || op.groups == 1 {
                    follower.stay(units, &stays);
                }
            }
            if let Some(units) = &axes[1] {
                follower.join_groups(units, op.groups);
            }
            Some(vec![axes])
        }
        _ => None,
    }
}

/// A convolution in groups: a group goes as a whole, with all that it reads and makes.
fn grouped(follower: &mut Follower, id: NodeId, node: &Node, groups: usize, out: usize) -> Vec<Axis> {
    let x = node.inputs[0];
    let mut axes = follower.of(x);
    let input = axes[1].take();
    let reason = Reason::of(&node.origin, "it treats them as places");
    axes.iter().for_each(|axis| follower.stay(axis, &reason));
    let units = follower.units.fresh(out);
    follower.join_groups(&units, groups);
    match &input {
        Some(input) => {
            follower.join_groups(input, groups);
            let (inside, outside) = (input.len() / groups, out / groups);
            for group in 0..groups {
                follower.units.join(input[group * inside], units[group * outside]);
            }
        }
        None => {
            let reason = Reason::of(&node.origin, "it is in groups, and all that it reads stays");
            follower.units.pin(&units, reason);
        }
    }
    let units: Rc<[Unit]> = units.into();
    let inputs = vec![input];
    follower.add(id, "weight", units.clone(), true, inputs);
    let mut after = vec![None; axes.len()];
    after[1] = Some(units);
    after
}

impl Follower<'_> {
    /// Makes the units of a layer's filters.
    fn filters(&mut self, node: NodeId, role: &'static str, count: usize, inputs: Vec<Axis>) -> Rc<[Unit]> {
        let units: Rc<[Unit]> = self.units.fresh(count).into();
        self.add(node, role, units.clone(), false, inputs);
        units
    }

    /// Adds a layer; where another has the same stored weights, the same is taken out of both.
    fn add(&mut self, node: NodeId, role: &'static str, units: Rc<[Unit]>, follows: bool, inputs: Vec<Axis>) {
        let shared = |layer: &Filters| {
            let (own, other) = (self.parameter(node, role), self.parameter(layer.node, layer.role));
            own.zip(other).is_some_and(|(own, other)| {
                own.shares_storage(other) && own.shape() == other.shape() && layer.units.len() == units.len()
            })
        };
        if let Some(twin) = self.layers.iter().find(|layer| shared(layer)).cloned() {
            let reason = Reason::of(
                &self.graph.node(node).origin,
                "its weights are shared, and what it reads elsewhere stays",
            );
            self.together(&[Some(twin.units), Some(units.clone())], &reason);
            for (a, b) in twin.inputs.into_iter().zip(&inputs) {
                self.together(&[a, b.clone()], &reason);
            }
        }
        self.layers.push(Filters {
            node,
            role,
            units,
            follows,
            inputs,
        });
    }

    fn parameter(&self, node: NodeId, role: &str) -> Option<&Tensor> {
        let mut parameters = self.graph.node(node).op.parameters().into_iter();
        parameters.find(|(of, _)| *of == role).map(|(_, tensor)| tensor)
    }

    /// Makes one set of the units of each group of neighbours.
    fn join_groups(&mut self, units: &[Unit], groups: usize) {
        for group in units.chunks((units.len() / groups).max(1)) {
            group.iter().for_each(|&unit| self.units.join(group[0], unit));
        }
    }
}

/// The axes along which an operator sums over the channels of its input number `position`: what is 0 there adds nothing.
pub(super) fn summed(op: &Op, position: usize, rank: usize) -> Vec<usize> {
    match op {
        Op::Conv(_) | Op::ConvTranspose(_) => vec![1],
        Op::Dense(_) => vec![rank - 1],
        Op::Recurrent(_) if position == 0 => vec![2],
        Op::Attention(_) => vec![2],
        Op::Reduce(op) => op.axes.clone(),
        Op::L2Normalize(op) => op.axes.clone(),
        _ => Vec::new(),
    }
}
