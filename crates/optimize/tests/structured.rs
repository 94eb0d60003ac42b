//! Filters taken out: the smaller network computes what the whole one does with the same filters masked.
#![allow(clippy::unwrap_used)]

use caribou_ir::op::{
    Activation, BatchNorm, Cell, Concat, Constant, Conv, ConvTranspose, Dense, Direction, Elementwise,
    ElementwiseKind, Gather, GroupNorm, Op, PRelu, Padding, Pool, PoolKind, Recurrent, Reduce, ReduceKind,
    Reshape, Rounding, SimpleRnn, Slice, SliceAxis, Softmax, Split, Transpose,
};
use caribou_ir::{Graph, Layout, Origin, Shape, Tensor, ValidGraph, Validator, ValueId};
use caribou_optimize::cost::cost;
use caribou_optimize::prune::Scope;
use caribou_optimize::selection::Selection;
use caribou_optimize::structured::{Criterion, Options, Shrunk, UnitChange, masked, shrink};
use caribou_runtime::{Difference, Session, compare, seeded_inputs};

/// Numbers that look random, and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() as usize % bound
    }

    fn tensor(&mut self, shape: &[usize]) -> Tensor {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count)
            .map(|_| self.next() as f32 / 2f32.powi(30) - 1.0)
            .collect();
        Tensor::from_f32(shape, &values).unwrap()
    }
}

struct Network {
    graph: Graph,
    numbers: Numbers,
    layers: usize,
}

impl Network {
    fn new(seed: u64) -> (Self, ValueId) {
        Self::of_side(seed, 3)
    }

    fn of_side(seed: u64, side: usize) -> (Self, ValueId) {
        let mut graph = Graph::new();
        let x = graph.input("x", Shape::batched(&[3, side, side]), Layout::ChannelsFirst);
        let numbers = Numbers(seed * 7919 + 1);
        let layers = 0;
        (
            Self {
                graph,
                numbers,
                layers,
            },
            x,
        )
    }

    fn several(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> Vec<ValueId> {
        self.layers += 1;
        let op = op.into();
        let kind = caribou_ir::Operator::name(&op);
        let origin = Origin::new(format!("{}_{}", kind.to_lowercase(), self.layers), kind);
        self.graph.push(op, inputs, &origin).unwrap()
    }

    fn then(&mut self, op: impl Into<Op>, inputs: &[ValueId]) -> ValueId {
        self.several(op, inputs)[0]
    }

    fn channels(&self, x: ValueId) -> usize {
        self.graph.shape(x).size(1).unwrap()
    }

    fn conv(&mut self, x: ValueId, out: usize, groups: usize) -> ValueId {
        let inputs = self.channels(x) / groups;
        let op = Conv {
            weight: self.numbers.tensor(&[out, inputs, 3, 3]),
            bias: Some(self.numbers.tensor(&[out])),
            strides: vec![1, 1],
            dilations: vec![1, 1],
            padding: Padding::Same,
            groups,
        };
        self.then(op, &[x])
    }

    fn norm(&mut self, x: ValueId) -> ValueId {
        let channels = self.channels(x);
        let variance = self.numbers.tensor(&[channels]).to_vec().unwrap();
        let op = BatchNorm {
            axis: 1,
            scale: Some(self.numbers.tensor(&[channels])),
            offset: Some(self.numbers.tensor(&[channels])),
            mean: self.numbers.tensor(&[channels]),
            variance: Tensor::vector(&variance.iter().map(|v| v.abs() + 0.1).collect::<Vec<_>>()),
            epsilon: 1e-3,
            momentum: 0.9,
        };
        self.then(op, &[x])
    }

    fn sum(&mut self, kind: ElementwiseKind, a: ValueId, b: ValueId) -> ValueId {
        self.then(Elementwise { kind }, &[a, b])
    }

    fn dense(&mut self, x: ValueId, out: usize) -> ValueId {
        let shape = self.graph.shape(x);
        let features = shape.size(shape.rank() - 1).unwrap();
        let op = Dense {
            weight: self.numbers.tensor(&[features, out]),
            bias: Some(self.numbers.tensor(&[out])),
        };
        self.then(op, &[x])
    }

    fn valid(mut self, y: ValueId) -> ValidGraph {
        self.graph.output("y", y, Layout::Plain);
        Validator::default().validate(self.graph).unwrap()
    }

    /// Some operator on an image of so many channels as it happens to be.
    fn grow(&mut self, pool: &mut Vec<ValueId>) {
        let x = pool[self.numbers.below(pool.len())];
        let channels = self.channels(x);
        let out = 2 + self.numbers.below(5);
        let y = match self.numbers.below(16) {
            0..=2 => self.conv(x, out, 1),
            3 => {
                let multiplier = 1 + self.numbers.below(2);
                self.conv(x, channels * multiplier, channels)
            }
            4 if channels.is_multiple_of(2) => self.conv(x, 4, 2),
            5 => self.norm(x),
            6 => self.then(Op::from(Activation::Sigmoid), &[x]),
            7 => self.then(Op::from(Activation::Relu), &[x]),
            8 => {
                let slope = self.numbers.tensor(&[channels, 1, 1]);
                self.then(PRelu { slope }, &[x])
            }
            9 => {
                let same = |&&y: &&ValueId| self.channels(y) == channels;
                let candidates: Vec<ValueId> = pool.iter().filter(same).copied().collect();
                let y = candidates[self.numbers.below(candidates.len())];
                let kinds = [
                    ElementwiseKind::Add,
                    ElementwiseKind::Multiply,
                    ElementwiseKind::Maximum,
                    ElementwiseKind::Subtract,
                ];
                let kind = kinds[self.numbers.below(kinds.len())];
                self.sum(kind, x, y)
            }
            10 => {
                let y = pool[self.numbers.below(pool.len())];
                self.then(Concat { axis: 1 }, &[x, y])
            }
            11 if channels > 2 => {
                let sizes = vec![1, channels - 1];
                self.several(Split { axis: 1, sizes }, &[x])[1]
            }
            12 if channels > 2 => {
                let axes = vec![SliceAxis::range(1, 1, None)];
                self.then(Slice { axes }, &[x])
            }
            13 => {
                let indices = (0..channels).rev().collect();
                self.then(Gather { axis: 1, indices }, &[x])
            }
            14 if channels.is_multiple_of(2) => {
                let op = GroupNorm {
                    groups: channels / 2,
                    scale: Some(self.numbers.tensor(&[channels])),
                    offset: Some(self.numbers.tensor(&[channels])),
                    epsilon: 1e-3,
                };
                self.then(op, &[x])
            }
            15 => {
                // A stored number for each channel, and a gate as squeeze-and-excite has.
                let value = self.numbers.tensor(&[channels, 1, 1]);
                let stored = self.then(Constant { value }, &[]);
                let y = self.sum(ElementwiseKind::Multiply, x, stored);
                let pooled = self.pooled(y);
                let hidden = self.dense(pooled, 3);
                let hidden = self.then(Op::from(Activation::Relu), &[hidden]);
                let gate = self.dense(hidden, channels);
                let gate = self.then(Op::from(Activation::Sigmoid), &[gate]);
                let gate = self.then(Reshape::features(&[channels, 1, 1]), &[gate]);
                self.sum(ElementwiseKind::Multiply, y, gate)
            }
            _ => {
                let pool = Pool {
                    kind: PoolKind::Max,
                    kernel: vec![3, 3],
                    strides: vec![1, 1],
                    dilations: vec![1, 1],
                    padding: Padding::Same,
                    rounding: Rounding::Floor,
                };
                self.then(pool, &[x])
            }
        };
        if self.channels(y) <= 24 {
            pool.push(y);
        }
    }

    fn pooled(&mut self, x: ValueId) -> ValueId {
        let op = Reduce {
            kind: ReduceKind::Mean,
            axes: vec![2, 3],
            keep_dims: false,
        };
        self.then(op, &[x])
    }

    /// Dense layers behind a flattening in one of the orders of axes.
    fn head(&mut self, x: ValueId) -> ValueId {
        let x = match self.numbers.below(3) {
            0 => self.pooled(x),
            1 => {
                let last = self.then(Transpose::channels_last(4), &[x]);
                self.then(Reshape::flatten(), &[last])
            }
            _ => self.then(Reshape::flatten(), &[x]),
        };
        let hidden = self.dense(x, 5);
        let hidden = self.then(Op::from(Activation::Tanh), &[hidden]);
        let y = self.dense(hidden, 3);
        self.then(Softmax { axis: 1 }, &[y])
    }
}

fn options(sparsity: f64, criterion: Criterion, scope: Scope) -> Options {
    Options {
        criterion,
        sparsity,
        scope,
        selection: Selection::default(),
        overrides: Vec::new(),
    }
}

/// The largest difference of the smaller network from the masked one.
fn apart(graph: &ValidGraph, shrunk: &Shrunk) -> f64 {
    let differences = differences(graph, shrunk);
    differences
        .iter()
        .map(|difference| difference.max_abs)
        .fold(0.0, f64::max)
}

fn differences(graph: &ValidGraph, shrunk: &Shrunk) -> Vec<Difference> {
    let validated = |graph: Graph| Validator::default().validate(graph).unwrap();
    let whole = validated(masked(graph, &shrunk.cuts).unwrap());
    let smaller = validated(shrunk.graph.clone());
    let inputs = seeded_inputs(graph, 2, 5, 3);
    let expected = Session::new(&whole).run(&inputs).unwrap();
    let found = Session::new(&smaller).run(&inputs).unwrap();
    let pairs = expected.iter().zip(&found);
    pairs.map(|(a, b)| compare(a, b).unwrap()).collect()
}

/// Sums of at most 24 channels of 9 cells are one run each in the runtime.
#[test]
fn random_networks_are_the_masked_ones_exactly() {
    let mut taken = 0;
    for seed in 0..150 {
        let (mut network, x) = Network::new(seed);
        let mut pool = vec![network.conv(x, 4, 1)];
        for _ in 0..12 {
            network.grow(&mut pool);
        }
        let last = *pool.last().unwrap();
        let y = network.head(last);
        let graph = network.valid(y);
        let criterion = [Criterion::L1, Criterion::L2, Criterion::Median][seed as usize % 3];
        let scope = [Scope::Global, Scope::PerLayer][seed as usize % 2];
        for sparsity in [0.3, 0.7] {
            let shrunk = shrink(&graph, &options(sparsity, criterion, scope)).unwrap();
            taken += shrunk.taken;
            assert_eq!(apart(&graph, &shrunk), 0.0, "seed {seed}");
            let (before, after) = (cost(&graph), cost(&shrunk.graph));
            assert!(
                shrunk.taken == 0 || after.parameters < before.parameters,
                "seed {seed}"
            );
            assert!(after.multiply_adds <= before.multiply_adds, "seed {seed}");
        }
    }
    assert!(taken > 1000, "{taken}");
}

#[test]
fn longer_sums_are_the_masked_ones_but_for_rounding() {
    for seed in 0..10 {
        let (mut network, x) = Network::of_side(seed, 8);
        let y = network.conv(x, 20, 1);
        let y = network.conv(y, 40, 1);
        let y = network.then(Reshape::flatten(), &[y]);
        let y = network.dense(y, 5);
        let graph = network.valid(y);
        let shrunk = shrink(&graph, &options(0.5, Criterion::L1, Scope::PerLayer)).unwrap();
        assert_eq!(change(&shrunk, "conv_2").after, 20);
        assert!(
            differences(&graph, &shrunk)
                .iter()
                .all(|difference| difference.max_rel < 1e-6)
        );
    }
}

/// Convolutions with a normalisation between, of which these filters are zero in all their parameters.
fn with_zeros(gone: &[usize]) -> ValidGraph {
    let (mut network, x) = Network::new(3);
    let zeroed = |tensor: &mut Tensor| {
        let shape = tensor.shape();
        let mut values = tensor.to_vec().unwrap();
        let row = values.len() / shape[0];
        for &filter in gone {
            values[filter * row..(filter + 1) * row].fill(0.0);
        }
        *tensor = Tensor::from_f32(&shape, &values).unwrap();
    };
    let first = network.conv(x, 4, 1);
    let y = network.conv(first, 8, 1);
    let y = network.norm(y);
    let y = network.then(Op::from(Activation::Relu), &[y]);
    let other = network.conv(first, 3, 1);
    let y = network.then(Concat { axis: 1 }, &[other, y]);
    let y = network.conv(y, 5, 1);
    let y = network.head(y);
    let nodes: Vec<_> = network.graph.nodes().map(|(id, _)| id).collect();
    if let Op::Conv(conv) = network.graph.op_mut(nodes[1]) {
        zeroed(&mut conv.weight);
        zeroed(conv.bias.as_mut().unwrap());
    }
    if let Op::BatchNorm(norm) = network.graph.op_mut(nodes[2]) {
        zeroed(norm.scale.as_mut().unwrap());
        zeroed(norm.offset.as_mut().unwrap());
    }
    network.valid(y)
}

#[test]
fn filters_of_zeros_go_first_and_nothing_is_missed() {
    let gone = [0, 3, 4, 7];
    let graph = with_zeros(&gone);
    for criterion in [Criterion::L1, Criterion::L2] {
        let mut options = options(0.5, criterion, Scope::Global);
        options.selection.only = vec!["conv_2".into()];
        let shrunk = shrink(&graph, &options).unwrap();
        let conv = shrunk
            .layers
            .iter()
            .find(|change| change.layer == "conv_2")
            .unwrap();
        assert_eq!((conv.before, conv.after), (8, 4));
        let (_, node) = graph.nodes().nth(1).unwrap();
        assert_eq!(shrunk.cuts.kept(node.outputs[0], 1), Some(&[1, 2, 5, 6][..]));
        let inputs = seeded_inputs(&graph, 2, 5, 3);
        let smaller = Validator::default().validate(shrunk.graph).unwrap();
        let (expected, found) = (
            Session::new(&graph).run(&inputs),
            Session::new(&smaller).run(&inputs),
        );
        assert_eq!(
            compare(&expected.unwrap()[0], &found.unwrap()[0])
                .unwrap()
                .max_abs,
            0.0
        );
    }
}

fn change<'s>(shrunk: &'s Shrunk, layer: &str) -> &'s UnitChange {
    shrunk.layers.iter().find(|change| change.layer == layer).unwrap()
}

#[test]
fn what_is_added_goes_together_and_names_its_layers() {
    let (mut network, x) = Network::new(5);
    let stem = network.conv(x, 6, 1);
    let a = network.conv(stem, 6, 1);
    let sum = network.sum(ElementwiseKind::Add, stem, a);
    let y = network.pooled(sum);
    let y = network.dense(y, 2);
    let graph = network.valid(y);
    let shrunk = shrink(&graph, &options(0.5, Criterion::L1, Scope::Global)).unwrap();
    assert_eq!(
        (change(&shrunk, "conv_1").after, change(&shrunk, "conv_2").after),
        (3, 3)
    );
    assert_eq!(shrunk.candidates, 6);
    assert_eq!(
        change(&shrunk, "dense_5").reason.as_deref(),
        Some("they are the output y of the network")
    );
    let mut protected = options(0.5, Criterion::L1, Scope::Global);
    protected.selection.protect = true;
    let error = shrink(&graph, &protected).unwrap_err().to_string();
    assert!(error.contains("conv_2"), "{error}");
    assert!(
        error.contains("conv_1 (Conv): the first layer is protected unless named"),
        "{error}"
    );
}

#[test]
fn the_last_filter_of_a_layer_stays() {
    let (mut network, x) = Network::new(6);
    let a = network.conv(x, 3, 1);
    let b = network.conv(a, 4, 1);
    let y = network.pooled(b);
    let y = network.dense(y, 2);
    let graph = network.valid(y);
    let shrunk = shrink(&graph, &options(0.99, Criterion::L2, Scope::PerLayer)).unwrap();
    assert_eq!(
        (change(&shrunk, "conv_1").after, change(&shrunk, "conv_2").after),
        (1, 1)
    );
    assert_eq!((shrunk.wanted, shrunk.taken), (7, 5));
    assert_eq!(apart(&graph, &shrunk), 0.0);
}

#[test]
fn recurrent_layers_read_fewer_features_and_keep_their_units() {
    let mut graph = Graph::new();
    let mut numbers = Numbers(9);
    let x = graph.input("x", Shape::batched(&[4, 3]), Layout::Sequence);
    let dense = Dense {
        weight: numbers.tensor(&[3, 6]),
        bias: None,
    };
    let y = graph.apply(dense, &[x], &Origin::new("steps", "Dense")).unwrap();
    let cell = || {
        Cell::Simple(SimpleRnn {
            weight: Numbers(4).tensor(&[6, 5]),
            recurrent: Numbers(5).tensor(&[5, 5]),
            bias: None,
            activation: Activation::Tanh,
        })
    };
    let both = Direction::Bidirectional {
        backward: cell(),
        merge: caribou_ir::op::Merge::Concat,
    };
    let y = graph
        .apply(
            Recurrent::new(cell(), both),
            &[y],
            &Origin::new("rnn", "SimpleRNN"),
        )
        .unwrap();
    graph.output("y", y, Layout::Sequence);
    let graph = Validator::default().validate(graph).unwrap();
    let shrunk = shrink(&graph, &options(0.5, Criterion::Median, Scope::Global)).unwrap();
    assert_eq!(change(&shrunk, "steps").after, 3);
    let rnn = change(&shrunk, "rnn");
    assert_eq!((rnn.before, rnn.after), (5, 5));
    assert_eq!(
        rnn.reason.as_deref(),
        Some("the units of a recurrent layer read each other")
    );
    assert_eq!(apart(&graph, &shrunk), 0.0);
    let mut named = options(0.5, Criterion::L1, Scope::Global);
    named.selection.only = vec!["rnn".into()];
    let error = shrink(&graph, &named).unwrap_err().to_string();
    assert!(error.contains("rnn"), "{error}");
}

#[test]
fn shared_weights_lose_the_same_filters_wherever_they_are_used() {
    let (mut network, x) = Network::new(8);
    let stem = network.conv(x, 4, 1);
    let other = network.conv(x, 4, 1);
    let a = network.conv(stem, 6, 1);
    let op = network.graph.nodes().nth(2).unwrap().1.op.clone();
    let b = network.then(op, &[other]);
    let y = network.then(Concat { axis: 1 }, &[a, b]);
    let y = network.head(y);
    let graph = network.valid(y);
    let shrunk = shrink(&graph, &options(0.5, Criterion::L1, Scope::PerLayer)).unwrap();
    let values: Vec<ValueId> = graph.nodes().take(4).map(|(_, node)| node.outputs[0]).collect();
    assert_eq!(shrunk.cuts.kept(values[2], 1), shrunk.cuts.kept(values[3], 1));
    assert_eq!(shrunk.cuts.kept(values[0], 1), shrunk.cuts.kept(values[1], 1));
    assert!(shrunk.cuts.kept(values[2], 1).is_some());
    assert_eq!(apart(&graph, &shrunk), 0.0);
}

#[test]
fn transposed_convolutions_shrink_on_both_sides_and_in_groups() {
    for groups in [1, 2] {
        let (mut network, x) = Network::new(11);
        let y = network.conv(x, 6, 1);
        let op = ConvTranspose {
            weight: network.numbers.tensor(&[6, 4 / groups, 2, 2]),
            bias: Some(network.numbers.tensor(&[4])),
            strides: vec![2, 2],
            dilations: vec![1, 1],
            crops: vec![[0, 0]; 2],
            output_padding: vec![0, 0],
            groups,
        };
        let y = network.then(op, &[y]);
        let y = network.head(y);
        let graph = network.valid(y);
        let shrunk = shrink(&graph, &options(0.5, Criterion::L1, Scope::PerLayer)).unwrap();
        assert_eq!(change(&shrunk, "convtranspose_2").after, 2);
        assert_eq!(change(&shrunk, "conv_1").after, 3);
        assert_eq!(apart(&graph, &shrunk), 0.0);
    }
}

#[test]
fn shares_and_names_that_can_not_be_are_refused() {
    let (mut network, x) = Network::new(12);
    let y = network.conv(x, 6, 1);
    let y = network.head(y);
    let graph = network.valid(y);
    let refused = |options: &Options| shrink(&graph, options).unwrap_err().to_string();
    assert!(refused(&options(1.0, Criterion::L1, Scope::Global)).starts_with("--sparsity: 1 is no sparsity"));
    let mut named = options(0.5, Criterion::L1, Scope::Global);
    named.selection.keep = vec!["nothing*".into()];
    assert!(refused(&named).starts_with("--keep: nothing* matches no layer"));
    let mut own = options(0.5, Criterion::L1, Scope::Global);
    own.overrides = vec![("conv_1".into(), 0.34)];
    let shrunk = shrink(&graph, &own).unwrap();
    assert_eq!(change(&shrunk, "conv_1").after, 4);
}
