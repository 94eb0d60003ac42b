//! The files of TensorFlow, each brought into one [`Program`].

mod frozen;
mod wire;

use crate::program::Program;
use caribou_ir::{Confidence, Limits, Source};

/// How sure it is that a file is one of TensorFlow's.
pub(crate) fn probe(source: &Source) -> Confidence {
    match is_graph_def(source.bytes()) {
        true => Confidence::Maybe,
        false => Confidence::No,
    }
}

/// Reads a file, whatever its form.
///
/// # Errors
/// When it is damaged, or of no form that is known.
pub(crate) fn open(source: &Source, _limits: &Limits) -> Result<Program, String> {
    frozen::read(source)
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
