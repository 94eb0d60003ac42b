//! Reads the elements of a view in C order, block by block, whatever their order in storage.

use super::store::{self, Element, Stored};
use super::view::{Factor, View};
use super::{ReadAt, Tensor, TensorError};
use crate::{DType, Endian};
use rayon::prelude::*;

/// Elements of one block that come in another order than they are stored: large enough that a transposition reads runs of
/// neighbours (a wide kernel is read row by row, once a block), small enough that the block and what waits to be written
/// of one before stay below the 64 MiB that a conversion may use.
const BLOCK: usize = 1 << 22;

/// Elements of one block that lie side by side: they are still in a core's second-level cache when the next step takes them.
const RUN: usize = 1 << 16;

/// Tile edge of the two-dimensional copy: two tiles of 32 x 32 numbers fit the first-level cache.
const TILE: usize = 32;

/// Gives all elements in C order, block by block.
pub(super) fn stream<E: From<TensorError>>(
    stored: &Stored,
    view: &View,
    sink: &mut dyn FnMut(&[f32]) -> Result<(), E>,
) -> Result<(), E> {
    let Some(blocks) = Blocks::of(stored, view) else {
        return Ok(());
    };
    let bytes = stored.bytes()?;
    let mut buffer = Vec::new();
    for i in 0..blocks.count() {
        buffer.resize(blocks.places(i).len(), 0.0);
        blocks.fill_together(&bytes, i, &mut buffer);
        for run in buffer.chunks(RUN) {
            sink(run)?;
        }
    }
    Ok(())
}

/// Fills a target that is as long with all elements in C order; what `each` says of each block, as [`scan`] has it.
pub(super) fn collect<R: Send>(
    stored: &Stored,
    view: &View,
    mut target: &mut [f32],
    each: impl Fn(usize, &[f32]) -> R + Sync,
) -> Result<Vec<R>, TensorError> {
    let Some(blocks) = Blocks::of(stored, view) else {
        return Ok(Vec::new());
    };
    let bytes = stored.bytes()?;
    let mut targets = Vec::with_capacity(blocks.count());
    for i in 0..blocks.count() {
        let (block, others) = target.split_at_mut(blocks.places(i).len());
        targets.push(block);
        target = others;
    }
    let block = |(i, target): (usize, &mut [f32])| {
        blocks.fill(&bytes, i, target);
        each(blocks.places(i).start, target)
    };
    Ok(targets.into_par_iter().enumerate().map(block).collect())
}

/// What `each` says of each block, given the place of its first element and its elements.
pub(super) fn scan<R: Send>(
    stored: &Stored,
    view: &View,
    each: impl Fn(usize, &[f32]) -> R + Sync,
) -> Result<Vec<R>, TensorError> {
    let Some(blocks) = Blocks::of(stored, view) else {
        return Ok(Vec::new());
    };
    let bytes = stored.bytes()?;
    let block = |buffer: &mut Vec<f32>, i: usize| {
        let places = blocks.places(i);
        buffer.resize(places.len(), 0.0);
        blocks.fill(&bytes, i, buffer);
        each(places.start, buffer)
    };
    let all = (0..blocks.count()).into_par_iter();
    Ok(all.map_init(Vec::new, block).collect())
}

/// The elements of a tensor as bytes of little-endian `f32` in C order.
pub(super) struct Gathered(pub(super) Tensor);

impl ReadAt for Gathered {
    fn len(&self) -> usize {
        4 * self.0.len()
    }

    fn read(&self) -> Result<Vec<u8>, TensorError> {
        let mut bytes = Vec::with_capacity(self.len());
        self.0.stream(|block| {
            bytes.extend(block.iter().flat_map(|value| value.to_le_bytes()));
            Ok::<(), TensorError>(())
        })?;
        Ok(bytes)
    }
}

/// Fills a target, which is contiguous, with the elements that a nest of loops visits from a stored one on.
type Fill = fn(bytes: &[u8], source: isize, nest: &[Factor], target: &mut [f32]);

/// How a view is cut: the loops before `outer` and steps of loop `outer` choose a block, the rest fills it.
struct Blocks {
    fill: Fill,
    offset: isize,
    loops: Vec<Factor>,
    outer: usize,
    /// Steps of loop `outer` in one block.
    step: usize,
    /// Elements of one step.
    inner: usize,
}

impl Blocks {
    /// `None` where there is no element.
    fn of(stored: &Stored, view: &View) -> Option<Self> {
        if view.len() == 0 {
            return None;
        }
        let mut loops = view.loops();
        if loops.is_empty() {
            loops.push(Factor { extent: 1, stride: 1 });
        }
        let most = if loops.len() == 1 { RUN } else { BLOCK };
        let mut outer = loops.len() - 1;
        let mut inner = 1;
        while outer > 0 && inner * loops[outer].extent <= most {
            inner *= loops[outer].extent;
            outer -= 1;
        }
        Some(Self {
            fill: filler(stored),
            offset: view.offset as isize,
            step: (most / inner).clamp(1, loops[outer].extent),
            loops,
            outer,
            inner,
        })
    }

    /// Blocks for one choice of the loops before `outer`.
    fn parts(&self) -> usize {
        self.loops[self.outer].extent.div_ceil(self.step)
    }

    fn count(&self) -> usize {
        let before = self.loops[..self.outer].iter().map(|factor| factor.extent);
        before.product::<usize>() * self.parts()
    }

    /// Which elements, in C order, block `i` has.
    fn places(&self, i: usize) -> std::ops::Range<usize> {
        let extent = self.loops[self.outer].extent;
        let first = (i / self.parts()) * extent + (i % self.parts()) * self.step;
        let last = (first + self.step).min((i / self.parts() + 1) * extent);
        first * self.inner..last * self.inner
    }

    /// The stored element that block `i` begins with.
    fn source(&self, i: usize) -> isize {
        let (mut choice, start) = (i / self.parts(), (i % self.parts()) * self.step);
        let mut source = self.offset + start as isize * self.loops[self.outer].stride;
        for factor in self.loops[..self.outer].iter().rev() {
            source += (choice % factor.extent) as isize * factor.stride;
            choice /= factor.extent;
        }
        source
    }

    /// Fills a target with steps of loop `outer` from a stored element on.
    fn steps(&self, bytes: &[u8], source: isize, target: &mut [f32]) {
        let mut nest = self.loops[self.outer..].to_vec();
        nest[0].extent = target.len() / self.inner;
        (self.fill)(bytes, source, &nest, target);
    }

    /// Fills a target with block `i`.
    fn fill(&self, bytes: &[u8], i: usize, target: &mut [f32]) {
        self.steps(bytes, self.source(i), target);
    }

    /// The same by all threads, where the block is one that takes long.
    fn fill_together(&self, bytes: &[u8], i: usize, target: &mut [f32]) {
        if target.len() <= RUN {
            return self.fill(bytes, i, target);
        }
        let steps = (target.len() / self.inner).div_ceil(rayon::current_num_threads());
        let stride = self.loops[self.outer].stride;
        let parts = target.par_chunks_mut(steps * self.inner).enumerate();
        parts.for_each(|(part, target)| {
            let source = self.source(i) + (part * steps) as isize * stride;
            self.steps(bytes, source, target);
        });
    }
}

/// One loop of a copy: how far it moves in the source and in the target.
#[derive(Clone, Copy)]
struct Step {
    extent: usize,
    from: isize,
    to: usize,
}

/// What fills from elements of the stored type and byte order.
fn filler(stored: &Stored) -> Fill {
    match (stored.dtype, stored.endian) {
        (DType::F32, Endian::Little) => fill::<store::F32Le>,
        (DType::F32, Endian::Big) => fill::<store::F32Be>,
        (DType::F64, Endian::Little) => fill::<store::F64Le>,
        (DType::F64, Endian::Big) => fill::<store::F64Be>,
        (DType::F16, Endian::Little) => fill::<store::F16Le>,
        (DType::F16, Endian::Big) => fill::<store::F16Be>,
        (DType::BF16, Endian::Little) => fill::<store::Bf16Le>,
        (DType::BF16, Endian::Big) => fill::<store::Bf16Be>,
        (DType::I8, _) => fill::<store::I8Any>,
        (DType::U8, _) => fill::<store::U8Any>,
        (DType::Bool, _) => fill::<store::BoolAny>,
        (DType::I16, Endian::Little) => fill::<store::I16Le>,
        (DType::I16, Endian::Big) => fill::<store::I16Be>,
        (DType::U16, Endian::Little) => fill::<store::U16Le>,
        (DType::U16, Endian::Big) => fill::<store::U16Be>,
        (DType::I32, Endian::Little) => fill::<store::I32Le>,
        (DType::I32, Endian::Big) => fill::<store::I32Be>,
        (DType::U32, Endian::Little) => fill::<store::U32Le>,
        (DType::U32, Endian::Big) => fill::<store::U32Be>,
        (DType::I64, Endian::Little) => fill::<store::I64Le>,
        (DType::I64, Endian::Big) => fill::<store::I64Be>,
        (DType::U64, Endian::Little) => fill::<store::U64Le>,
        (DType::U64, Endian::Big) => fill::<store::U64Be>,
    }
}

/// [`Fill`] for elements of one type.
fn fill<T: Element>(bytes: &[u8], source: isize, nest: &[Factor], target: &mut [f32]) {
    let elements: &[T::Bytes] = bytemuck::cast_slice(bytes);
    let mut to = target.len();
    let steps: Vec<Step> = nest
        .iter()
        .map(|factor| {
            to /= factor.extent;
            Step {
                extent: factor.extent,
                from: factor.stride,
                to,
            }
        })
        .collect();
    // The innermost loop writes neighbours; the loop of the smallest stride reads neighbours. Where they are two
    // loops, both run inside, in tiles.
    let writes = steps.len() - 1;
    let reads = (0..steps.len())
        .min_by_key(|&i| (steps[i].from.unsigned_abs(), usize::MAX - i))
        .unwrap_or(writes);
    let one = Step {
        extent: 1,
        from: 0,
        to: 0,
    };
    let (a, b) = if reads == writes {
        (one, steps[writes])
    } else {
        (steps[reads], steps[writes])
    };
    let rest: Vec<Step> = steps
        .iter()
        .enumerate()
        .filter(|&(i, _)| i != reads && i != writes)
        .map(|(_, &step)| step)
        .collect();
    let mut index = vec![0usize; rest.len()];
    loop {
        let from = source
            + index
                .iter()
                .zip(&rest)
                .map(|(&i, step)| i as isize * step.from)
                .sum::<isize>();
        let to: usize = index.iter().zip(&rest).map(|(&i, step)| i * step.to).sum();
        copy::<T>(elements, from, a, b, &mut target[to..]);
        let Some(axis) = (0..rest.len())
            .rev()
            .find(|&axis| index[axis] + 1 < rest[axis].extent)
        else {
            return;
        };
        index[axis] += 1;
        index[axis + 1..].fill(0);
    }
}

fn copy<T: Element>(elements: &[T::Bytes], from: isize, a: Step, b: Step, target: &mut [f32]) {
    if a.extent == 1 && b.from == 1 {
        let source = &elements[from as usize..from as usize + b.extent];
        for (value, &element) in target[..b.extent].iter_mut().zip(source) {
            *value = T::decode(element);
        }
        return;
    }
    // By way of a tile of its own: rows of a power of two would otherwise push each other out of the cache.
    let mut tile = [[0f32; TILE]; TILE];
    for tile_b in (0..b.extent).step_by(TILE) {
        let columns = TILE.min(b.extent - tile_b);
        // What lies side by side in the source is read at once: its next neighbours are pages away.
        for tile_a in (0..a.extent).step_by(TILE) {
            let rows = TILE.min(a.extent - tile_a);
            for j in 0..columns {
                let start = from + (tile_b + j) as isize * b.from + tile_a as isize * a.from;
                if a.from == 1 {
                    let source = &elements[start as usize..start as usize + rows];
                    for (row, &element) in tile.iter_mut().zip(source) {
                        row[j] = T::decode(element);
                    }
                } else {
                    for (i, row) in tile[..rows].iter_mut().enumerate() {
                        row[j] = T::decode(elements[(start + i as isize * a.from) as usize]);
                    }
                }
            }
            for (i, row) in tile[..rows].iter().enumerate() {
                let to = (tile_a + i) * a.to + tile_b * b.to;
                if b.to == 1 {
                    target[to..to + columns].copy_from_slice(&row[..columns]);
                } else {
                    for (j, &value) in row[..columns].iter().enumerate() {
                        target[to + j * b.to] = value;
                    }
                }
            }
        }
    }
}
