//! The names of layers: the scopes that TensorFlow's operations are named in.

use crate::graph::Flat;
use crate::program::KerasLayer;
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
    "einsum",
    "Gelu",
    "gelu",
    "LeakyRelu",
    "Squeeze",
    "conv3d_transpose",
    "conv2d_transpose",
    "conv1d_transpose",
];

/// For each operation the name of the layer that it belongs to: of the layer of Keras whose scope it is in, where the file
/// says which layers there are. Else its scope, or its own name where it has none; scopes that all of `nodes` are in, such
/// as the name of the model, are left out.
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
    let keras = flat.keras.as_ref();
    flat.nodes
        .iter()
        .zip(&scopes)
        .map(|(node, scope)| {
            if let Some(layer) = keras.and_then(|model| layer_of_keras(model, &node.name)) {
                return Arc::from(layer);
            }
            let own = scope
                .strip_prefix(common)
                .filter(|rest| !rest.is_empty())
                .unwrap_or(scope);
            Arc::from(own.join("/"))
        })
        .collect()
}

/// The layer of `model` in whose scope an operation is, by its name and those of the models that it lies in.
fn layer_of_keras(model: &KerasLayer, name: &str) -> Option<String> {
    let parts = parts(name);
    let (_, scopes) = parts.split_last()?;
    let start = scopes.iter().position(|&scope| scope == model.name)?;
    let (mut within, mut path) = (model, Vec::new());
    for &scope in &scopes[start + 1..] {
        let Some(layer) = within.layers.iter().find(|layer| layer.name == scope) else {
            break;
        };
        path.push(scope);
        within = layer;
    }
    (!path.is_empty()).then(|| path.join("/"))
}

/// The parts of an operation's name, without the calls of functions, which are no scopes of the program.
fn parts(name: &str) -> Vec<&str> {
    let is_call = |part: &str| {
        let rest = ["StatefulPartitionedCall", "PartitionedCall"]
            .iter()
            .find_map(|call| part.strip_prefix(call));
        rest.is_some_and(|rest| {
            rest.strip_prefix('_').map_or(rest.is_empty(), |number| {
                !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit())
            })
        })
    };
    name.split('/')
        .filter(|part| !part.is_empty() && !is_call(part))
        .collect()
}

/// The parts of a layer's name; at least one.
fn scope(name: &str) -> Vec<&str> {
    let mut parts = parts(name);
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
        names_of(names, None)
    }

    fn names_of(names: &[&str], keras: Option<KerasLayer>) -> Vec<String> {
        let node = |name: &&str| Node::new(*name, "Relu", vec![]);
        let flat = Flat {
            nodes: names.iter().map(node).collect(),
            keras,
            ..Flat::default()
        };
        let all: Vec<usize> = (0..names.len()).collect();
        layers(&flat, &all).iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn a_layer_of_keras_is_told_from_scopes_of_the_program() {
        let layer = |name: &str, layers| KerasLayer {
            name: name.into(),
            layers,
        };
        let model = layer(
            "model",
            vec![
                layer("dense", vec![]),
                layer("body", vec![layer("inner", vec![])]),
            ],
        );
        let all = [
            "truediv",
            "model/dense/Tensordot/MatMul",
            "model/body/inner/deep/mul",
            "model/add",
        ];
        let expected = ["truediv", "dense", "body/inner", "model"];
        assert_eq!(names_of(&all, Some(model)), expected);
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
        let called = [
            "StatefulPartitionedCall/net/a/StatefulPartitionedCall_1/MatMul",
            "StatefulPartitionedCall/net/b/Relu",
        ];
        assert_eq!(names(&called), ["a", "b"]);
        assert_eq!(names(&["Relu", "Relu_1"]), ["Relu", "Relu_1"]);
    }
}
