//! What must be left of the transposes of small channels-last networks, and where the kernels' rows go.

use super::*;
use crate::op::{
    Activation, Concat, Conv, Dense, Elementwise, ElementwiseKind, Operator, Padding, Reduce, ReduceKind,
    Reshape,
};
use crate::{Layout, Shape, Tensor};

fn counting(shape: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    Tensor::from_f32(shape, &(0..n).map(|i| i as f32).collect::<Vec<_>>()).unwrap()
}

fn conv(graph: &mut Graph, input: ValueId, channels: [usize; 2], name: &str) -> ValueId {
    let origin = Origin::new(name, "Conv2D");
    let x = graph
        .apply(Transpose::channels_first(4), &[input], &origin)
        .unwrap();
    let op = Conv {
        weight: Tensor::filled(&[channels[1], channels[0], 3, 3], 0.5),
        bias: None,
        strides: vec![1, 1],
        dilations: vec![1, 1],
        padding: Padding::Same,
        groups: 1,
    };
    let x = graph.apply(op, &[x], &origin).unwrap();
    graph.apply(Transpose::channels_last(4), &[x], &origin).unwrap()
}

fn names(graph: &Graph) -> Vec<&'static str> {
    graph.nodes().map(|(_, node)| node.op.name()).collect()
}

#[test]
fn a_residual_block_keeps_one_transpose_at_each_edge() {
    let mut graph = Graph::new();
    let input = graph.input("x", Shape::batched(&[6, 5, 3]), Layout::ChannelsLast);
    let a = conv(&mut graph, input, [3, 4], "a");
    let relu = graph
        .apply(Activation::Relu, &[a], &Origin::new("relu", "ReLU"))
        .unwrap();
    let b = conv(&mut graph, relu, [4, 4], "b");
    let origin = Origin::new("add", "Add");
    let sum = graph
        .apply(
            Elementwise {
                kind: ElementwiseKind::Add,
            },
            &[a, b],
            &origin,
        )
        .unwrap();
    let both = graph.apply(Concat { axis: 3 }, &[sum, relu], &origin).unwrap();
    graph.output("y", both, Layout::ChannelsLast);
    let (sunk, _) = sink_transposes(&graph).unwrap();
    assert_eq!(
        names(&sunk),
        ["Transpose", "Conv", "Relu", "Conv", "Add", "Concat", "Transpose"]
    );
    assert_eq!(sunk.shape(sunk.outputs()[0].value), graph.shape(both));
}

#[test]
fn a_flatten_permutes_the_rows_of_the_kernel_behind_it() {
    let mut graph = Graph::new();
    let input = graph.input("x", Shape::batched(&[2, 1, 1]), Layout::ChannelsLast);
    let x = conv(&mut graph, input, [1, 3], "conv");
    let origin = Origin::new("dense", "Dense");
    let x = graph.apply(Reshape::flatten(), &[x], &origin).unwrap();
    let x = graph
        .apply(
            Dense {
                weight: counting(&[6, 1]),
                bias: None,
            },
            &[x],
            &origin,
        )
        .unwrap();
    graph.output("y", x, Layout::Plain);
    let (sunk, rewrites) = sink_transposes(&graph).unwrap();
    assert_eq!(names(&sunk), ["Transpose", "Conv", "Reshape", "Dense"]);
    assert_eq!(rewrites[0].name, "flatten-into-kernel-rows");
    let (_, dense) = sunk.nodes().last().unwrap();
    // Rows (h, w, c) = 0..6 with h of 2 and c of 3; channels first they are c0 h0, c0 h1, c1 h0, …
    assert_eq!(
        dense.op.parameters()[0].1.to_vec().unwrap(),
        [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    );
}

#[test]
fn global_pooling_needs_no_transpose_behind_it() {
    let mut graph = Graph::new();
    let input = graph.input("x", Shape::batched(&[6, 5, 3]), Layout::ChannelsLast);
    let x = conv(&mut graph, input, [3, 4], "conv");
    let pool = Reduce {
        kind: ReduceKind::Mean,
        axes: vec![1, 2],
        keep_dims: false,
    };
    let x = graph
        .apply(pool, &[x], &Origin::new("pool", "GlobalAveragePooling2D"))
        .unwrap();
    graph.output("y", x, Layout::Plain);
    let (sunk, _) = sink_transposes(&graph).unwrap();
    assert_eq!(names(&sunk), ["Transpose", "Conv", "ReduceMean"]);
    assert_eq!(sunk.shape(sunk.outputs()[0].value), &Shape::batched(&[4]));
}
