//! Changes of resolution.

use super::{Composed, Failure, Step};
use caribou_ir::ValueId;
use caribou_ir::op::{
    Conv, Coordinates, Dense, DepthToSpace, Gather, Interpolation, Pad, PadMode, Padding, Reshape, Resize,
    ResizeTarget, SpaceToDepth, Transpose,
};

/// Elements of an interpolation matrix that an archive may hold.
const MATRIX: usize = 1 << 18;

/// Whole factors by the nearest cell stay; linear interpolation by whole factors becomes a convolution that makes all
/// phases of a cell at once, and any other change of size is made one axis after the other.
pub(super) fn resize(step: &mut Step<'_>, op: &Resize, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    let shape = step.graph.shape(x).clone();
    let from: Option<Vec<usize>> = (2..shape.rank()).map(|axis| shape.size(axis)).collect();
    let (Some(from), Some(channels)) = (from, shape.size(1)) else {
        return match (op.interpolation, &op.target) {
            (Interpolation::Nearest, ResizeTarget::Factors(_)) => Ok(None),
            _ => Err(Failure::Inexpressible(format!(
                "resizing {shape}: its sizes must be known"
            ))),
        };
    };
    let to: Vec<usize> = match &op.target {
        ResizeTarget::Factors(factors) => from
            .iter()
            .zip(factors)
            .map(|(size, factor)| size * factor)
            .collect(),
        ResizeTarget::Sizes(sizes) => sizes.clone(),
    };
    let whole = from
        .iter()
        .zip(&to)
        .all(|(&from, &to)| from > 0 && to.is_multiple_of(from));
    let factors: Vec<usize> = from
        .iter()
        .zip(&to)
        .map(|(from, to)| to / (*from).max(1))
        .collect();
    let aligned = op.coordinates == Coordinates::AlignCorners;
    if from == to {
        return Ok(Some(vec![x]));
    }
    if op.interpolation == Interpolation::Nearest {
        if whole && !aligned {
            if matches!(op.target, ResizeTarget::Factors(_)) {
                return Ok(None);
            }
            let target = ResizeTarget::Factors(factors);
            return Ok(Some(vec![step.apply(Resize { target, ..op.clone() }, &[x])?]));
        }
        let mut y = x;
        for (i, (&from, &to)) in from
            .iter()
            .zip(&to)
            .enumerate()
            .filter(|(_, (from, to))| from != to)
        {
            let indices = (0..to).map(|o| nearest(op.coordinates, o, from, to)).collect();
            y = step.apply(Gather { axis: i + 2, indices }, &[y])?;
        }
        return Ok(Some(vec![y]));
    }
    if whole
        && from.len() == 2
        && op.coordinates == Coordinates::HalfPixel
        && op.interpolation == Interpolation::Linear
    {
        return phases(step, x, channels, &from, &factors);
    }
    let mut y = x;
    for (i, (&from, &to)) in from
        .iter()
        .zip(&to)
        .enumerate()
        .filter(|(_, (from, to))| from != to)
    {
        if from * to > MATRIX {
            return Err(Failure::Inexpressible(format!(
                "interpolation from {from} to {to} cells, which is no whole factor"
            )));
        }
        let matrix = match op.interpolation {
            Interpolation::Kernel(kernel) => kernel.matrix(from, to),
            _ => linear(op.coordinates, from, to),
        };
        y = along(step, y, i + 2, [from, to], &matrix)?;
    }
    step.rewrite(
        "interpolate-by-matrix",
        "interpolation along an axis is a product with a fixed matrix",
    );
    Ok(Some(vec![y]))
}

/// The place of the input that an output cell shows.
fn place(coordinates: Coordinates, o: usize, from: usize, to: usize) -> f64 {
    let (o, from_cells, to_cells) = (o as f64, from as f64, to as f64);
    match coordinates {
        Coordinates::HalfPixel => (o + 0.5) * from_cells / to_cells - 0.5,
        Coordinates::Asymmetric => o * from_cells / to_cells,
        Coordinates::AlignCorners if to > 1 => o * (from_cells - 1.0) / (to_cells - 1.0),
        Coordinates::AlignCorners => 0.0,
    }
}

fn nearest(coordinates: Coordinates, o: usize, from: usize, to: usize) -> usize {
    let place = match coordinates {
        Coordinates::HalfPixel => (place(coordinates, o, from, to) + 0.5).floor(),
        Coordinates::Asymmetric => place(coordinates, o, from, to).floor(),
        Coordinates::AlignCorners => place(coordinates, o, from, to).round(),
    };
    (place.max(0.0) as usize).min(from - 1)
}

/// The matrix of linear interpolation.
fn linear(coordinates: Coordinates, from: usize, to: usize) -> Vec<f32> {
    let mut matrix = vec![0f32; from * to];
    for o in 0..to {
        let place = place(coordinates, o, from, to).clamp(0.0, (from - 1) as f64);
        let low = place.floor() as usize;
        let share = (place - low as f64) as f32;
        matrix[low * to + o] += 1.0 - share;
        if share > 0.0 {
            matrix[(low + 1).min(from - 1) * to + o] += share;
        }
    }
    matrix
}

/// Interpolation of one axis, which becomes the features of a dense layer, by a matrix of these sizes.
fn along(
    step: &mut Step<'_>,
    x: ValueId,
    axis: usize,
    sizes: [usize; 2],
    matrix: &[f32],
) -> Result<ValueId, Failure> {
    let weight = super::constant::tensor(&sizes, matrix)?;
    let rank = step.graph.shape(x).rank();
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(axis, rank - 1);
    let mut y = step.apply(
        Transpose {
            permutation: order.clone(),
        },
        &[x],
    )?;
    y = step.fixed(Dense { weight, bias: None }, &[y])?;
    step.apply(Transpose { permutation: order }, &[y])
}

/// Linear interpolation by whole factors: each phase of a cell is a mean of it and its neighbours with fixed weights. A
/// depthwise convolution on the image with its edge repeated makes all phases of a cell as channels, which then move to
/// their places.
fn phases(step: &mut Step<'_>, x: ValueId, channels: usize, from: &[usize], factors: &[usize]) -> Composed {
    step.rewrite(
        "interpolate-by-convolution",
        "linear interpolation by whole factors is a depthwise convolution with a fixed kernel",
    );
    let axes: Vec<Vec<[f32; 3]>> = factors.iter().map(|&factor| taps(factor)).collect();
    let reach: Vec<usize> = factors.iter().map(|&factor| usize::from(factor > 1)).collect();
    let (fh, fw) = (factors[0], factors[1]);
    let (kh, kw) = (2 * reach[0] + 1, 2 * reach[1] + 1);
    let mut kernel = Vec::with_capacity(fh * fw * kh * kw);
    for down in &axes[0] {
        for right in &axes[1] {
            for y in 0..kh {
                for x in 0..kw {
                    kernel.push(down[y + 1 - reach[0]] * right[x + 1 - reach[1]]);
                }
            }
        }
    }
    let mut y = x;
    let mode = PadMode::Edge;
    let pads = [[0, 0]; 2]
        .into_iter()
        .chain(reach.iter().map(|&cells| [cells, cells]))
        .collect();
    y = step.apply(Pad { pads, mode }, &[y])?;
    let multiplier = fh * fw;
    let all = kernel.repeat(channels);
    let op = Conv {
        weight: super::constant::tensor(&[channels * multiplier, 1, kh, kw], &all)?,
        bias: None,
        strides: vec![1, 1],
        dilations: vec![1, 1],
        padding: Padding::none(2),
        groups: channels,
    };
    y = step.fixed(op, &[y])?;
    let (h, w) = (from[0], from[1]);
    // [N, C fh fw, h, w] to [N, C, h, fh, w, fw], with five axes at most.
    y = step.apply(Reshape::features(&[channels * fh, fw, h, w]), &[y])?;
    y = step.apply(
        Transpose {
            permutation: vec![0, 1, 3, 4, 2],
        },
        &[y],
    )?;
    y = step.apply(Reshape::features(&[channels, fh, h, w * fw]), &[y])?;
    y = step.apply(
        Transpose {
            permutation: vec![0, 1, 3, 2, 4],
        },
        &[y],
    )?;
    y = step.apply(Reshape::features(&[channels, h * fh, w * fw]), &[y])?;
    Ok(Some(vec![y]))
}

/// For each phase of a cell, the shares of the cell before, the cell and the one behind.
fn taps(factor: usize) -> Vec<[f32; 3]> {
    (0..factor)
        .map(|phase| {
            let place = (phase as f64 + 0.5) / factor as f64 - 0.5;
            match place < 0.0 {
                true => [-place as f32, (1.0 + place) as f32, 0.0],
                false => [0.0, (1.0 - place) as f32, place as f32],
            }
        })
        .collect()
}

/// `[N, C, H, W] -> [N, B B C, H / B, W / B]` by reshapes and transposes.
pub(super) fn space_to_depth(step: &mut Step<'_>, op: SpaceToDepth, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    let b = op.block;
    let sizes = known(step, x)?;
    let (c, h, w) = (sizes[0], sizes[1] / b, sizes[2] / b);
    step.rewrite(
        "blocks-by-reshape",
        "blocks of cells move by reshapes and permutations",
    );
    let mut y = step.apply(Reshape::features(&[c * h, b, w, b]), &[x])?;
    // [N, C h, by, w, bx] to [N, C h, by, bx, w].
    y = step.apply(
        Transpose {
            permutation: vec![0, 1, 2, 4, 3],
        },
        &[y],
    )?;
    y = step.apply(Reshape::features(&[c, h, b * b, w]), &[y])?;
    y = step.apply(
        Transpose {
            permutation: vec![0, 3, 1, 2, 4],
        },
        &[y],
    )?;
    y = step.apply(Reshape::features(&[b * b * c, h, w]), &[y])?;
    Ok(Some(vec![y]))
}

/// The inverse of [`space_to_depth`].
pub(super) fn depth_to_space(step: &mut Step<'_>, op: DepthToSpace, inputs: &[ValueId]) -> Composed {
    let [x] = *inputs else { return Ok(None) };
    let b = op.block;
    let sizes = known(step, x)?;
    let (c, h, w) = (sizes[0] / (b * b), sizes[1], sizes[2]);
    step.rewrite(
        "blocks-by-reshape",
        "blocks of cells move by reshapes and permutations",
    );
    let mut y = step.apply(Reshape::features(&[b * b, c, h, w]), &[x])?;
    y = step.apply(
        Transpose {
            permutation: vec![0, 2, 3, 1, 4],
        },
        &[y],
    )?;
    y = step.apply(Reshape::features(&[c * h, b, b, w]), &[y])?;
    y = step.apply(
        Transpose {
            permutation: vec![0, 1, 2, 4, 3],
        },
        &[y],
    )?;
    y = step.apply(Reshape::features(&[c, h * b, w * b]), &[y])?;
    Ok(Some(vec![y]))
}

fn known(step: &Step<'_>, x: ValueId) -> Result<Vec<usize>, Failure> {
    let shape = step.graph.shape(x);
    shape
        .feature_sizes()
        .ok_or_else(|| Failure::Inexpressible(format!("blocks of {shape}, whose sizes are unknown")))
}

#[cfg(test)]
mod tests {
    use super::taps;

    #[test]
    fn phases_of_linear_interpolation_sum_to_one() {
        assert_eq!(taps(2), [[0.25, 0.75, 0.0], [0.0, 0.75, 0.25]]);
        for factor in 1..9 {
            for tap in taps(factor) {
                assert!((tap.iter().sum::<f32>() - 1.0).abs() < 1e-6);
            }
        }
    }
}
