//! The weights of Keras 1: listed in a fixed order for each class, an LSTM's gate by gate, a channels-first convolution's
//! kernel in Theano's axis order. The rules are those of `preprocess_weights_for_loading` in Keras 2.

use super::named::Entry;
use crate::config::{Layer, parse_layer, parse_nested};
use crate::hdf5::Hdf5Error;
use caribou_ir::{Tensor, TensorError};

/// The suffixes of the names of a class's weights in the order of the file, and the variables that they are now.
const VARIABLES: &[(&[&str], &[&str], &[&str])] = &[
    (
        &["Dense", "Conv1D", "Conv2D", "Conv3D"],
        &["W", "b"],
        &["kernel", "bias"],
    ),
    (&["Embedding"], &["W"], &["embeddings"]),
    (
        &["SeparableConv2D"],
        &["depthwise_kernel", "pointwise_kernel", "b"],
        &["depthwise_kernel", "pointwise_kernel", "bias"],
    ),
    (
        &["BatchNormalization"],
        &["gamma", "beta", "running_mean", "running_std"],
        // What is called a deviation has been a variance since Keras 1.0.
        &["gamma", "beta", "moving_mean", "moving_variance"],
    ),
    (&["PReLU"], &["alphas"], &["alpha"]),
    (
        &["SimpleRNN", "LSTM", "GRU"],
        &["W", "U", "b"],
        &["kernel", "recurrent_kernel", "bias"],
    ),
];

/// The gates of a class in the order of the file, and where each stands in the joined arrays.
const GATES: &[(&str, &[&str], &[usize])] = &[
    ("LSTM", &["i", "c", "f", "o"], &[0, 2, 1, 3]),
    ("GRU", &["z", "r", "h"], &[0, 1, 2]),
];

/// The weights of `layer`, whose configuration is in the words of Keras 2 already, under the names of Keras 2.
pub(super) fn upgrade(layer: &Layer, entries: Vec<Entry>) -> Result<Vec<Entry>, Hdf5Error> {
    let mut upgraded = Vec::new();
    if let Some(Ok(model)) = parse_nested(layer) {
        for inner in &model.layers {
            upgrade_inner(inner, &entries, &mut upgraded)?;
        }
    } else {
        let tensors = entries.into_iter().map(|entry| entry.tensor).collect();
        place(layer, &layer.name, tensors, &mut upgraded)?;
    }
    Ok(upgraded)
}

/// A layer of a nested model: the names tell which weights are its own, since all are in one list.
fn upgrade_inner(layer: &Layer, entries: &[Entry], upgraded: &mut Vec<Entry>) -> Result<(), Hdf5Error> {
    if let Some(Ok(model)) = parse_nested(layer) {
        return model
            .layers
            .iter()
            .try_for_each(|inner| upgrade_inner(inner, entries, upgraded));
    }
    let named = |name: &String| {
        let mut found = entries.iter().filter(|entry| entry.variable() == name);
        found.next().map(|entry| entry.tensor.clone())
    };
    let tensors = names(layer, &layer.name).iter().filter_map(named).collect();
    place(layer, &layer.name, tensors, upgraded)
}

/// The names that Keras 1 gave to the weights of a layer, in order.
fn names(layer: &Layer, name: &str) -> Vec<String> {
    match (layer.class.as_str(), wrapped(layer)) {
        ("TimeDistributed", Some(inner)) => return names(&inner, &inner.name),
        ("Bidirectional", Some(inner)) => {
            return ["forward", "backward"]
                .iter()
                .flat_map(|direction| names(&inner, &format!("{direction}_{}", inner.name)))
                .collect();
        }
        _ => {}
    }
    let gates = GATES.iter().find(|(class, ..)| *class == layer.class);
    let suffixes = VARIABLES
        .iter()
        .find(|(classes, ..)| classes.contains(&layer.class.as_str()));
    let suffixes = suffixes.map_or(&[][..], |&(_, suffixes, _)| suffixes);
    let whole = suffixes.iter().map(|suffix| format!("{name}_{suffix}"));
    let parts = gates.into_iter().flat_map(|(_, gates, _)| {
        gates.iter().flat_map(|gate| {
            suffixes
                .iter()
                .map(move |suffix| format!("{name}_{suffix}_{gate}"))
        })
    });
    parts.chain(whole).collect()
}

/// Files the weights of a layer under its name.
fn place(
    layer: &Layer,
    scope: &str,
    tensors: Vec<Tensor>,
    upgraded: &mut Vec<Entry>,
) -> Result<(), Hdf5Error> {
    match (layer.class.as_str(), wrapped(layer)) {
        ("TimeDistributed", Some(inner)) => return place(&inner, scope, tensors, upgraded),
        ("Bidirectional", Some(inner)) => {
            let mut forward = tensors;
            let backward = forward.split_off(forward.len() / 2);
            for (direction, tensors) in [("forward", forward), ("backward", backward)] {
                let scope = format!("{scope}/{direction}_{}", inner.name);
                place(&inner, &scope, tensors, upgraded)?;
            }
            return Ok(());
        }
        _ => {}
    }
    let tensors = joined(layer, tensors).map_err(|error| failed(layer, error))?;
    let known = VARIABLES
        .iter()
        .find(|(classes, ..)| classes.contains(&layer.class.as_str()));
    let variables = known.map_or(&[][..], |&(.., variables)| variables);
    if tensors.len() > variables.len() {
        return Err(Hdf5Error::Damaged(format!(
            "{} weights are listed, and a {} of Keras 1 has {}",
            tensors.len(),
            layer.class,
            variables.len()
        )));
    }
    for (variable, tensor) in variables.iter().zip(tensors) {
        let tensor = match *variable {
            "kernel" => kernel(layer, tensor).map_err(|error| failed(layer, error))?,
            _ => tensor,
        };
        let name = format!("{scope}/{variable}");
        upgraded.push(Entry { name, tensor });
    }
    Ok(())
}

/// The layer that a wrapper holds.
fn wrapped(layer: &Layer) -> Option<Layer> {
    parse_layer(layer.config.get("layer")?).ok()
}

/// The arrays of an LSTM or GRU that are stored gate by gate, side by side.
fn joined(layer: &Layer, tensors: Vec<Tensor>) -> Result<Vec<Tensor>, TensorError> {
    let gates = GATES.iter().find(|(class, ..)| *class == layer.class);
    let Some(&(_, _, order)) = gates.filter(|(_, gates, _)| tensors.len() == 3 * gates.len()) else {
        return Ok(tensors);
    };
    // The file lists W, U and b of one gate after those of another.
    (0..3)
        .map(|array| {
            let mut parts = vec![&tensors[array]; order.len()];
            for (listed, &at) in order.iter().enumerate() {
                parts[at] = &tensors[3 * listed + array];
            }
            beside(&parts)
        })
        .collect()
}

/// Arrays of the same shape, joined on their last axis.
fn beside(parts: &[&Tensor]) -> Result<Tensor, TensorError> {
    let mut shape = parts.first().map_or_else(Vec::new, |part| part.shape());
    let values: Vec<Vec<f32>> = parts.iter().map(|part| part.to_vec()).collect::<Result<_, _>>()?;
    let width = shape.last().copied().unwrap_or(1).max(1);
    let rows = values.first().map_or(0, |values| values.len() / width);
    let all: Vec<f32> = (0..rows)
        .flat_map(|row| {
            values
                .iter()
                .flat_map(move |values| values.iter().skip(row * width).take(width).copied())
        })
        .collect();
    if let Some(last) = shape.last_mut() {
        *last *= parts.len();
    }
    Tensor::from_f32(&shape, &all)
}

/// The kernel of a convolution in the axis order of Keras 2.
fn kernel(layer: &Layer, kernel: Tensor) -> Result<Tensor, TensorError> {
    let shape = kernel.shape();
    let first = layer.config.text_or("data_format", "channels_last") == Ok("channels_first");
    match (layer.class.as_str(), shape.len()) {
        ("Conv1D", 4) => {
            let length = layer.config.sizes("kernel_size", 1).unwrap_or_default();
            let filters = layer.config.size("filters").unwrap_or_default();
            let current = shape[0] == length.first().copied().unwrap_or_default()
                && shape[1] == 1
                && shape[3] == filters;
            let kernel = if current {
                kernel
            } else {
                kernel.permute(&[2, 3, 1, 0])?
            };
            let shape = kernel.shape();
            kernel.narrow(1, 0, 1)?.reshape(&[shape[0], shape[2], shape[3]])
        }
        ("Conv2D", 4) if first => kernel.permute(&[2, 3, 1, 0]),
        ("Conv3D", 5) if first => kernel.permute(&[2, 3, 4, 1, 0]),
        _ => Ok(kernel),
    }
}

fn failed(layer: &Layer, source: TensorError) -> Hdf5Error {
    Hdf5Error::Tensor {
        name: layer.name.clone(),
        source,
    }
}
