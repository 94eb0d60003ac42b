//! Other shapes of the same elements.

use super::{CONFIG, Call, Outputs, config};
use caribou_ir::op::{Reshape, Size, Tile, Transpose};

/// Flattens in the order of a channels-last array, whatever the order of the input.
pub(super) fn flatten(call: &mut Call<'_>) -> Outputs {
    let mut x = call.input()?;
    let rank = call.rank(x);
    if rank == 1 {
        return Ok(vec![call.apply(
            Reshape {
                target: vec![Size::Keep(0), Size::Fixed(1)],
            },
            &[x],
        )?]);
    }
    if call.channels_first()? && rank > 2 {
        x = call.permuted(x, Transpose::channels_last(rank).permutation)?;
    }
    Ok(vec![call.apply(Reshape::flatten(), &[x])?])
}

/// A target shape in which one size may be -1.
pub(super) fn reshape(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let mut target = vec![Size::Keep(0)];
    for size in config!(call, axes_or("target_shape", &[])) {
        target.push(match size {
            -1 => Size::Rest,
            size => Size::Fixed(
                usize::try_from(size)
                    .map_err(|_| call.refuse(CONFIG, format!("target_shape: size {size}")))?,
            ),
        });
    }
    Ok(vec![call.apply(Reshape { target }, &[x])?])
}

/// Axes in another order, counted from one without the batch.
pub(super) fn permute(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let mut permutation = vec![0];
    for axis in config!(call, axes_or("dims", &[])) {
        permutation.push(call.axis(axis, call.rank(x))?);
    }
    Ok(vec![call.apply(Transpose { permutation }, &[x])?])
}

/// `[N, F] -> [N, n, F]`.
pub(super) fn repeat_vector(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let n = config!(call, size("n"));
    let y = call.apply(
        Reshape {
            target: vec![Size::Keep(0), Size::Fixed(1), Size::Keep(1)],
        },
        &[x],
    )?;
    Ok(vec![call.apply(
        Tile {
            repeats: vec![1, n, 1],
        },
        &[y],
    )?])
}
