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
