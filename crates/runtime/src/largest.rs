//! How large the values inside a network are: those of 16 bits end early.

use crate::Array;
use caribou_ir::op::{Activation, Op};
use caribou_ir::{Node, Origin, Precision};

/// The largest magnitude that was observed, and whose it is: an observer for
/// [`Session::run_observed`](crate::Session::run_observed).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Largest {
    found: Option<(Origin, f32)>,
}

impl Largest {
    /// Takes in what a node made; infinities and what is no number do not count.
    pub fn observe(&mut self, node: &Node, outputs: &[Array]) {
        // DL4J computes log(1 + exp(x)) as it stands.
        let by_exponential =
            matches!(&node.op, Op::Activate(activate) if activate.function == Activation::Softplus);
        let magnitude = |value: &f32| match by_exponential {
            true => value.exp(),
            false => value.abs(),
        };
        let magnitudes = outputs.iter().flatten().map(magnitude);
        let largest = magnitudes.filter(|value| value.is_finite()).fold(0.0, f32::max);
        if self.found.as_ref().is_none_or(|(_, most)| largest > *most) {
            self.found = Some((node.origin.clone(), largest));
        }
    }

    /// The largest magnitude, and the node that made it, where numbers of this kind do not reach so far.
    pub fn beyond(&self, precision: Precision) -> Option<(&Origin, f32)> {
        let end = match precision {
            Precision::Half => 65504.0,
            // They reach as far as those of 32 bits.
            Precision::Single | Precision::Bfloat16 => f32::MAX,
        };
        self.found
            .as_ref()
            .filter(|(_, most)| *most > end)
            .map(|(origin, most)| (origin, *most))
    }
}
