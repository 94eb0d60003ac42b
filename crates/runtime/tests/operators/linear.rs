use crate::{by_place, close, random, run, tensor};
use caribou_ir::op::{Dense, Embedding, MatMul};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Also weights so large that their columns are computed in parallel.
    #[test]
    fn dense_layers(outer in prop::collection::vec(1usize..4, 0..3), large in any::<bool>(), bias in any::<bool>(), seed in any::<u64>()) {
        let (features, units) = if large { (257, 260) } else { (5, 3) };
        let mut shape = vec![2];
        shape.extend(&outer);
        let mut result = shape.clone();
        shape.push(features);
        result.push(units);
        let (x, weight, offset) = (random(&shape, seed), random(&[features, units], seed ^ 1), random(&[units], seed ^ 2));
        let expected = by_place(&result, |place| {
            let (&unit, row) = place.split_last().unwrap();
            let start = if bias { f64::from(offset[[unit]]) } else { 0.0 };
            (0..features).fold(start, |sum, i| {
                let at: Vec<usize> = row.iter().copied().chain([i]).collect();
                sum + f64::from(x[&at[..]]) * f64::from(weight[[i, unit]])
            })
        });
        let op = Dense { weight: tensor(&weight), bias: bias.then(|| tensor(&offset)) };
        close(&expected, &run(op, &[&x]))?;
    }

    #[test]
    fn matrix_products(
        n in 1usize..4, shared in any::<bool>(), sizes in prop::array::uniform3(1usize..5), transpose_a in any::<bool>(),
        transpose_b in any::<bool>(), seed in any::<u64>(),
    ) {
        let [m, k, p] = sizes;
        let outer_b = if shared { 1 } else { n };
        let turned = |n: usize, rows: usize, columns: usize, turn: bool| {
            if turn { vec![n, columns, rows] } else { vec![n, rows, columns] }
        };
        let a = random(&turned(n, m, k, transpose_a), seed);
        let b = random(&turned(outer_b, k, p, transpose_b), seed ^ 1);
        let expected = by_place(&[n, m, p], |place| {
            let at = |row, column, turn: bool| if turn { (column, row) } else { (row, column) };
            (0..k).map(|i| {
                let (ra, ca) = at(place[1], i, transpose_a);
                let (rb, cb) = at(i, place[2], transpose_b);
                f64::from(a[[place[0], ra, ca]]) * f64::from(b[[place[0].min(outer_b - 1), rb, cb]])
            }).sum()
        });
        close(&expected, &run(MatMul { transpose_a, transpose_b }, &[&a, &b]))?;
    }

    #[test]
    fn embeddings(rows in 1usize..6, features in 1usize..4, seed in any::<u64>()) {
        let table = random(&[rows, features], seed);
        let x = random(&[2, 3], seed ^ 1).mapv(|x| ((x + 1.0) / 2.0 * rows as f32).floor().min(rows as f32 - 1.0));
        let expected = by_place(&[2, 3, features], |p| f64::from(table[[x[[p[0], p[1]]] as usize, p[2]]]));
        close(&expected, &run(Embedding { table: tensor(&table) }, &[&x]))?;
    }
}
