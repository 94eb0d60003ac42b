//! Protobuf's text form (`.pbtxt`). A scan of the structure covers the fields that are not declared with blanks; what is
//! left is read by `prost-reflect`, whose errors still point at the right place.

mod scan;

use crate::schema;
use caribou_ir::Limits;
use miette::Diagnostic;
use prost_reflect::DynamicMessage;

/// Bytes that are looked at to tell a text.
const PROBED: usize = 1 << 16;

/// The name of the first field of a text, if it is one: what message it holds.
pub(super) fn first_field(bytes: &[u8]) -> Option<&str> {
    let head = &bytes[..bytes.len().min(PROBED)];
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let text = head.utf8_chunks().next()?.valid();
    let line = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'))?;
    let end = line
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .unwrap_or(line.len());
    let rest = line[end..].trim_start();
    let opens = rest.is_empty() || rest.starts_with(['{', ':', '<']);
    (end > 0 && opens && !head.contains(&0)).then_some(&line[..end])
}

/// Reads a text that holds one message `tensorflow.<name>`.
///
/// # Errors
/// When it is none, with line and column.
pub(super) fn decode<M: prost::Message + Default>(
    bytes: &[u8],
    name: &str,
    limits: &Limits,
) -> Result<M, String> {
    if bytes.len() > limits.text_bytes {
        return Err(format!(
            "the text has {} bytes, the limit is {} (--limit text-bytes=NUMBER)",
            bytes.len(),
            limits.text_bytes
        ));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("{}: it is not text in UTF-8", place(bytes, error.valid_up_to())))?;
    let descriptor = schema::descriptor(name).ok_or_else(|| format!("there is no message {name}"))?;
    let covered = scan::covered(text, &descriptor, limits)
        .map_err(|(at, message)| format!("{}: {message}", place(bytes, at)))?;
    let read = DynamicMessage::parse_text_format(descriptor, &covered).map_err(|error| {
        let at = error
            .labels()
            .and_then(|mut labels| labels.next())
            .map_or(0, |label| label.offset());
        format!("{}: {error}", place(bytes, at))
    })?;
    drop(covered);
    read.transcode_to::<M>().map_err(|error| error.to_string())
}

/// Line and column of a byte, both counted from one.
fn place(bytes: &[u8], offset: usize) -> String {
    let before = &bytes[..offset.min(bytes.len())];
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    let start = before
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    format!("line {line}, column {}", before.len() - start + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::GraphDef;
    use crate::schema::attr_value::Value;

    fn graph(text: &str) -> Result<GraphDef, String> {
        decode(text.as_bytes(), "GraphDef", &Limits::default())
    }

    #[test]
    fn a_graph_is_read_past_fields_that_are_not_declared() {
        let text = "# a graph\nnode {\n  name: \"x\" op: 'Con' 'st'\n  experimental_debug_info { original_node_names: \"}\" n: [1, 2] }\n\
                    attr { key: \"value\" value { tensor { dtype: DT_FLOAT tensor_shape { dim { size: 2 } } \
                    tensor_content: \"\\000\\000\\200?\\n\\377\\x01\\\"\" } } }\n}\nlibrary < >\nfuture: -1.5e3\nversions { producer: 1 other { a: inf } }";
        let graph = graph(text).unwrap();
        assert_eq!(graph.node[0].op, "Const");
        let Some(Value::Tensor(tensor)) = &graph.node[0].attr["value"].value else {
            unreachable!("{graph:?}")
        };
        assert_eq!(&tensor.tensor_content[..], b"\0\0\x80?\n\xff\x01\"");
        assert_eq!(graph.versions.unwrap().producer, 1);
    }

    #[test]
    fn errors_have_their_place() {
        let at = |text: &str| graph(text).unwrap_err();
        assert!(at("node {\n name: \"x\"\n").starts_with("line 1, column 6: "));
        assert!(at("node {\n name: 5 }").starts_with("line 2, column 8: "));
        assert!(at("node {\n name: \"x }").starts_with("line 2, column 8: "));
        assert!(at("node { } }").starts_with("line 1, column 10: "));
        assert!(at(&("node { ".to_owned() + &"a { ".repeat(5000))).contains("nested deeper"));
    }

    #[test]
    fn a_text_is_told_by_its_first_field() {
        assert_eq!(first_field(b"# x\n\nnode {"), Some("node"));
        assert_eq!(
            first_field(b"saved_model_schema_version: 1"),
            Some("saved_model_schema_version")
        );
        assert_eq!(first_field(b"node by node"), None);
        assert_eq!(first_field(b"\x0a\x10\x0a\x05input"), None);
        assert_eq!(first_field(b""), None);
    }
}
