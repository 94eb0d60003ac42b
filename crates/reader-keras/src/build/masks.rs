//! Which outputs of a layer have a mask.

use super::{Builder, origin};
use crate::config::Layer;
use crate::layers::MaskRule;
use crate::mask::Mask;
use caribou_ir::ValueId;
use caribou_ir::op::Identity;

impl Builder<'_> {
    /// Remembers which outputs of a layer have a mask. `carried` are the first ones of a layer that uses its mask.
    pub(super) fn mask_outputs(
        &mut self,
        layer: &Layer,
        rule: MaskRule,
        inputs: &[ValueId],
        mut outputs: Vec<ValueId>,
        carried: usize,
    ) -> Vec<ValueId> {
        let masks: Vec<Option<&Mask>> = inputs.iter().map(|input| self.masks.get(input)).collect();
        let rank = inputs.first().map_or(0, |&input| self.graph.shape(input).rank());
        let (mask, count) = match (Mask::begun(layer, inputs.first().copied()), rule) {
            (Some(mask), _) => (Some(mask), outputs.len()),
            (None, MaskRule::Passes) => (Mask::passed(layer, &masks, rank, self.generation), outputs.len()),
            (None, MaskRule::Uses) => (masks.first().copied().flatten().cloned(), carried),
            (None, _) => (None, 0),
        };
        for (i, output) in outputs.iter_mut().enumerate() {
            match &mask {
                Some(mask) if i < count => {
                    self.masks.insert(*output, mask.clone());
                }
                // A value that is given on as it is does not take its mask along.
                _ if self.masks.contains_key(output) => {
                    if let Ok(copy) = self.graph.apply(Identity, &[*output], &origin(layer)) {
                        *output = copy;
                    }
                }
                _ => {}
            }
        }
        outputs
    }
}
