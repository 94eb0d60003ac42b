//! The files of TensorFlow, each brought into one [`Program`]. Their form is found by their content.

mod frozen;
mod keras_metadata;
mod saved_model;
mod text;
mod variables;
mod wire;

use crate::bundle::{self, Bundle};
use crate::program::Program;
use crate::schema::{GraphDef, MetaGraphDef, SavedModel};
use caribou_ir::{Confidence, Limits, Source};
pub(crate) use variables::Variables;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    /// A `GraphDef`.
    Graph,
    /// A `MetaGraphDef`: a graph with what belongs to it (`model.ckpt.meta`).
    MetaGraph,
    /// A `SavedModel`.
    SavedModel,
    /// The index of a checkpoint, which is no model.
    Checkpoint,
}

/// What a file holds, and whether it is text.
fn content(source: &Source) -> Option<(Content, bool)> {
    let bytes = source.bytes();
    let text = match text::first_field(bytes) {
        Some("node" | "library" | "versions") => Some(Content::Graph),
        Some("meta_info_def" | "graph_def") => Some(Content::MetaGraph),
        Some("saved_model_schema_version" | "meta_graphs") => Some(Content::SavedModel),
        _ => None,
    };
    if let Some(content) = text {
        return Some((content, true));
    }
    let binary = if is_saved_model(bytes) {
        Content::SavedModel
    } else if is_graph_def(bytes) {
        Content::Graph
    } else if is_meta_graph(bytes) {
        Content::MetaGraph
    } else if bundle::is_table(bytes) {
        Content::Checkpoint
    } else {
        return None;
    };
    Some((binary, false))
}

/// How sure it is that a file is one of TensorFlow's.
pub(crate) fn probe(source: &Source) -> Confidence {
    match content(source) {
        Some(_) if source.directory().is_some() => Confidence::Yes,
        Some((_, true) | (Content::SavedModel | Content::Checkpoint, _)) => Confidence::Yes,
        Some(_) => Confidence::Maybe,
        None => Confidence::No,
    }
}

/// Reads a file, whatever its form.
///
/// # Errors
/// When it is damaged, with the place, or of no form that is known.
pub(crate) fn open(source: &Source, signature: Option<&str>, limits: &Limits) -> Result<Program, String> {
    let (content, is_text) = content(source).unwrap_or((Content::Graph, false));
    macro_rules! decode {
        ($message:ty, $name:literal) => {
            match is_text {
                true => text::decode::<$message>(source.bytes(), $name, limits),
                false => wire::decode::<$message>(source, $name),
            }
        };
    }
    match content {
        Content::Graph => {
            let graph = decode!(GraphDef, "GraphDef")?;
            let mut program = frozen::program(graph, source, "TensorFlow graph".into());
            if let Some(index) = source.weights() {
                let bundle = Bundle::open(index, limits)
                    .map_err(|error| format!("{}: {error}", index.path().display()))?;
                program.variables = Variables::new(bundle, &program.nodes, &program.functions);
                program.format = "TensorFlow graph with a checkpoint".into();
            }
            Ok(program)
        }
        Content::MetaGraph => {
            let graph = decode!(MetaGraphDef, "MetaGraphDef")?;
            let mut program = saved_model::meta_graph(graph, source, signature, source.weights(), limits)?;
            if source.weights().is_none() {
                program.variables = Variables::default();
            }
            program.format = "TensorFlow MetaGraph".into();
            Ok(program)
        }
        Content::SavedModel => {
            let model = decode!(SavedModel, "SavedModel")?;
            saved_model::program(model, source, signature, limits)
        }
        Content::Checkpoint => Err(
            "it is the index of a checkpoint, which holds values and no network; \
                                    name the graph, and this file by --weights"
                .into(),
        ),
    }
}

/// What stands behind a first field that is a message: its bytes, as far as they are there.
fn first_message(bytes: &[u8]) -> Option<&[u8]> {
    let (&0x0a, rest) = bytes.split_first()? else {
        return None;
    };
    let length = rest.iter().take(5).position(|byte| byte & 0x80 == 0)?;
    let size = rest[..=length]
        .iter()
        .rev()
        .fold(0usize, |size, byte| size << 7 | usize::from(byte & 0x7f));
    let content = rest.get(length + 1..)?;
    content.get(..size.min(content.len()))
}

/// Whether the bytes begin as a GraphDef does: field 1, a node of some length, whose own field 1 is a printable name.
fn is_graph_def(bytes: &[u8]) -> bool {
    let Some([0x0a, count, name @ ..]) = first_message(bytes) else {
        return false;
    };
    let name = name.get(..usize::from(*count)).unwrap_or_default();
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic())
}

/// Whether the bytes begin as a SavedModel does: field 1, the version of its form, then field 2, a graph.
fn is_saved_model(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0x08, 0x00..=0x0f, 0x12, ..] | [0x12, _, _, 0x0a, ..] | [0x12, _, _, _, 0x0a, ..]
    )
}

/// Whether the bytes begin as a MetaGraphDef does: field 1, what the graph is, which lists the operations that it uses, or
/// its tags or the version that wrote it.
fn is_meta_graph(bytes: &[u8]) -> bool {
    first_message(bytes).is_some_and(|info| matches!(info, [0x12, _, ..] | [0x22 | 0x2a, 1..=64, ..]))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_node_with_a_name_is_a_graph() {
        assert!(super::is_graph_def(b"\x0a\x10\x0a\x05input\x12\x0bPlaceholder"));
        assert!(!super::is_graph_def(b"\x89HDF\r\n\x1a\n"));
        assert!(!super::is_graph_def(b"\x0a"));
        assert!(!super::is_graph_def(b""));
        assert!(super::is_saved_model(b"\x08\x01\x12\x90\x01\x0a"));
        assert!(super::is_meta_graph(b"\x0a\x05\x12\x03\x0a\x01a"));
        assert!(!super::is_meta_graph(b"\x0a\x05input"));
    }
}
