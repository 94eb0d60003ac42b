//! The names of layers: the scopes that TensorFlow's operations are named in.

use crate::graph::Flat;
use std::sync::Arc;

/// Operations that make no layer.
const NONE: &[&str] = &[
    "Const",
    "Placeholder",
    "PlaceholderWithDefault",
    "Identity",
    "IdentityN",
    "NoOp",
];

/// Scopes within a layer that Keras and TensorFlow's own layers open.
const WITHIN: &[&str] = &[
    "batchnorm",
    "batchnorm_1",
    "moments",
    "Tensordot",
    "Conv1D",
    "conv1d",
    "separable_conv2d",
    "BatchNorm",
    "einsum",
    "Gelu",
    "gelu",
    "LeakyRelu",
    "Squeeze",
    "conv3d_transpose",
    "conv2d_transpose",
    "conv1d_transpose",
];

/// For each operation the name of the layer that it belongs to: its scope, or its own name where it has none. Scopes
/// that all of `nodes` are in, such as the name of the model, are left out.
pub(super) fn layers(flat: &Flat, nodes: &[usize]) -> Vec<Arc<str>> {
    let scopes: Vec<Vec<&str>> = flat.nodes.iter().map(|node| scope(&node.name)).collect();
    let mut layers = nodes
        .iter()
        .filter(|&&node| !NONE.contains(&&*flat.nodes[node].op))
        .map(|&node| &scopes[node]);
    let mut common = layers.next().map_or(&[][..], |first| &first[..first.len() - 1]);
    for scope in layers {
        let same = common
            .iter()
            .zip(&scope[..scope.len() - 1])
            .take_while(|(a, b)| a == b)
            .count();
        common = &common[..same];
    }
    scopes
        .iter()
        .map(|scope| {
            let own = scope
                .strip_prefix(common)
                .filter(|rest| !rest.is_empty())
                .unwrap_or(scope);
            Arc::from(own.join("/"))
        })
        .collect()
}

/// The parts of a layer's name; at least one.
fn scope(name: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty()).collect();
    if parts.len() > 1 {
        parts.pop();
    }
    while parts.len() > 1 && parts.last().is_some_and(|last| WITHIN.contains(last)) {
        parts.pop();
    }
    if parts.is_empty() {
        parts.push(name);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Node;

    fn names(names: &[&str]) -> Vec<String> {
        let node = |name: &&str| Node {
            name: (*name).into(),
            op: "Relu".into(),
            inputs: vec![],
            attributes: Default::default(),
            literal: None,
            recurrence: None,
        };
        let flat = Flat {
            nodes: names.iter().map(node).collect(),
            ..Flat::default()
        };
        let all: Vec<usize> = (0..names.len()).collect();
        layers(&flat, &all).iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn a_layer_is_a_scope_without_the_name_of_the_model() {
        assert_eq!(
            names(&[
                "vgg16/block1_conv1/Conv2D",
                "vgg16/fc/Tensordot/MatMul",
                "vgg16/fc/Relu"
            ]),
            ["block1_conv1", "fc", "fc"]
        );
        assert_eq!(names(&["conv/Conv2D", "conv/Relu"]), ["conv", "conv"]);
        assert_eq!(names(&["Relu", "Relu_1"]), ["Relu", "Relu_1"]);
    }
}
