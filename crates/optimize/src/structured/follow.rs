//! Which units fill the axes of every value, and which of them go together.
//!
//! A layer with filters makes units, one for each place of its output's channel axis; every operator behind it tells at which
//! places of its outputs they are then. What must have as many places as something else joins the units of both. An operator
//! that a rule says nothing of, or that treats places by their number, makes the units that reach it stay.

use super::layers::{self, Filters};
use super::reshape::reshaped;
use super::units::{Reason, Unit, Units};
use caribou_ir::op::{Op, Operator, ReduceKind};
use caribou_ir::{Graph, Node, NodeId, Producer, Shape, ValueId};
use std::rc::Rc;

/// The units at the places of an axis; `None` where nothing there can be taken out.
pub(super) type Axis = Option<Rc<[Unit]>>;

/// What is known of a graph's units.
pub(super) struct Followed {
    pub(super) units: Units,
    /// Of each value, by its axes.
    pub(super) axes: Vec<Vec<Axis>>,
    /// The layers that have filters, in the order of the graph.
    pub(super) layers: Vec<Filters>,
}

pub(super) struct Follower<'g> {
    pub(super) graph: &'g Graph,
    pub(super) units: Units,
    axes: Vec<Vec<Axis>>,
    pub(super) layers: Vec<Filters>,
    /// How many nodes read each value.
    readers: Vec<usize>,
}

/// Follows the units of a graph from its layers to its outputs.
pub(super) fn follow(graph: &Graph) -> Followed {
    let mut follower = Follower {
        graph,
        units: Units::default(),
        axes: vec![Vec::new(); graph.value_count()],
        layers: Vec::new(),
        readers: graph.consumers().iter().map(Vec::len).collect(),
    };
    for port in graph.inputs() {
        follower.axes[port.value.index()] = vec![None; graph.shape(port.value).rank()];
    }
    for (id, node) in graph.nodes() {
        let outputs = follower.node(id, node);
        for (&value, axes) in node.outputs.iter().zip(outputs) {
            follower.axes[value.index()] = axes;
        }
    }
    for port in graph.outputs() {
        let reason = Reason::plain(format!("they are the output {} of the network", port.name));
        follower.stay_of(port.value, &reason);
    }
    let Follower {
        units, axes, layers, ..
    } = follower;
    Followed { units, axes, layers }
}

impl Follower<'_> {
    /// The units of a value's axes.
    pub(super) fn of(&self, value: ValueId) -> Vec<Axis> {
        self.axes[value.index()].clone()
    }

    fn shape(&self, value: ValueId) -> &Shape {
        self.graph.shape(value)
    }

    /// Makes the units of an axis stay.
    pub(super) fn stay(&mut self, axis: &Axis, reason: &Reason) {
        if let Some(units) = axis {
            self.units.pin(units, reason.clone());
        }
    }

    fn stay_of(&mut self, value: ValueId, reason: &Reason) {
        for axis in self.of(value) {
            self.stay(&axis, reason);
        }
    }

    /// The units of a value that keeps its axes, of which those at `axes` stay.
    fn through(&mut self, value: ValueId, axes: &[usize], reason: &Reason) -> Vec<Axis> {
        let of = self.of(value);
        for &axis in axes {
            if let Some(axis) = of.get(axis) {
                self.stay(axis, reason);
            }
        }
        of
    }

    /// The same for a value whose spatial axes, from the third on, are others afterwards.
    fn by_channel(&mut self, value: ValueId, reason: &Reason) -> Vec<Axis> {
        let spatial: Vec<usize> = (2..self.shape(value).rank()).collect();
        let mut of = self.through(value, &spatial, reason);
        of.iter_mut().skip(2).for_each(|axis| *axis = None);
        of
    }

    /// Units that no layer can take out: `count` places of an axis that others are joined with.
    fn lasting(&mut self, count: usize, reason: &Reason) -> Vec<Unit> {
        let units = self.units.fresh(count);
        self.units.pin(&units, reason.clone());
        units
    }

    /// Joins the units of axes that must keep as many places as each other.
    pub(super) fn together(&mut self, axes: &[Axis], reason: &Reason) -> Axis {
        let first = axes.iter().flatten().next()?.clone();
        for axis in axes {
            match axis {
                Some(units) if units.len() == first.len() => {
                    for (&a, &b) in first.iter().zip(units.iter()) {
                        self.units.join(a, b);
                    }
                }
                Some(units) => {
                    self.units.pin(&first, reason.clone());
                    self.units.pin(units, reason.clone());
                }
                None => self.units.pin(&first, reason.clone()),
            }
        }
        Some(first)
    }

    fn node(&mut self, id: NodeId, node: &Node) -> Vec<Vec<Axis>> {
        let none = |follower: &Self| {
            let ranks = node.outputs.iter().map(|&value| follower.shape(value).rank());
            ranks.map(|rank| vec![None; rank]).collect::<Vec<_>>()
        };
        let Some(&x) = node.inputs.first() else {
            return none(self);
        };
        if let Some(outputs) = layers::follow(self, id, node) {
            return outputs;
        }
        let because = |message: &str| Reason::of(&node.origin, message);
        let one = |axes: Vec<Axis>| vec![axes];
        match &node.op {
            // A zero adds nothing to a norm.
            Op::Activate(_)
            | Op::Unary(_)
            | Op::Noise(_)
            | Op::Identity(_)
            | Op::BatchNorm(_)
            | Op::PRelu(_)
            | Op::L2Normalize(_) => one(self.of(x)),
            Op::Softmax(op) => one(self.through(x, &[op.axis], &because("it is a softmax over them"))),
            Op::LogSoftmax(op) => one(self.through(x, &[op.axis], &because("it is a softmax over them"))),
            Op::LayerNorm(op) => one(self.through(x, &op.axes, &because("it takes their mean"))),
            Op::LocalResponseNorm(_) => {
                one(self.through(x, &[1], &because("it normalises each by its neighbours")))
            }
            Op::Pool(_) | Op::Resize(_) | Op::SpaceToBatch(_) | Op::BatchToSpace(_) => {
                one(self.by_channel(x, &because("it treats them as places")))
            }
            Op::Reduce(op) => {
                let sums = matches!(
                    op.kind,
                    ReduceKind::Sum | ReduceKind::L1 | ReduceKind::L2 | ReduceKind::SumOfSquares
                );
                let reason = because("how many there are shows in what it reduces them to");
                let pinned: &[usize] = if sums { &[] } else { &op.axes };
                let of = self.through(x, pinned, &reason);
                one(reduced(of, &op.axes, op.keep_dims))
            }
            Op::ArgMax(op) => {
                let of = self.through(x, &[op.axis], &because("it tells which of them is the largest"));
                one(reduced(of, &[op.axis], op.keep_dims))
            }
            Op::Transpose(op) => {
                let of = self.of(x);
                one(op.permutation.iter().map(|&axis| of[axis].clone()).collect())
            }
            Op::Reshape(_) => {
                let of = self.of(x);
                let (from, to) = (self.shape(x).clone(), self.shape(node.outputs[0]).clone());
                let mut lost = Vec::new();
                let after = reshaped(&of, &from, &to, |axis| lost.push(axis));
                let reason = because("it mixes them with other axes");
                lost.into_iter().for_each(|axis| self.stay(&of[axis], &reason));
                one(after)
            }
            Op::Elementwise(_) => one(self.elementwise(node)),
            Op::Concat(op) => one(self.concat(node, op.axis)),
            Op::Pad(op) => {
                let padded: Vec<usize> = (0..op.pads.len())
                    .filter(|&axis| op.pads[axis] != [0, 0])
                    .collect();
                let mut of = self.through(x, &padded, &because("it adds places to them"));
                padded.into_iter().for_each(|axis| of[axis] = None);
                one(of)
            }
            Op::Reverse(op) => {
                let mut of = self.of(x);
                of[op.axis] = places(&of[op.axis], |units| units.iter().rev().copied().collect());
                one(of)
            }
            Op::Tile(op) => {
                let mut of = self.of(x);
                for (axis, &times) in of.iter_mut().zip(&op.repeats) {
                    *axis = places(axis, |units| units.repeat(times));
                }
                one(of)
            }
            Op::Gather(op) => {
                let mut of = self.of(x);
                of[op.axis] = places(&of[op.axis], |units| {
                    op.indices.iter().map(|&i| units[i]).collect()
                });
                one(of)
            }
            Op::Split(op) => {
                let of = self.of(x);
                let mut start = 0;
                let piece = |size: &usize| {
                    let mut piece = of.clone();
                    piece[op.axis] = places(&of[op.axis], |units| units[start..start + size].to_vec());
                    start += size;
                    piece
                };
                op.sizes.iter().map(piece).collect()
            }
            Op::Slice(op) => {
                let mut of = self.of(x);
                let reason = because("it takes one, or every so many, of them");
                for cut in &op.axes {
                    if cut.squeeze || cut.step != 1 {
                        self.stay(&of[cut.axis], &reason);
                        of[cut.axis] = None;
                    }
                    of[cut.axis] = places(&of[cut.axis], |units| {
                        let (start, count) = cut.resolve(units.len());
                        units[start..start + count].to_vec()
                    });
                }
                let gone: Vec<usize> = op
                    .axes
                    .iter()
                    .filter(|cut| cut.squeeze)
                    .map(|cut| cut.axis)
                    .collect();
                one(reduced(of, &gone, false))
            }
            // Block b of channels is a copy of all of them, b = 0 .. B^2.
            Op::SpaceToDepth(op) => {
                let mut of = self.by_channel(x, &because("it treats them as places"));
                of[1] = places(&of[1], |units| units.repeat(op.block * op.block));
                one(of)
            }
            Op::DepthToSpace(op) => {
                let mut of = self.by_channel(x, &because("it treats them as places"));
                if let Some(units) = of[1].take() {
                    let channels = units.len() / (op.block * op.block);
                    for (i, &unit) in units.iter().enumerate() {
                        self.units.join(units[i % channels], unit);
                    }
                    of[1] = Some(units[..channels].into());
                }
                one(of)
            }
            op => {
                let reason = because(&format!("units are not followed through {}", op.name()));
                for &input in &node.inputs {
                    self.stay_of(input, &reason);
                }
                none(self)
            }
        }
    }

    fn elementwise(&mut self, node: &Node) -> Vec<Axis> {
        let shape = self.shape(node.outputs[0]).clone();
        let rank = shape.rank();
        let reason = Reason::of(
            &node.origin,
            "it takes them together with what has no filters to take out",
        );
        let mut after = Vec::with_capacity(rank);
        for axis in 0..rank {
            let mut list = Vec::new();
            let mut stored = Vec::new();
            for &input in &node.inputs {
                let own = self.shape(input);
                let Some(place) = (axis + own.rank()).checked_sub(rank) else {
                    continue;
                };
                // What is stretched is there for every place, however many there are.
                if own.size(place) != shape.size(axis) {
                    continue;
                }
                match self.is_own_constant(input) {
                    true => stored.push((input, place)),
                    false => list.push(self.axes[input.index()][place].clone()),
                }
            }
            let units = self.together(&list, &reason);
            // Stored numbers that nothing else reads have a place for each unit, and are taken out with it.
            for (input, place) in stored {
                self.axes[input.index()][place].clone_from(&units);
            }
            after.push(units);
        }
        after
    }

    /// Whether the value is stored, and read by one node only.
    fn is_own_constant(&self, value: ValueId) -> bool {
        let stored = self
            .graph
            .producer(value)
            .is_some_and(|node| matches!(node.op, Op::Constant(_)));
        let seen = self.graph.outputs().iter().any(|port| port.value == value);
        stored && self.readers[value.index()] == 1 && !seen
    }

    fn concat(&mut self, node: &Node, axis: usize) -> Vec<Axis> {
        let reason = Reason::of(
            &node.origin,
            "it puts them beside what has no filters to take out",
        );
        let rank = self.shape(node.outputs[0]).rank();
        let lists: Vec<Vec<Axis>> = node.inputs.iter().map(|&input| self.of(input)).collect();
        let mut after = Vec::with_capacity(rank);
        for place in 0..rank {
            let list: Vec<Axis> = lists.iter().map(|axes| axes[place].clone()).collect();
            if place != axis {
                after.push(self.together(&list, &reason));
                continue;
            }
            if list.iter().all(Option::is_none) {
                after.push(None);
                continue;
            }
            let mut units = Vec::new();
            let mut whole = true;
            for (part, &input) in list.iter().zip(&node.inputs) {
                match (part, self.shape(input).size(axis)) {
                    (Some(part), _) => units.extend(part.iter()),
                    (None, Some(count)) => {
                        let reason = self.without_filters(input);
                        units.extend(self.lasting(count, &reason));
                    }
                    (None, None) => whole = false,
                }
            }
            if whole {
                after.push(Some(units.into()));
            } else {
                list.iter().for_each(|part| self.stay(part, &reason));
                after.push(None);
            }
        }
        after
    }

    fn without_filters(&self, value: ValueId) -> Reason {
        match self.graph.value(value).producer {
            Producer::Input(position) => {
                let name = &self.graph.inputs()[position].name;
                Reason::plain(format!("they go together with the input {name} of the network"))
            }
            Producer::Node(id, _) => {
                let origin = &self.graph.node(id).origin;
                Reason::of(
                    origin,
                    "they go together with what it gives, of which nothing can be taken out",
                )
            }
        }
    }
}

/// Another list of units of an axis that has some.
fn places(axis: &Axis, list: impl FnOnce(&[Unit]) -> Vec<Unit>) -> Axis {
    axis.as_ref().map(|units| list(units).into())
}

/// The axes that are left when those of `gone` are reduced.
fn reduced(axes: Vec<Axis>, gone: &[usize], keep_dims: bool) -> Vec<Axis> {
    let of = |(axis, units): (usize, Axis)| match (gone.contains(&axis), keep_dims) {
        (true, true) => Some(None),
        (true, false) => None,
        (false, _) => Some(units),
    };
    axes.into_iter().enumerate().filter_map(of).collect()
}
