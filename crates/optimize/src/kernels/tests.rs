//! Every level gives the bits of the scalar reference, on every input.

use super::*;
use half::{bf16, f16};
use proptest::prelude::*;

/// All kinds of floats, with ties.
fn element() -> impl Strategy<Value = f32> {
    prop_oneof![
        8 => -4.0f32..4.0,
        4 => (-6i32..6).prop_map(|half| half as f32 / 2.0),
        2 => prop::sample::select(vec![0.0, -0.0, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 1e-45, -1e-40, 65504.0, 65520.0]),
        1 => any::<u32>().prop_map(|bits| f32::from_bits(bits & 0xff7f_ffff)),
    ]
}

/// Arrays of a length that covers whole vectors, their rests, and nothing; some with an element that is no number.
fn array() -> impl Strategy<Value = Vec<f32>> {
    let finite = prop::collection::vec(element(), 0..200);
    let broken = prop::sample::select(vec![f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
    (finite, broken, any::<prop::sample::Index>(), 0..8).prop_map(|(mut values, broken, at, kind)| {
        if kind == 0 && !values.is_empty() {
            let at = at.index(values.len());
            values[at] = broken;
        }
        values
    })
}

/// The array as rows, as columns, as `[outer, channels, inner]`, and as one channel.
fn views(elements: usize) -> Vec<Channels> {
    let mut views = vec![Channels::whole(elements)];
    for count in [1, 3, 17] {
        if elements.is_multiple_of(count) {
            views.push(Channels::rows(count, elements / count));
            views.push(Channels::columns(elements / count, count));
        }
    }
    if elements.is_multiple_of(12) {
        views.extend(Channels::of_axis(&[2, 3, elements / 12, 2], 1));
    }
    views
}

fn levels() -> impl Iterator<Item = Kernels> {
    Level::ALL.into_iter().filter_map(Kernels::at)
}

/// What each level makes of it is what the reference does, bit for bit.
fn same<T: PartialEq + std::fmt::Debug>(compute: impl Fn(Kernels) -> T) -> Result<T, TestCaseError> {
    let expected = compute(Kernels::at(Level::Scalar).unwrap());
    for kernels in levels() {
        let found = compute(kernels);
        prop_assert_eq!(&found, &expected, "{:?}", kernels.level());
    }
    Ok(expected)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Errors hold floats that may be NaN: their text tells them apart.
fn text<T: std::fmt::Debug>(result: T) -> String {
    format!("{result:?}")
}

proptest! {
    #[test]
    fn ranges(values in array()) {
        same(|kernels| kernels.not_finite(&values))?;
        for view in views(values.len()) {
            same(|kernels| text(kernels.abs_max(&values, view)))?;
            same(|kernels| text(kernels.min_max(&values, view)))?;
        }
    }

    #[test]
    fn integers(values in array(), bits_of in 2u32..=8, symmetric in any::<bool>()) {
        let (grid, scheme) = if symmetric {
            (Grid::symmetric(bits_of).unwrap(), Scheme::Symmetric)
        } else {
            (Grid::full(bits_of).unwrap(), Scheme::Affine)
        };
        integers_of::<i8>(&values, grid, scheme)?;
        integers_of::<i16>(&values, Grid::full(8 + bits_of).unwrap(), scheme)?;
    }

    #[test]
    fn selection(values in array(), part in 0.0..1.0f64, split in any::<prop::sample::Index>()) {
        let k = (part * (values.len() + 1) as f64) as usize;
        let at = split.index(values.len() + 1);
        let pruned = same(|kernels| {
            let (mut left, mut right) = (values[..at].to_vec(), values[at..].to_vec());
            let cut = kernels.smallest(&[&left, &right], k).map(|cut| {
                kernels.zero(&mut [&mut left, &mut right], &cut).unwrap();
                (cut.threshold().to_bits(), cut.ties())
            });
            (text(cut), bits(&left), bits(&right))
        })?;
        same(|kernels| {
            let mut whole = values.clone();
            let result = kernels.prune(&mut whole, k).map(|cut| cut.threshold());
            (text(result), bits(&whole))
        })?;
        same(|kernels| {
            let mut whole = values.clone();
            (text(kernels.zero_smaller(&mut whole, part as f32)), bits(&whole))
        })?;
        // By a plain stable sort.
        if values.iter().all(|value| value.is_finite()) {
            let mut order: Vec<usize> = (0..values.len()).collect();
            order.sort_by(|&a, &b| values[a].abs().total_cmp(&values[b].abs()));
            let mut expected = values.clone();
            order[..k].iter().for_each(|&index| expected[index] = 0.0);
            prop_assert_eq!([pruned.1, pruned.2].concat(), bits(&expected));
        }
    }

    #[test]
    fn patterns(values in array(), n in 1usize..5, extra in 0usize..5) {
        let m = n + extra;
        let length = values.len() / m * m;
        let kept = same(|kernels| {
            let mut values = values[..length].to_vec();
            let result = kernels.keep_n_of_m(&mut values, m.max(length), n, m);
            (text(result), bits(&values))
        })?;
        if values[..length].iter().all(|value| value.is_finite() && *value != 0.0) {
            for group in kept.1.chunks(m) {
                prop_assert_eq!(group.iter().filter(|&&bits| bits != 0).count(), n);
            }
        }
    }

    #[test]
    fn edits(values in array(), a in element(), b in element()) {
        same(|kernels| {
            let mut values = values.clone();
            let clipped = kernels.clip(&mut values, a.min(b), a.max(b));
            (text(clipped), bits(&values))
        })?;
        let keep: Vec<bool> = values.iter().map(|value| value.to_bits() % 3 == 0).collect();
        same(|kernels| {
            let mut values = values.clone();
            kernels.mask(&mut values, &keep).unwrap();
            bits(&values)
        })?;
        for view in views(values.len()) {
            let factors: Vec<f32> = (0..view.count()).map(|i| a + i as f32).collect();
            same(|kernels| {
                let mut values = values.clone();
                kernels.scale(&mut values, view, &factors).unwrap();
                // The sign and the rest of a NaN that comes out of a product are left to the processor.
                values.iter().map(|value| if value.is_nan() { 1 } else { value.to_bits() }).collect::<Vec<_>>()
            })?;
        }
        same(|kernels| text(kernels.magnitude_histogram(&values, 37)))?;
        let moved: Vec<f32> = values.iter().map(|value| value * 0.75 + a).collect();
        same(|kernels| {
            let rows = if values.len().is_multiple_of(3) { 3 } else { 1 };
            text(kernels.signal_and_noise(&values, &moved, rows))
        })?;
    }

    #[test]
    fn formats(values in array()) {
        same(|kernels| {
            let (mut halves, mut back) = (vec![f16::ZERO; values.len()], vec![0.0; values.len()]);
            let overflowed = kernels.to_f16(&values, &mut halves).unwrap();
            kernels.from_f16(&halves, &mut back).unwrap();
            (overflowed, halves.iter().map(|half| half.to_bits()).collect::<Vec<_>>(), bits(&back))
        })?;
        same(|kernels| {
            let (mut halves, mut back) = (vec![bf16::ZERO; values.len()], vec![0.0; values.len()]);
            let overflowed = kernels.to_bf16(&values, &mut halves).unwrap();
            kernels.from_bf16(&halves, &mut back).unwrap();
            (overflowed, halves.iter().map(|half| half.to_bits()).collect::<Vec<_>>(), bits(&back))
        })?;
        let bytes = same(|kernels| {
            let mut bytes = vec![0; 4 * values.len()];
            kernels.to_big_endian(&values, &mut bytes).unwrap();
            bytes
        })?;
        same(|kernels| {
            let mut bytes = bytes.clone();
            kernels.swap_bytes(&mut bytes).unwrap();
            bytes
        })?;
    }
}

fn integers_of<I: Integer>(values: &[f32], grid: Grid, scheme: Scheme) -> Result<(), TestCaseError> {
    for view in views(values.len()) {
        let (result, integers) = same(|kernels| {
            let mut out = vec![I::default(); values.len()];
            let result = kernels.quantize_to_range(values, view, grid, scheme, &mut out);
            // What is written before an error is no result.
            let out = if result.is_ok() { out } else { Vec::new() };
            (text(result), out)
        })?;
        let scales = Kernels::best().quantizations(values, view, grid, scheme);
        prop_assert_eq!(text(&scales), result);
        let Ok(scales) = scales else { continue };
        prop_assert!(
            integers
                .iter()
                .all(|q| (grid.low()..=grid.high()).contains(&q.to_i32()))
        );
        same(|kernels| {
            let mut out = vec![I::default(); values.len()];
            kernels.quantize(values, view, &scales, grid, &mut out).unwrap();
            assert_eq!(out, integers);
            let (mut back, mut snapped) = (vec![0.0; values.len()], values.to_vec());
            kernels.dequantize(&out, view, &scales, &mut back).unwrap();
            kernels.snap(&mut snapped, view, &scales, grid).unwrap();
            assert_eq!(bits(&back), bits(&snapped));
            bits(&back)
        })?;
    }
    Ok(())
}

/// Enough elements for samples, gathered twice, in parts; some values often.
fn many(parts: usize, of: impl Fn(u32) -> f32) -> Vec<Vec<f32>> {
    let mut state = 7u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        of(state >> 8)
    };
    (0..parts)
        .map(|part| (0..60_000 / parts + 1000 * part).map(|_| next()).collect())
        .collect()
}

#[test]
fn selection_of_many_is_exact_where_samples_and_brackets_are_used() {
    let continuous = |state: u32| state as f32 - 8_388_608.0;
    let grid = |state: u32| (state % 255) as f32 - 127.0;
    let sparse = |state: u32| {
        if state.is_multiple_of(10) {
            (state / 10) as f32
        } else {
            0.0
        }
    };
    let signs = |state: u32| if state.is_multiple_of(2) { -1.0 } else { 1.0 };
    let arrays = [
        many(1, continuous),
        many(3, continuous),
        many(2, grid),
        many(1, sparse),
        many(2, signs),
    ];
    for array in arrays {
        let whole = array.concat();
        let parts: Vec<&[f32]> = array.iter().map(Vec::as_slice).collect();
        let mut order: Vec<usize> = (0..whole.len()).collect();
        order.sort_by(|&a, &b| whole[a].abs().total_cmp(&whole[b].abs()));
        for part in [0.0, 1e-5, 0.1, 0.5, 0.9, 0.95, 1.0] {
            let k = (part * whole.len() as f64) as usize;
            let mut expected = whole.clone();
            order[..k].iter().for_each(|&index| expected[index] = 0.0);
            for kernels in levels() {
                let mut pruned = array.clone();
                let mut pruned: Vec<&mut [f32]> = pruned.iter_mut().map(Vec::as_mut_slice).collect();
                let cut = kernels.smallest(&parts, k).unwrap();
                kernels.zero(&mut pruned, &cut).unwrap();
                let pruned: Vec<f32> = pruned.iter().flat_map(|part| part.iter().copied()).collect();
                assert!(bits(&pruned) == bits(&expected), "{:?} of {k}", kernels.level());
                assert_eq!(
                    cut.threshold(),
                    k.checked_sub(1).map_or(0.0, |last| whole[order[last]].abs())
                );
            }
        }
    }
}

#[test]
fn a_sample_that_misses_costs_time_and_no_exactness() {
    // The places of the sample are fixed, so that an array can be made of which it sees only ones.
    let elements = 1usize << 16;
    let size = 1 << 10;
    let stride = elements / (size / 4);
    let mut values: Vec<f32> = (0..elements).map(|i| (i as f32).sqrt() + 2.0).collect();
    for i in 0..size / 4 {
        let start = i * stride + (i.wrapping_mul(0x9e37_79b9) >> 7) % stride;
        values[start..elements.min(start + 4)].fill(1.0);
    }
    let mut magnitudes = values.clone();
    magnitudes.sort_by(f32::total_cmp);
    for k in [1, size, size + 1, elements / 2, elements] {
        for kernels in levels() {
            assert_eq!(kernels.kth_magnitude(&values, k).unwrap(), magnitudes[k - 1]);
        }
    }
}

#[test]
fn a_number_that_is_none_is_found_in_the_last_part() {
    let mut array = many(3, |state| state as f32);
    array[2][77] = f32::NAN;
    let index = array[0].len() + array[1].len() + 77;
    for kernels in levels() {
        let parts: Vec<&[f32]> = array.iter().map(Vec::as_slice).collect();
        for k in [0, 5, 30_000] {
            let error = kernels.smallest(&parts, k).unwrap_err();
            assert!(
                matches!(error, KernelError::NotFinite { index: found, .. } if found == index),
                "{error}"
            );
        }
        let whole = array.concat();
        assert_eq!(kernels.not_finite(&whole), Some(index));
    }
}

#[test]
fn what_can_not_be_is_refused() {
    let kernels = Kernels::best();
    let values = [1.0, -2.0, 3.0];
    let one = [Quantization {
        scale: 1.0,
        zero_point: 0,
    }];
    let (grid, mut out) = (Grid::full(8).unwrap(), [0i8; 3]);
    assert!(matches!(
        kernels.smallest(&[&values], 4),
        Err(KernelError::Count {
            wanted: 4,
            elements: 3
        })
    ));
    assert!(matches!(
        kernels.kth_magnitude(&values, 0),
        Err(KernelError::Count { .. })
    ));
    assert!(matches!(
        kernels.abs_max(&values, Channels::rows(2, 2)),
        Err(KernelError::Length { expected: 4, .. })
    ));
    assert!(matches!(Grid::full(17), Err(KernelError::Bits { bits: 17, .. })));
    let wide = Grid::full(9).unwrap();
    let result = kernels.quantize(&values, Channels::whole(3), &one, wide, &mut out);
    assert_eq!(result, Err(KernelError::Bits { bits: 9, most: 8 }));
    for scale in [0.0, -1.0, f32::INFINITY, f32::NAN] {
        let bad = [Quantization { scale, zero_point: 0 }];
        let result = kernels.quantize(&values, Channels::whole(3), &bad, grid, &mut out);
        assert!(matches!(result, Err(KernelError::Scale { channel: 0, .. })));
    }
    let bad = [Quantization {
        scale: 1.0,
        zero_point: 128,
    }];
    let result = kernels.quantize(&values, Channels::whole(3), &bad, grid, &mut out);
    assert!(matches!(
        result,
        Err(KernelError::ZeroPoint { zero_point: 128, .. })
    ));
    let mut changed = values;
    assert!(matches!(
        kernels.keep_n_of_m(&mut changed, 3, 2, 4),
        Err(KernelError::Pattern { .. })
    ));
    assert!(matches!(
        kernels.keep_n_of_m(&mut changed, 3, 0, 3),
        Err(KernelError::Pattern { .. })
    ));
    assert!(matches!(
        kernels.clip(&mut changed, 1.0, -1.0),
        Err(KernelError::Bounds { .. })
    ));
    assert!(matches!(
        kernels.clip(&mut changed, f32::NAN, 1.0),
        Err(KernelError::Bounds { .. })
    ));
    assert!(matches!(
        kernels.mask(&mut changed, &[true]),
        Err(KernelError::Length { .. })
    ));
    assert!(matches!(
        kernels.swap_bytes(&mut [0; 5]),
        Err(KernelError::Length { .. })
    ));
    assert_eq!(changed, values);
}

#[test]
fn halves_of_integers_go_to_the_even_one() {
    let values = [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 126.5, 127.5, -126.5, 1e30];
    let one = [Quantization {
        scale: 1.0,
        zero_point: 0,
    }];
    let grid = Grid::symmetric(8).unwrap();
    for kernels in levels() {
        let mut out = [0i8; 10];
        kernels
            .quantize(&values, Channels::whole(10), &one, grid, &mut out)
            .unwrap();
        assert_eq!(out, [0, 2, 2, 0, -2, -2, 126, 127, -126, 127]);
    }
}

#[test]
fn an_affine_grid_holds_zero_exactly() {
    for (least, most) in [(0.3, 0.9), (-0.7, -0.1), (-1.0, 2.0), (0.0, 1e-44), (-1e38, 2e38)] {
        let grid = Grid::full(8).unwrap();
        let on = grid.affine_of(least, most);
        assert!(on.scale > 0.0 && on.scale.is_finite(), "{on:?}");
        assert!((-128..=127).contains(&on.zero_point), "{on:?}");
        let mut values = [0.0, least, most];
        Kernels::best()
            .snap(&mut values, Channels::whole(3), &[on], grid)
            .unwrap();
        assert_eq!(values[0].to_bits(), 0);
        assert!(
            (values[1] - least).abs() <= on.scale * 0.51 && (values[2] - most).abs() <= on.scale * 0.51,
            "{on:?}"
        );
    }
}

#[test]
fn every_half_is_read() {
    let halves: Vec<u16> = (0..=u16::MAX).collect();
    for kernels in levels() {
        let mut out = vec![0.0; halves.len()];
        kernels.from_f16(bytemuck::cast_slice(&halves), &mut out).unwrap();
        assert!(
            bits(&out)
                .iter()
                .zip(&halves)
                .all(|(&bits, &half)| bits == f16::from_bits(half).to_f32_const().to_bits())
        );
        kernels
            .from_bf16(bytemuck::cast_slice(&halves), &mut out)
            .unwrap();
        assert!(
            bits(&out)
                .iter()
                .zip(&halves)
                .all(|(&bits, &half)| bits == u32::from(half) << 16)
        );
    }
}

#[test]
fn every_exponent_and_tie_is_rounded_as_the_half_crate_rounds() {
    // All upper halves with lower halves around ties.
    let values: Vec<f32> = (0..=u16::MAX)
        .flat_map(|high| {
            [0, 1, 0x0fff, 0x1000, 0x1001, 0x7fff, 0x8000, 0x8001, 0xffff]
                .map(|low| f32::from_bits(u32::from(high) << 16 | low))
        })
        .collect();
    for kernels in levels() {
        let (mut halves, mut brains) = (vec![f16::ZERO; values.len()], vec![bf16::ZERO; values.len()]);
        kernels.to_f16(&values, &mut halves).unwrap();
        kernels.to_bf16(&values, &mut brains).unwrap();
        for (i, value) in values.iter().enumerate() {
            assert_eq!(
                halves[i].to_bits(),
                f16::from_f32_const(*value).to_bits(),
                "{value}"
            );
            assert_eq!(
                brains[i].to_bits(),
                bf16::from_f32_const(*value).to_bits(),
                "{value}"
            );
        }
    }
}

#[test]
fn signal_and_noise_are_sums_of_squares_row_by_row() {
    let before: Vec<f32> = (0..200_000).map(|i| (i % 7) as f32).collect();
    let after: Vec<f32> = before.iter().map(|value| value - 0.5).collect();
    for kernels in levels() {
        let sums = kernels.signal_and_noise(&before, &after, 2).unwrap();
        for (row, (signal, noise)) in before.chunks(100_000).zip(sums) {
            assert_eq!(
                signal,
                row.iter().map(|&value| f64::from(value * value)).sum::<f64>()
            );
            assert_eq!(noise, 25_000.0);
        }
        assert!(kernels.signal_and_noise(&before, &after, 3).is_err());
        assert_eq!(kernels.signal_and_noise(&[], &[], 2).unwrap(), [(0.0, 0.0); 2]);
    }
}
