//! The kernels at every level that the processor has: an array of 16 million floats, and one that stays in the cache.
//! `cargo bench -p caribou-optimize`.
#![allow(missing_docs, clippy::unwrap_used)]

use caribou_optimize::kernels::{Channels, Grid, Kernels, Level, Scheme};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Rows, and elements of each.
const ARRAYS: [(&str, usize, usize); 2] = [("memory", 4096, 4096), ("cache", 32, 1024)];

fn weights(elements: usize) -> Vec<f32> {
    // A sum of uniform numbers is nearly gaussian, as weights are.
    let mut state = 1u32;
    let mut uniform = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    (0..elements)
        .map(|_| (0..4).map(|_| uniform()).sum::<f32>() * 0.05)
        .collect()
}

fn kernels(criterion: &mut Criterion) {
    let grid = Grid::symmetric(8).unwrap();
    for (place, rows, columns) in ARRAYS {
        let values = weights(rows * columns);
        let channels = Channels::rows(rows, columns);
        let mut integers = vec![0i8; values.len()];
        let bytes = Throughput::Bytes(4 * values.len() as u64);
        for kernels in Level::ALL.into_iter().filter_map(Kernels::at) {
            let level = format!("{:?}", kernels.level());
            let mut bench = |name: &str, run: &mut dyn FnMut()| {
                let mut group = criterion.benchmark_group(format!("{place}/{name}"));
                group.throughput(bytes.clone()).sample_size(20);
                group.bench_function(BenchmarkId::from_parameter(&level), |bencher| {
                    bencher.iter(&mut *run)
                });
            };
            bench("abs_max", &mut || {
                kernels.abs_max(&values, channels).unwrap();
            });
            bench("min_max", &mut || {
                kernels.min_max(&values, channels).unwrap();
            });
            bench("quantize", &mut || {
                let scheme = Scheme::Symmetric;
                kernels
                    .quantize_to_range(&values, channels, grid, scheme, &mut integers)
                    .unwrap();
            });
            bench("smallest", &mut || {
                kernels.smallest(&[&values], values.len() / 2).unwrap();
            });
        }
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
