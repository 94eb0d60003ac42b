//! Loops as TensorFlow 1 writes them: `Enter`, `Merge`, `LoopCond`, `Switch`, `NextIteration`, `Exit`. The loops of
//! TensorFlow 2 were brought into this form when their functions were inlined.

use crate::flatten::number;
use crate::graph::{Flat, Node, Output};
use crate::literal::Literal;
use crate::schema::attr_value::Value;
use caribou_ir::Tensor;
use std::collections::HashMap;

/// What goes from step to step.
#[derive(Debug, Clone)]
pub(super) struct Carried {
    pub(super) merge: usize,
    pub(super) switch: usize,
    /// Its value before the loop.
    pub(super) initial: Output,
    /// Its value behind a step.
    pub(super) next: Output,
    pub(super) role: Role,
}

/// What something that is carried is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It never changes.
    Invariant,
    /// It counts the steps, from zero.
    Counter,
    /// It collects a value of every step, or of the last one.
    Collector { value: Output, last_only: bool },
    /// Anything else.
    State,
}

/// A loop.
pub(super) struct Frame<'f> {
    pub(super) flat: &'f Flat,
    /// Its `LoopCond`.
    pub(super) condition: usize,
    pub(super) carried: Vec<Carried>,
    /// Of a `Merge` or `Switch`, which of the carried it is.
    of: HashMap<usize, usize>,
}

/// All loops of a graph, by their conditions; an error names what belongs to no loop that makes sense.
pub(super) fn frames(flat: &Flat) -> Result<Vec<Frame<'_>>, usize> {
    let op = |node: usize| flat.nodes.get(node).map_or("", |node| &*node.op);
    let mut frames: Vec<Frame<'_>> = Vec::new();
    let mut by_condition: HashMap<usize, usize> = HashMap::new();
    let mut switches: HashMap<usize, usize> = HashMap::new();
    for (position, node) in flat.nodes.iter().enumerate() {
        if &*node.op == "Switch"
            && let [value, condition] = node.inputs[..]
            && op(value.node) == "Merge"
            && op(condition.node) == "LoopCond"
        {
            switches.insert(value.node, position);
        }
    }
    for (position, node) in flat.nodes.iter().enumerate() {
        if &*node.op != "Merge" {
            continue;
        }
        let [enter, next] = node.inputs[..] else {
            return Err(position);
        };
        let (Some(enter), Some(next)) = (flat.nodes.get(enter.node), flat.nodes.get(next.node)) else {
            return Err(position);
        };
        if &*next.op != "NextIteration" {
            continue;
        }
        let (Some(&initial), Some(&next)) = (enter.inputs.first(), next.inputs.first()) else {
            return Err(position);
        };
        // What is only looked at by the condition has no switch when nothing reads it in the body.
        let Some(&switch) = switches.get(&position) else {
            return Err(position);
        };
        let condition = flat.nodes[switch].inputs[1].node;
        let index = *by_condition.entry(condition).or_insert_with(|| {
            frames.push(Frame {
                flat,
                condition,
                carried: Vec::new(),
                of: HashMap::new(),
            });
            frames.len() - 1
        });
        let frame = &mut frames[index];
        for node in [position, switch] {
            frame.of.insert(node, frame.carried.len());
        }
        frame.carried.push(Carried {
            merge: position,
            switch,
            initial,
            next,
            role: Role::State,
        });
    }
    for frame in &mut frames {
        frame.classify();
    }
    Ok(frames)
}

impl<'f> Frame<'f> {
    /// A graph as it is seen from outside of all loops.
    pub(super) fn outside(flat: &'f Flat) -> Self {
        Self {
            flat,
            condition: usize::MAX,
            carried: Vec::new(),
            of: HashMap::new(),
        }
    }

    /// Whether an output is the last step of the sequence, with time first, that it is a slice of.
    pub(super) fn is_last(&self, output: Output) -> bool {
        let ("StridedSlice", [_, begin, end, step]) = self.op(output) else {
            return false;
        };
        let Some(node) = self.node(output) else {
            return false;
        };
        let mask = |name: &str| whole(node, name).unwrap_or(0);
        let [begin, end, step] = [self.integers(*begin), self.integers(*end), self.integers(*step)];
        let (Some(begin), Some(end), Some(step)) = (begin, end, step) else {
            return false;
        };
        // Further axes are there in full.
        let rest = |list: &[i64], bits: usize| (1..list.len()).all(|axis| bits >> axis & 1 == 1);
        mask("shrink_axis_mask") == 1
            && mask("ellipsis_mask") == 0
            && mask("new_axis_mask") == 0
            && mask("begin_mask") & 1 == 0
            && begin.first() == Some(&-1)
            && step.iter().all(|&step| step == 1)
            && rest(&begin, mask("begin_mask"))
            && rest(&end, mask("end_mask"))
    }

    pub(super) fn node(&self, output: Output) -> Option<&'f Node> {
        self.flat.nodes.get(output.node)
    }

    /// The operation of an output, and what it reads; without those that pass on.
    pub(super) fn op(&self, output: Output) -> (&'f str, &'f [Output]) {
        self.node(output)
            .map_or(("", &[]), |node| (&*node.op, &node.inputs))
    }

    /// Where an output comes from: behind what passes it on, and what never changes behind the loop's edge. What is carried
    /// is the second output of its `Switch`.
    pub(super) fn at(&self, output: Output) -> Output {
        let mut output = output;
        for _ in 0..=self.flat.nodes.len() {
            if let Some(&carried) = self.of.get(&output.node) {
                let carried = &self.carried[carried];
                let slot = usize::from(self.flat.nodes[output.node].op.as_ref() == "Switch");
                if output.slot != slot {
                    return output;
                }
                if carried.role == Role::Invariant {
                    output = carried.initial;
                    continue;
                }
                return Output {
                    node: carried.switch,
                    slot: 1,
                };
            }
            let Some(node) = self.node(output).filter(|node| node.literal.is_none()) else {
                break;
            };
            let constant = &*node.op == "Enter"
                && matches!(
                    node.attributes
                        .get("is_constant")
                        .and_then(|value| value.value.as_ref()),
                    Some(Value::B(true))
                );
            if let Some(next) = self.before_the_end(output) {
                output = next;
                continue;
            }
            if let Some(next) = self.undropped(node) {
                output = next;
                continue;
            }
            if !constant && !node.passes_on() {
                break;
            }
            match node.inputs.get(output.slot) {
                Some(&next) => output = next,
                None => break,
            }
        }
        output
    }

    /// What is multiplied by as many ones as it has elements: what Keras leaves of dropout outside of training.
    fn undropped(&self, node: &Node) -> Option<Output> {
        let ("Mul", &[a, b]) = (&*node.op, &node.inputs[..]) else {
            return None;
        };
        [(a, b), (b, a)].into_iter().find_map(|(value, ones)| {
            let ones = self.node(ones)?;
            (&*ones.op == "OnesLike" && ones.inputs == [value]).then_some(value)
        })
    }

    /// Which of the carried an output is, at the beginning of a step.
    pub(super) fn carried_by(&self, output: Output) -> Option<usize> {
        let output = self.at(output);
        self.of.get(&output.node).copied().filter(|_| output.slot == 1)
    }

    pub(super) fn number(&self, output: Output) -> Option<f64> {
        number(self.flat, self.at(output))
    }

    fn classify(&mut self) {
        for i in 0..self.carried.len() {
            let Carried {
                merge, switch, next, ..
            } = self.carried[i];
            let came = self.at(next);
            if came.node == switch && came.slot == 1 || came.node == merge {
                self.carried[i].role = Role::Invariant;
            }
        }
        for i in 0..self.carried.len() {
            if self.carried[i].role == Role::State && self.counts(i) {
                self.carried[i].role = Role::Counter;
            }
        }
        for i in 0..self.carried.len() {
            if self.carried[i].role == Role::State
                && let Some(role) = self.collects(i)
            {
                self.carried[i].role = role;
            }
        }
    }

    fn counts(&self, i: usize) -> bool {
        let (op, inputs) = self.op(self.at(self.carried[i].next));
        let [a, b] = inputs else { return false };
        let one = |a: &Output, b: &Output| self.carried_by(*a) == Some(i) && self.number(*b) == Some(1.0);
        matches!(op, "Add" | "AddV2")
            && (one(a, b) || one(b, a))
            && self.number(self.carried[i].initial) == Some(0.0)
    }

    /// Whether an output is the number of the step.
    pub(super) fn is_counter(&self, output: Output) -> bool {
        self.carried_by(output)
            .is_some_and(|i| self.carried[i].role == Role::Counter)
    }

    fn collects(&self, i: usize) -> Option<Role> {
        let (op, inputs) = self.op(self.at(self.carried[i].next));
        let (list, index, value) = match (op, inputs) {
            ("TensorArrayWriteV3", [_, index, value, flow]) => (flow, index, value),
            ("TensorListSetItem", [list, index, value]) => (list, index, value),
            _ => return None,
        };
        let every = self.is_counter(*index);
        let first = self.number(*index) == Some(0.0);
        (self.carried_by(*list) == Some(i) && (every || first)).then_some(Role::Collector {
            value: *value,
            last_only: !every,
        })
    }

    /// The tensor, with time as its first axis, of which an output is one step.
    pub(super) fn sequence(&self, output: Output) -> Option<Output> {
        let output = self.at(output);
        match self.op(output) {
            ("TensorArrayReadV3", [_, index, flow]) if self.is_counter(*index) => {
                match self.op(self.at(*flow)) {
                    ("TensorArrayScatterV3", [_, indices, value, _]) if self.counts_up(*indices) => {
                        Some(self.at(*value))
                    }
                    _ => None,
                }
            }
            ("TensorListGetItem", [list, index, _]) if self.is_counter(*index) => {
                match self.op(self.at(*list)) {
                    ("TensorListFromTensor", [value, _]) => Some(self.at(*value)),
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Whether a list of positions begins at zero and leaves none out.
    pub(super) fn counts_up(&self, output: Output) -> bool {
        match self.op(self.at(output)) {
            ("Range", [start, _, step]) => {
                self.number(*start) == Some(0.0) && self.number(*step) == Some(1.0)
            }
            _ => self
                .integers(output)
                .is_some_and(|list| list.iter().enumerate().all(|(i, &position)| position == i as i64)),
        }
    }

    /// The numbers of steps that the condition allows, all of which bound the loop.
    pub(super) fn bounds(&self) -> Option<Vec<Output>> {
        let mut bounds = Vec::new();
        let mut open = vec![*self.flat.nodes[self.condition].inputs.first()?];
        while let Some(output) = open.pop() {
            match self.op(self.at(output)) {
                ("LogicalAnd", [a, b]) => open.extend([*a, *b]),
                ("Less", [counter, bound]) if self.is_counter(*counter) => bounds.push(self.at(*bound)),
                _ => return None,
            }
            if open.len() + bounds.len() > 8 {
                return None;
            }
        }
        Some(bounds)
    }

    /// The array that an output is, where it is a constant, perhaps cut into pieces.
    pub(super) fn tensor(&self, output: Output) -> Option<Tensor> {
        self.tensor_within(output, 16)
    }

    fn tensor_within(&self, output: Output, depth: usize) -> Option<Tensor> {
        let depth = depth.checked_sub(1)?;
        let output = self.at(output);
        let node = self.node(output)?;
        match &node.literal {
            Some(Literal::Numbers(tensor)) => return Some(tensor.clone()),
            Some(_) => return None,
            None => {}
        }
        let slot = output.slot;
        let axis_of = |axis: f64, rank: usize| {
            let axis = if axis < 0.0 { axis + rank as f64 } else { axis };
            (axis >= 0.0 && axis < rank as f64).then_some(axis as usize)
        };
        match (&*node.op, &node.inputs[..]) {
            ("Split", [axis, value]) => {
                let tensor = self.tensor_within(*value, depth)?;
                let axis = axis_of(self.number(*axis)?, tensor.rank())?;
                part(&tensor, axis, slot, whole(node, "num_split")?)
            }
            ("Unpack", [value]) => {
                let tensor = self.tensor_within(*value, depth)?;
                let axis = axis_of(whole(node, "axis").unwrap_or(0) as f64, tensor.rank())?;
                let mut shape = tensor.shape();
                let count = shape.remove(axis);
                part(&tensor, axis, slot, count)?.reshape(&shape).ok()
            }
            ("Reshape", [value, shape]) => {
                let tensor = self.tensor_within(*value, depth)?;
                let mut shape = self.integers(*shape)?;
                let known: i64 = shape.iter().filter(|&&size| size > 0).product();
                let rest = tensor.len() as i64 / known.max(1);
                shape
                    .iter_mut()
                    .filter(|size| **size < 0)
                    .for_each(|size| *size = rest);
                let shape: Option<Vec<usize>> =
                    shape.iter().map(|&size| usize::try_from(size).ok()).collect();
                tensor.reshape(&shape?).ok()
            }
            ("StridedSlice", [value, begin, end, step]) => {
                let tensor = self.tensor_within(*value, depth)?;
                self.sliced(node, &tensor, &[*begin, *end, *step])
            }
            _ => None,
        }
    }

    /// A plain slice: steps of one, axes kept or taken at one position.
    fn sliced(&self, node: &Node, tensor: &Tensor, bounds: &[Output; 3]) -> Option<Tensor> {
        let [begin, end, step] = [
            self.integers(bounds[0])?,
            self.integers(bounds[1])?,
            self.integers(bounds[2])?,
        ];
        let mask = |name: &str| whole(node, name).unwrap_or(0);
        if mask("ellipsis_mask") != 0 || mask("new_axis_mask") != 0 || step.iter().any(|&step| step != 1) {
            return None;
        }
        let (mut result, mut shape) = (tensor.clone(), Vec::new());
        for (axis, &size) in tensor.shape().iter().enumerate() {
            let wrap = |at: i64| if at < 0 { at + size as i64 } else { at };
            let position = |list: &[i64], name: &str, whole: i64| match list.get(axis) {
                Some(&at) if mask(name) >> axis & 1 == 0 => wrap(at).clamp(0, size as i64),
                _ => whole,
            };
            let start = position(&begin, "begin_mask", 0) as usize;
            let shrink = mask("shrink_axis_mask") >> axis & 1 == 1;
            let stop = if shrink {
                start + 1
            } else {
                position(&end, "end_mask", size as i64) as usize
            };
            result = result.narrow(axis, start, stop.max(start)).ok()?;
            if !shrink {
                shape.push(stop.max(start) - start);
            }
        }
        result.reshape(&shape).ok()
    }

    /// A list of whole numbers that follows from constants.
    pub(super) fn integers(&self, output: Output) -> Option<Vec<i64>> {
        self.integers_within(output, 8)
    }

    fn integers_within(&self, output: Output, depth: usize) -> Option<Vec<i64>> {
        let depth = depth.checked_sub(1)?;
        let output = self.at(output);
        let node = self.node(output)?;
        if let Some(Literal::Numbers(tensor)) = &node.literal {
            if tensor.dtype().is_float() || tensor.len() > 64 {
                return None;
            }
            return Some(tensor.to_vec().ok()?.iter().map(|&value| value as i64).collect());
        }
        match (&*node.op, &node.inputs[..]) {
            ("ConcatV2", [parts @ .., _]) if parts.len() <= 8 => {
                let parts: Option<Vec<Vec<i64>>> = parts
                    .iter()
                    .map(|part| self.integers_within(*part, depth))
                    .collect();
                Some(parts?.concat())
            }
            ("Pack", parts) if parts.len() <= 8 => parts
                .iter()
                .map(|part| self.number(*part).map(|number| number as i64))
                .collect(),
            ("Range", [start, end, step]) => {
                let [start, end, step] = [self.number(*start)?, self.number(*end)?, self.number(*step)?];
                (step >= 1.0 && end - start <= 64.0)
                    .then(|| (start as i64..end as i64).step_by(step as usize).collect())
            }
            _ => None,
        }
    }

    /// Whether an output has zeros only.
    pub(super) fn is_zero(&self, output: Output) -> bool {
        let output = self.at(output);
        match self.op(output) {
            ("Fill", [_, value]) => self.number(*value) == Some(0.0),
            ("ZerosLike", _) => true,
            ("BroadcastTo" | "Tile" | "Reshape" | "ExpandDims", [value, _]) => self.is_zero(*value),
            _ => match self.node(output).and_then(|node| node.literal.as_ref()) {
                Some(Literal::Numbers(tensor)) => tensor
                    .to_vec()
                    .is_ok_and(|values| values.iter().all(|&value| value == 0.0)),
                _ => false,
            },
        }
    }

    /// What an output is a transposition of, first two axes exchanged.
    pub(super) fn swapped(&self, output: Output) -> Option<Output> {
        match self.op(self.at(output)) {
            ("Transpose", [value, order])
                if self.integers(*order).is_some_and(|order| order == [1, 0, 2]) =>
            {
                Some(self.at(*value))
            }
            _ => None,
        }
    }

    /// What an output is the reverse of, along `axis` of three.
    pub(super) fn reversed(&self, output: Output, axis: i64) -> Option<Output> {
        match self.op(self.at(output)) {
            ("ReverseV2", [value, axes])
                if self
                    .integers(*axes)
                    .is_some_and(|axes| axes == [axis] || axes == [axis - 3]) =>
            {
                Some(self.at(*value))
            }
            ("ReverseSequence", [value, _]) if self.reversed_axis(self.at(output)) == Some(axis) => {
                Some(self.at(*value))
            }
            _ => None,
        }
    }
}

/// An attribute that is a whole number.
pub(super) fn whole(node: &Node, name: &str) -> Option<usize> {
    match node.attributes.get(name)?.value.as_ref()? {
        Value::I(number) => usize::try_from(*number).ok(),
        _ => None,
    }
}

/// One of `count` equal parts along an axis.
pub(super) fn part(tensor: &Tensor, axis: usize, index: usize, count: usize) -> Option<Tensor> {
    let size = *tensor.shape().get(axis)?;
    if count == 0 || size % count != 0 || index >= count {
        return None;
    }
    let length = size / count;
    tensor.narrow(axis, index * length, (index + 1) * length).ok()
}
