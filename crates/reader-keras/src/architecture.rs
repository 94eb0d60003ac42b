//! The architecture of a model: in an HDF5 file beside the weights, or alone in a JSON file.

use caribou_ir::Limits;

/// Whether these are the bytes of `model.to_json()`: an object that names a class.
pub(crate) fn is_json(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let begins = text
        .iter()
        .find(|byte| !byte.is_ascii_whitespace())
        .is_some_and(|&byte| byte == b'{');
    // The class stands in front in every version; a text that holds none within this is no model.
    let head = &text[..text.len().min(1 << 16)];
    begins && head.windows(12).any(|window| window == b"\"class_name\"")
}

/// The text of a JSON file.
///
/// # Errors
/// When it is larger than the limit, or no UTF-8.
pub(crate) fn text<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, String> {
    if bytes.len() > limits.text_bytes {
        return Err(format!(
            "{} bytes of JSON, the limit is {}",
            bytes.len(),
            limits.text_bytes
        ));
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(text) {
        Ok(text) => Ok(text),
        Err(error) => Err(format!("it is no UTF-8: {error}")),
    }
}
