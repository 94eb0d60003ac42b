use crate::{Array, by_place, close, places, random, run, tensor};
use caribou_ir::op::{
    BatchNorm, Centring, GroupNorm, L2Normalize, LayerNorm, LocalResponseNorm, LogSoftmax, NormEpsilon,
    Softmax,
};
use proptest::prelude::*;

const SHAPE: [usize; 4] = [2, 4, 3, 5];

/// Mean and variance of the elements of `x` for whose place `take` holds.
fn statistics(x: &Array, take: impl Fn(&[usize]) -> bool) -> (f64, f64) {
    let taken: Vec<f64> = places(x.shape())
        .filter(|p| take(p))
        .map(|p| f64::from(x[&p[..]]))
        .collect();
    let mean = taken.iter().sum::<f64>() / taken.len() as f64;
    (
        mean,
        taken.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / taken.len() as f64,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn batch_normalisation(axis in 1usize..4, affine in any::<bool>(), seed in any::<u64>()) {
        let x = random(&SHAPE, seed);
        let [scale, offset, mean] = [1, 2, 3].map(|i| random(&[SHAPE[axis]], seed ^ i));
        let variance = random(&[SHAPE[axis]], seed ^ 4).mapv(|x| x + 1.5);
        let expected = by_place(&SHAPE, |p| {
            let at = |array: &Array| f64::from(array[[p[axis]]]);
            let y = (f64::from(x[p]) - at(&mean)) / (at(&variance) + 1e-3).sqrt();
            if affine { y * at(&scale) + at(&offset) } else { y }
        });
        let op = BatchNorm {
            axis,
            scale: affine.then(|| tensor(&scale)),
            offset: affine.then(|| tensor(&offset)),
            mean: tensor(&mean),
            variance: tensor(&variance),
            epsilon: 1e-3,
            momentum: 0.9,
        };
        close(&expected, &run(op, &[&x]))?;
    }

    #[test]
    fn layer_normalisation(
        axes in prop::sample::subsequence(vec![1usize, 2, 3], 1..=3), affine in any::<bool>(), outside in any::<bool>(),
        divide in any::<bool>(), seed in any::<u64>(),
        centring in prop::sample::select(vec![Centring::Values, Centring::Squares, Centring::Nothing]),
    ) {
        let x = random(&SHAPE, seed);
        let own: Vec<usize> = axes.iter().map(|&axis| SHAPE[axis]).collect();
        let (scale, offset) = (random(&own, seed ^ 1), random(&own, seed ^ 2));
        let expected = by_place(&SHAPE, |p| {
            let (mean, variance) = statistics(&x, |q| (0..4).all(|axis| axes.contains(&axis) || p[axis] == q[axis]));
            let (mean, variance) = match centring {
                Centring::Values => (mean, variance),
                Centring::Squares => (0.0, variance),
                Centring::Nothing => (0.0, variance + mean * mean),
            };
            let divisor = match (divide, outside) {
                (false, _) => 1.0,
                (true, false) => (variance + 1e-2).sqrt(),
                (true, true) => variance.sqrt() + 1e-2,
            };
            let at: Vec<usize> = axes.iter().map(|&axis| p[axis]).collect();
            let y = (f64::from(x[p]) - mean) / divisor;
            if affine { y * f64::from(scale[&at[..]]) + f64::from(offset[&at[..]]) } else { y }
        });
        let op = LayerNorm {
            axes: axes.clone(),
            centring,
            scale: affine.then(|| tensor(&scale)),
            offset: affine.then(|| tensor(&offset)),
            epsilon: 1e-2,
            placement: if outside { NormEpsilon::OutsideRoot } else { NormEpsilon::InsideRoot },
            divide,
        };
        close(&expected, &run(op, &[&x]))?;
    }

    #[test]
    fn group_normalisation(groups in prop::sample::select(vec![1usize, 2, 4]), seed in any::<u64>()) {
        let x = random(&SHAPE, seed);
        let (scale, offset) = (random(&[4], seed ^ 1), random(&[4], seed ^ 2));
        let size = 4 / groups;
        let expected = by_place(&SHAPE, |p| {
            let (mean, variance) = statistics(&x, |q| p[0] == q[0] && p[1] / size == q[1] / size);
            (f64::from(x[p]) - mean) / (variance + 1e-3).sqrt() * f64::from(scale[[p[1]]]) + f64::from(offset[[p[1]]])
        });
        let op = GroupNorm { groups, scale: Some(tensor(&scale)), offset: Some(tensor(&offset)), epsilon: 1e-3 };
        close(&expected, &run(op, &[&x]))?;
    }

    #[test]
    fn local_response_normalisation(half in 0usize..4, alpha in 0.1f64..2.0, beta in 0.2f64..1.5, bias in 0.5f64..2.0, seed in any::<u64>()) {
        let x = random(&SHAPE, seed);
        let expected = by_place(&SHAPE, |p| {
            let sum: f64 = (0..4)
                .filter(|&c: &usize| c.abs_diff(p[1]) <= half)
                .map(|c| f64::from(x[[p[0], c, p[2], p[3]]]).powi(2))
                .sum();
            f64::from(x[p]) / (bias + alpha * sum).powf(beta)
        });
        close(&expected, &run(LocalResponseNorm { size: 2 * half + 1, alpha, beta, bias }, &[&x]))?;
    }

    #[test]
    fn unit_length(axes in prop::sample::subsequence(vec![1usize, 2, 3], 1..=3), epsilon in prop::sample::select(vec![1e-6, 1.5]), seed in any::<u64>()) {
        let x = random(&SHAPE, seed);
        let expected = by_place(&SHAPE, |p| {
            let same = |q: &Vec<usize>| (0..4).all(|axis| axes.contains(&axis) || p[axis] == q[axis]);
            let sum: f64 = places(&SHAPE).filter(same).map(|q| f64::from(x[&q[..]]).powi(2)).sum();
            f64::from(x[p]) / sum.sqrt().max(epsilon)
        });
        close(&expected, &run(L2Normalize { axes: axes.clone(), epsilon }, &[&x]))?;
    }

    #[test]
    fn softmax(axis in 1usize..4, size in prop::sample::select(vec![1.0f32, 300.0]), seed in any::<u64>()) {
        let x = random(&SHAPE, seed).mapv(|x| x * size);
        let logarithm = |p: &[usize]| {
            let lane: Vec<f64> = (0..SHAPE[axis])
                .map(|i| {
                    let mut at = p.to_vec();
                    at[axis] = i;
                    f64::from(x[&at[..]])
                })
                .collect();
            let max = lane.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            f64::from(x[p]) - max - lane.iter().map(|x| (x - max).exp()).sum::<f64>().ln()
        };
        close(&by_place(&SHAPE, |p| logarithm(p).exp()), &run(Softmax { axis }, &[&x]))?;
        close(&by_place(&SHAPE, logarithm), &run(LogSoftmax { axis }, &[&x]))?;
    }
}
