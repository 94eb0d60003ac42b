//! Each rewrite on a graph made for it: the function stays, and the operator is gone.
#![allow(clippy::unwrap_used)]

use caribou_ir::op::{
    Activation, BatchNorm, Constant, Conv, ConvTranspose, Dense, Elementwise, ElementwiseKind, Identity,
    Noise, NoiseKind, Op, Operator, Pad, PadMode, Padding, Reshape, Unary, UnaryKind,
};
use caribou_ir::{Graph, Layout, Origin, Shape, Tensor, ValidGraph, Validator, ValueId};
use caribou_optimize::simplify::{Simplified, Simplify, simplify};
use caribou_runtime::{Session, compare, seeded_inputs};

/// Numbers that look random, and are the same every time.
fn numbers(shape: &[usize], seed: usize) -> Tensor {
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|i: usize| ((i * 7919 + seed * 104_729) % 1000) as f32 / 500.0 - 1.0)
        .collect();
    Tensor::from_f32(shape, &values).unwrap()
}

fn positive(count: usize, seed: usize) -> Tensor {
    let values = numbers(&[count], seed).to_vec().unwrap();
    Tensor::vector(&values.iter().map(|value| value.abs() + 0.1).collect::<Vec<_>>())
}

fn norm(axis: usize, channels: usize) -> Op {
    Op::BatchNorm(BatchNorm {
        axis,
        scale: Some(numbers(&[channels], 3)),
        offset: Some(numbers(&[channels], 4)),
        mean: numbers(&[channels], 5),
        variance: positive(channels, 6),
        epsilon: 1e-3,
        momentum: 0.99,
    })
}

fn conv(out: usize, inputs: usize, groups: usize, pad: usize) -> Op {
    Op::Conv(Conv {
        weight: numbers(&[out, inputs / groups, 3, 3], 1),
        bias: Some(numbers(&[out], 2)),
        strides: vec![1, 2],
        dilations: vec![1, 1],
        padding: Padding::Explicit(vec![[pad, pad]; 2]),
        groups,
    })
}

fn transposed(inputs: usize, out: usize, groups: usize) -> Op {
    Op::ConvTranspose(ConvTranspose {
        weight: numbers(&[inputs, out / groups, 3, 3], 1),
        bias: None,
        strides: vec![2, 2],
        dilations: vec![1, 1],
        crops: vec![[1, 0]; 2],
        output_padding: vec![0, 1],
        groups,
    })
}

fn dense(rows: usize, columns: usize) -> Op {
    Op::Dense(Dense {
        weight: numbers(&[rows, columns], 8),
        bias: None,
    })
}

fn arithmetic(kind: ElementwiseKind) -> Op {
    Op::Elementwise(Elementwise { kind })
}

struct Network {
    graph: Graph,
    last: ValueId,
}

impl Network {
    fn new(sizes: &[usize]) -> Self {
        let mut graph = Graph::new();
        let last = graph.input("x", Shape::batched(sizes), Layout::Plain);
        Self { graph, last }
    }

    fn then(mut self, op: impl Into<Op>) -> Self {
        let op = op.into();
        let origin = Origin::new(format!("layer_{}", self.graph.nodes().len()), op.name());
        self.last = self.graph.apply(op, &[self.last], &origin).unwrap();
        self
    }

    fn with(mut self, kind: ElementwiseKind, value: Tensor, constant_first: bool) -> Self {
        let origin = Origin::new(format!("layer_{}", self.graph.nodes().len()), "constant");
        let constant = self.graph.apply(Constant { value }, &[], &origin).unwrap();
        let inputs = match constant_first {
            true => [constant, self.last],
            false => [self.last, constant],
        };
        self.last = self.graph.apply(arithmetic(kind), &inputs, &origin).unwrap();
        self
    }

    fn valid(mut self) -> ValidGraph {
        self.graph.output("y", self.last, Layout::Plain);
        Validator::default().validate(self.graph).unwrap()
    }

    /// Simplifies, sees that the outputs stay, and tells which rewrites were done and which operators are left.
    fn simplified(self) -> (Vec<&'static str>, Vec<&'static str>) {
        let graph = self.valid();
        let (rewrites, left, _) = checked(&graph);
        (rewrites, left)
    }
}

fn checked(graph: &ValidGraph) -> (Vec<&'static str>, Vec<&'static str>, ValidGraph) {
    let options = Simplify {
        evaluate: Some(&caribou_runtime::evaluate),
    };
    let Simplified { graph: new, rewrites } = simplify(graph, &options).unwrap();
    let new = Validator::default().validate(new).unwrap();
    let inputs = seeded_inputs(graph, 2, 5, 1);
    let expected = Session::new(graph).run(&inputs).unwrap();
    let found = Session::new(&new).run(&inputs).unwrap();
    for (a, b) in expected.iter().zip(&found) {
        let difference = compare(a, b).unwrap();
        assert!(difference.max_rel < 2e-6, "{difference:?}");
        assert!(difference.scale > 0.001, "nothing is compared");
    }
    let names = rewrites.iter().map(|rewrite| rewrite.name).collect();
    let left = new.nodes().map(|(_, node)| node.op.name()).collect();
    (names, left, new)
}

const BEHIND: &str = "fold-affine-into-weights";
const BEFORE: &str = "fold-affine-into-next-weights";

#[test]
fn a_normalisation_behind_any_layer_with_weights_becomes_part_of_them() {
    let layers = [
        ("Conv", conv(8, 4, 1, 1)),
        ("Conv", conv(8, 4, 2, 1)),
        ("Conv", conv(8, 4, 4, 1)),
        ("ConvTranspose", transposed(4, 8, 1)),
        ("ConvTranspose", transposed(4, 8, 2)),
    ];
    for (name, op) in layers {
        let (rewrites, left) = Network::new(&[4, 6, 7]).then(op).then(norm(1, 8)).simplified();
        assert_eq!((rewrites, left), (vec![BEHIND], vec![name]));
    }
    let (rewrites, left) = Network::new(&[5, 4])
        .then(dense(4, 6))
        .then(norm(2, 6))
        .simplified();
    assert_eq!((rewrites, left), (vec![BEHIND], vec!["Dense"]));
}

#[test]
fn a_normalisation_before_a_layer_becomes_part_of_it_where_no_padding_stands_between() {
    for groups in [1, 2, 4] {
        let (rewrites, left) = Network::new(&[4, 6, 7])
            .then(norm(1, 4))
            .then(conv(8, 4, groups, 0))
            .simplified();
        assert_eq!((rewrites, left), (vec![BEFORE], vec!["Conv"]));
        let (rewrites, left) = Network::new(&[4, 6, 7])
            .then(norm(1, 4))
            .then(conv(8, 4, groups, 1))
            .simplified();
        assert_eq!(
            (rewrites, left),
            (vec![], vec!["BatchNorm", "Conv"]),
            "zeros are not shifted"
        );
    }
    let scale = || Network::new(&[4, 6, 7]).with(ElementwiseKind::Multiply, numbers(&[4, 1, 1], 7), false);
    assert_eq!(scale().then(conv(8, 4, 2, 1)).simplified().1, ["Conv"]);
    assert_eq!(
        scale().then(transposed(4, 8, 2)).simplified().1,
        ["ConvTranspose"]
    );
    assert_eq!(
        Network::new(&[4, 6, 7])
            .then(norm(1, 4))
            .then(transposed(4, 8, 1))
            .simplified()
            .0,
        [""; 0]
    );
    assert_eq!(
        Network::new(&[4])
            .then(norm(1, 4))
            .then(dense(4, 3))
            .simplified()
            .1,
        ["Dense"]
    );
}

#[test]
fn a_normalisation_passes_a_flatten() {
    let (rewrites, left) = Network::new(&[4, 2, 3])
        .then(norm(1, 4))
        .then(Reshape::flatten())
        .then(dense(24, 3))
        .simplified();
    assert_eq!((rewrites, left), (vec![BEFORE], vec!["Reshape", "Dense"]));
}

#[test]
fn a_normalisation_of_another_axis_stays() {
    let (_, left) = Network::new(&[4, 6, 7])
        .then(conv(8, 4, 1, 1))
        .then(norm(2, 6))
        .simplified();
    assert_eq!(left, ["Conv", "BatchNorm"]);
    let (_, left) = Network::new(&[5, 4])
        .then(dense(4, 6))
        .then(norm(1, 5))
        .simplified();
    assert_eq!(left, ["Dense", "BatchNorm"]);
}

#[test]
fn what_is_seen_elsewhere_is_not_changed() {
    let mut network = Network::new(&[4, 6, 7]).then(conv(8, 4, 1, 1));
    network.graph.output("seen", network.last, Layout::Plain);
    assert_eq!(network.then(norm(1, 8)).simplified().1, ["Conv", "BatchNorm"]);
}

#[test]
fn scales_and_shifts_are_fused() {
    let affine = |scale, shift| Unary {
        kind: UnaryKind::Affine { scale, shift },
    };
    let (rewrites, left) = Network::new(&[4])
        .then(affine(2.0, 1.0))
        .then(affine(-0.5, 3.0))
        .simplified();
    assert_eq!((rewrites, left), (vec!["fuse-affine"], vec!["Affine"]));
    for first in [true, false] {
        let network = Network::new(&[4, 3, 3]);
        let network = match first {
            true => network.then(affine(0.5, 0.25)).then(norm(1, 4)),
            false => network
                .then(norm(1, 4))
                .with(ElementwiseKind::Subtract, numbers(&[4, 1, 1], 2), true),
        };
        assert_eq!(network.simplified().1, ["BatchNorm"]);
    }
    let (_, left) = Network::new(&[4, 3])
        .with(ElementwiseKind::Multiply, numbers(&[3], 2), false)
        .with(ElementwiseKind::Divide, Tensor::vector(&[0.5]), false)
        .with(ElementwiseKind::Multiply, numbers(&[1, 1, 3], 5), true)
        .simplified();
    assert_eq!(left, ["Constant", "Multiply"]);
    let (_, left) = Network::new(&[4, 3])
        .with(ElementwiseKind::Multiply, numbers(&[3], 2), false)
        .with(ElementwiseKind::Multiply, numbers(&[4, 1], 2), false)
        .simplified();
    assert_eq!(left.len(), 4, "they run along different axes: {left:?}");
}

#[test]
fn zeros_around_a_convolution_are_its_padding() {
    let pad = |mode| Pad {
        pads: vec![[0, 0], [0, 0], [1, 2], [0, 1]],
        mode,
    };
    let zeros = Network::new(&[4, 6, 7]).then(pad(PadMode::Constant(0.0)));
    assert_eq!(zeros.then(conv(8, 4, 1, 1)).simplified().1, ["Conv"]);
    let mirror = Network::new(&[4, 6, 7]).then(pad(PadMode::Reflect));
    assert_eq!(mirror.then(conv(8, 4, 1, 1)).simplified().1, ["Pad", "Conv"]);
}

#[test]
fn constants_are_folded_and_identities_dropped() {
    let mut network = Network::new(&[3]);
    let origin = Origin::new("c", "constant");
    let constant = |network: &mut Network, seed| {
        let value = numbers(&[3], seed);
        network.graph.apply(Constant { value }, &[], &origin).unwrap()
    };
    let (a, b) = (constant(&mut network, 1), constant(&mut network, 2));
    let sum = network
        .graph
        .apply(arithmetic(ElementwiseKind::Maximum), &[a, b], &origin)
        .unwrap();
    let inputs = [network.last, sum];
    network.last = network
        .graph
        .apply(arithmetic(ElementwiseKind::Minimum), &inputs, &origin)
        .unwrap();
    let network = network.then(Identity).then(Activation::Linear).then(Noise {
        kind: NoiseKind::Dropout { rate: 0.5 },
    });
    let (rewrites, left) = network.simplified();
    assert_eq!(
        rewrites,
        ["drop-identity", "drop-identity", "drop-identity", "fold-constant"]
    );
    assert_eq!(left, ["Constant", "Minimum"]);
}

#[test]
fn a_network_of_identities_keeps_one() {
    let (_, left) = Network::new(&[3]).then(Identity).then(Identity).simplified();
    assert_eq!(left, ["Identity"]);
}

#[test]
fn what_no_output_depends_on_is_dropped() {
    let mut network = Network::new(&[3]);
    let origin = Origin::new("unseen", "Dense");
    network
        .graph
        .apply(dense(3, 2), &[network.last], &origin)
        .unwrap();
    let (rewrites, left) = network.then(dense(3, 4)).simplified();
    assert_eq!((rewrites, left), (vec!["drop-dead"], vec!["Dense"]));
}
