//! Lengths of sequences (`sequence_length`) that reach as far as the sequences do: then no step is left out.

use super::frame::{Frame, whole};
use crate::graph::{EACH, Output};
use crate::literal::Literal;

impl Frame<'_> {
    /// The least of some lengths that are known.
    pub(super) fn lengths(&self, output: Output) -> Option<usize> {
        let output = self.at(output);
        let node = self.node(output)?;
        let least = match (&*node.op, &node.inputs[..], &node.literal) {
            (_, _, Some(Literal::Numbers(lengths))) => {
                let lengths = lengths.to_vec().ok()?;
                f64::from(lengths.into_iter().reduce(f32::min)?)
            }
            (EACH, [length], _) | ("Fill", [_, length], _) => self.number(*length)?,
            ("Cast", [lengths], _) => return self.lengths(*lengths),
            _ => return None,
        };
        (least >= 1.0 && least <= f64::from(i32::MAX)).then_some(least as usize)
    }

    /// The least of the lengths that a condition compares the number of the step with: as many steps it does not hold.
    fn ends_behind(&self, condition: Output) -> Option<usize> {
        match self.op(self.at(condition)) {
            ("GreaterEqual", [step, lengths]) if self.is_counter(*step) => self.lengths(*lengths),
            ("LessEqual", [lengths, step]) if self.is_counter(*step) => self.lengths(*lengths),
            _ => None,
        }
    }

    /// What is chosen as long as the sequence has not ended, where that is known to be always.
    pub(super) fn before_the_end(&self, output: Output) -> Option<Output> {
        match self.op(output) {
            ("Select" | "SelectV2", [ended, _, new]) => self.ends_behind(*ended).map(|_| *new),
            _ => None,
        }
    }

    /// The axis along which sequences of known lengths are reversed.
    pub(super) fn reversed_axis(&self, output: Output) -> Option<i64> {
        let ("ReverseSequence", [_, lengths]) = self.op(output) else {
            return None;
        };
        self.lengths(*lengths)?;
        let axis = whole(self.node(output)?, "seq_dim")?;
        i64::try_from(axis).ok()
    }

    /// How many steps the sequences may have at most, for no length to end before them.
    pub(super) fn at_most(&self) -> Option<usize> {
        let nodes = self.flat.nodes.iter().enumerate();
        nodes
            .filter_map(|(position, node)| match (&*node.op, &node.inputs[..]) {
                ("Select" | "SelectV2", [ended, ..]) => self.ends_behind(*ended),
                ("ReverseSequence", [_, lengths]) => self.lengths(*lengths),
                ("Max", [lengths, _]) if self.is_bound(position) => self.lengths(*lengths),
                _ => None,
            })
            .min()
    }

    /// Whether a node is part of what bounds the number of steps.
    fn is_bound(&self, position: usize) -> bool {
        let bounds = self.bounds().unwrap_or_default();
        let mut open = bounds;
        while let Some(output) = open.pop() {
            let output = self.at(output);
            if output.node == position {
                return true;
            }
            if let ("Minimum" | "Maximum" | "Cast", inputs) = self.op(output) {
                open.extend(inputs);
            }
        }
        false
    }
}
