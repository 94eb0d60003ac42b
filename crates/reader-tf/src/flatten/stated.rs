//! What nodes state of their outputs.

use super::bind;
use crate::schema::attr_value::Value;
use crate::schema::{AttrValue, DataType, NodeDef, TensorShapeProto};
use std::collections::HashMap;

/// The sizes of a shape; `None` where even the number of axes is unknown.
pub(crate) fn sizes(shape: &TensorShapeProto) -> Option<Vec<Option<usize>>> {
    let size = |dim: &crate::schema::tensor_shape_proto::Dim| usize::try_from(dim.size).ok();
    (!shape.unknown_rank).then(|| shape.dim.iter().map(size).collect())
}

/// An attribute that is a type.
pub(super) fn type_of(attributes: &HashMap<String, AttrValue>, name: &str) -> Option<DataType> {
    match attributes.get(name)?.value.as_ref()? {
        Value::Type(kind) => DataType::try_from(*kind).ok(),
        _ => None,
    }
}

/// The shape of a node's output, where the node says it.
pub(super) fn shape(node: &NodeDef, slot: usize) -> Option<Vec<Option<usize>>> {
    let value = |name: &str| node.attr.get(name).and_then(|value| value.value.as_ref());
    if let (true, Some(Value::Shape(shape))) = (bind::is_placeholder(&node.op), value("shape")) {
        // Old files leave the shape empty where it is unknown.
        let unknown = shape.dim.is_empty() && !shape.unknown_rank && value("_output_shapes").is_some();
        if !unknown {
            return sizes(shape);
        }
    }
    match value("_output_shapes") {
        Some(Value::List(list)) => list.shape.get(slot).and_then(sizes),
        _ => None,
    }
}

/// The type of a node's output: of a single one, or of an element of the list of types.
pub(super) fn dtype(attributes: &HashMap<String, AttrValue>, slot: usize) -> DataType {
    if let Some(Value::List(list)) = attributes
        .get("Tout")
        .or(attributes.get("T"))
        .and_then(|value| value.value.as_ref())
    {
        let listed = list
            .r#type
            .get(slot)
            .and_then(|&kind| DataType::try_from(kind).ok());
        return listed.unwrap_or(DataType::DtFloat);
    }
    ["dtype", "DstT", "out_type", "output_type", "T"]
        .iter()
        .find_map(|name| type_of(attributes, name))
        .unwrap_or(DataType::DtFloat)
}
