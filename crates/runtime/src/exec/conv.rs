//! Convolutions: windows copied into columns, then a matrix product. One and two axes are three with size one.

use super::{Array, ExecError, Result, checked, flat};
use caribou_ir::op::{Conv, ConvTranspose};
use ndarray::{ArrayView2, ArrayViewMut2, IxDyn, linalg::general_mat_mul};
use rayon::prelude::*;

/// Elements of one tile of columns: 4 MiB a thread.
const TILE: usize = 1 << 20;

/// The geometry of a window on three axes.
struct Geometry {
    input: [usize; 3],
    output: [usize; 3],
    kernel: [usize; 3],
    strides: [usize; 3],
    dilations: [usize; 3],
    before: [usize; 3],
}

/// The list with ones (or `fill`) in front, so that it has three entries.
fn three(list: &[usize], fill: usize) -> [usize; 3] {
    let mut out = [fill; 3];
    out[3 - list.len()..].copy_from_slice(list);
    out
}

impl Geometry {
    fn cells(&self) -> usize {
        self.output.iter().product()
    }

    /// Where cell `k` of the window at `o` lies on `axis`; `None` in the padding.
    fn place(&self, axis: usize, o: usize, k: usize) -> Option<usize> {
        (o * self.strides[axis] + k * self.dilations[axis])
            .checked_sub(self.before[axis])
            .filter(|&i| i < self.input[axis])
    }
}

pub(super) fn conv(op: &Conv, x: &Array) -> Result<Array> {
    let weight_shape = op.weight.shape();
    let axes = weight_shape.len() - 2;
    let mut before = Vec::with_capacity(axes);
    let mut output = Vec::with_capacity(axes);
    for axis in 0..axes {
        let size = x.shape()[axis + 2];
        let extent = op.dilations[axis] * (weight_shape[axis + 2] - 1) + 1;
        let pads = op
            .padding
            .resolve(axis, Some(size), extent, op.strides[axis])
            .unwrap_or_default();
        let room = (size + pads[0] + pads[1])
            .checked_sub(extent)
            .ok_or_else(|| ExecError::new(format!("a window of {extent} does not fit an axis of {size}")))?;
        before.push(pads[0]);
        output.push(room / op.strides[axis] + 1);
    }
    let geometry = Geometry {
        input: three(&x.shape()[2..], 1),
        output: three(&output, 1),
        kernel: three(&weight_shape[2..], 1),
        strides: three(&op.strides, 1),
        dilations: three(&op.dilations, 1),
        before: three(&before, 0),
    };
    let (batch, channels, out) = (x.shape()[0], x.shape()[1], weight_shape[0]);
    let shape: Vec<usize> = [batch, out].into_iter().chain(output).collect();
    let mut y = vec![0f32; checked(&shape)?];
    let weight = op.weight.to_vec()?;
    let bias = op.bias.as_ref().map(|bias| bias.to_vec()).transpose()?;
    let input = flat(x);
    let cells = geometry.cells();
    let image: usize = channels * geometry.input.iter().product::<usize>();
    if cells > 0 && !y.is_empty() {
        let (inside, outside) = (channels / op.groups, out / op.groups);
        let rows = inside * geometry.kernel.iter().product::<usize>();
        let plane: usize = geometry.input.iter().product();
        y.par_chunks_mut(outside * cells)
            .enumerate()
            .for_each(|(part, y)| {
                let (n, group) = (part / op.groups, part % op.groups);
                let x = &input[n * image + group * inside * plane..][..inside * plane];
                let weight = &weight[group * outside * rows..][..outside * rows];
                if let Some(bias) = &bias {
                    for (y, bias) in y.chunks_mut(cells).zip(&bias[group * outside..]) {
                        y.fill(*bias);
                    }
                }
                product(&geometry, x, weight, [inside, outside, rows], y);
            });
    }
    Ok(Array::from_shape_vec(IxDyn(&shape), y)?)
}

/// Adds the weights times the columns of one image's group to `y`, tile by tile; tiles in parallel.
fn product(
    geometry: &Geometry,
    x: &[f32],
    weight: &[f32],
    [inside, outside, rows]: [usize; 3],
    y: &mut [f32],
) {
    let cells = geometry.cells();
    let width = (TILE / rows.max(1)).clamp(64, cells.max(64));
    let tiles: Vec<usize> = (0..cells).step_by(width).collect();
    let parts: Vec<(usize, Vec<f32>)> = tiles
        .into_par_iter()
        .map(|start| {
            let count = width.min(cells - start);
            let mut columns = vec![0f32; rows * count];
            fill(geometry, x, inside, start, count, &mut columns);
            let mut tile = vec![0f32; outside * count];
            multiply(weight, &columns, [outside, rows, count], &mut tile);
            (start, tile)
        })
        .collect();
    for (start, tile) in parts {
        let count = tile.len() / outside;
        for (y, tile) in y.chunks_mut(cells).zip(tile.chunks(count)) {
            for (y, value) in y[start..start + count].iter_mut().zip(tile) {
                *y += value;
            }
        }
    }
}

/// `c += a b` for `[m, k] x [k, n]`.
fn multiply(a: &[f32], b: &[f32], [m, k, n]: [usize; 3], c: &mut [f32]) {
    let views = (
        ArrayView2::from_shape((m, k), a),
        ArrayView2::from_shape((k, n), b),
        ArrayViewMut2::from_shape((m, n), c),
    );
    if let (Ok(a), Ok(b), Ok(mut c)) = views {
        general_mat_mul(1.0, &a, &b, 1.0, &mut c);
    }
}

/// The columns of the windows `start..start + count`: one row for each channel and cell of the window.
fn fill(geometry: &Geometry, x: &[f32], channels: usize, start: usize, count: usize, columns: &mut [f32]) {
    let [_, height, width] = geometry.output;
    let plane: usize = geometry.input.iter().product();
    let [_, rows, row] = geometry.input;
    let mut column = columns.chunks_mut(count);
    for c in 0..channels {
        let x = &x[c * plane..][..plane];
        for kz in 0..geometry.kernel[0] {
            for ky in 0..geometry.kernel[1] {
                for kx in 0..geometry.kernel[2] {
                    let Some(column) = column.next() else { return };
                    let mut i = 0;
                    while i < count {
                        // One row of windows at a time.
                        let flat = start + i;
                        let (oz, oy, ox) = (flat / (height * width), flat / width % height, flat % width);
                        let run = (width - ox).min(count - i);
                        if let (Some(z), Some(y)) = (geometry.place(0, oz, kz), geometry.place(1, oy, ky)) {
                            let line = &x[(z * rows + y) * row..][..row];
                            let offset = kx * geometry.dilations[2];
                            let (stride, before) = (geometry.strides[2], geometry.before[2]);
                            for (j, value) in column[i..i + run].iter_mut().enumerate() {
                                let at = (ox + j) * stride + offset;
                                if at >= before && at - before < row {
                                    *value = line[at - before];
                                }
                            }
                        }
                        i += run;
                    }
                }
            }
        }
    }
}

pub(super) fn conv_transpose(op: &ConvTranspose, x: &Array) -> Result<Array> {
    let kernel = op.weight.shape();
    let axes = kernel.len() - 2;
    let mut output = Vec::with_capacity(axes);
    for axis in 0..axes {
        let extent = op.dilations[axis] * (kernel[axis + 2] - 1) + 1;
        let full = op.strides[axis] * (x.shape()[axis + 2] - 1) + extent + op.output_padding[axis];
        let crop = op.crops[axis][0] + op.crops[axis][1];
        let size = full
            .checked_sub(crop)
            .ok_or_else(|| ExecError::new(format!("{crop} cells are cut from {full}")))?;
        output.push(size);
    }
    let before: Vec<usize> = op.crops.iter().map(|crop| crop[0]).collect();
    // Seen from the output, which is the input of the forward convolution.
    let geometry = Geometry {
        input: three(&output, 1),
        output: three(&x.shape()[2..], 1),
        kernel: three(&kernel[2..], 1),
        strides: three(&op.strides, 1),
        dilations: three(&op.dilations, 1),
        before: three(&before, 0),
    };
    let (batch, channels) = (x.shape()[0], x.shape()[1]);
    let (inside, outside) = (channels / op.groups, kernel[1]);
    let out = outside * op.groups;
    let shape: Vec<usize> = [batch, out].into_iter().chain(output).collect();
    let mut y = vec![0f32; checked(&shape)?];
    let weight = op.weight.to_vec()?;
    let bias = op.bias.as_ref().map(|bias| bias.to_vec()).transpose()?;
    let input = flat(x);
    let (cells, plane) = (geometry.cells(), geometry.input.iter().product::<usize>());
    let window: usize = geometry.kernel.iter().product();
    if plane > 0 {
        y.par_chunks_mut(plane).enumerate().for_each(|(part, y)| {
            let (n, o) = (part / out, part % out);
            y.fill(bias.as_ref().map_or(0.0, |bias| bias[o]));
            let (group, column) = (o / outside, o % outside);
            for c in 0..inside {
                let channel = group * inside + c;
                let x = &input[(n * channels + channel) * cells..][..cells];
                let weight = &weight[(channel * outside + column) * window..][..window];
                scatter(&geometry, x, weight, y);
            }
        });
    }
    Ok(Array::from_shape_vec(IxDyn(&shape), y)?)
}

/// Adds each cell of `x` times the kernel to the output.
fn scatter(geometry: &Geometry, x: &[f32], weight: &[f32], y: &mut [f32]) {
    let [_, height, width] = geometry.output;
    let [_, rows, row] = geometry.input;
    let [_, ky_count, kx_count] = geometry.kernel;
    for (flat, &value) in x.iter().enumerate() {
        let (oz, oy, ox) = (flat / (height * width), flat / width % height, flat % width);
        for (k, &weight) in weight.iter().enumerate() {
            let (kz, ky, kx) = (k / (ky_count * kx_count), k / kx_count % ky_count, k % kx_count);
            let place = (
                geometry.place(0, oz, kz),
                geometry.place(1, oy, ky),
                geometry.place(2, ox, kx),
            );
            if let (Some(z), Some(line), Some(at)) = place {
                y[(z * rows + line) * row + at] += value * weight;
            }
        }
    }
}
