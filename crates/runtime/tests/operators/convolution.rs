use crate::{Array, by_place, close, places, random, run, tensor};
use caribou_ir::op::{Conv, ConvTranspose, Padding};
use proptest::prelude::*;

/// Sizes of up to three spatial axes.
#[derive(Debug, Clone)]
struct Window {
    input: Vec<usize>,
    kernel: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    pads: Vec<[usize; 2]>,
}

prop_compose! {
    fn window()(axes in 1usize..=3)(
        input in prop::collection::vec(1usize..8, axes),
        kernel in prop::collection::vec(1usize..4, axes),
        strides in prop::collection::vec(1usize..4, axes),
        dilations in prop::collection::vec(1usize..3, axes),
        pads in prop::collection::vec(prop::array::uniform2(0usize..3), axes),
    ) -> Window {
        Window { input, kernel, strides, dilations, pads }
    }
}

impl Window {
    fn axes(&self) -> usize {
        self.kernel.len()
    }

    fn extent(&self, axis: usize) -> usize {
        self.dilations[axis] * (self.kernel[axis] - 1) + 1
    }
}

fn shape(outer: &[usize], inner: &[usize]) -> Vec<usize> {
    outer.iter().chain(inner).copied().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn convolutions(
        mut window in window(), batch in 1usize..3, groups in 1usize..4, inside in 1usize..4, outside in 1usize..4,
        rule in 0..3, bias in any::<bool>(), seed in any::<u64>(),
    ) {
        let axes = window.axes();
        let causal = rule == 2 && axes == 1;
        for axis in 0..axes {
            let extent = window.extent(axis);
            let (size, stride) = (window.input[axis], window.strides[axis]);
            if rule == 1 {
                let total = ((size.div_ceil(stride) - 1) * stride + extent).saturating_sub(size);
                window.pads[axis] = [total / 2, total - total / 2];
            } else if causal {
                window.pads[axis] = [extent - 1, 0];
            } else {
                let padded = size + window.pads[axis][0] + window.pads[axis][1];
                window.input[axis] += extent.saturating_sub(padded);
            }
        }
        let x = random(&shape(&[batch, groups * inside], &window.input), seed);
        let weight = random(&shape(&[groups * outside, inside], &window.kernel), seed ^ 1);
        let offsets = random(&[groups * outside], seed ^ 2);
        let output: Vec<usize> = (0..axes)
            .map(|axis| {
                let [before, after] = window.pads[axis];
                (window.input[axis] + before + after - window.extent(axis)) / window.strides[axis] + 1
            })
            .collect();
        let expected = by_place(&shape(&[batch, groups * outside], &output), |place| {
            let (n, o) = (place[0], place[1]);
            let mut sum = if bias { f64::from(offsets[[o]]) } else { 0.0 };
            for k in places(&shape(&[inside], &window.kernel)) {
                let mut at = vec![n, o / outside * inside + k[0]];
                for axis in 0..axes {
                    let i = place[axis + 2] * window.strides[axis] + k[axis + 1] * window.dilations[axis];
                    at.push(i.wrapping_sub(window.pads[axis][0]));
                }
                if let Some(&x) = x.get(&at[..]) {
                    sum += f64::from(x) * f64::from(weight[&shape(&[o], &k)[..]]);
                }
            }
            sum
        });
        let op = Conv {
            weight: tensor(&weight),
            bias: bias.then(|| tensor(&offsets)),
            strides: window.strides.clone(),
            dilations: window.dilations.clone(),
            padding: match rule {
                1 => Padding::Same,
                _ if causal => Padding::Causal,
                _ => Padding::Explicit(window.pads.clone()),
            },
            groups,
        };
        close(&expected, &run(op, &[&x]))?;
    }

    #[test]
    fn transposed_convolutions(
        window in window(), batch in 1usize..3, groups in 1usize..3, inside in 1usize..4, outside in 1usize..4,
        extra in prop::collection::vec(0usize..3, 3), bias in any::<bool>(), seed in any::<u64>(),
    ) {
        let axes = window.axes();
        let mut crops = window.pads.clone();
        let mut output = Vec::new();
        for axis in 0..axes {
            let full = window.strides[axis] * (window.input[axis] - 1) + window.extent(axis) + extra[axis];
            // At least one cell is left.
            while crops[axis][0] + crops[axis][1] >= full {
                let side = usize::from(crops[axis][1] > 0);
                crops[axis][side] -= 1;
            }
            output.push(full - crops[axis][0] - crops[axis][1]);
        }
        let x = random(&shape(&[batch, groups * inside], &window.input), seed);
        let weight = random(&shape(&[groups * inside, outside], &window.kernel), seed ^ 1);
        let offsets = random(&[groups * outside], seed ^ 2);
        let mut expected = by_place(&shape(&[batch, groups * outside], &output), |place| {
            if bias { f64::from(offsets[[place[1]]]) } else { 0.0 }
        });
        for (place, &value) in x.indexed_iter() {
            let place = ndarray::Dimension::slice(&place);
            for k in places(&shape(&[outside], &window.kernel)) {
                let mut at = vec![place[0], place[1] / inside * outside + k[0]];
                for axis in 0..axes {
                    let i = place[axis + 2] * window.strides[axis] + k[axis + 1] * window.dilations[axis];
                    at.push(i.wrapping_sub(crops[axis][0]));
                }
                if let Some(y) = expected.get_mut(&at[..]) {
                    *y += value * weight[&shape(&[place[1]], &k)[..]];
                }
            }
        }
        let op = ConvTranspose {
            weight: tensor(&weight),
            bias: bias.then(|| tensor(&offsets)),
            strides: window.strides.clone(),
            dilations: window.dilations.clone(),
            crops,
            output_padding: extra[..axes].to_vec(),
            groups,
        };
        close(&expected, &run(op, &[&x]))?;
    }
}

/// Wide enough for several tiles of columns.
#[test]
fn a_large_image_is_convolved_tile_by_tile() {
    let x = random(&[1, 16, 96, 96], 3);
    let weight = random(&[2, 16, 5, 5], 4);
    let op = Conv {
        weight: tensor(&weight),
        bias: None,
        strides: vec![1, 1],
        dilations: vec![1, 1],
        padding: Padding::Same,
        groups: 1,
    };
    let found: Array = run(op, &[&x]);
    for at in [[0, 0, 0, 0], [0, 1, 27, 30], [0, 0, 28, 1], [0, 1, 95, 95]] {
        let mut sum = 0.0;
        for k in places(&[16, 5, 5]) {
            let place = [
                0,
                k[0],
                (at[2] + k[1]).wrapping_sub(2),
                (at[3] + k[2]).wrapping_sub(2),
            ];
            sum += x
                .get(&place[..])
                .map_or(0.0, |&x| x * weight[[at[1], k[0], k[1], k[2]]]);
        }
        assert!(
            (found[&at[..]] - sum).abs() < 1e-4,
            "{at:?}: {} and {sum}",
            found[&at[..]]
        );
    }
}
