//! Which outputs of a layer have a mask.

use super::arguments::Called;
use super::{Builder, origin};
use crate::config::Layer;
use crate::layers::MaskRule;
use crate::mask::Mask;
use caribou_ir::ValueId;
use caribou_ir::op::Identity;

impl Builder<'_> {
    /// The inputs of a model, the first with the mask that the model was called with.
    pub(super) fn with_mask(&mut self, layer: &Layer, called: Called) -> Option<Vec<ValueId>> {
        let mut inputs = called.inputs?;
        let mut given = called.mask.filter(|_| called.given);
        for input in &mut inputs {
            let unsettled = matches!(self.masks.get(input), Some(Mask::Unsettled));
            let across = given
                .take()
                .or_else(|| unsettled.then(|| Mask::Unsettled.across()));
            if let Some(mask) = across {
                // Others read the same value with a mask of its own, or without.
                *input = self.graph.apply(Identity, &[*input], &origin(layer)).ok()?;
                self.masks.insert(*input, mask);
            }
        }
        Some(inputs)
    }

    /// What a model gives, seen from the one around it.
    pub(super) fn left(&mut self, values: Option<Vec<ValueId>>) -> Option<Vec<ValueId>> {
        for value in values.iter().flatten() {
            if let Some(mask) = self.masks.get_mut(value) {
                *mask = mask.clone().across();
            }
        }
        values
    }

    /// Remembers which outputs of a layer have a mask. `given` is the mask that the layer was called with, `carried` are
    /// the first outputs of a layer that uses its mask.
    pub(super) fn mask_outputs(
        &mut self,
        layer: &Layer,
        rule: MaskRule,
        inputs: &[ValueId],
        given: Option<&Mask>,
        mut outputs: Vec<ValueId>,
        carried: usize,
    ) -> Vec<ValueId> {
        let mut masks: Vec<Option<&Mask>> = inputs.iter().map(|input| self.masks.get(input)).collect();
        if let (Some(first), true) = (masks.first_mut(), given.is_some()) {
            *first = given;
        }
        let rank = inputs.first().map_or(0, |&input| self.graph.shape(input).rank());
        let (mask, count) = match (
            Mask::begun(layer, inputs.first().copied()),
            rule.of(self.generation),
        ) {
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
