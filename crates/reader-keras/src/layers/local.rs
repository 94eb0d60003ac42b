//! Locally connected layers: a convolution whose kernel is another one at each place.
//!
//! Each place is a dense layer on its part of the input. Keras keeps the kernels in one of three ways: by place
//! (implementation 1), as a matrix of all cells of the input by all of the output (2), or as those elements of that
//! matrix that are not zero, in the order of the output, then of the input (3).

use super::{CONFIG, Call, OPTION, Outputs, WEIGHT, config};
use caribou_ir::op::{Concat, Dense, Padding, Reshape, Slice, SliceAxis, Transpose};
use caribou_ir::{Finding, Tensor, TensorError, ValueId};

/// Places that become layers of their own; more than these are one matrix.
const PLACES: usize = 64;
/// Elements that such a matrix may have.
const MATRIX: usize = 1 << 22;

/// The layer's sizes. The axes of the input and of a part of it are in the order of the layer's data format.
struct Local {
    channels_first: bool,
    channels: usize,
    filters: usize,
    /// Spatial sizes before and after.
    from: Vec<usize>,
    to: Vec<usize>,
    kernel: Vec<usize>,
    strides: Vec<usize>,
    /// Cells before the input that the first window covers.
    before: Vec<usize>,
}

impl Local {
    fn new(call: &Call<'_>, x: ValueId) -> Result<Self, Box<Finding>> {
        let axes = call.spatial_axes();
        let channels_first = call.channels_first()?;
        if call.rank(x) != axes + 2 {
            return Err(call.refuse(super::MISFIT, format!("expected {} axes", axes + 2)));
        }
        let first = if channels_first { 2 } else { 1 };
        let from: Vec<usize> = (first..first + axes)
            .map(|axis| call.size(x, axis))
            .collect::<Result<_, _>>()?;
        let kernel = config!(call, sizes("kernel_size", axes));
        let strides = config!(call, sizes_or("strides", axes, 1));
        let padding = match config!(call, text_or("padding", "valid")) {
            "valid" => Padding::none(axes),
            "same" => Padding::Same,
            other => {
                return Err(call.refuse(CONFIG, format!("padding: expected valid or same, found {other}")));
            }
        };
        let (mut to, mut before) = (Vec::new(), Vec::new());
        for axis in 0..axes {
            let (size, extent, stride) = (from[axis], kernel[axis], strides[axis]);
            let sides = padding
                .resolve(axis, Some(size), extent, stride)
                .unwrap_or_default();
            let room = (size + sides[0] + sides[1]).checked_sub(extent);
            let room = room.filter(|_| extent > 0 && stride > 0);
            to.push(
                room.ok_or_else(|| call.refuse(CONFIG, "its window does not fit its input"))? / stride + 1,
            );
            // Keras centres the windows of this layer's padding: one that is even leans to the front.
            before.push(if padding == Padding::Same { extent / 2 } else { 0 });
        }
        Ok(Self {
            channels_first,
            channels: call.size(x, if channels_first { 1 } else { axes + 1 })?,
            filters: config!(call, size("filters")),
            from,
            to,
            kernel,
            strides,
            before,
        })
    }

    fn places(&self) -> usize {
        self.to.iter().product()
    }

    /// The place as positions along the spatial axes of the output.
    fn position(&self, mut place: usize) -> Vec<usize> {
        let mut position = vec![0; self.to.len()];
        for axis in (0..self.to.len()).rev() {
            position[axis] = place % self.to[axis];
            place /= self.to[axis];
        }
        position
    }

    /// The cells of the input that a place sees, for each spatial axis.
    fn window(&self, place: usize) -> Vec<[usize; 2]> {
        self.position(place)
            .iter()
            .enumerate()
            .map(|(axis, &at)| {
                let start = (at * self.strides[axis]) as i64 - self.before[axis] as i64;
                let end = start + self.kernel[axis] as i64;
                let limit = self.from[axis] as i64;
                [start.clamp(0, limit) as usize, end.clamp(0, limit) as usize]
            })
            .collect()
    }

    /// The elements of a place's part of the input.
    fn part(&self, place: usize) -> usize {
        self.window(place)
            .iter()
            .map(|[start, end]| end - start)
            .product::<usize>()
            * self.channels
    }

    /// Axes in the order of the data format: spatial ones and the channels.
    fn ordered(&self, spatial: &[usize], channels: usize) -> Vec<usize> {
        let mut axes = spatial.to_vec();
        axes.insert(if self.channels_first { 0 } else { spatial.len() }, channels);
        axes
    }

    /// The first spatial axis, the batch not counted.
    fn first(&self) -> usize {
        usize::from(self.channels_first)
    }

    /// The bias, `shape` being the sizes after and the filters. Keras stores it so in either order, and takes the
    /// elements of a channels-first layer as they come for those of an array whose filters are ahead.
    fn bias(&self, call: &Call<'_>, shape: &[usize]) -> Result<Tensor, Box<Finding>> {
        let stored = call.weight("bias", shape)?;
        if !self.channels_first {
            return Ok(stored);
        }
        let order: Vec<usize> = (1..shape.len()).chain([0]).collect();
        stored
            .reshape(&self.ordered(&self.to, self.filters))
            .and_then(|bias| bias.permute(&order))
            .map_err(|error| call.refuse(WEIGHT, error.to_string()))
    }

    /// The kernel of each place, `[part, filters]`.
    fn kernels(&self, call: &Call<'_>) -> Result<Vec<Tensor>, Box<Finding>> {
        let axes = self.from.len();
        let failed = |error: TensorError| call.refuse(WEIGHT, error.to_string());
        match config!(call, size_or("implementation", 1)) {
            1 => {
                let part = self.kernel.iter().product::<usize>() * self.channels;
                let stored = call.weight("kernel", &[self.places(), part, self.filters])?;
                let one = |place| stored.narrow(0, place, place + 1)?.reshape(&[part, self.filters]);
                (0..self.places())
                    .map(|place| one(place).map_err(failed))
                    .collect()
            }
            2 => {
                let mut shape = self.ordered(&self.from, self.channels);
                shape.extend(self.ordered(&self.to, self.filters));
                let stored = call.weight("kernel", &shape)?;
                let one = |place| {
                    let mut kernel = stored.clone();
                    for (axis, [start, end]) in self.window(place).into_iter().enumerate() {
                        kernel = kernel.narrow(self.first() + axis, start, end)?;
                    }
                    for (axis, at) in self.position(place).into_iter().enumerate() {
                        kernel = kernel.narrow(axes + 1 + self.first() + axis, at, at + 1)?;
                    }
                    kernel.to_owned_f32()?.reshape(&[self.part(place), self.filters])
                };
                (0..self.places())
                    .map(|place| one(place).map_err(failed))
                    .collect()
            }
            3 => {
                let parts: Vec<usize> = (0..self.places()).map(|place| self.part(place)).collect();
                let all: usize = parts.iter().sum();
                let stored = call
                    .weight("kernel", &[all * self.filters])?
                    .to_vec()
                    .map_err(failed)?;
                let mut start = 0;
                let mut kernels = Vec::with_capacity(parts.len());
                for part in parts {
                    let mut values = Vec::with_capacity(part * self.filters);
                    for i in 0..part {
                        for filter in 0..self.filters {
                            values.push(
                                stored[if self.channels_first {
                                    filter * all + start + i
                                } else {
                                    start * self.filters + filter * part + i
                                }],
                            );
                        }
                    }
                    kernels.push(Tensor::from_f32(&[part, self.filters], &values).map_err(failed)?);
                    start += part;
                }
                Ok(kernels)
            }
            other => Err(call.refuse(OPTION, format!("implementation {other}"))),
        }
    }
}

/// LocallyConnected1D and LocallyConnected2D.
pub(super) fn local(call: &mut Call<'_>) -> Outputs {
    let x = call.input()?;
    let local = Local::new(call, x)?;
    let kernels = local.kernels(call)?;
    let mut shape = local.to.clone();
    shape.push(local.filters);
    let bias = match config!(call, flag_or("use_bias", true)) {
        true => Some(local.bias(call, &shape)?),
        false => None,
    };
    let flat = match kernels.len() {
        0..=PLACES => place_by_place(call, x, &local, kernels, bias)?,
        _ => at_once(call, x, &local, &kernels, bias)?,
    };
    let mut y = call.apply(Reshape::features(&shape), &[flat])?;
    if local.channels_first {
        y = call.permuted(y, Transpose::channels_first(shape.len() + 1).permutation)?;
    }
    Ok(vec![call.activated(y)?])
}

fn place_by_place(
    call: &mut Call<'_>,
    x: ValueId,
    local: &Local,
    kernels: Vec<Tensor>,
    bias: Option<Tensor>,
) -> Result<ValueId, Box<Finding>> {
    let mut parts = Vec::with_capacity(kernels.len());
    for (place, weight) in kernels.into_iter().enumerate() {
        let cuts: Vec<SliceAxis> = local
            .window(place)
            .into_iter()
            .enumerate()
            .filter(|&(axis, window)| window != [0, local.from[axis]])
            .map(|(axis, [start, end])| {
                SliceAxis::range(1 + local.first() + axis, start as i64, Some(end as i64))
            })
            .collect();
        let part = if cuts.is_empty() {
            x
        } else {
            call.apply(Slice { axes: cuts }, &[x])?
        };
        let part = call.apply(Reshape::flatten(), &[part])?;
        let bias = bias
            .as_ref()
            .map(|bias| {
                let mut bias = bias.clone();
                for (axis, &at) in local.position(place).iter().enumerate() {
                    bias = bias.narrow(axis, at, at + 1)?;
                }
                bias.reshape(&[local.filters])
            })
            .transpose()
            .map_err(|error| call.refuse(WEIGHT, error.to_string()))?;
        parts.push(call.apply(Dense { weight, bias }, &[part])?);
    }
    match parts[..] {
        [only] => Ok(only),
        _ => call.apply(Concat { axis: 1 }, &parts),
    }
}

/// One matrix from all cells of the input to all of the output.
fn at_once(
    call: &mut Call<'_>,
    x: ValueId,
    local: &Local,
    kernels: &[Tensor],
    bias: Option<Tensor>,
) -> Result<ValueId, Box<Finding>> {
    let sizes = local.ordered(&local.from, local.channels);
    let rows: usize = sizes.iter().product();
    let columns = kernels.len() * local.filters;
    if rows.saturating_mul(columns) > MATRIX {
        return Err(call.refuse(
            OPTION,
            format!(
                "{} places, each with a kernel of its own, are too many for DL4J",
                kernels.len()
            ),
        ));
    }
    let mut matrix = vec![0f32; rows * columns];
    for (place, kernel) in kernels.iter().enumerate() {
        let values = kernel
            .to_vec()
            .map_err(|error| call.refuse(WEIGHT, error.to_string()))?;
        let window = local.window(place);
        let counts: Vec<usize> = window.iter().map(|[start, end]| end - start).collect();
        let starts = local.ordered(&window.iter().map(|[start, _]| *start).collect::<Vec<_>>(), 0);
        let extents = local.ordered(&counts, local.channels);
        for (i, row_values) in values.chunks_exact(local.filters.max(1)).enumerate() {
            let (mut left, mut row, mut stride) = (i, 0, 1);
            for axis in (0..sizes.len()).rev() {
                row += (left % extents[axis] + starts[axis]) * stride;
                left /= extents[axis];
                stride *= sizes[axis];
            }
            let start = row * columns + place * local.filters;
            matrix[start..start + local.filters].copy_from_slice(row_values);
        }
    }
    let weight = Tensor::from_f32(&[rows, columns], &matrix)
        .map_err(|error| call.refuse(WEIGHT, error.to_string()))?;
    let bias = bias
        .map(|bias| bias.reshape(&[columns]))
        .transpose()
        .map_err(|error| call.refuse(WEIGHT, error.to_string()))?;
    call.lost_in_training("its kernels are written as one matrix with zeros, which training would change");
    let flat = call.apply(Reshape::flatten(), &[x])?;
    call.apply(Dense { weight, bias }, &[flat])
}
