//! Functions of single elements.

use super::{Composed, Step};
use caribou_ir::ValueId;
use caribou_ir::op::{ElementwiseKind, UnaryKind};

pub(super) fn unary(step: &mut Step<'_>, kind: UnaryKind, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    match kind {
        UnaryKind::Square => {
            step.rewrite(
                "square-by-product",
                "a square is the product of a value with itself",
            );
            let y = step.elementwise(ElementwiseKind::Multiply, &[x, x])?;
            Ok(Some(vec![y]))
        }
        _ => Ok(None),
    }
}
