//! Eigenvalues and eigenvectors of symmetric matrices: Householder's reduction to three diagonals, then implicit QL steps.

/// Steps that one eigenvalue may take; a few are usual.
const STEPS: usize = 60;

/// The eigenvalues of a symmetric matrix `[n, n]`, the largest first, and their eigenvectors of length one, one behind the other.
/// `None` where the steps do not come to an end, as with NaN.
pub(crate) fn symmetric(matrix: &[f64], n: usize) -> Option<(Vec<f64>, Vec<f64>)> {
    let mut rows: Vec<Vec<f64>> = matrix.chunks_exact(n).map(<[f64]>::to_vec).collect();
    let (mut diagonal, mut beside) = tridiagonal(&mut rows);
    // From here on `rows` are the vectors: turning pairs of rows is then turning memory that lies together.
    let mut vectors = transposed(&rows);
    rotate(&mut diagonal, &mut beside, &mut vectors)?;
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| diagonal[b].total_cmp(&diagonal[a]));
    let values = order.iter().map(|&i| diagonal[i]).collect();
    Some((
        values,
        order.iter().flat_map(|&i| vectors[i].iter().copied()).collect(),
    ))
}

fn transposed(rows: &[Vec<f64>]) -> Vec<Vec<f64>> {
    (0..rows.len())
        .map(|column| rows.iter().map(|row| row[column]).collect())
        .collect()
}

/// Brings `a` to three diagonals by reflections, `a = q t qᵀ`: gives the middle one and the one beside it (from index 1), and
/// leaves `q` in `a`.
fn tridiagonal(a: &mut [Vec<f64>]) -> (Vec<f64>, Vec<f64>) {
    let n = a.len();
    let (mut beside, mut reflections) = (vec![0.0; n], Vec::new());
    for last in (1..n).rev() {
        // The reflection that leaves of row `last` only its number beside the diagonal.
        let mut v: Vec<f64> = a[last][..last].to_vec();
        let scale = v.iter().map(|x| x.abs()).fold(0.0, f64::max);
        let others = v[..last - 1].iter().all(|&x| x == 0.0);
        if others || scale == 0.0 {
            beside[last] = v[last - 1];
            reflections.push(Vec::new());
            continue;
        }
        v.iter_mut().for_each(|x| *x /= scale);
        let length = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let alpha = if v[last - 1] > 0.0 { -length } else { length };
        beside[last] = alpha * scale;
        v[last - 1] -= alpha;
        let half: f64 = v.iter().map(|x| x * x).sum::<f64>() / 2.0;
        // p = A v / h, then q = p - (v·p / 2h) v, and A - v qᵀ - q vᵀ is A reflected on both sides.
        let mut p: Vec<f64> = (0..last).map(|i| inner(&a[i][..last], &v) / half).collect();
        let k = inner(&v, &p) / (2.0 * half);
        p.iter_mut().zip(&v).for_each(|(p, v)| *p -= k * v);
        for i in 0..last {
            let (vi, pi) = (v[i], p[i]);
            for ((x, v), p) in a[i][..last].iter_mut().zip(&v).zip(&p) {
                *x -= vi * p + pi * v;
            }
        }
        let root = half.sqrt();
        reflections.push(v.into_iter().map(|x| x / root).collect());
    }
    let diagonal = (0..n).map(|i| a[i][i]).collect();
    // q is the product of the reflections I - u uᵀ, from the last to the first that was made.
    for (i, row) in a.iter_mut().enumerate() {
        row.fill(0.0);
        row[i] = 1.0;
    }
    for u in reflections.iter().rev().filter(|u| !u.is_empty()) {
        let mut sums = vec![0.0; n];
        for (row, u) in a.iter().zip(u) {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += u * x);
        }
        for (row, u) in a.iter_mut().zip(u) {
            row.iter_mut().zip(&sums).for_each(|(x, sum)| *x -= u * sum);
        }
    }
    (diagonal, beside)
}

fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Turns the numbers beside the diagonal to zero, by implicit QL steps with Wilkinson's shift, and the vectors with them.
fn rotate(d: &mut [f64], e: &mut [f64], vectors: &mut [Vec<f64>]) -> Option<()> {
    let n = d.len();
    if n == 0 {
        return Some(());
    }
    e.rotate_left(1);
    e[n - 1] = 0.0;
    for l in 0..n {
        for step in 0.. {
            // Where the matrix falls apart behind `l`.
            let small = |m: &usize| e[*m].abs() <= f64::EPSILON * (d[*m].abs() + d[m + 1].abs());
            let m = (l..n - 1).find(small).unwrap_or(n - 1);
            if m == l {
                break;
            }
            if step == STEPS {
                return None;
            }
            let g = (d[l + 1] - d[l]) / (2.0 * e[l]);
            let r = g.hypot(1.0);
            let mut g = d[m] - d[l] + e[l] / (g + if g >= 0.0 { r } else { -r });
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            let mut whole = true;
            for i in (l..m).rev() {
                let (f, b) = (s * e[i], c * e[i]);
                let r = f.hypot(g);
                e[i + 1] = r;
                if r == 0.0 {
                    d[i + 1] -= p;
                    e[m] = 0.0;
                    whole = false;
                    break;
                }
                (s, c) = (f / r, g / r);
                g = d[i + 1] - p;
                let t = (d[i] - g) * s + 2.0 * c * b;
                p = s * t;
                d[i + 1] = g + p;
                g = c * t - b;
                let (before, behind) = vectors.split_at_mut(i + 1);
                for (x, y) in before[i].iter_mut().zip(&mut behind[0]) {
                    (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
                }
            }
            if whole {
                d[l] -= p;
                e[l] = g;
                e[m] = 0.0;
            }
        }
    }
    d.iter().all(|value| value.is_finite()).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Checks `A v = λ v`, and that the vectors are orthonormal.
    fn check(matrix: &[f64], n: usize) {
        let (values, vectors) = symmetric(matrix, n).unwrap();
        let scale = matrix.iter().map(|x| x.abs()).fold(1e-300, f64::max) * n as f64;
        assert!(values.is_sorted_by(|a, b| a >= b));
        for (i, v) in vectors.chunks_exact(n).enumerate() {
            for (row, &x) in matrix.chunks_exact(n).zip(v) {
                assert!(
                    (inner(row, v) - values[i] * x).abs() < 1e-12 * scale,
                    "{matrix:?}"
                );
            }
            for (j, w) in vectors.chunks_exact(n).enumerate() {
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((inner(v, w) - expected).abs() < 1e-12 * n as f64, "{matrix:?}");
            }
        }
    }

    #[test]
    fn known_matrices() {
        check(&[5.0], 1);
        check(&[0.0; 9], 3);
        check(&[2.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 1.0], 3);
        let (values, vectors) = symmetric(&[2.0, 1.0, 1.0, 2.0], 2).unwrap();
        assert!((values[0] - 3.0).abs() < 1e-14 && (values[1] - 1.0).abs() < 1e-14);
        assert!((vectors[0] - vectors[1]).abs() < 1e-14);
        check(&vec![1.0; 400], 20);
        assert!(symmetric(&[f64::NAN; 9], 3).is_none());
    }

    proptest! {
        #[test]
        fn symmetric_matrices(n in 1usize..9, numbers in prop::collection::vec(-3i32..4, 81), power in -30i32..30) {
            let mut matrix = vec![0.0; n * n];
            for i in 0..n {
                for j in 0..=i {
                    let x = f64::from(numbers[i * 9 + j]) * 10f64.powi(power);
                    (matrix[i * n + j], matrix[j * n + i]) = (x, x);
                }
            }
            check(&matrix, n);
        }
    }
}
