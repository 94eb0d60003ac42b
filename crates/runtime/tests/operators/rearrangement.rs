use crate::{Array, by_place, close, places, random, run};
use caribou_ir::op::{
    BatchToSpace, Concat, DepthToSpace, Gather, Pad, PadMode, Reverse, Slice, SliceAxis, SpaceToBatch,
    SpaceToDepth, Tile, Transpose,
};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn blocks_and_channels(block in 1usize..4, c in 1usize..4, h in 1usize..4, w in 1usize..4, seed in any::<u64>()) {
        let x = random(&[2, c, h * block, w * block], seed);
        let expected = by_place(&[2, block * block * c, h, w], |p| {
            let (cell, channel) = (p[1] / c, p[1] % c);
            f64::from(x[[p[0], channel, p[2] * block + cell / block, p[3] * block + cell % block]])
        });
        close(&expected, &run(SpaceToDepth { block }, &[&x]))?;
        close(&x, &run(DepthToSpace { block }, &[&expected]))?;
    }

    #[test]
    fn blocks_and_examples(
        blocks in prop::array::uniform2(1usize..4), sizes in prop::array::uniform2(1usize..4),
        pads in prop::array::uniform2(prop::array::uniform2(0usize..3)), seed in any::<u64>(),
    ) {
        // The padded sizes are multiples of the blocks, and at least one cell is no padding.
        let padded: Vec<usize> = (0..2).map(|a| blocks[a] * (sizes[a] + pads[a][0] + pads[a][1])).collect();
        let inner: Vec<usize> = (0..2).map(|a| padded[a] - pads[a][0] - pads[a][1]).collect();
        let x = random(&[2, 3, inner[0], inner[1]], seed);
        let shape = [2 * blocks[0] * blocks[1], 3, padded[0] / blocks[0], padded[1] / blocks[1]];
        let expected = by_place(&shape, |p| {
            let (cell, n) = (p[0] / 2, p[0] % 2);
            let y = (p[2] * blocks[0] + cell / blocks[1]).wrapping_sub(pads[0][0]);
            let z = (p[3] * blocks[1] + cell % blocks[1]).wrapping_sub(pads[1][0]);
            x.get(&[n, p[1], y, z][..]).map_or(0.0, |&x| f64::from(x))
        });
        close(&expected, &run(SpaceToBatch { blocks: blocks.to_vec(), pads: pads.to_vec() }, &[&x]))?;
        close(&x, &run(BatchToSpace { blocks: blocks.to_vec(), crops: pads.to_vec() }, &[&expected]))?;
    }

    #[test]
    fn borders(
        sizes in prop::collection::vec(1usize..5, 1..4), pads in prop::array::uniform4(prop::array::uniform2(0usize..9)),
        mode in 0usize..4, seed in any::<u64>(),
    ) {
        let shape = [&[2], &sizes[..]].concat();
        let mode = [PadMode::Constant(0.5), PadMode::Reflect, PadMode::Symmetric, PadMode::Edge][mode];
        let mut pads = pads[..shape.len()].to_vec();
        pads[0] = [0, 0];
        // A mirror shows no more than there is in front of it.
        for (pad, &size) in pads.iter_mut().zip(&shape) {
            let most = match mode {
                PadMode::Reflect => size - 1,
                PadMode::Symmetric => size,
                _ => usize::MAX,
            };
            *pad = pad.map(|cells| cells.min(most));
        }
        let x = random(&shape, seed);
        let result: Vec<usize> = shape.iter().zip(&pads).map(|(size, pad)| size + pad[0] + pad[1]).collect();
        let expected = by_place(&result, |p| {
            let mut at = Vec::new();
            for (axis, &i) in p.iter().enumerate() {
                let (i, size) = (i as i64 - pads[axis][0] as i64, shape[axis] as i64);
                at.push(match mode {
                    PadMode::Constant(_) => i,
                    PadMode::Edge => i.clamp(0, size - 1),
                    PadMode::Reflect if i < 0 => -i,
                    PadMode::Reflect if i >= size => 2 * (size - 1) - i,
                    PadMode::Symmetric if i < 0 => -i - 1,
                    PadMode::Symmetric if i >= size => 2 * size - 1 - i,
                    _ => i,
                } as usize);
            }
            x.get(&at[..]).map_or(0.5, |&x| f64::from(x))
        });
        close(&expected, &run(Pad { pads, mode }, &[&x]))?;
    }

    #[test]
    fn parts(axis in 1usize..3, start in -7i64..7, end in prop::option::of(-7i64..7), step in prop::sample::select(vec![1i64, 2, 3, -1, -2]), seed in any::<u64>()) {
        let x = random(&[2, 5, 4], seed);
        // Python's slices, element by element.
        let size = x.shape()[axis] as i64;
        let (low, high) = if step > 0 { (0, size) } else { (-1, size - 1) };
        let bound = |place: i64| (if place < 0 { place + size } else { place }).clamp(low, high);
        let stop = end.map_or(if step > 0 { size } else { -1 }, bound);
        let mut taken = Vec::new();
        let mut i = bound(start);
        while (step > 0 && i < stop) || (step < 0 && i > stop) {
            taken.push(i as usize);
            i += step;
        }
        prop_assume!(!taken.is_empty());
        let mut shape = x.shape().to_vec();
        shape[axis] = taken.len();
        let expected = by_place(&shape, |p| {
            let mut at = p.to_vec();
            at[axis] = taken[p[axis]];
            f64::from(x[&at[..]])
        });
        let cut = SliceAxis { axis, start, end, step, squeeze: false };
        close(&expected, &run(Slice { axes: vec![cut] }, &[&x]))?;
        close(&expected, &run(Gather { axis, indices: taken }, &[&x]))?;
    }

    #[test]
    fn whole_values(axis in 1usize..4, times in 1usize..4, order in Just(vec![1usize, 2, 3]).prop_shuffle(), seed in any::<u64>()) {
        let x = random(&[2, 3, 4, 2], seed);
        let size = x.shape()[axis];
        let along = |at: &dyn Fn(usize) -> usize, count: usize| -> Array {
            let mut shape = x.shape().to_vec();
            shape[axis] = count;
            by_place(&shape, |p| {
                let mut place = p.to_vec();
                place[axis] = at(p[axis]);
                f64::from(x[&place[..]])
            })
        };
        close(&along(&|i| size - 1 - i, size), &run(Reverse { axis }, &[&x]))?;
        let mut repeats = vec![1; 4];
        repeats[axis] = times;
        close(&along(&|i| i % size, size * times), &run(Tile { repeats }, &[&x]))?;
        close(&along(&|i| i % size, size * 2), &run(Concat { axis }, &[&x, &x]))?;
        let permutation = [&[0], &order[..]].concat();
        let shape: Vec<usize> = permutation.iter().map(|&axis| x.shape()[axis]).collect();
        let mut expected = Array::zeros(shape);
        for p in places(x.shape()) {
            let at: Vec<usize> = permutation.iter().map(|&axis| p[axis]).collect();
            expected[&at[..]] = x[&p[..]];
        }
        close(&expected, &run(Transpose { permutation }, &[&x]))?;
    }
}
