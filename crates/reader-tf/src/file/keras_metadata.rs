//! Which layers a model of Keras 2 has: it says so beside a SavedModel, in `keras_metadata.pb`, and before TensorFlow 2.5
//! within, among the objects that the SavedModel is made of.

use super::wire;
use crate::program::KerasLayer;
use crate::schema::{SavedMetadata, SavedObject, SavedObjectGraph};
use caribou_ir::{Limits, Source};
use std::collections::{HashSet, VecDeque};

/// What the identifiers of Keras' objects begin with.
const KERAS: &str = "_tf_keras_";
/// The path of the outermost object.
const ROOT: &str = "root";

/// The model with its layers, as far as the files say; a SavedModel is read without it too.
pub(super) fn model(
    source: &Source,
    objects: Option<&SavedObjectGraph>,
    limits: &Limits,
) -> Option<KerasLayer> {
    beside(source, limits).or_else(|| within(objects?, limits))
}

/// As `keras_metadata.pb` says.
fn beside(source: &Source, limits: &Limits) -> Option<KerasLayer> {
    let file = source.below("keras_metadata.pb").ok()?;
    let metadata: SavedMetadata = wire::decode(&file, "SavedMetadata").ok()?;
    let nodes = metadata.nodes.iter().take(limits.nodes);
    let named = nodes.filter_map(|node| Some((node.node_path.clone(), name(&node.metadata)?)));
    tree(named)
}

/// As the objects say, from the outermost on: each is one of Keras' that the one before it has.
fn within(objects: &SavedObjectGraph, limits: &Limits) -> Option<KerasLayer> {
    let described = |object: &SavedObject| {
        let user = object.user_object.as_ref()?;
        user.identifier.starts_with(KERAS).then(|| name(&user.metadata))?
    };
    let mut named = Vec::new();
    let mut seen = HashSet::from([0]);
    let mut open = VecDeque::from([(0usize, ROOT.to_owned())]);
    while let Some((place, path)) = open.pop_front() {
        let object = objects.nodes.get(place)?;
        let Some(name) = described(object) else {
            continue;
        };
        named.push((path.clone(), name));
        // A path is as deep as it may be in all that is nested.
        if path.split('.').count() > limits.nesting || named.len() > limits.nodes {
            return None;
        }
        for child in &object.children {
            let inner = usize::try_from(child.node_id).ok()?;
            if seen.insert(inner) {
                open.push_back((inner, format!("{path}.{}", child.local_name)));
            }
        }
    }
    tree(named.into_iter())
}

/// The name of a layer in its description.
fn name(description: &str) -> Option<String> {
    let described: serde_json::Value = serde_json::from_str(description).ok()?;
    let name = described.get("name")?.as_str()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// Layers by their paths (`root.layer-1.layer-0`), each below the layer whose path leads to it.
fn tree(layers: impl Iterator<Item = (String, String)>) -> Option<KerasLayer> {
    let layers: Vec<(String, String)> = layers.collect();
    let mut sorted: Vec<(Vec<&str>, &String)> = layers
        .iter()
        .map(|(path, name)| (path.split('.').collect(), name))
        .collect();
    sorted.sort();
    let mut sorted = sorted.into_iter();
    let (path, name) = sorted.next()?;
    let mut root = KerasLayer {
        name: name.clone(),
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
            name: name.clone(),
            layers: Vec::new(),
        });
    }
    Some(root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::SavedModel;

    #[test]
    fn layers_lie_within_each_other() {
        let layers = [
            ("root", "model"),
            ("root.layer-1", "body"),
            ("root.layer-1.layer-0", "inner"),
            ("root.layer-10", "head"),
        ];
        let root = tree(
            layers
                .iter()
                .map(|&(path, name)| (path.to_owned(), name.to_owned())),
        )
        .unwrap();
        let names: Vec<&str> = root.layers.iter().map(|layer| &*layer.name).collect();
        assert_eq!((&*root.name, names), ("model", vec!["body", "head"]));
        assert_eq!(root.layers[0].layers[0].name, "inner");
    }

    /// A SavedModel with the descriptions that stand beside it moved to where they stood before TensorFlow 2.5.
    #[test]
    fn layers_are_found_among_the_objects() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../testdata/tf/keras_nested_saved/saved_model"
        );
        let source = Source::open(path).unwrap();
        let file = |name: &str| source.below(name).unwrap();
        let metadata: SavedMetadata = wire::decode(&file("keras_metadata.pb"), "SavedMetadata").unwrap();
        let model: SavedModel = wire::decode(&file("saved_model.pb"), "SavedModel").unwrap();
        let mut objects = model.meta_graphs[0].object_graph_def.clone().unwrap();
        let limits = Limits::default();
        assert_eq!(within(&objects, &limits), None);
        for node in metadata.nodes {
            let place = usize::try_from(node.node_id).unwrap();
            objects.nodes[place].user_object.as_mut().unwrap().metadata = node.metadata;
        }
        let found = within(&objects, &limits).unwrap();
        assert_eq!(found.layers.len(), 3);
        assert_eq!(Some(found), beside(&source, &limits));
    }
}
