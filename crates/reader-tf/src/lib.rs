//! Reads TensorFlow graphs (frozen GraphDef, SavedModel) into the caribou graph.
//!
//! [`file`] brings whatever was named into one flat graph of TensorFlow's operations ([`graph`]): functions inlined,
//! variables as constants, only what the outputs need. From there on the file's form does not matter. Nothing in a
//! file is ever executed, and no file but the named ones is opened.

mod build;
mod file;
mod fold;
mod graph;
mod idioms;
#[allow(dead_code)]
mod literal;
mod ops;
mod schema;

use caribou_ir::{Confidence, Import, ReadError, ReadOptions, Reader, Source};

/// Reads TensorFlow models.
#[derive(Debug, Clone, Copy, Default)]
pub struct TensorflowReader;

impl Reader for TensorflowReader {
    fn name(&self) -> &'static str {
        "tensorflow"
    }

    fn probe(&self, source: &Source) -> Confidence {
        if is_graph_def(source.bytes()) {
            Confidence::Maybe
        } else {
            Confidence::No
        }
    }

    fn read(&self, source: &Source, options: &ReadOptions) -> Result<Import, ReadError> {
        let flat = file::frozen(source, &options.limits).map_err(|message| ReadError::Format {
            path: source.path().to_path_buf(),
            message,
            help: "expected a frozen TensorFlow graph (GraphDef)".into(),
        })?;
        match build::build(&flat) {
            Ok(built) => Ok(Import {
                graph: built.graph,
                findings: built.findings,
                training: None,
                normalizer: None,
                format: flat.format,
            }),
            Err(unreadable) => Err(ReadError::Refused {
                path: source.path().to_path_buf(),
                findings: unreadable.findings,
                rest: Some(unreadable.rest),
            }),
        }
    }
}

/// Whether the bytes begin as a GraphDef does: field 1, a node of some length, whose own field 1 is a printable name.
fn is_graph_def(bytes: &[u8]) -> bool {
    let Some((&0x0a, rest)) = bytes.split_first() else {
        return false;
    };
    let length = rest.iter().take(5).position(|byte| byte & 0x80 == 0);
    let Some([0x0a, count, name @ ..]) = length.and_then(|length| rest.get(length + 1..)) else {
        return false;
    };
    let name = name.get(..usize::from(*count)).unwrap_or_default();
    !name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_node_with_a_name_is_a_graph() {
        assert!(super::is_graph_def(b"\x0a\x10\x0a\x05input\x12\x0bPlaceholder"));
        assert!(!super::is_graph_def(b"\x89HDF\r\n\x1a\n"));
        assert!(!super::is_graph_def(b"\x0a"));
        assert!(!super::is_graph_def(b""));
    }
}
