use crate::{Array, by_place, close, places, random, run};
use caribou_ir::op::{ArgMax, Elementwise, ElementwiseKind as Kind, Reduce, ReduceKind};
use proptest::prelude::*;

const SHAPE: [usize; 4] = [2, 3, 4, 2];
const REDUCTIONS: [ReduceKind; 8] = [
    ReduceKind::Mean,
    ReduceKind::Sum,
    ReduceKind::Max,
    ReduceKind::Min,
    ReduceKind::Product,
    ReduceKind::L2,
    ReduceKind::L1,
    ReduceKind::SumOfSquares,
];
const PAIRS: [Kind; 8] = [
    Kind::Add,
    Kind::Subtract,
    Kind::Multiply,
    Kind::Divide,
    Kind::Average,
    Kind::Maximum,
    Kind::Minimum,
    Kind::Power,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn reductions(axes in prop::sample::subsequence(vec![1usize, 2, 3], 1..=3), kind in 0..REDUCTIONS.len(), keep_dims in any::<bool>(), seed in any::<u64>()) {
        let (x, kind) = (random(&SHAPE, seed), REDUCTIONS[kind]);
        let kept: Vec<usize> = (0..4).map(|axis| if axes.contains(&axis) { 1 } else { SHAPE[axis] }).collect();
        let expected = by_place(&kept, |p| {
            let taken: Vec<f64> = places(&SHAPE)
                .filter(|q| (0..4).all(|axis| axes.contains(&axis) || p[axis] == q[axis]))
                .map(|q| f64::from(x[&q[..]]))
                .collect();
            let sum = |f: fn(f64) -> f64| taken.iter().copied().map(f).sum::<f64>();
            match kind {
                ReduceKind::Mean => sum(|x| x) / taken.len() as f64,
                ReduceKind::Sum => sum(|x| x),
                ReduceKind::Max => taken.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                ReduceKind::Min => taken.iter().copied().fold(f64::INFINITY, f64::min),
                ReduceKind::Product => taken.iter().product(),
                ReduceKind::L2 => sum(|x| x * x).sqrt(),
                ReduceKind::L1 => sum(f64::abs),
                ReduceKind::SumOfSquares => sum(|x| x * x),
            }
        });
        let mut expected = expected;
        if !keep_dims {
            for &axis in axes.iter().rev() {
                expected = expected.index_axis_move(ndarray::Axis(axis), 0);
            }
        }
        close(&expected, &run(Reduce { kind, axes: axes.clone(), keep_dims }, &[&x]))?;
    }

    #[test]
    fn pairs(kind in 0..PAIRS.len(), stretched in prop::array::uniform4(any::<bool>()), missing in 0usize..3, seed in any::<u64>()) {
        let kind = PAIRS[kind];
        // Powers of negative numbers are no numbers, and quotients by little ones too large to compare.
        let tame = matches!(kind, Kind::Power | Kind::Divide);
        let x = random(&SHAPE, seed).mapv(|x| if tame { x.abs() + 0.1 } else { x });
        let full: Vec<usize> = (0..4).map(|axis| if stretched[axis] { 1 } else { SHAPE[axis] }).collect();
        let y = random(&full[missing..], seed ^ 1).mapv(|y| if tame { y.abs() + 0.5 } else { y });
        let expected: Array = by_place(&SHAPE, |p| {
            let at: Vec<usize> = (missing..4).map(|axis| if stretched[axis] { 0 } else { p[axis] }).collect();
            let (a, b) = (f64::from(x[p]), f64::from(y[&at[..]]));
            match kind {
                Kind::Add => a + b,
                Kind::Subtract => a - b,
                Kind::Multiply => a * b,
                Kind::Divide => a / b,
                Kind::Average => (a + b) / 2.0,
                Kind::Maximum => a.max(b),
                Kind::Minimum => a.min(b),
                Kind::Power => a.powf(b),
            }
        });
        close(&expected, &run(Elementwise { kind }, &[&x, &y]))?;
    }

    #[test]
    fn place_of_the_largest(axis in 1usize..4, keep_dims in any::<bool>(), select_last in any::<bool>(), seed in any::<u64>()) {
        // Few different numbers, so that some are equal.
        let x = random(&SHAPE, seed).mapv(|x| (x * 2.0).round());
        let mut kept = SHAPE.to_vec();
        kept[axis] = 1;
        let mut expected = by_place(&kept, |p| {
            let at = |i: usize| {
                let mut at = p.to_vec();
                at[axis] = i;
                x[&at[..]]
            };
            let best = (0..SHAPE[axis]).map(at).fold(f32::NEG_INFINITY, f32::max);
            let mut places = (0..SHAPE[axis]).filter(|&i| at(i) == best);
            (if select_last { places.next_back() } else { places.next() }).unwrap() as f64
        });
        if !keep_dims {
            expected = expected.index_axis_move(ndarray::Axis(axis), 0);
        }
        close(&expected, &run(ArgMax { axis, keep_dims, select_last }, &[&x]))?;
    }
}
