//! Cells of zeros that a convolution can add by itself.

use crate::draft::Draft;
use caribou_ir::op::{Op, PadMode, Padding};
use caribou_ir::{Rewrite, Shape};

/// `merge-padding`.
pub(super) fn merge_padding(draft: &mut Draft) {
    for position in draft.positions() {
        let Some(node) = draft.node(position) else {
            continue;
        };
        let Op::Pad(pad) = &node.op else { continue };
        let (input, output) = (node.inputs[0], node.outputs[0]);
        let spatial = pad.pads.iter().skip(2).copied().collect::<Vec<_>>();
        if pad.mode != PadMode::Constant(0.0)
            || pad.pads[..2.min(pad.pads.len())]
                .iter()
                .any(|&side| side != [0, 0])
        {
            continue;
        }
        let readers = draft.consumers(output).to_vec();
        let merged: Option<Vec<Padding>> = readers
            .iter()
            .map(|&reader| merge(&draft.node(reader)?.op, &spatial, draft.shape(output)))
            .collect();
        let Some(merged) = merged.filter(|merged| !merged.is_empty() && !draft.is_output(output)) else {
            continue;
        };
        let reason = format!("cells of zeros {spatial:?} became padding of the convolution behind");
        let rewrite = Rewrite::new("merge-padding", &node.origin, reason);
        for (reader, padding) in readers.into_iter().zip(merged) {
            if let Some(node) = draft.node_mut(reader)
                && let Op::Conv(conv) = &mut node.op
            {
                conv.padding = padding;
            }
        }
        draft.bypass(position, input);
        draft.rewrites.push(rewrite);
    }
}

/// The padding of a convolution together with what was added before it; `None` where it can't be told.
fn merge(op: &Op, added: &[[usize; 2]], padded: &Shape) -> Option<Padding> {
    let Op::Conv(conv) = op else { return None };
    let sides: Option<Vec<[usize; 2]>> = added
        .iter()
        .enumerate()
        .map(|(axis, &[before, after])| {
            let extent = conv.dilations[axis] * (conv.weight.shape()[axis + 2] - 1) + 1;
            let own = conv
                .padding
                .resolve(axis, padded.size(axis + 2), extent, conv.strides[axis])?;
            Some([own[0] + before, own[1] + after])
        })
        .collect();
    sides.map(Padding::Explicit)
}
