//! `Axpy` of forks.

use super::{Call, MISFIT, Tops};
use caribou_ir::op::{Elementwise, ElementwiseKind, Reshape, Size};

/// `Axpy`: `a * x + y` with a number `a` for each channel of `x`.
pub(super) fn axpy(call: &mut Call<'_>) -> Tops {
    let &[a, x, y] = call.inputs else {
        return Err(call.refuse(
            MISFIT,
            format!("expected three bottoms, found {}", call.inputs.len()),
        ));
    };
    let channels = call.size(x, 1)?;
    let mut target = vec![Size::Keep(0), Size::Fixed(channels)];
    target.resize(call.rank(x), Size::Fixed(1));
    let a = call.apply(Reshape { target }, &[a])?;
    let kind = ElementwiseKind::Multiply;
    let product = call.apply(Elementwise { kind }, &[a, x])?;
    let kind = ElementwiseKind::Add;
    Ok(vec![call.apply(Elementwise { kind }, &[product, y])?])
}
