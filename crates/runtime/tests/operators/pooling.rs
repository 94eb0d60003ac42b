use crate::{by_place, close, places, random, run};
use caribou_ir::op::{AverageDivisor, Padding, Pool, PoolKind, Rounding};
use proptest::prelude::*;

const KINDS: [PoolKind; 5] = [
    PoolKind::Max,
    PoolKind::Average(AverageDivisor::InputCells),
    PoolKind::Average(AverageDivisor::PaddedCells),
    PoolKind::Average(AverageDivisor::AllCells),
    PoolKind::Lp(2.0),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn pooling(
        axes in 1usize..=3, channels in 1usize..4, ceil in any::<bool>(), kind in 0..KINDS.len(),
        input in prop::array::uniform3(1usize..9), kernel in prop::array::uniform3(1usize..4),
        strides in prop::array::uniform3(1usize..4), dilations in prop::array::uniform3(1usize..3),
        pads in prop::array::uniform3(prop::array::uniform2(0usize..3)), seed in any::<u64>(),
    ) {
        let kind = KINDS[kind];
        let (mut sizes, mut counts) = (vec![2, channels], vec![2, channels]);
        for axis in 0..axes {
            let extent = dilations[axis] * (kernel[axis] - 1) + 1;
            let [before, after] = pads[axis];
            let size = input[axis] + extent.saturating_sub(input[axis] + before + after);
            let room = size + before + after - extent;
            let mut windows = if ceil { room.div_ceil(strides[axis]) } else { room / strides[axis] } + 1;
            // Caffe: a last window that would start behind the input and the padding before it is left out.
            let last = (windows - 1) * strides[axis];
            windows -= usize::from(ceil && windows > 1 && last >= size + before);
            sizes.push(size);
            counts.push(windows);
        }
        let x = random(&sizes, seed);
        let expected = by_place(&counts, |place| {
            let (mut seen, mut padded, mut all) = (Vec::new(), 0, 0);
            for k in places(&kernel[..axes]) {
                let mut at = vec![place[0], place[1]];
                let mut on_padding = true;
                for axis in 0..axes {
                    let i = place[axis + 2] * strides[axis] + k[axis] * dilations[axis];
                    on_padding &= i < sizes[axis + 2] + pads[axis][0] + pads[axis][1];
                    at.push(i.wrapping_sub(pads[axis][0]));
                }
                all += 1;
                padded += usize::from(on_padding);
                seen.extend(x.get(&at[..]).map(|&x| f64::from(x)));
            }
            let sum: f64 = seen.iter().sum();
            match kind {
                PoolKind::Max => seen.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                PoolKind::Lp(p) => seen.iter().map(|x| x.abs().powf(p)).sum::<f64>().powf(1.0 / p),
                PoolKind::Average(AverageDivisor::InputCells) => sum / seen.len().max(1) as f64,
                PoolKind::Average(AverageDivisor::PaddedCells) => sum / f64::from(padded.max(1) as u32),
                PoolKind::Average(AverageDivisor::AllCells) => sum / f64::from(all),
            }
        });
        let op = Pool {
            kind,
            kernel: kernel[..axes].to_vec(),
            strides: strides[..axes].to_vec(),
            dilations: dilations[..axes].to_vec(),
            padding: Padding::Explicit(pads[..axes].to_vec()),
            rounding: if ceil { Rounding::Ceil } else { Rounding::Floor },
        };
        close(&expected, &run(op, &[&x]))?;
    }
}

/// AlexNet's pooling of 55 cells and GoogLeNet's of 112, as Caffe sizes them.
#[test]
fn caffe_rounds_up() {
    for (size, pad, windows) in [(55, 0, 27), (112, 0, 56), (6, 0, 3), (5, 1, 3), (4, 1, 3)] {
        let op = Pool {
            kind: PoolKind::Max,
            kernel: vec![3],
            strides: vec![2],
            dilations: vec![1],
            padding: Padding::Explicit(vec![[pad, pad]]),
            rounding: Rounding::Ceil,
        };
        let found = run(op, &[&random(&[1, 1, size], 1)]);
        assert_eq!(found.shape()[2], windows, "{size} cells with padding {pad}");
    }
}
