//! Cells added to, cut from or repeated along the spatial axes.

use super::{Lowered, Lowering, identity, inexpressible};
use crate::format::{
    Cropping1D, Cropping2D, Cropping3D, Upsampling1D, Upsampling2D, Upsampling3D, ZeroPadding1DLayer,
    ZeroPadding3DLayer, ZeroPaddingLayer,
};
use caribou_ir::op::{Interpolation, Pad, PadMode, Resize, ResizeTarget};
use caribou_ir::{Node, Origin};

impl Lowering<'_> {
    /// Zeros around the spatial axes of a channels-first array.
    pub(super) fn zero_padding(
        &mut self,
        origin: &Origin,
        suffix: &str,
        input: String,
        sides: &[[usize; 2]],
    ) -> Lowered<String> {
        let padding: Vec<usize> = sides.iter().flatten().copied().collect();
        if !(1..=3).contains(&sides.len()) {
            return Err(inexpressible(origin, format!("padding of {} axes", sides.len())));
        }
        Ok(self.layer(origin, suffix, input, None, Vec::new(), |base| {
            match sides.len() {
                1 => ZeroPadding1DLayer { base, padding }.into(),
                2 => ZeroPaddingLayer {
                    base,
                    padding,
                    data_format: "NCHW".into(),
                }
                .into(),
                _ => ZeroPadding3DLayer { base, padding }.into(),
            }
        }))
    }

    /// Cells cut from the spatial axes of a channels-first array.
    pub(super) fn cropping(
        &mut self,
        origin: &Origin,
        suffix: &str,
        input: String,
        sides: &[[usize; 2]],
    ) -> Lowered<String> {
        // What cropping gives of a network's input lies in the user's memory, which training refuses.
        let input = if self.by_name.contains_key(&input) {
            input
        } else {
            self.copy(&input, origin)
        };
        let cropping: Vec<usize> = sides.iter().flatten().copied().collect();
        if !(1..=3).contains(&sides.len()) {
            return Err(inexpressible(origin, format!("cropping of {} axes", sides.len())));
        }
        Ok(self.layer(origin, suffix, input, None, Vec::new(), |base| {
            match sides.len() {
                1 => Cropping1D { base, cropping }.into(),
                2 => Cropping2D {
                    base,
                    cropping,
                    data_format: "NCHW".into(),
                }
                .into(),
                _ => Cropping3D { base, cropping }.into(),
            }
        }))
    }

    /// An order in which axis 1 of the array is one that `touched` says is left alone, and the sides by array axis.
    /// `None` when all axes behind the batch are touched, or the batch is.
    pub(super) fn spatial_order(sides: &[[usize; 2]]) -> Option<(Vec<usize>, Vec<[usize; 2]>)> {
        let rank = sides.len();
        let untouched = |&axis: &usize| sides[axis] == [0, 0];
        if !(3..=5).contains(&rank) || !untouched(&0) {
            return None;
        }
        // Prefer the axis that is usually the channels: the first behind the batch, or the last of a sequence.
        let channels = if rank == 3 {
            (1..rank).rev().find(untouched)
        } else {
            (1..rank).find(untouched)
        }?;
        let mut order = vec![0; rank];
        let mut next = 2;
        let mut sorted = Vec::with_capacity(rank - 2);
        for axis in 1..rank {
            if axis == channels {
                order[axis] = 1;
            } else {
                order[axis] = next;
                next += 1;
                sorted.push(sides[axis]);
            }
        }
        Some((order, sorted))
    }

    pub(super) fn pad(&mut self, node: &Node, op: &Pad) -> Lowered<()> {
        let origin = &node.origin;
        if op.mode != PadMode::Constant(0.0) {
            return Err(inexpressible(
                origin,
                format!("padding by {:?}: DL4J pads with zeros only", op.mode),
            ));
        }
        let Some((order, sides)) = Self::spatial_order(&op.pads) else {
            return Err(inexpressible(
                origin,
                format!("padding {:?} of all axes", op.pads),
            ));
        };
        let input = self.array(node.inputs[0], &order, origin)?;
        let name = self.zero_padding(origin, "", input, &sides)?;
        self.put(node.outputs[0], name, order);
        Ok(())
    }

    pub(super) fn resize(&mut self, node: &Node, op: &Resize) -> Lowered<()> {
        let origin = &node.origin;
        let (Interpolation::Nearest, ResizeTarget::Factors(factors)) = (op.interpolation, &op.target) else {
            return Err(inexpressible(
                origin,
                "DL4J resizes by whole factors and the nearest cell only",
            ));
        };
        let rank = factors.len() + 2;
        let input = self.array(node.inputs[0], &identity(rank), origin)?;
        let mut size = factors.clone();
        let name = self.layer(origin, "", input, None, Vec::new(), |base| match rank {
            3 => {
                size.push(size[0]);
                Upsampling1D { base, size }.into()
            }
            4 => Upsampling2D {
                base,
                size,
                format: "NCHW".into(),
            }
            .into(),
            _ => Upsampling3D {
                base,
                size,
                data_format: "NCDHW".into(),
            }
            .into(),
        });
        self.put(node.outputs[0], name, identity(rank));
        Ok(())
    }
}
