//! The copies of blobs that Caffe makes by itself.

use crate::schema::{LayerParameter, NetParameter};
use caribou_ir::Place;
use std::collections::HashMap;

/// Takes out the layers that Caffe itself put where several layers read a blob, so that blobs have the names that the
/// text has. One of whose tops is written in place is kept: there the copies differ.
pub(crate) fn unsplit(net: &mut NetParameter, places: &mut Vec<Place>) {
    let mut original: HashMap<String, String> = HashMap::new();
    let own = |layer: &LayerParameter| {
        let numbered = |(index, top): (usize, &String)| *top == format!("{}_{index}", layer.name());
        layer.r#type() == "Split"
            && layer.name().ends_with("_split")
            && layer.bottom.len() == 1
            && layer.top.iter().enumerate().all(numbered)
    };
    let mut kept = vec![true; net.layer.len()];
    for (index, layer) in net.layer.iter().enumerate() {
        let written = |top: &String| {
            let others = net.layer.iter().enumerate().filter(|(other, _)| *other != index);
            others.into_iter().any(|(_, other)| other.top.contains(top))
        };
        if own(layer) && !layer.top.iter().any(written) {
            kept[index] = false;
            let tops = layer.top.iter().cloned();
            original.extend(tops.map(|top| (top, layer.bottom[0].clone())));
        }
    }
    for bottom in net.layer.iter_mut().flat_map(|layer| &mut layer.bottom) {
        if let Some(blob) = original.get(bottom) {
            bottom.clone_from(blob);
        }
    }
    let mut keep = kept.iter();
    net.layer.retain(|_| keep.next() != Some(&false));
    let mut keep = kept.iter();
    places.retain(|_| keep.next() != Some(&false));
}
