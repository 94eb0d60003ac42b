//! Recurrent layers of two directions.

use super::{Composed, Step, unroll};
use caribou_ir::ValueId;
use caribou_ir::op::{Cell, Concat, Direction, ElementwiseKind, Merge, Recurrent};

/// Whether stock DL4J counts the parameters of both cells right: it takes twice those of the forward one.
fn alike(forward: &Cell, backward: &Cell) -> bool {
    forward.gates() == backward.gates() && forward.units() == backward.units()
}

/// Takes a layer apart whose directions are of different classes or sizes: each becomes a layer of its own.
pub(super) fn unlike(step: &mut Step<'_>, op: &Recurrent, inputs: &[ValueId]) -> Composed {
    let Direction::Bidirectional { backward, merge } = &op.direction else {
        return Ok(None);
    };
    if alike(&op.cell, backward) || !unroll::is_stock(op) {
        return Ok(None);
    }
    let pair = [
        step.apply(Recurrent::new(op.cell.clone(), Direction::Forward), inputs)?,
        step.apply(Recurrent::new(backward.clone(), Direction::Reverse), inputs)?,
    ];
    let y = match merge {
        Merge::Concat => step.apply(Concat { axis: 2 }, &pair)?,
        Merge::Add => step.elementwise(ElementwiseKind::Add, &pair)?,
        Merge::Multiply => step.elementwise(ElementwiseKind::Multiply, &pair)?,
        Merge::Average => step.elementwise(ElementwiseKind::Average, &pair)?,
    };
    step.rewrite(
        "split-directions",
        "DL4J wants both directions of one class and size; they are layers of their own",
    );
    Ok(Some(vec![y]))
}
