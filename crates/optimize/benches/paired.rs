//! Runs one kernel for each line of standard input, and prints the seconds that it took: so that whoever writes the
//! lines can take turns between kernels, copies of memory, and other programs, on a machine that is never quite idle.
//!
//! `cargo bench -p caribou-optimize --bench paired -- --paired FILE [LEVEL]`, where the file holds little-endian floats,
//! in rows of 4096.
#![allow(missing_docs, clippy::panic, clippy::print_stdout, clippy::unwrap_used)]

use caribou_optimize::kernels::{Channels, Grid, Kernels, Level, Scheme};
use rayon::prelude::*;
use std::io::{BufRead, Write};
use std::time::Instant;

const COLUMNS: usize = 4096;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(at) = arguments.iter().position(|argument| argument == "--paired") else {
        return;
    };
    let bytes = std::fs::read(&arguments[at + 1]).unwrap();
    let level = arguments.get(at + 2).map(String::as_str);
    let level = Level::ALL
        .into_iter()
        .find(|named| Some(format!("{named:?}").as_str()) == level);
    let kernels = level.map_or_else(|| Some(Kernels::best()), Kernels::at).unwrap();
    let values: Vec<f32> = bytes
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    drop(bytes);
    let mut sparse = values.clone();
    kernels.prune(&mut sparse, values.len() / 10 * 9).unwrap();
    let mut copy = values.clone();
    let mut integers = vec![0i8; values.len()];
    let channels = Channels::rows(values.len() / COLUMNS, COLUMNS);
    let grid = Grid::symmetric(8).unwrap();
    let (half, most) = (values.len() / 2, values.len() / 10 * 9);
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        // In place of what an earlier kernel left.
        let source = if line.ends_with("_sparse") {
            &sparse
        } else {
            &values
        };
        copy_all(source, &mut copy);
        let start = Instant::now();
        match line.as_str() {
            "memcpy" => copy_all(&values, &mut copy),
            "memcpy_one_thread" => copy.copy_from_slice(&values),
            "abs_max" => finish(kernels.abs_max(&values, channels).unwrap()),
            "quantize" => finish(
                kernels
                    .quantize_to_range(&values, channels, grid, Scheme::Symmetric, &mut integers)
                    .unwrap(),
            ),
            "affine" => finish(
                kernels
                    .quantize_to_range(
                        &values,
                        channels,
                        Grid::full(8).unwrap(),
                        Scheme::Affine,
                        &mut integers,
                    )
                    .unwrap(),
            ),
            "quantize_columns" => finish(
                kernels
                    .quantize_to_range(
                        &values,
                        Channels::columns(values.len() / COLUMNS, COLUMNS),
                        grid,
                        Scheme::Symmetric,
                        &mut integers,
                    )
                    .unwrap(),
            ),
            "smallest_50" => finish(kernels.smallest(&[&copy], half).unwrap()),
            "smallest_90" => finish(kernels.smallest(&[&copy], most).unwrap()),
            "prune_50" | "prune_50_sparse" => finish(kernels.prune(&mut copy, half).unwrap()),
            "prune_90" | "prune_90_sparse" => finish(kernels.prune(&mut copy, most).unwrap()),
            "prune_95_sparse" => finish(kernels.prune(&mut copy, values.len() / 20 * 19).unwrap()),
            "snap" => kernels
                .snap(
                    &mut copy,
                    channels,
                    &kernels
                        .quantizations(&values, channels, grid, Scheme::Symmetric)
                        .unwrap(),
                    grid,
                )
                .unwrap(),
            "clip" => finish(kernels.clip(&mut copy, -0.05, 0.05).unwrap()),
            "n_of_m" => kernels.keep_n_of_m(&mut copy, COLUMNS, 2, 4).unwrap(),
            "swap" => kernels.swap_bytes(bytemuck::cast_slice_mut(&mut copy)).unwrap(),
            "histogram" => finish(kernels.magnitude_histogram(&copy, 2048).unwrap()),
            _ => panic!("{line} is no kernel"),
        }
        println!("{}", start.elapsed().as_secs_f64());
        std::io::stdout().flush().unwrap();
    }
}

/// A copy by all threads.
fn copy_all(from: &[f32], to: &mut [f32]) {
    let part = from.len().div_ceil(rayon::current_num_threads()).max(1);
    to.par_chunks_mut(part)
        .zip(from.par_chunks(part))
        .for_each(|(to, from)| to.copy_from_slice(from));
}

/// Takes a result, so that it has to be computed.
fn finish<T>(result: T) {
    std::hint::black_box(result);
}
