//! What the axes of a value inside a graph mean: only its ports say it.

use caribou_ir::{Graph, Layout, Op, Producer, ValueId};

/// The order of a value's axes, as the operators that made it tell.
pub(super) fn of(graph: &Graph, value: ValueId) -> Layout {
    let rank = graph.shape(value).rank();
    if rank < 3 {
        return Layout::Plain;
    }
    let found = follow(graph, value);
    match found {
        Some(1) => Layout::ChannelsFirst,
        Some(_) if rank == 3 => Layout::Sequence,
        Some(_) => Layout::ChannelsLast,
        None => Layout::Plain,
    }
}

/// The axis of the channels of a value, from the node that made it.
fn follow(graph: &Graph, value: ValueId) -> Option<usize> {
    let (mut value, mut axes): (ValueId, Vec<Vec<usize>>) = (value, Vec::new());
    let found = loop {
        let rank = graph.shape(value).rank();
        let node = match graph.value(value).producer {
            Producer::Input(position) => match graph.inputs()[position].layout {
                Layout::Plain => return None,
                layout => break layout.channel_axis(rank)?,
            },
            Producer::Node(id, _) => graph.node(id),
        };
        match &node.op {
            Op::Conv(_) | Op::ConvTranspose(_) | Op::Pool(_) | Op::LocalResponseNorm(_) => break 1,
            Op::Recurrent(_) | Op::Dense(_) | Op::Embedding(_) | Op::Attention(_) => break rank - 1,
            Op::BatchNorm(op) => break op.axis,
            Op::Transpose(op) => axes.push(op.permutation.clone()),
            _ => {}
        }
        // What else there is keeps the order of its first input, if it keeps the axes.
        value = *node.inputs.first()?;
        if graph.shape(value).rank() != rank {
            return None;
        }
    };
    let through = |axis: usize, permutation: &Vec<usize>| permutation.iter().position(|&of| of == axis);
    axes.iter().rev().try_fold(found, through)
}
