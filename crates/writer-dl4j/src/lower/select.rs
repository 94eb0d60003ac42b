//! Parts of values.

use super::volume::arranged;
use super::{Kind, Lowered, Lowering, identity, inexpressible};
use crate::format::{Base, LastTimeStep, Layer, Preprocessor, Vertex};
use caribou_ir::op::{Reverse, Slice, SliceAxis, Split};
use caribou_ir::{Node, ValueId};

impl Lowering<'_> {
    /// Steps in reverse order: remembered, and made only where somebody needs it.
    pub(super) fn reverse(&mut self, node: &Node, op: &Reverse) -> Lowered<()> {
        if op.axis != 1 || self.rank(node.inputs[0]) != 3 {
            return Err(inexpressible(&node.origin, format!("reversing axis {}", op.axis)));
        }
        let mut place = self.place(node.inputs[0], &node.origin)?;
        self.mark_shared(node.inputs[0], &place);
        place.reversed = !place.reversed;
        self.places.insert(node.outputs[0], place);
        Ok(())
    }

    pub(super) fn slice(&mut self, node: &Node, op: &Slice) -> Lowered<()> {
        let origin = &node.origin;
        let value = node.inputs[0];
        let shape = self.graph.shape(value).clone();
        if let [cut] = op.axes[..]
            && cut.squeeze
            && cut.axis == 1
            && shape.rank() == 3
        {
            let reversed = self.place(value, origin)?.reversed;
            let last = cut.start == -1 || shape.size(1).is_some_and(|steps| cut.start == steps as i64 - 1);
            let first = cut.start == 0 || shape.size(1) == Some(1);
            // The last step in the order in which the array holds them.
            if (last && !reversed) || (first && reversed) {
                return self.last_step(node, value);
            }
            if first && !reversed {
                let from = self.array(value, &[0, 2, 1], origin)?;
                let backwards = Vertex::ReverseTimeSeries {
                    mask_array_input_name: None,
                };
                let from = self.vertex(origin, "backwards", backwards, &[from]);
                let name = self.vertex(origin, "", self.last_time_step(), &[from]);
                self.put(node.outputs[0], name, identity(2));
                return Ok(());
            }
        }
        if op.axes.iter().any(|cut| cut.squeeze || cut.step != 1) {
            return Err(inexpressible(
                origin,
                "a slice that takes single elements or leaves some out",
            ));
        }
        let mut sides = vec![[0, 0]; shape.rank()];
        for cut in &op.axes {
            sides[cut.axis] = crop(cut, shape.size(cut.axis)).ok_or_else(|| {
                inexpressible(origin, "a slice whose ends depend on a size that is unknown")
            })?;
        }
        if let Some((order, sides)) = Self::spatial_order(&sides) {
            let input = self.array(value, &order, origin)?;
            let name = self.cropping(origin, "", input, &sides)?;
            self.put(node.outputs[0], name, order);
            return Ok(());
        }
        let cut: Vec<usize> = (0..shape.rank()).filter(|&axis| sides[axis] != [0, 0]).collect();
        let (&[axis], true) = (&cut[..], sides[0] == [0, 0]) else {
            return Err(inexpressible(origin, "a slice of all axes at once"));
        };
        let size = shape
            .size(axis)
            .ok_or_else(|| inexpressible(origin, "a slice of an axis of unknown size"))?;
        let [before, after] = sides[axis];
        self.subset(node, value, axis, [before, size - after], node.outputs[0], "")
    }

    /// The elements `range` of one axis, which becomes axis 1 of the array, or one of space where that is a volume: stock
    /// DL4J's subset vertex does not run on these.
    fn subset(
        &mut self,
        node: &Node,
        value: ValueId,
        axis: usize,
        range: [usize; 2],
        output: ValueId,
        suffix: &str,
    ) -> Lowered<()> {
        if range[0] >= range[1] {
            return Err(inexpressible(&node.origin, "a slice without elements"));
        }
        let rank = self.rank(value);
        let mut sides = vec![[0, 0]; rank];
        let size = self.graph.shape(value).size(axis);
        sides[axis] = [range[0], size.map_or(0, |size| size - range[1])];
        if let (5, Some((order, sides))) = (rank, Self::spatial_order(&sides)) {
            let input = self.array(value, &order, &node.origin)?;
            let name = self.cropping(&node.origin, suffix, input, &sides)?;
            self.put(output, name, order);
            return Ok(());
        }
        let mut order = vec![0; rank];
        let mut next = 2;
        for (i, place) in order.iter_mut().enumerate().skip(1) {
            *place = if i == axis { 1 } else { next };
            next += usize::from(i != axis);
        }
        let origin = &node.origin;
        let input = self.array(value, &order, origin)?;
        let vertex = Vertex::Subset {
            from: range[0],
            to: range[1] - 1,
        };
        if rank <= 4 {
            let name = self.vertex(origin, suffix, vertex, &[input]);
            self.put(output, name, order);
            return Ok(());
        }
        // The vertex does not run on more axes: those behind the first become one.
        let sizes = arranged(self.graph.shape(value).feature_sizes(), &order);
        let Some([first, rest @ ..]) = sizes.as_deref() else {
            let message = format!("a part of one of {rank} axes, whose sizes must be known");
            return Err(inexpressible(origin, message));
        };
        let all = rest.iter().product();
        let whole = [&[*first], rest].concat();
        let part = [&[range[1] - range[0]], rest].concat();
        let folded = self.preprocess(
            origin,
            "fold",
            Preprocessor::reshape(&whole, &[*first, all]),
            input,
        );
        let cut = self.vertex(origin, "part", vertex, &[folded]);
        let name = self.preprocess(origin, suffix, Preprocessor::reshape(&[part[0], all], &part), cut);
        self.put(output, name, order);
        Ok(())
    }

    pub(super) fn split(&mut self, node: &Node, op: &Split) -> Lowered<()> {
        let mut start = 0;
        for (i, (&size, &output)) in op.sizes.iter().zip(&node.outputs).enumerate() {
            self.subset(
                node,
                node.inputs[0],
                op.axis,
                [start, start + size],
                output,
                &i.to_string(),
            )?;
            start += size;
        }
        Ok(())
    }

    /// The vertex of the last step, or of the last that a mask leaves. Stock DL4J wants to know the network input whose
    /// mask that is, also where there is none.
    fn last_time_step(&self) -> Vertex {
        Vertex::LastTimeStep {
            mask_array_input_name: self.inputs.first().map(|edge| edge.name.clone()),
        }
    }

    /// The last step the array holds: a recurrent layer that only this reads gives it itself.
    fn last_step(&mut self, node: &Node, value: ValueId) -> Lowered<()> {
        let origin = &node.origin;
        let place = self.place(value, origin)?;
        let updater = self.updater.clone();
        let alone = self.uses[value.index()] == 1 && !self.shared.contains(&place.vertex);
        if let Some(placed) = self.find(&place.vertex)
            && let Kind::Layer { layer, .. } = &mut placed.kind
            && matches!(layer, Layer::LSTM(_) | Layer::SimpleRnn(_))
            && alone
            && place.order == [0, 2, 1]
        {
            let base = Base::plain(&placed.name, &updater);
            let underlying = Box::new(layer.clone());
            *layer = LastTimeStep { base, underlying }.into();
            self.put(node.outputs[0], place.vertex, identity(2));
            return Ok(());
        }
        let from = self.in_order(&place, &[0, 2, 1], origin)?;
        let name = self.vertex(origin, "last", self.last_time_step(), &[from]);
        self.put(node.outputs[0], name, identity(2));
        Ok(())
    }
}

/// The elements that a range cuts off before and behind.
fn crop(cut: &SliceAxis, size: Option<usize>) -> Option<[usize; 2]> {
    if let Some(size) = size {
        let (start, count) = cut.resolve(size);
        return Some([start, size - start - count]);
    }
    let before = usize::try_from(cut.start).ok()?;
    let after = usize::try_from(-cut.end.unwrap_or(0)).ok()?;
    Some([before, after])
}
