//! `keras_metadata.pb`, in which Keras 2 says beside a SavedModel which layers its model has.

use super::wire;
use crate::program::KerasLayer;
use crate::schema::SavedMetadata;
use caribou_ir::{Limits, Source};

/// The model with its layers, as far as the file says; a SavedModel is read without it too.
pub(super) fn model(source: &Source, limits: &Limits) -> Option<KerasLayer> {
    let file = source.below("keras_metadata.pb").ok()?;
    let metadata: SavedMetadata = wire::decode(&file, "SavedMetadata").ok()?;
    let nodes = metadata.nodes.iter().take(limits.nodes);
    let named = nodes.filter_map(|node| {
        let described: serde_json::Value = serde_json::from_str(&node.metadata).ok()?;
        let name = described.get("name")?.as_str()?;
        (!name.is_empty()).then(|| (node.node_path.as_str(), name.to_owned()))
    });
    tree(named)
}

/// Layers by their paths (`root.layer-1.layer-0`), each below the layer whose path leads to it.
fn tree<'p>(layers: impl Iterator<Item = (&'p str, String)>) -> Option<KerasLayer> {
    let mut sorted: Vec<(Vec<&str>, String)> = layers
        .map(|(path, name)| (path.split('.').collect(), name))
        .collect();
    sorted.sort();
    let mut sorted = sorted.into_iter();
    let (path, name) = sorted.next()?;
    let mut root = KerasLayer {
        name,
        layers: Vec::new(),
    };
    // The layers that are open, by the lengths of their paths and their places among those of the one above.
    let mut open: Vec<(Vec<&str>, usize)> = Vec::new();
    for (inner, name) in sorted {
        if !inner.starts_with(&path) {
            continue;
        }
        while open.last().is_some_and(|(above, _)| !inner.starts_with(above)) {
            open.pop();
        }
        let mut above = &mut root;
        for (_, place) in &open {
            above = &mut above.layers[*place];
        }
        open.push((inner, above.layers.len()));
        above.layers.push(KerasLayer {
            name,
            layers: Vec::new(),
        });
    }
    Some(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_lie_within_each_other() {
        let layers = [
            ("root", "model"),
            ("root.layer-1", "body"),
            ("root.layer-1.layer-0", "inner"),
            ("root.layer-10", "head"),
        ];
        let root = tree(layers.iter().map(|&(path, name)| (path, name.to_owned()))).unwrap();
        let names: Vec<&str> = root.layers.iter().map(|layer| &*layer.name).collect();
        assert_eq!((&*root.name, names), ("model", vec!["body", "head"]));
        assert_eq!(root.layers[0].layers[0].name, "inner");
    }
}
