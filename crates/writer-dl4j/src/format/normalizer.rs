//! `normalizer.bin`: statistics that a program applies to arrays before it feeds them.

use super::array::float_row_header;
use caribou_ir::Normalizer;

/// The entry of DL4J's `NormalizerStandardize` with these statistics, of inputs and not of labels.
pub fn normalizer_entry(normalizer: &Normalizer) -> Vec<u8> {
    let mut bytes = Vec::new();
    text(&mut bytes, "NORMALIZER");
    bytes.extend(1i32.to_be_bytes());
    text(&mut bytes, "STANDARDIZE");
    bytes.push(0);
    for numbers in [&normalizer.mean, &normalizer.deviation] {
        bytes.extend(float_row_header(numbers.len()));
        bytes.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    }
    bytes
}

/// A string as Java's `writeUTF` writes one of ASCII.
fn text(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend((text.len() as u16).to_be_bytes());
    bytes.extend(text.as_bytes());
}
