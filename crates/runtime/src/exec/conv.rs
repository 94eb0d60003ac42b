//! Convolutions: windows copied into columns, then a matrix product. One and two axes are three with size one.

use super::{Array, ExecError, Result, checked, flat};
use caribou_ir::op::{Conv, ConvTranspose};
use ndarray::{ArrayView2, ArrayViewMut2, Axis, IxDyn, linalg::general_mat_mul, s};
use rayon::prelude::*;

/// Elements of one tile of columns: 1 MiB a thread.
const TILE: usize = 1 << 18;

/// The fewest windows of a tile: below, packing the weights takes longer than the product.
const WINDOWS: usize = 256;

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

    /// Whether each window is a cell of the input, in its order.
    fn is_pointwise(&self) -> bool {
        self.kernel == [1; 3] && self.strides == [1; 3] && self.before == [0; 3] && self.input == self.output
    }

    /// The windows of one tile, when each is a column of `rows` numbers: tiles are alike, as they are shared out.
    fn tile(&self, rows: usize) -> usize {
        let cells = self.cells();
        let most = (TILE / rows.max(1)).max(WINDOWS);
        cells.div_ceil(cells.div_ceil(most)).next_multiple_of(8)
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
    if cells > 0 && !y.is_empty() {
        let (inside, outside) = (channels / op.groups, out / op.groups);
        let rows = inside * geometry.kernel.iter().product::<usize>();
        let part = inside * geometry.input.iter().product::<usize>();
        let width = geometry.tile(rows);
        // The parts of the result that are computed by themselves: some cells of all channels of an image's group.
        let mut tiles = Vec::new();
        for (n, y) in y.chunks_mut(outside * cells).enumerate() {
            let group = n % op.groups;
            let bias = bias.as_ref().map(|bias| &bias[group * outside..][..outside]);
            let x = &input[n * part..][..part];
            let weight = ArrayView2::from_shape(
                (outside, rows),
                &weight[group * outside * rows..][..outside * rows],
            )?;
            let mut y = ArrayViewMut2::from_shape((outside, cells), y)?;
            for start in (0..cells).step_by(width) {
                let (tile, rest) = y.split_at(Axis(1), width.min(cells - start));
                tiles.push((x, weight, bias, start, tile));
                y = rest;
            }
        }
        tiles
            .into_par_iter()
            .try_for_each_init(Vec::new, |columns, (x, weight, bias, start, mut y)| {
                let count = y.ncols();
                for (mut y, bias) in y.rows_mut().into_iter().zip(bias.into_iter().flatten()) {
                    y.fill(*bias);
                }
                let columns = if geometry.is_pointwise() {
                    ArrayView2::from_shape((rows, cells), x)?.slice_move(s![.., start..start + count])
                } else {
                    columns.clear();
                    columns.resize(rows * count, 0.0);
                    fill(&geometry, x, inside, start, count, columns);
                    ArrayView2::from_shape((rows, count), columns)?
                };
                general_mat_mul(1.0, &weight, &columns, 1.0, &mut y);
                Ok::<(), ExecError>(())
            })?;
    }
    Ok(Array::from_shape_vec(IxDyn(&shape), y)?)
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
                            let (stride, before) = (geometry.strides[2], geometry.before[2]);
                            let offset = kx * geometry.dilations[2];
                            // The windows of the row whose cell lies on the line.
                            let first = before.saturating_sub(offset).div_ceil(stride);
                            let behind = (row + before).saturating_sub(offset).div_ceil(stride);
                            let from = first.clamp(ox, ox + run);
                            let to = behind.clamp(from, ox + run);
                            if from < to {
                                let target = &mut column[i + from - ox..i + to - ox];
                                let line = &line[from * stride + offset - before..];
                                if stride == 1 {
                                    target.copy_from_slice(&line[..to - from]);
                                } else {
                                    for (value, &x) in target.iter_mut().zip(line.iter().step_by(stride)) {
                                        *value = x;
                                    }
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
