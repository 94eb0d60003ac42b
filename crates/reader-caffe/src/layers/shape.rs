//! Layers that move numbers, or leave them alone.

use super::{Call, MISFIT, OPTION, Tops};
use caribou_ir::op::{Concat, Identity, Noise, NoiseKind, Reshape, Size, Split, Unary, UnaryKind};
use caribou_ir::{Finding, ValueId};

/// `Concat`; `concat_dim` is the older name of `axis`.
pub(super) fn concat(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.concat_param.unwrap_or_default();
    let Some(&first) = call.inputs.first() else {
        return Err(call.refuse(MISFIT, "expected a bottom, found none"));
    };
    let axis = match (parameters.axis, parameters.concat_dim) {
        (None, Some(axis)) => i32::try_from(axis).unwrap_or(i32::MAX),
        _ => parameters.axis(),
    };
    let axis = call.inner_axis(axis, first)?;
    let inputs = call.inputs.to_vec();
    match inputs[..] {
        [one] => Ok(vec![call.apply(Identity, &[one])?]),
        _ => Ok(vec![call.apply(Concat { axis }, &inputs)?]),
    }
}

/// `Slice`: at the given points, or into pieces of one size.
pub(super) fn slice(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.slice_param.clone().unwrap_or_default();
    let x = call.input()?;
    let axis = match (parameters.axis, parameters.slice_dim) {
        (None, Some(axis)) => i32::try_from(axis).unwrap_or(i32::MAX),
        _ => parameters.axis(),
    };
    let axis = call.inner_axis(axis, x)?;
    let (size, count) = (call.size(x, axis)?, call.layer.tops.len());
    let points: Vec<usize> = parameters
        .slice_point
        .iter()
        .map(|&point| point as usize)
        .collect();
    let sizes: Vec<usize> = if points.is_empty() {
        if count == 0 || !size.is_multiple_of(count) {
            return Err(call.misconfigured(format!("{size} can't be cut into {count} equal pieces")));
        }
        vec![size / count; count]
    } else {
        let ends = points.iter().copied().chain([size]);
        let starts = std::iter::once(0).chain(points.iter().copied());
        let sizes = starts
            .zip(ends)
            .map(|(start, end)| end.checked_sub(start).filter(|&size| size > 0));
        let sizes: Option<Vec<usize>> = sizes.collect();
        match sizes.filter(|sizes| sizes.len() == count) {
            Some(sizes) => sizes,
            None => {
                return Err(call.misconfigured(format!(
                    "slice_point {points:?} does not cut {size} into {count} pieces"
                )));
            }
        }
    };
    if sizes.len() == 1 {
        return Ok(vec![call.apply(Identity, &[x])?]);
    }
    let cut = call.graph.push(Split { axis, sizes }, &[x], &call.origin);
    cut.map_err(|error| call.refuse(MISFIT, error.to_string()))
}

/// `Split`: the same value under several names.
pub(super) fn split(call: &mut Call<'_>) -> Tops {
    let x = call.input()?;
    let count = call.layer.tops.len();
    (0..count).map(|_| call.apply(Identity, &[x])).collect()
}

/// `Dropout`: nothing after training, but for a fork's way of scaling then and not before.
pub(super) fn dropout(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.dropout_param.unwrap_or_default();
    let x = call.input()?;
    let rate = f64::from(parameters.dropout_ratio());
    if parameters.sample_weights_test() {
        return Err(call.refuse(OPTION, "it samples after training too (sample_weights_test)"));
    }
    let kind = NoiseKind::Dropout { rate };
    let mut y = call.apply(Noise { kind }, &[x])?;
    if !parameters.scale_train() {
        let kind = UnaryKind::Affine {
            scale: 1.0 - rate,
            shift: 0.0,
        };
        y = call.apply(Unary { kind }, &[y])?;
    }
    Ok(vec![y])
}

/// `Flatten`: the axes from `axis` to `end_axis` become one.
pub(super) fn flatten(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.flatten_param.unwrap_or_default();
    let x = call.input()?;
    let rank = call.rank(x);
    let (start, end) = (
        call.axis(parameters.axis(), rank)?,
        call.axis(parameters.end_axis(), rank)?,
    );
    if start > end {
        return Err(call.misconfigured(format!("axis {start} stands behind end_axis {end}")));
    }
    let sizes = call.sizes(x)?;
    let mut target = sizes[..start].to_vec();
    target.push(sizes[start..=end].iter().product());
    target.extend(&sizes[end + 1..]);
    Ok(vec![reshaped(call, x, &sizes, &target)?])
}

/// `Reshape`: zeros keep a size, -1 takes what is left, and `axis` and `num_axes` say which axes are replaced.
pub(super) fn reshape(call: &mut Call<'_>) -> Tops {
    let parameters = call.parameters.reshape_param.clone().unwrap_or_default();
    let x = call.input()?;
    let sizes = call.sizes(x)?;
    let rank = sizes.len();
    let dims = parameters.shape.clone().unwrap_or_default().dim;
    // One more than the last axis is allowed here: behind all axes.
    let start = call.axis(parameters.axis(), rank + 1)?;
    let end = match parameters.num_axes() {
        -1 => rank,
        count => usize::try_from(count)
            .ok()
            .and_then(|count| start.checked_add(count))
            .filter(|&end| end <= rank)
            .ok_or_else(|| {
                call.misconfigured(format!(
                    "num_axes {count} from axis {start} on are more than the {rank} axes"
                ))
            })?,
    };
    let mut target: Vec<Option<usize>> = sizes[..start].iter().copied().map(Some).collect();
    for (index, &size) in dims.iter().enumerate() {
        target.push(match size {
            -1 => None,
            0 => Some(*sizes.get(start + index).ok_or_else(|| {
                call.misconfigured(format!(
                    "a size of 0 keeps axis {}, and there is none",
                    start + index
                ))
            })?),
            size => Some(usize::try_from(size).map_err(|_| call.misconfigured(format!("a size of {size}")))?),
        });
    }
    target.extend(sizes[end..].iter().copied().map(Some));
    let product = |sizes: &[usize]| {
        sizes
            .iter()
            .try_fold(1usize, |product, &size| product.checked_mul(size))
    };
    let given: Vec<usize> = target.iter().copied().flatten().collect();
    let (total, known) = (product(&sizes), product(&given));
    let unknown = target.iter().filter(|size| size.is_none()).count();
    let rest = match (total, known, unknown) {
        (Some(total), Some(known), 0) if total == known => 1,
        (Some(total), Some(known), 1) if known > 0 && total.is_multiple_of(known) => total / known,
        _ => {
            return Err(call.misconfigured(format!("sizes {sizes:?} can't be reshaped to {dims:?}")));
        }
    };
    let target: Vec<usize> = target.into_iter().map(|size| size.unwrap_or(rest)).collect();
    Ok(vec![reshaped(call, x, &sizes, &target)?])
}

/// The value under the shape `target`, in which the number of examples must be an axis' own, or part of the first's.
pub(super) fn reshaped(
    call: &mut Call<'_>,
    x: ValueId,
    sizes: &[usize],
    target: &[usize],
) -> Result<ValueId, Box<Finding>> {
    if sizes == target {
        return call.apply(Identity, &[x]);
    }
    if call.time_first(x) {
        return super::recurrent::reshaped(call, x, sizes, target);
    }
    let first = sizes.first().copied().unwrap_or(1);
    let (head, tail) = match target {
        // The examples stay what they are.
        [same, tail @ ..] if *same == first => (Size::Keep(0), tail),
        // Other axes join them, or leave them.
        [joined, tail @ ..] if joined.is_multiple_of(call.batch) => (Size::Rest, tail),
        _ => {
            return Err(call.refuse(
                OPTION,
                format!("from {sizes:?} to {target:?} the examples of a batch are mixed with other axes"),
            ));
        }
    };
    let target = std::iter::once(head)
        .chain(tail.iter().map(|&size| Size::Fixed(size)))
        .collect();
    call.apply(Reshape { target }, &[x])
}
