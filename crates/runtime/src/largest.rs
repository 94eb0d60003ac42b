//! How large the values inside a network are: those of 16 bits end early.

use crate::Array;
use caribou_ir::op::{Activation, Op};
use caribou_ir::{Node, Origin, Precision};

/// The largest number of 16 bits, that of `HALF`.
const HALF: f32 = 65504.0;

/// The largest magnitude that was observed beyond the numbers of a kind, and whose it is: an observer for
/// [`Session::run_observed`](crate::Session::run_observed).
#[derive(Debug, Clone, PartialEq)]
pub struct Largest {
    /// The largest number of the kind; nothing where they reach as far as those of 32 bits.
    end: Option<f32>,
    beyond: Option<(Origin, f32)>,
}

impl Largest {
    /// An observer of what numbers of this kind do not reach.
    pub fn of(precision: Precision) -> Self {
        Self {
            end: match precision {
                Precision::Half => Some(HALF),
                Precision::Single | Precision::Bfloat16 => None,
            },
            beyond: None,
        }
    }

    /// Takes in what a node made; infinities and what is no number do not count.
    pub fn observe(&mut self, node: &Node, outputs: &[Array]) {
        let Some(end) = self.end else { return };
        // DL4J computes log(1 + exp(x)) as it stands.
        let by_exponential =
            matches!(&node.op, Op::Activate(activate) if activate.function == Activation::Softplus);
        let magnitude = |value: &f32| match by_exponential {
            true => value.exp().min(f32::MAX),
            false => value.abs(),
        };
        let numbers = outputs.iter().flatten().filter(|value| value.is_finite());
        let largest = numbers.map(magnitude).fold(end, f32::max);
        if largest > self.beyond.as_ref().map_or(end, |(_, most)| *most) {
            self.beyond = Some((node.origin.clone(), largest));
        }
    }

    /// The largest magnitude beyond, and the node that made it.
    pub fn beyond(&self) -> Option<(&Origin, f32)> {
        self.beyond.as_ref().map(|(origin, most)| (origin, *most))
    }
}
