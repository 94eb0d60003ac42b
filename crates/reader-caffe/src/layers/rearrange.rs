//! Layers that move numbers to other places.

use super::{Call, MISFIT, OPTION, Tops};
use caribou_ir::op::{Reshape, Size, Slice, SliceAxis, Tile, Transpose};

/// `Permute` of SSD: its axes in another order; those that are not named follow.
pub(super) fn permute(call: &mut Call<'_>) -> Tops {
    let x = call.input()?;
    let rank = call.rank(x);
    let named = call.parameters.permute_param.clone().unwrap_or_default().order;
    let mut permutation = Vec::with_capacity(rank);
    for axis in named.into_iter().map(|axis| axis as usize) {
        if axis >= rank || permutation.contains(&axis) {
            return Err(call.misconfigured(format!(
                "axis {axis} is none of the {rank} axes of its bottom, or is named twice"
            )));
        }
        permutation.push(axis);
    }
    permutation.extend(
        (0..rank)
            .filter(|axis| !permutation.contains(axis))
            .collect::<Vec<_>>(),
    );
    if permutation[0] != 0 {
        return Err(call.refuse(OPTION, "it moves the axis of the examples"));
    }
    Ok(vec![call.apply(Transpose { permutation }, &[x])?])
}

/// `Crop`: the part of the first bottom that has the size of the second.
pub(super) fn crop(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.crop_param.clone().unwrap_or_default();
    let &[x, like] = call.inputs else {
        return Err(call.refuse(
            MISFIT,
            format!("expected two bottoms, found {}", call.inputs.len()),
        ));
    };
    let rank = call.rank(x);
    if call.rank(like) != rank {
        return Err(call.refuse(
            MISFIT,
            format!(
                "its bottoms {} and {} have different axes",
                call.shape(x),
                call.shape(like)
            ),
        ));
    }
    let first = call.inner_axis(parameters.axis(), x)?;
    let offsets = parameters.offset;
    if offsets.len() > 1 && offsets.len() != rank - first {
        return Err(call.misconfigured(format!(
            "offset is given {} times for {} axes",
            offsets.len(),
            rank - first
        )));
    }
    let mut axes = Vec::new();
    for axis in first..rank {
        let offset = match offsets[..] {
            [] => 0,
            [one] => one as usize,
            _ => offsets[axis - first] as usize,
        };
        let (size, wanted) = (call.size(x, axis)?, call.size(like, axis)?);
        if offset + wanted > size {
            return Err(call.refuse(
                MISFIT,
                format!("{wanted} cells from {offset} on are more than the {size} of axis {axis}"),
            ));
        }
        axes.push(SliceAxis::range(
            axis,
            offset as i64,
            Some((offset + wanted) as i64),
        ));
    }
    Ok(vec![call.apply(Slice { axes }, &[x])?])
}

/// `Tile`: repeated along one axis.
pub(super) fn tile(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.tile_param.unwrap_or_default();
    let x = call.input()?;
    let rank = call.rank(x);
    let axis = call.inner_axis(parameters.axis(), x)?;
    let times = usize::try_from(parameters.tiles()).unwrap_or(0);
    if times == 0 {
        return Err(call.misconfigured("tiles must be at least one"));
    }
    let mut repeats = vec![1; rank];
    repeats[axis] = times;
    Ok(vec![call.apply(Tile { repeats }, &[x])?])
}

/// `ShuffleChannel` of forks: of the channels in groups, the first of each group, the second of each, and so on.
pub(super) fn shuffle_channel(call: &mut Call<'_>) -> Tops {
    let groups = call.parameters.shuffle_channel_param.unwrap_or_default().group() as usize;
    let x = call.input()?;
    let rank = call.rank(x);
    let channels = call.size(x, 1)?;
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(call.misconfigured(format!(
            "{channels} channels can't be divided into {groups} groups"
        )));
    }
    let target = |sizes: &[usize]| {
        let mut target = vec![Size::Keep(0)];
        target.extend(sizes.iter().map(|&size| Size::Fixed(size)));
        Reshape { target }
    };
    let cells = (2..rank)
        .map(|axis| call.size(x, axis))
        .collect::<Result<Vec<usize>, _>>()?;
    let all: usize = cells.iter().product();
    let y = call.apply(target(&[groups, channels / groups, all]), &[x])?;
    let permutation = vec![0, 2, 1, 3];
    let y = call.apply(Transpose { permutation }, &[y])?;
    let sizes: Vec<usize> = std::iter::once(channels).chain(cells).collect();
    Ok(vec![call.apply(target(&sizes), &[y])?])
}
