//! What depends on no input.

use super::Evaluate;
use super::affine::stored;
use crate::draft::Draft;
use caribou_ir::op::{Constant, Op, Operator};
use caribou_ir::{Rewrite, Tensor};

/// The largest stored value that folding may make: a graph of small constants must not become a large file.
const MAX_ELEMENTS: usize = 1 << 24;

/// `fold-constant`. What can't be computed stays as it is.
pub(super) fn fold_constants(draft: &mut Draft, evaluate: &Evaluate) {
    for position in draft.positions() {
        let Some(node) = draft.node(position) else {
            continue;
        };
        let [output] = node.outputs.as_slice() else {
            continue;
        };
        let elements = draft
            .shape(*output)
            .dims()
            .iter()
            .try_fold(1usize, |n, dim| n.checked_mul(dim.fixed()?));
        if node.inputs.is_empty() || elements.is_none_or(|n| n > MAX_ELEMENTS) {
            continue;
        }
        let inputs: Option<Vec<&Tensor>> = node.inputs.iter().map(|&value| stored(draft, value)).collect();
        let Some(Ok(mut values)) = inputs.map(|inputs| evaluate(&node.op, &inputs)) else {
            continue;
        };
        let Some(value) = values.pop().filter(|_| values.is_empty()) else {
            continue;
        };
        if caribou_ir::Shape::fixed(&value.shape()) != *draft.shape(*output) {
            continue;
        }
        let reason = format!("its {} reads stored values only", node.op.name());
        let rewrite = Rewrite::new("fold-constant", &node.origin, reason);
        draft.disconnect(position);
        if let Some(node) = draft.node_mut(position) {
            node.op = Op::Constant(Constant { value });
        }
        draft.rewrites.push(rewrite);
    }
}
