//! How much a unit matters, by the weights of all filters that go with it.

use super::Criterion;
use super::layers::Filters;
use super::units::{Unit, Units};
use crate::OptimizeError;
use crate::weights::Weight;
use caribou_ir::op::Op;
use caribou_ir::{Graph, Values};
use rayon::prelude::*;
use std::collections::HashMap;

/// The sums that a score is a mean of.
#[derive(Default, Clone, Copy)]
struct Sum {
    total: f64,
    count: f64,
}

/// The filters of a layer, one a row of equal length.
struct Rows {
    values: Values,
    length: usize,
}

impl Rows {
    fn of(graph: &Graph, weight: &Weight, filters: usize) -> Result<Self, OptimizeError> {
        let values = match &graph.node(weight.node).op {
            // `[I, O / groups, K…]`: a filter is a column of its group.
            Op::ConvTranspose(op) if op.groups > 1 => {
                let plain = weight.load(graph, &weight.plain())?;
                let (inside, outside) = (weight.shape[0] / op.groups, weight.shape[1]);
                let cells = weight.shape[2..].iter().product::<usize>();
                let mut values = Vec::with_capacity(plain.len());
                for filter in 0..filters {
                    let (group, column) = (filter / outside, filter % outside);
                    for row in group * inside..(group + 1) * inside {
                        values.extend_from_slice(&plain[(row * outside + column) * cells..][..cells]);
                    }
                }
                values.into()
            }
            _ => weight.load(graph, &weight.channels_first())?,
        };
        let length = values.len() / filters.max(1);
        Ok(Self { values, length })
    }

    fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.length..][..self.length]
    }

    /// What each row adds to the score of its unit.
    fn sums(&self, filters: usize, criterion: Criterion) -> Vec<Sum> {
        let count = self.length as f64;
        (0..filters)
            .into_par_iter()
            .map(|i| match criterion {
                Criterion::L1 => Sum {
                    total: self.row(i).iter().map(|value| f64::from(value.abs())).sum(),
                    count,
                },
                Criterion::L2 => Sum {
                    total: self
                        .row(i)
                        .iter()
                        .map(|&value| f64::from(value) * f64::from(value))
                        .sum(),
                    count,
                },
                Criterion::Median => {
                    let others = (0..filters).filter(|&j| j != i);
                    let total: f64 = others.map(|j| distance(self.row(i), self.row(j))).sum();
                    Sum {
                        total: total / (filters.max(2) - 1) as f64 / count.max(1.0).sqrt(),
                        count: 1.0,
                    }
                }
            })
            .collect()
    }
}

/// Neighbours that are added up side by side.
const LANES: usize = 16;

/// The Euclidean distance of two rows.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0f32; LANES];
    let (heads, others) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = heads.remainder().iter().zip(others.remainder());
    let mut total: f64 = rest.map(|(x, y)| f64::from((x - y) * (x - y))).sum();
    for (x, y) in heads.zip(others) {
        for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
            *sum += (x - y) * (x - y);
        }
    }
    total += sums.iter().map(|&sum| f64::from(sum)).sum::<f64>();
    total.sqrt()
}

/// The score of each set of units, by the unit that stands for it.
///
/// # Errors
/// When weights can't be read, or are NaN.
pub(super) fn scores(
    graph: &Graph,
    layers: &[(Filters, Weight)],
    units: &Units,
    criterion: Criterion,
) -> Result<HashMap<Unit, f64>, OptimizeError> {
    let mut sums: HashMap<Unit, Sum> = HashMap::new();
    for (layer, weight) in layers {
        if layer.units.iter().all(|&unit| units.reason(unit).is_some()) {
            continue;
        }
        let filters = layer.units.len();
        let parts = Rows::of(graph, weight, filters)?.sums(filters, criterion);
        for (&unit, part) in layer.units.iter().zip(parts) {
            let sum = sums.entry(units.root(unit)).or_default();
            sum.total += part.total;
            sum.count += part.count;
        }
    }
    let score = |sum: Sum| match criterion {
        Criterion::L2 => (sum.total / sum.count.max(1.0)).sqrt(),
        Criterion::L1 | Criterion::Median => sum.total / sum.count.max(1.0),
    };
    Ok(sums.into_iter().map(|(unit, sum)| (unit, score(sum))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_in_the_middle_is_the_nearest_to_all_others() {
        let rows = Rows {
            values: vec![0.0, 0.0, 3.0, 4.0, 30.0, 40.0].into(),
            length: 2,
        };
        let median: Vec<f64> = rows
            .sums(3, Criterion::Median)
            .iter()
            .map(|sum| sum.total)
            .collect();
        let root = 2f64.sqrt();
        for (found, expected) in median.iter().zip([55.0 / 2.0, 50.0 / 2.0, 95.0 / 2.0]) {
            assert!((found - expected / root).abs() < 1e-5, "{median:?}");
        }
        let l1: Vec<f64> = rows.sums(3, Criterion::L1).iter().map(|sum| sum.total).collect();
        assert_eq!(l1, [0.0, 7.0, 70.0]);
        let l2: Vec<f64> = rows.sums(3, Criterion::L2).iter().map(|sum| sum.total).collect();
        assert_eq!(l2, [0.0, 25.0, 2500.0]);
    }
}
