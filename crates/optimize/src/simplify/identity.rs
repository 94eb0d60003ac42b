//! Operators that give what they get.

use crate::draft::Draft;
use caribou_ir::op::{Activation, Op, Operator, UnaryKind};
use caribou_ir::{Rewrite, Shape};

/// `drop-identity`.
pub(super) fn drop_identities(draft: &mut Draft) {
    for position in draft.positions() {
        let Some(node) = draft.node(position) else {
            continue;
        };
        let ([input], [output]) = (node.inputs.as_slice(), node.outputs.as_slice()) else {
            continue;
        };
        let (input, output) = (*input, *output);
        let Some(why) = identity(&node.op, draft.shape(input), draft.shape(output)) else {
            continue;
        };
        if draft.can_stand_in(input, output) {
            let rewrite = Rewrite::new("drop-identity", &node.origin, why);
            draft.bypass(position, input);
            draft.rewrites.push(rewrite);
        }
    }
}

/// Why the operator gives what it gets, if it does.
fn identity(op: &Op, input: &Shape, output: &Shape) -> Option<String> {
    let nothing = match op {
        Op::Noise(_) => return Some("it is noise of training, nothing at inference".into()),
        Op::Identity(_) => true,
        Op::Activate(activate) => matches!(activate.function, Activation::Linear),
        Op::Unary(unary) => {
            matches!(unary.kind, UnaryKind::Affine { scale, shift } if scale == 1.0 && shift == 0.0)
        }
        Op::Transpose(transpose) => transpose
            .permutation
            .iter()
            .enumerate()
            .all(|(i, &axis)| i == axis),
        Op::Reshape(_) => input == output,
        Op::Pad(pad) => pad.pads.iter().all(|&sides| sides == [0, 0]),
        Op::Tile(tile) => tile.repeats.iter().all(|&times| times == 1),
        Op::Concat(_) => true,
        Op::Slice(slice) => slice
            .axes
            .iter()
            .all(|cut| cut.start == 0 && cut.end.is_none() && cut.step == 1 && !cut.squeeze),
        _ => false,
    };
    nothing.then(|| format!("its {} gives what it gets", op.name()))
}
