//! Other shapes of the same elements.

use super::{Lowered, Lowering, identity, inexpressible};
use crate::format::{Preprocessor, RepeatVector, Vertex};
use caribou_ir::op::{Op, Reshape, Size, Tile};
use caribou_ir::{Dim, Node};

impl Lowering<'_> {
    pub(super) fn reshape(&mut self, node: &Node, op: &Reshape) -> Lowered<()> {
        let origin = &node.origin;
        let value = node.inputs[0];
        let from = self.graph.shape(value).clone();
        let to = self.graph.shape(node.outputs[0]).clone();
        let input = self.array(value, &identity(from.rank()), origin)?;
        let order = identity(to.rank());
        if from == to {
            self.put(node.outputs[0], input, order);
            return Ok(());
        }
        // The batch stays where it is, whether the target says so or leaves it as the rest.
        let keeps_batch = from.dims().first() == Some(&Dim::BATCH) && to.dims().first() == Some(&Dim::BATCH);
        let sizes = (from.feature_sizes(), to.feature_sizes());
        let name = match (keeps_batch, sizes) {
            (true, (Some(from), Some(to))) => {
                let preprocessor = match (&from[..], &to[..]) {
                    (&[num_channels, input_height, input_width], [_]) => Preprocessor::CnnToFeedForward {
                        input_height,
                        input_width,
                        num_channels,
                        format: "NCHW".into(),
                    },
                    (&[_], &[num_channels, input_height, input_width]) => Preprocessor::FeedForwardToCnn {
                        input_height,
                        input_width,
                        num_channels,
                    },
                    _ => Preprocessor::reshape(&from, &to),
                };
                self.preprocess(origin, "", preprocessor, input)
            }
            (_, (_, Some(sizes))) if matches!(op.target.first(), Some(Size::Rest | Size::Keep(0))) => {
                let new_shape = std::iter::once(-1)
                    .chain(sizes.iter().map(|&size| size as i64))
                    .collect();
                let vertex = Vertex::Reshape {
                    new_shape,
                    reshape_order: "c".into(),
                };
                self.vertex(origin, "", vertex, &[input])
            }
            _ => {
                return Err(inexpressible(
                    origin,
                    format!("a reshape from {from} to {to}: the sizes must be known"),
                ));
            }
        };
        self.put(node.outputs[0], name, order);
        Ok(())
    }

    /// `[N, F]` repeated along a new axis, or any value put side by side with itself.
    pub(super) fn tile(&mut self, node: &Node, op: &Tile) -> Lowered<()> {
        let origin = &node.origin;
        let repeated: Vec<(usize, usize)> = op
            .repeats
            .iter()
            .copied()
            .enumerate()
            .filter(|&(_, times)| times != 1)
            .collect();
        let value = node.inputs[0];
        let inner = self
            .graph
            .producer(value)
            .filter(|inner| matches!(&inner.op, Op::Reshape(_)));
        if let (Some(inner), &[1, n, 1]) = (inner, &op.repeats[..])
            && self.rank(inner.inputs[0]) == 2
            && self.graph.shape(value).size(1) == Some(1)
        {
            let input = self.array(inner.inputs[0], &identity(2), origin)?;
            let name = self.layer(origin, "repeat", input, None, Vec::new(), |base| {
                RepeatVector {
                    base,
                    n,
                    data_format: "NCW".into(),
                }
                .into()
            });
            self.put(node.outputs[0], name, vec![0, 2, 1]);
            return Ok(());
        }
        let mut place = self.forwards(value, origin)?;
        let sizes = self.graph.shape(value).feature_sizes();
        let mut sizes = super::volume::arranged(sizes, &place.order);
        for (axis, times) in repeated {
            if axis == 0 || times > 64 {
                return Err(inexpressible(origin, format!("{times} repeats of axis {axis}")));
            }
            let (copies, axis) = (vec![place.vertex.clone(); times], place.order[axis]);
            place.vertex = self.side_by_side(origin, "", axis, &copies, &vec![sizes.clone(); times]);
            if let Some(sizes) = &mut sizes {
                sizes[axis - 1] *= times;
            }
        }
        self.places.insert(node.outputs[0], place);
        Ok(())
    }
}
