use crate::{by_place, close, places, random, run};
use caribou_ir::op::{Coordinates, Interpolation, Resize, ResizeTarget};
use proptest::prelude::*;

/// The cell of `from` that the output cell `o` of `to` shows, in whole numbers: nothing is lost in a division.
fn nearest(rule: Coordinates, o: usize, from: usize, to: usize) -> usize {
    let cell = match rule {
        Coordinates::HalfPixel => (2 * o + 1) * from / (2 * to),
        Coordinates::Asymmetric => o * from / to,
        Coordinates::AlignCorners if to == 1 => 0,
        Coordinates::AlignCorners => (2 * o * (from - 1) + to - 1) / (2 * (to - 1)),
    };
    cell.min(from - 1)
}

fn place(rule: Coordinates, o: usize, from: usize, to: usize) -> f64 {
    let (o, from, to) = (o as f64, from as f64, to as f64);
    let place = match rule {
        Coordinates::HalfPixel => (o + 0.5) * from / to - 0.5,
        Coordinates::Asymmetric => o * from / to,
        Coordinates::AlignCorners if to == 1.0 => 0.0,
        Coordinates::AlignCorners => o * (from - 1.0) / (to - 1.0),
    };
    place.clamp(0.0, from - 1.0)
}

fn rule() -> impl Strategy<Value = Coordinates> {
    prop::sample::select(vec![
        Coordinates::HalfPixel,
        Coordinates::Asymmetric,
        Coordinates::AlignCorners,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nearest_cells(rule in rule(), from in prop::collection::vec(1usize..8, 1..=3), to in prop::array::uniform3(1usize..10), seed in any::<u64>()) {
        let to = to[..from.len()].to_vec();
        let outer = |sizes: &[usize]| [&[2, 2], sizes].concat();
        let x = random(&outer(&from), seed);
        let expected = by_place(&outer(&to), |p| {
            let at: Vec<usize> = (0..from.len()).map(|axis| nearest(rule, p[axis + 2], from[axis], to[axis])).collect();
            f64::from(x[&[&p[..2], &at].concat()[..]])
        });
        let op = Resize { interpolation: Interpolation::Nearest, coordinates: rule, target: ResizeTarget::Sizes(to) };
        close(&expected, &run(op, &[&x]))?;
    }

    #[test]
    fn linear_mixtures(rule in rule(), from in prop::collection::vec(1usize..6, 1..=3), to in prop::array::uniform3(1usize..8), seed in any::<u64>()) {
        let to = to[..from.len()].to_vec();
        let outer = |sizes: &[usize]| [&[2, 2], sizes].concat();
        let x = random(&outer(&from), seed);
        let expected = by_place(&outer(&to), |p| {
            // Every cell of the input weighs by its distance on each axis.
            places(&from)
                .map(|at| {
                    let weight = (0..from.len()).fold(1.0, |weight, axis| {
                        let distance = (place(rule, p[axis + 2], from[axis], to[axis]) - at[axis] as f64).abs();
                        weight * (1.0 - distance).max(0.0)
                    });
                    weight * f64::from(x[&[&p[..2], &at].concat()[..]])
                })
                .sum()
        });
        let op = Resize { interpolation: Interpolation::Linear, coordinates: rule, target: ResizeTarget::Sizes(to) };
        close(&expected, &run(op, &[&x]))?;
    }

    #[test]
    fn whole_factors_repeat_cells(factor in 1usize..60, seed in any::<u64>()) {
        let x = random(&[1, 1, 3], seed);
        let expected = by_place(&[1, 1, 3 * factor], |p| f64::from(x[[0, 0, p[2] / factor]]));
        for coordinates in [Coordinates::HalfPixel, Coordinates::Asymmetric] {
            let target = ResizeTarget::Factors(vec![factor]);
            close(&expected, &run(Resize { interpolation: Interpolation::Nearest, coordinates, target }, &[&x]))?;
        }
    }
}
