use crate::{Array, close, random, run, tensor};
use caribou_ir::op::{Activation, Cell, Direction, Gru, Lstm, Merge, Peephole, Recurrent, SimpleRnn};
use proptest::prelude::*;

const BATCH: usize = 2;
const STEPS: usize = 4;
const FEATURES: usize = 3;
const UNITS: usize = 2;

/// A cell with its parameters as arrays: weight, recurrent weight, bias, and one more row for each kind of its own.
struct Parameters {
    weight: Array,
    recurrent: Array,
    bias: Array,
    extra: Array,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Simple,
    Lstm { peephole: bool },
    Gru { reset_after: bool },
}

fn parameters(kind: Kind, seed: u64) -> Parameters {
    let columns = UNITS
        * match kind {
            Kind::Simple => 1,
            Kind::Gru { .. } => 3,
            Kind::Lstm { .. } => 4,
        };
    Parameters {
        weight: random(&[FEATURES, columns], seed),
        recurrent: random(&[UNITS, columns], seed ^ 1),
        bias: random(&[columns], seed ^ 2),
        extra: random(&[3, UNITS], seed ^ 3),
    }
}

fn cell(kind: Kind, p: &Parameters) -> Cell {
    let (weight, recurrent, bias) = (tensor(&p.weight), tensor(&p.recurrent), Some(tensor(&p.bias)));
    let (activation, gate) = (Activation::Tanh, Activation::Sigmoid);
    let row = |i: usize| tensor(&p.extra.index_axis(ndarray::Axis(0), i).to_owned());
    match kind {
        Kind::Simple => Cell::Simple(SimpleRnn {
            weight,
            recurrent,
            bias,
            activation,
        }),
        Kind::Lstm { peephole } => Cell::Lstm(Lstm {
            weight,
            recurrent,
            bias,
            peephole: peephole.then(|| Peephole {
                input: row(0),
                forget: row(1),
                output: row(2),
            }),
            activation,
            gate,
        }),
        Kind::Gru { reset_after } => Cell::Gru(Gru {
            weight,
            recurrent,
            bias,
            recurrent_bias: reset_after.then(|| tensor(&p.extra.flatten().to_owned().into_dyn())),
            reset_after,
            activation,
            gate,
        }),
    }
}

/// All states, one example and one step at a time.
fn states(kind: Kind, p: &Parameters, x: &Array, reverse: bool) -> Array {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let mut y = Array::zeros(vec![BATCH, STEPS, UNITS]);
    for n in 0..BATCH {
        let (mut h, mut c) = ([0f64; UNITS], [0f64; UNITS]);
        for step in 0..STEPS {
            let t = if reverse { STEPS - 1 - step } else { step };
            let seen = |column: usize| -> f64 {
                let product = |i: usize| f64::from(x[[n, t, i]]) * f64::from(p.weight[[i, column]]);
                f64::from(p.bias[[column]]) + (0..FEATURES).map(product).sum::<f64>()
            };
            let remembered = |h: &[f64; UNITS], column: usize| -> f64 {
                (0..UNITS)
                    .map(|i| h[i] * f64::from(p.recurrent[[i, column]]))
                    .sum()
            };
            let extra = |row: usize, unit: usize| f64::from(p.extra[[row, unit]]);
            let old = h;
            for u in 0..UNITS {
                let z = |block: usize| seen(block * UNITS + u) + remembered(&old, block * UNITS + u);
                match kind {
                    Kind::Simple => h[u] = z(0).tanh(),
                    Kind::Lstm { peephole } => {
                        let peep = |row: usize, c: f64| if peephole { extra(row, u) * c } else { 0.0 };
                        let (input, forget) = (sigmoid(z(0) + peep(0, c[u])), sigmoid(z(1) + peep(1, c[u])));
                        c[u] = forget * c[u] + input * z(2).tanh();
                        h[u] = sigmoid(z(3) + peep(2, c[u])) * c[u].tanh();
                    }
                    Kind::Gru { reset_after } => {
                        let inner =
                            |block: usize, unit: usize| if reset_after { extra(block, unit) } else { 0.0 };
                        let reset = |unit: usize| {
                            let column = UNITS + unit;
                            sigmoid(seen(column) + remembered(&old, column) + inner(1, unit))
                        };
                        let update = sigmoid(z(0) + inner(0, u));
                        let column = 2 * UNITS + u;
                        let candidate = if reset_after {
                            reset(u) * (remembered(&old, column) + inner(2, u))
                        } else {
                            let kept: [f64; UNITS] = std::array::from_fn(|i| reset(i) * old[i]);
                            remembered(&kept, column)
                        };
                        h[u] = update * old[u] + (1.0 - update) * (seen(column) + candidate).tanh();
                    }
                }
                y[[n, t, u]] = h[u] as f32;
            }
        }
    }
    y
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        Just(Kind::Simple),
        any::<bool>().prop_map(|peephole| Kind::Lstm { peephole }),
        any::<bool>().prop_map(|reset_after| Kind::Gru { reset_after }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn one_direction(kind in kind(), reverse in any::<bool>(), seed in any::<u64>()) {
        let (p, x) = (parameters(kind, seed), random(&[BATCH, STEPS, FEATURES], seed ^ 9));
        let direction = if reverse { Direction::Reverse } else { Direction::Forward };
        let found = run(Recurrent::new(cell(kind, &p), direction), &[&x]);
        close(&states(kind, &p, &x, reverse), &found)?;
    }

    /// A matrix so large that the runtime splits the product with it: what stands behind the first features is multiplied by zero.
    #[test]
    fn many_features(seed in any::<u64>()) {
        const MORE: usize = 1 << 13;
        let kind = Kind::Lstm { peephole: false };
        let (p, x) = (parameters(kind, seed), random(&[BATCH, STEPS, FEATURES], seed ^ 9));
        let expected = states(kind, &p, &x, false);
        let below = random(&[MORE, p.weight.shape()[1]], seed ^ 10);
        let weight = ndarray::concatenate(ndarray::Axis(0), &[p.weight.view(), below.view()]).unwrap();
        let behind = Array::zeros(vec![BATCH, STEPS, MORE]);
        let x = ndarray::concatenate(ndarray::Axis(2), &[x.view(), behind.view()]).unwrap();
        let p = Parameters { weight, ..p };
        close(&expected, &run(Recurrent::new(cell(kind, &p), Direction::Forward), &[&x]))?;
    }

    #[test]
    fn two_directions(kind in kind(), merge in 0..4, seed in any::<u64>()) {
        let (p, q) = (parameters(kind, seed), parameters(kind, seed ^ 77));
        let x = random(&[BATCH, STEPS, FEATURES], seed ^ 9);
        let (a, b) = (states(kind, &p, &x, false), states(kind, &q, &x, true));
        let (merge, expected) = match merge {
            0 => (Merge::Add, &a + &b),
            1 => (Merge::Multiply, &a * &b),
            2 => (Merge::Average, (&a + &b) / 2.0),
            _ => (Merge::Concat, ndarray::concatenate(ndarray::Axis(2), &[a.view(), b.view()]).unwrap()),
        };
        let direction = Direction::Bidirectional { backward: cell(kind, &q), merge };
        close(&expected, &run(Recurrent::new(cell(kind, &p), direction), &[&x]))?;
    }
}
