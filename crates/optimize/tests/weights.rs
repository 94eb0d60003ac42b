//! Pruning, clipping and quantization of weights: what is promised of them, number by number.
#![allow(clippy::unwrap_used)]

use caribou_ir::op::{Conv, Dense, Operator, Padding, Reshape};
use caribou_ir::{Encoding, Graph, Layout, Origin, Shape, Tensor};
use caribou_optimize::OptimizeError;
use caribou_optimize::clip::{Bound, Clip, clip};
use caribou_optimize::kernels::Scheme;
use caribou_optimize::prune::{Prune, Scope, Target, gradual, prune};
use caribou_optimize::quantize::{EXACT, Format, Quantize, ScaleRule, equalize, quantize};
use caribou_optimize::selection::Selection;
use caribou_optimize::weights::weights;

/// Numbers that look normal, and are the same every time.
fn gaussian(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..count)
        .map(|_| (0..12).map(|_| uniform()).sum::<f32>() - 6.0)
        .collect()
}

/// A convolution, two fully connected layers, and one that makes the output.
fn network() -> Graph {
    let mut graph = Graph::new();
    let mut value = graph.input("x", Shape::batched(&[3, 6, 6]), Layout::ChannelsFirst);
    let conv = Conv {
        weight: Tensor::from_values(&[8, 3, 3, 3], gaussian(216, 1)).unwrap(),
        bias: None,
        strides: vec![1, 1],
        dilations: vec![1, 1],
        padding: Padding::none(2),
        groups: 1,
    };
    value = graph
        .apply(conv, &[value], &Origin::new("conv", "Conv2D"))
        .unwrap();
    value = graph
        .apply(Reshape::flatten(), &[value], &Origin::new("flat", "Flatten"))
        .unwrap();
    for (name, rows, columns) in [("hidden", 128, 32), ("middle", 32, 16), ("last", 16, 4)] {
        let dense = Dense {
            weight: Tensor::from_values(&[rows, columns], gaussian(rows * columns, rows as u64)).unwrap(),
            bias: Some(Tensor::filled(&[columns], 0.5)),
        };
        value = graph.apply(dense, &[value], &Origin::new(name, "Dense")).unwrap();
    }
    graph.output("y", value, Layout::Plain);
    graph
}

fn values(graph: &Graph, layer: &str) -> Vec<f32> {
    let weight = weights(graph)
        .into_iter()
        .find(|weight| &*weight.origin.layer == layer)
        .unwrap();
    weight.tensor(graph).unwrap().to_vec().unwrap()
}

fn zeros(values: &[f32]) -> usize {
    values.iter().filter(|&&value| value == 0.0).count()
}

fn options(target: Target) -> Prune {
    Prune {
        target,
        scope: Scope::Global,
        selection: Selection {
            protect: true,
            ..Selection::default()
        },
        overrides: Vec::new(),
    }
}

#[test]
fn sparsity_is_exact_and_ends_are_protected() {
    for sparsity in [0.0, 0.123, 0.5, 0.9, 0.999] {
        let pruned = prune(network(), &options(Target::Sparsity(sparsity))).unwrap();
        let found: usize = ["hidden", "middle"]
            .map(|layer| zeros(&values(&pruned.graph, layer)))
            .iter()
            .sum();
        assert_eq!(found, (sparsity * (128.0 * 32.0 + 32.0 * 16.0)).round() as usize);
        for layer in ["conv", "last"] {
            assert_eq!(values(&pruned.graph, layer), values(&network(), layer));
        }
        let local = Prune {
            scope: Scope::PerLayer,
            ..options(Target::Sparsity(sparsity))
        };
        let pruned = prune(network(), &local).unwrap();
        assert_eq!(
            zeros(&values(&pruned.graph, "middle")),
            (sparsity * 512.0).round() as usize
        );
        assert_eq!(pruned.layers.len(), 2);
    }
}

#[test]
fn what_stays_is_larger_than_what_goes() {
    let pruned = prune(network(), &options(Target::Sparsity(0.7))).unwrap();
    let (mut most_gone, mut least_kept) = (0f32, f32::INFINITY);
    for layer in ["hidden", "middle"] {
        for (before, after) in values(&network(), layer)
            .into_iter()
            .zip(values(&pruned.graph, layer))
        {
            match after == 0.0 {
                true => most_gone = most_gone.max(before.abs()),
                false => {
                    assert_eq!(before, after);
                    least_kept = least_kept.min(before.abs());
                }
            }
        }
    }
    assert!(most_gone <= least_kept);
}

#[test]
fn of_equal_weights_the_first_go() {
    let mut graph = network();
    for weight in weights(&graph) {
        let filled = Tensor::filled(&weight.shape, -0.25);
        *graph.op_mut(weight.node).parameters_mut()[weight.position].1 = filled;
    }
    let pruned = prune(graph, &options(Target::Sparsity(0.5))).unwrap();
    let hidden = values(&pruned.graph, "hidden");
    // Half of 4608 weights: those of 18 output channels of 128 inputs, all of the first layer.
    for (i, &value) in hidden.iter().enumerate() {
        assert_eq!(value, if i % 32 < 18 { 0.0 } else { -0.25 }, "{i}");
    }
    assert_eq!(zeros(&values(&pruned.graph, "middle")), 0);
}

#[test]
fn patterns_run_along_what_leads_into_an_output() {
    let pruned = prune(network(), &options(Target::NOfM { n: 2, m: 4 })).unwrap();
    let hidden = values(&pruned.graph, "hidden");
    for column in 0..32 {
        for group in 0..32 {
            let kept = (0..4)
                .filter(|i| hidden[(group * 4 + i) * 32 + column] != 0.0)
                .count();
            assert_eq!(kept, 2);
        }
    }
    let block = Target::Blocks {
        rows: 4,
        columns: 2,
        sparsity: 0.25,
    };
    let hidden = values(&prune(network(), &options(block)).unwrap().graph, "hidden");
    assert_eq!(zeros(&hidden), 1024);
}

#[test]
fn overrides_are_for_their_layers_alone() {
    let own = Prune {
        overrides: vec![("*".into(), 0.1), ("mid*".into(), 0.5)],
        ..options(Target::Sparsity(0.9))
    };
    let pruned = prune(network(), &own).unwrap();
    assert_eq!(zeros(&values(&pruned.graph, "middle")), 256);
    assert_eq!(zeros(&values(&pruned.graph, "hidden")), 410);
}

fn message(result: Result<impl Sized, OptimizeError>) -> String {
    result.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn wrong_options_are_named() {
    for sparsity in [1.0, -0.1, f64::NAN] {
        assert!(message(prune(network(), &options(Target::Sparsity(sparsity)))).starts_with("--sparsity: "));
    }
    let divide = message(prune(network(), &options(Target::NOfM { n: 2, m: 5 })));
    assert!(divide.starts_with("hidden (Dense)"), "{divide}");
    let nowhere = Prune {
        selection: Selection {
            only: vec!["nowhere*".into()],
            ..Selection::default()
        },
        ..options(Target::Sparsity(0.5))
    };
    assert!(message(prune(network(), &nowhere)).starts_with("--only: nowhere* matches no layer"));
    let mut broken = network();
    let node = weights(&broken)[1].node;
    let mut numbers = values(&broken, "hidden");
    numbers[77] = f32::NAN;
    *broken.op_mut(node).parameters_mut()[0].1 = Tensor::from_values(&[128, 32], numbers).unwrap();
    assert_eq!(
        message(prune(broken, &options(Target::Sparsity(0.5)))),
        "hidden (Dense): its weight is NaN at index 77"
    );
}

#[test]
fn schedules_end_where_they_should() {
    let steps = gradual(0.0, 0.8, 4);
    assert_eq!(steps.last(), Some(&0.8));
    assert!(steps.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn clipping_keeps_to_its_bound() {
    let clipped = |bound| {
        let selection = Selection::default();
        clip(network(), &Clip { bound, selection }).unwrap()
    };
    let by_value = clipped(Bound::Value(0.75));
    let most = values(&by_value.graph, "conv")
        .iter()
        .fold(0f32, |most, value| most.max(value.abs()));
    assert_eq!(most, 0.75);
    let column_norm = |graph: &Graph, column: usize| {
        let hidden = values(graph, "hidden");
        let column = (0..128).map(|row| f64::from(hidden[row * 32 + column]));
        column.map(|value| value * value).sum::<f64>().sqrt()
    };
    let by_norm = clipped(Bound::ChannelNorm(2.0));
    assert!((column_norm(&by_norm.graph, 3) - 2.0).abs() < 1e-5);
    let untouched = clipped(Bound::ChannelNorm(1e6));
    assert_eq!(values(&untouched.graph, "hidden"), values(&network(), "hidden"));
    let by_rank = clipped(Bound::Percentile(90.0));
    let hidden = values(&by_rank.graph, "hidden");
    let most = hidden.iter().fold(0f32, |most, value| most.max(value.abs()));
    assert_eq!(
        hidden.iter().filter(|value| value.abs() == most).count(),
        4096 - 3687 + 1
    );
    let selection = Selection::default();
    let bound = Bound::Percentile(0.0);
    assert!(message(clip(network(), &Clip { bound, selection })).starts_with("--percentile"));
}

fn quantized(format: Format) -> caribou_optimize::quantize::Quantized {
    let options = Quantize {
        format,
        selection: Selection::default(),
        overrides: Vec::new(),
        bias_correction: None,
    };
    quantize(network(), &options).unwrap()
}

fn integer(bits: u32, scheme: Scheme, per_channel: bool, scale: ScaleRule, scale_bits: u32) -> Format {
    Format::Integer {
        bits,
        scheme,
        per_channel,
        scale,
        scale_bits,
    }
}

#[test]
fn more_bits_and_better_scales_lose_less() {
    let ratio = |format| quantized(format).layers[1].sqnr;
    let max = |bits| ratio(integer(bits, Scheme::Symmetric, true, ScaleRule::Max, EXACT));
    assert!(max(4) < max(8) && max(8) < max(16));
    assert!(max(8) > 35.0, "{}", max(8));
    for bits in [3, 4, 8] {
        let searched = ratio(integer(
            bits,
            Scheme::Symmetric,
            true,
            ScaleRule::MeanSquaredError,
            EXACT,
        ));
        assert!(searched >= max(bits), "{searched} {}", max(bits));
    }
    let tensor = ratio(integer(8, Scheme::Symmetric, false, ScaleRule::Max, EXACT));
    assert!(tensor <= max(8));
    let divergence = ratio(integer(
        4,
        Scheme::Symmetric,
        false,
        ScaleRule::KullbackLeibler,
        EXACT,
    ));
    assert!(divergence > 10.0, "{divergence}");
    for format in [Format::Half, Format::Bfloat16, Format::Codebook { bits: 5 }] {
        assert!(ratio(format) > 20.0, "{format:?} {}", ratio(format));
    }
}

#[test]
fn scales_of_powers_of_two_are_that() {
    for scheme in [Scheme::Symmetric, Scheme::Affine] {
        let graph = quantized(integer(8, scheme, true, ScaleRule::Max, 1));
        for parameter in graph.quantization.parameters {
            let Encoding::Integer { scales, .. } = parameter.encoding else {
                panic!("integers were asked for");
            };
            assert!(scales.iter().all(|scale| scale.to_bits() & 0x007f_ffff == 0));
        }
    }
}

#[test]
fn pruned_weights_stay_zero_on_every_grid() {
    let formats = [
        integer(8, Scheme::Affine, true, ScaleRule::Max, EXACT),
        integer(4, Scheme::Affine, false, ScaleRule::Percentile(99.0), EXACT),
        Format::Codebook { bits: 4 },
    ];
    for format in formats {
        let pruned = prune(network(), &options(Target::Sparsity(0.8))).unwrap();
        let before = zeros(&values(&pruned.graph, "hidden"));
        let selection = Selection::default();
        let options = Quantize {
            format,
            selection,
            overrides: Vec::new(),
            bias_correction: None,
        };
        let after = quantize(pruned.graph, &options).unwrap();
        assert!(zeros(&values(&after.graph, "hidden")) >= before, "{format:?}");
    }
}

#[test]
fn equalised_layers_compute_the_same_with_ranges_alike() {
    let mut graph = Graph::new();
    let mut value = graph.input("x", Shape::batched(&[6]), Layout::Plain);
    let mut first = gaussian(6 * 8, 4);
    first.iter_mut().step_by(8).for_each(|weight| *weight *= 100.0);
    for (name, sizes, numbers) in [("a", [6, 8], first), ("b", [8, 3], gaussian(24, 5))] {
        let dense = Dense {
            weight: Tensor::from_values(&sizes, numbers).unwrap(),
            bias: Some(Tensor::filled(&[sizes[1]], 0.25)),
        };
        value = graph.apply(dense, &[value], &Origin::new(name, "Dense")).unwrap();
        if name == "a" {
            let relu = caribou_ir::op::Activation::Relu;
            value = graph.apply(relu, &[value], &Origin::new("relu", "ReLU")).unwrap();
        }
    }
    graph.output("y", value, Layout::Plain);
    let (equal, rewrites) = equalize(&graph).unwrap();
    assert_eq!(rewrites.len(), 1);
    let validated = |graph| caribou_ir::Validator::default().validate(graph).unwrap();
    let (before, after) = (validated(graph), validated(equal));
    let inputs = caribou_runtime::seeded_inputs(&before, 3, 1, 1);
    let run = |graph| caribou_runtime::Session::new(graph).run(&inputs).unwrap();
    let difference = caribou_runtime::compare(&run(&before)[0], &run(&after)[0]).unwrap();
    assert!(difference.max_rel < 1e-5, "{difference:?}");
    let ranges = |layer, by_column: bool| {
        let numbers = values(&after, layer);
        let mut most = vec![0f32; 8];
        for (i, value) in numbers.iter().enumerate() {
            let channel = if by_column { i % 8 } else { i / 3 };
            most[channel] = most[channel].max(value.abs());
        }
        most
    };
    for (a, b) in ranges("a", true).into_iter().zip(ranges("b", false)) {
        assert!((a / b - 1.0).abs() < 1e-3, "{a} {b}");
    }
}
