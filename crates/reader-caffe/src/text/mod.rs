//! Caffe's text files: protobuf's text format, read in two steps.
//!
//! [`scan`] looks at the structure alone: which field of which message stands where. It knows the descriptors, so it
//! finds the fields that are not declared (those of forks) and covers them with blanks of the same length; what is left
//! is read by `prost-reflect`, whose errors still point at the right place. Fields are found by name, so that the
//! numbers of forks do not matter.

mod scan;

pub(crate) use scan::{TextError, Unknown};

use crate::net::{self, NotFinite};
use crate::schema;
use caribou_ir::{Limits, Place};
use miette::Diagnostic;
use prost_reflect::DynamicMessage;

/// A text file as it was read.
pub(crate) struct Parsed<M> {
    /// What it says.
    pub(crate) message: M,
    /// The places of the entries of the outermost field `layer`, in order.
    pub(crate) layer: Vec<Place>,
    /// The same for `layers`.
    pub(crate) layers: Vec<Place>,
    /// Fields that are not declared.
    pub(crate) unknown: Vec<Unknown>,
    /// Parameters that are NaN or infinite.
    pub(crate) not_finite: Vec<NotFinite>,
}

/// Reads a text file that holds one message `caffe.<name>`.
///
/// # Errors
/// When it is no such message, with the place.
pub(crate) fn parse<M: prost::Message + Default>(
    bytes: &[u8],
    name: &str,
    limits: &Limits,
) -> Result<Parsed<M>, TextError> {
    if bytes.len() > limits.text_bytes {
        return Err(TextError::at_start(format!(
            "the text has {} bytes, the limit is {}",
            bytes.len(),
            limits.text_bytes
        )));
    }
    // Comments in other encodings than UTF-8 are common; no field that matters holds such text.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = String::from_utf8_lossy(bytes);
    let descriptor =
        schema::descriptor(name).ok_or_else(|| TextError::at_start(format!("there is no message {name}")))?;
    let scanned = scan::scan(&text, &descriptor, limits)?;
    let read = DynamicMessage::parse_text_format(descriptor, &scanned.text).map_err(|error| {
        let offset = error
            .labels()
            .and_then(|mut labels| labels.next())
            .map_or(0, |label| label.offset());
        TextError::new(place(&scanned.text, offset), error.to_string())
    })?;
    let not_finite = net::not_finite(&read, &scanned.layer, &scanned.layers);
    let message = read
        .transcode_to::<M>()
        .map_err(|error| TextError::at_start(error.to_string()))?;
    Ok(Parsed {
        message,
        layer: scanned.layer,
        layers: scanned.layers,
        unknown: scanned.unknown,
        not_finite,
    })
}

/// Something that is missing where a text ends.
pub(crate) fn at_end(bytes: &[u8], message: &str) -> TextError {
    let text = String::from_utf8_lossy(bytes);
    TextError::new(place(&text, text.len()), message)
}

/// Line and column of a byte of a text, both counted from one.
fn place(text: &str, offset: usize) -> Place {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|&&byte| byte == b'\n').count();
    let start = before
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |at| at + 1);
    Place::Line {
        line: u32::try_from(line + 1).unwrap_or(u32::MAX),
        column: u32::try_from(before.len() - start + 1).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::NetParameter;

    fn net(text: &str) -> Result<Parsed<NetParameter>, TextError> {
        parse(text.as_bytes(), "NetParameter", &Limits::default())
    }

    #[test]
    fn all_spellings_of_the_text_format_are_read() {
        let text = "# a net\nname: 'a' \"b\"\nlayer: < name: \"c\", type: \"Convolution\";\n\
            convolution_param { kernel_size: [3, 0x5] pad: 1 bias_term: false } >\n\
            layer { name: \"l\" lrn_param { alpha: 1. beta: .75f k: 1e-05 norm_region: WITHIN_CHANNEL } }";
        let net = net(text).unwrap();
        assert_eq!(net.message.name(), "ab");
        let convolution = net.message.layer[0].convolution_param.as_ref().unwrap();
        assert_eq!(convolution.kernel_size, [3, 5]);
        assert!(!convolution.bias_term());
        let lrn = net.message.layer[1].lrn_param.as_ref().unwrap();
        assert_eq!((lrn.alpha(), lrn.beta(), lrn.k()), (1.0, 0.75, 1e-5));
        assert_eq!(net.layer[1], Place::Line { line: 5, column: 1 });
    }

    #[test]
    fn unknown_fields_are_passed_over_with_their_place() {
        let text = "layer {\n  name: \"x\"\n  some_param { a: 1 b { c: \"}\" } }\n  relu_param { other: -1.5 negative_slope: 0.5 }\n}";
        let net = net(text).unwrap();
        let found: Vec<(String, Place)> = net
            .unknown
            .iter()
            .map(|unknown| (unknown.path(), unknown.place))
            .collect();
        assert_eq!(
            found[0],
            ("layer.some_param".into(), Place::Line { line: 3, column: 3 })
        );
        assert_eq!(
            found[1],
            (
                "layer.relu_param.other".into(),
                Place::Line { line: 4, column: 16 }
            )
        );
        assert_eq!(
            net.message.layer[0].relu_param.as_ref().unwrap().negative_slope(),
            0.5
        );
    }

    #[test]
    fn errors_have_their_place() {
        let at = |text: &str| net(text).err().map(|error| error.to_string()).unwrap();
        assert!(at("layer {\n name: \"x\"\n").starts_with("line 1, column 7: "));
        assert!(at("layer {\n name: 5 }").starts_with("line 2, column 8: "));
        assert!(at("layer {\n name: \"x }").starts_with("line 2, column 8: "));
        assert!(at("layer { } }").starts_with("line 1, column 11: "));
        assert!(at("name: \"a\"\nname: \"b\"").starts_with("line 2, column "));
        let deep = "layer { ".to_owned() + &"a { ".repeat(5000);
        assert!(at(&deep).contains("nested deeper"));
    }
}
