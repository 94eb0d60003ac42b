//! The kernels at every level that the processor has, on an array of 16 million floats and on one that stays in the cache.
//! `cargo bench -p caribou-optimize --bench kernels`.
#![allow(missing_docs, clippy::unwrap_used)]

use caribou_optimize::kernels::{Channels, Grid, Kernels, Level, Scheme};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use half::{bf16, f16};
use std::time::Duration;

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
    let (symmetric, full) = (Grid::symmetric(8).unwrap(), Grid::full(8).unwrap());
    for (place, rows, columns) in ARRAYS {
        let values = weights(rows * columns);
        let mut work = values.clone();
        let by_row = Channels::rows(rows, columns);
        let by_column = Channels::columns(rows, columns);
        let best = Kernels::best();
        let scales = best
            .quantizations(&values, by_row, symmetric, Scheme::Symmetric)
            .unwrap();
        let column_scales = best
            .quantizations(&values, by_column, symmetric, Scheme::Symmetric)
            .unwrap();
        let mut integers = vec![0i8; values.len()];
        let mut halves = vec![f16::ZERO; values.len()];
        let mut brains = vec![bf16::ZERO; values.len()];
        let bytes = Throughput::Bytes(4 * values.len() as u64);
        for kernels in Level::ALL.into_iter().filter_map(Kernels::at) {
            let level = format!("{:?}", kernels.level());
            let mut bench = |name: &str, run: &mut dyn FnMut()| {
                let mut group = criterion.benchmark_group(format!("{place}/{name}"));
                group.throughput(bytes.clone()).sample_size(15);
                group
                    .warm_up_time(Duration::from_millis(200))
                    .measurement_time(Duration::from_millis(600));
                group.bench_function(BenchmarkId::from_parameter(&level), |bencher| {
                    bencher.iter(&mut *run)
                });
            };
            bench("abs_max", &mut || {
                finish(kernels.abs_max(&values, by_row).unwrap())
            });
            bench("min_max", &mut || {
                finish(kernels.min_max(&values, by_row).unwrap())
            });
            bench("abs_max_columns", &mut || {
                finish(kernels.abs_max(&values, by_column).unwrap())
            });
            bench("min_max_columns", &mut || {
                finish(kernels.min_max(&values, by_column).unwrap())
            });
            bench("quantize", &mut || {
                kernels
                    .quantize(&values, by_row, &scales, symmetric, &mut integers)
                    .unwrap()
            });
            bench("quantize_columns", &mut || {
                kernels
                    .quantize(&values, by_column, &column_scales, symmetric, &mut integers)
                    .unwrap();
            });
            bench("quantize_to_range", &mut || {
                finish(
                    kernels
                        .quantize_to_range(&values, by_row, full, Scheme::Affine, &mut integers)
                        .unwrap(),
                );
            });
            bench("dequantize", &mut || {
                kernels.dequantize(&integers, by_row, &scales, &mut work).unwrap()
            });
            bench("smallest", &mut || {
                finish(kernels.smallest(&[&values], values.len() / 2).unwrap())
            });
            work.copy_from_slice(&values);
            bench("snap", &mut || {
                kernels.snap(&mut work, by_row, &scales, symmetric).unwrap()
            });
            work.copy_from_slice(&values);
            bench("zero_smaller", &mut || {
                kernels.zero_smaller(&mut work, 0.01).unwrap()
            });
            bench("clip", &mut || {
                finish(kernels.clip(&mut work, -0.05, 0.05).unwrap())
            });
            work.copy_from_slice(&values);
            bench("keep_2_of_4", &mut || {
                kernels.keep_n_of_m(&mut work, columns, 2, 4).unwrap()
            });
            bench("keep_4_of_8", &mut || {
                kernels.keep_n_of_m(&mut work, columns, 4, 8).unwrap()
            });
            bench("histogram", &mut || {
                finish(kernels.magnitude_histogram(&values, 2048).unwrap())
            });
            bench("to_f16", &mut || {
                finish(kernels.to_f16(&values, &mut halves).unwrap())
            });
            bench("from_f16", &mut || kernels.from_f16(&halves, &mut work).unwrap());
            bench("to_bf16", &mut || {
                finish(kernels.to_bf16(&values, &mut brains).unwrap())
            });
            bench("from_bf16", &mut || {
                kernels.from_bf16(&brains, &mut work).unwrap()
            });
            bench("swap_bytes", &mut || {
                kernels.swap_bytes(bytemuck::cast_slice_mut(&mut work)).unwrap()
            });
        }
    }
}

/// Takes a result, so that it has to be computed.
fn finish<T>(result: T) {
    std::hint::black_box(result);
}

criterion_group!(benches, kernels);
criterion_main!(benches);
