//! Reads the elements of a view in C order, block by block, whatever their order in storage.

use super::store::{Element, Stored, with_element};
use super::view::{Factor, View};
use super::{ReadAt, Tensor, TensorError};

/// Elements of one block: large enough that a transposition reads runs of neighbours (a wide kernel is read row by row, once
/// a block), small enough that the four or five buffers of a conversion stay below the 64 MiB that it may use.
const BLOCK: usize = 1 << 21;

/// Tile edge of the two-dimensional copy: two tiles of 32 x 32 numbers fit the first-level cache.
const TILE: usize = 32;

pub(super) fn stream<E: From<TensorError>>(
    stored: &Stored,
    view: &View,
    sink: &mut dyn FnMut(&[f32]) -> Result<(), E>,
) -> Result<(), E> {
    if view.len() == 0 {
        return Ok(());
    }
    let bytes = stored.bytes()?;
    let blocks = Blocks::new(view);
    with_element!(stored, run(&bytes, view.offset, &blocks, sink))
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

/// How a view is cut: the loops before `outer` and steps of loop `outer` choose a block, the rest fills it.
struct Blocks {
    loops: Vec<Factor>,
    outer: usize,
    step: usize,
}

impl Blocks {
    fn new(view: &View) -> Self {
        let mut loops = view.loops();
        if loops.is_empty() {
            loops.push(Factor { extent: 1, stride: 1 });
        }
        let mut outer = loops.len() - 1;
        let mut inner = 1;
        while outer > 0 && inner * loops[outer].extent <= BLOCK {
            inner *= loops[outer].extent;
            outer -= 1;
        }
        let step = (BLOCK / inner).clamp(1, loops[outer].extent);
        Self { loops, outer, step }
    }
}

fn run<T: Element, E>(
    bytes: &[u8],
    offset: usize,
    blocks: &Blocks,
    sink: &mut dyn FnMut(&[f32]) -> Result<(), E>,
) -> Result<(), E> {
    let Blocks { loops, outer, step } = blocks;
    let (outer, step) = (*outer, *step);
    let inner: usize = loops[outer + 1..].iter().map(|factor| factor.extent).product();
    let mut buffer = vec![0f32; step * inner];
    let mut index = vec![0usize; outer];
    loop {
        let base: isize = index
            .iter()
            .zip(loops)
            .map(|(&i, factor)| i as isize * factor.stride)
            .sum();
        let mut start = 0;
        while start < loops[outer].extent {
            let count = step.min(loops[outer].extent - start);
            let source = offset as isize + base + start as isize * loops[outer].stride;
            let mut nest = Vec::with_capacity(loops.len() - outer);
            nest.push(Factor {
                extent: count,
                ..loops[outer]
            });
            nest.extend_from_slice(&loops[outer + 1..]);
            let block = &mut buffer[..count * inner];
            fill::<T>(bytes, source, &nest, block);
            sink(block)?;
            start += count;
        }
        // The next index of the loops outside of the block, as an odometer.
        let Some(axis) = (0..outer)
            .rev()
            .find(|&axis| index[axis] + 1 < loops[axis].extent)
        else {
            return Ok(());
        };
        index[axis] += 1;
        index[axis + 1..].fill(0);
    }
}

/// One loop of a copy: how far it moves in the source and in the target.
#[derive(Clone, Copy)]
struct Step {
    extent: usize,
    from: isize,
    to: usize,
}

/// Fills `target`, which is contiguous, with the elements that `nest` visits from `source` on.
fn fill<T: Element>(bytes: &[u8], source: isize, nest: &[Factor], target: &mut [f32]) {
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
        copy::<T>(bytes, from, a, b, &mut target[to..]);
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

fn copy<T: Element>(bytes: &[u8], from: isize, a: Step, b: Step, target: &mut [f32]) {
    let at = |element: isize| T::decode(&bytes[element as usize * T::SIZE..]);
    if a.extent == 1 && b.from == 1 {
        let start = from as usize * T::SIZE;
        let source = &bytes[start..start + b.extent * T::SIZE];
        for (value, element) in target[..b.extent].iter_mut().zip(source.chunks_exact(T::SIZE)) {
            *value = T::decode(element);
        }
        return;
    }
    // By way of a tile of its own: rows of a power of two would otherwise push each other out of the cache.
    let mut tile = [0f32; TILE * TILE];
    for tile_a in (0..a.extent).step_by(TILE) {
        let rows = TILE.min(a.extent - tile_a);
        for tile_b in (0..b.extent).step_by(TILE) {
            let columns = TILE.min(b.extent - tile_b);
            for j in 0..columns {
                let start = from + (tile_b + j) as isize * b.from + tile_a as isize * a.from;
                if a.from == 1 {
                    let start = start as usize * T::SIZE;
                    let source = bytes[start..start + rows * T::SIZE].chunks_exact(T::SIZE);
                    for (row, element) in tile.as_chunks_mut::<TILE>().0.iter_mut().zip(source) {
                        row[j] = T::decode(element);
                    }
                } else {
                    for (i, row) in tile.as_chunks_mut::<TILE>().0[..rows].iter_mut().enumerate() {
                        row[j] = at(start + i as isize * a.from);
                    }
                }
            }
            for (i, row) in tile.as_chunks::<TILE>().0[..rows].iter().enumerate() {
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
