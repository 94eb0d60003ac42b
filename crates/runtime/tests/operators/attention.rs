use crate::{Array, by_place, close, random, run, tensor};
use caribou_ir::op::{Attention, Projection};
use proptest::prelude::*;

const BATCH: usize = 2;

/// `x W + b` on the last axis, and the same as an operator's projection.
fn projection(x: &Array, columns: usize, present: bool, seed: u64) -> (Array, Option<Projection>) {
    let (steps, features) = (x.shape()[1], x.shape()[2]);
    if !present {
        return (x.clone(), None);
    }
    let (weight, bias) = (random(&[features, columns], seed), random(&[columns], seed ^ 1));
    let y = by_place(&[BATCH, steps, columns], |p| {
        (0..features).fold(f64::from(bias[[p[2]]]), |sum, i| {
            sum + f64::from(x[[p[0], p[1], i]]) * f64::from(weight[[i, p[2]]])
        })
    });
    (
        y,
        Some(Projection {
            weight: tensor(&weight),
            bias: Some(tensor(&bias)),
        }),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn scaled_products(
        heads in 1usize..4, size in 1usize..4, value_size in 1usize..4, t in 1usize..5, s in 1usize..5,
        causal in any::<bool>(), projected in any::<bool>(), seed in any::<u64>(),
    ) {
        let s = if causal { t } else { s };
        let width = |own: usize, bare: usize| if projected { own } else { bare };
        let q = random(&[BATCH, t, width(5, heads * size)], seed);
        let k = random(&[BATCH, s, width(4, heads * size)], seed ^ 1);
        let v = random(&[BATCH, s, width(3, heads * value_size)], seed ^ 2);
        let (pq, query) = projection(&q, heads * size, projected, seed ^ 3);
        let (pk, key) = projection(&k, heads * size, projected, seed ^ 5);
        let (pv, value) = projection(&v, heads * value_size, projected, seed ^ 7);
        let scale = 1.0 / (size as f64).sqrt();
        let mixed = by_place(&[BATCH, t, heads * value_size], |p| {
            let head = p[2] / value_size;
            let score = |j: usize| -> f64 {
                let product = |i: usize| f64::from(pq[[p[0], p[1], head * size + i]]) * f64::from(pk[[p[0], j, head * size + i]]);
                (scale * (0..size).map(product).sum::<f64>()).exp()
            };
            let visible = if causal { p[1] + 1 } else { s };
            let total: f64 = (0..visible).map(score).sum();
            (0..visible).map(|j| score(j) / total * f64::from(pv[[p[0], j, p[2]]])).sum()
        });
        let (expected, output) = projection(&mixed, 3, projected, seed ^ 11);
        let op = Attention { heads, query, key, value, output, scale, causal };
        close(&expected, &run(op, &[&q, &k, &v]))?;
    }
}
