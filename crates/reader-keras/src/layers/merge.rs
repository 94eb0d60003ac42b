//! Layers that make one value of several.

use super::{CONFIG, Call, Outputs, config};
use caribou_ir::op::{Concat, Elementwise, ElementwiseKind, Reshape, Size};

fn elementwise(call: &mut Call<'_>, kind: ElementwiseKind) -> Outputs {
    let rank = call
        .inputs
        .iter()
        .map(|&input| call.rank(input))
        .max()
        .unwrap_or(0);
    let mut inputs = Vec::with_capacity(call.inputs.len());
    for &input in call.inputs {
        // Keras puts missing axes behind the batch, where NumPy would put them before it.
        let missing = rank - call.rank(input);
        inputs.push(if missing == 0 {
            input
        } else {
            let mut target = vec![Size::Keep(0)];
            target.extend(std::iter::repeat_n(Size::Fixed(1), missing));
            target.extend((1..call.rank(input)).map(Size::Keep));
            call.apply(Reshape { target }, &[input])?
        });
    }
    Ok(vec![call.apply(Elementwise { kind }, &inputs)?])
}

macro_rules! merges {
    ($($(#[$doc:meta])* $name:ident: $kind:ident;)*) => {
        $($(#[$doc])*
        pub(super) fn $name(call: &mut Call<'_>) -> Outputs {
            elementwise(call, ElementwiseKind::$kind)
        })*
    };
}

merges! {
    /// The sum.
    add: Add;
    /// The first minus the second.
    subtract: Subtract;
    /// The product.
    multiply: Multiply;
    /// The mean.
    average: Average;
    /// The largest.
    maximum: Maximum;
    /// The smallest.
    minimum: Minimum;
}

/// Side by side on one axis.
pub(super) fn concatenate(call: &mut Call<'_>) -> Outputs {
    let [axis] = config!(call, axes_or("axis", &[-1]))[..] else {
        return Err(call.refuse(CONFIG, "axis: expected one axis"));
    };
    let rank = call.inputs.first().map_or(0, |&input| call.rank(input));
    let axis = call.axis(axis, rank)?;
    if axis == 0 {
        return Err(call.refuse(CONFIG, "a concatenation of examples (axis 0) is not supported"));
    }
    Ok(vec![call.apply(Concat { axis }, call.inputs)?])
}
