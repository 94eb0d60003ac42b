//! Reads Caffe networks (.prototxt, .caffemodel) into the caribou graph. This version recognises the text files and
//! says so; reading them comes with a later one.

use caribou_ir::{Confidence, Import, ReadError, ReadOptions, Reader, Source};

/// Reads Caffe networks.
#[derive(Debug, Clone, Copy, Default)]
pub struct CaffeReader;

impl Reader for CaffeReader {
    fn name(&self) -> &'static str {
        "caffe"
    }

    fn probe(&self, source: &Source) -> Confidence {
        if is_prototxt(source.bytes()) {
            Confidence::Yes
        } else {
            Confidence::No
        }
    }

    fn read(&self, source: &Source, _options: &ReadOptions) -> Result<Import, ReadError> {
        Err(ReadError::NotYetSupported {
            path: source.path().to_path_buf(),
            what: "Caffe networks".into(),
        })
    }
}

/// Whether the bytes are text in which a line opens a layer of a network.
fn is_prototxt(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(&bytes[..bytes.len().min(1 << 16)]) else {
        return false;
    };
    text.lines().map(str::trim).any(|line| {
        ["layer", "layers"].iter().any(|word| {
            line.strip_prefix(word)
                .is_some_and(|rest| rest.trim_start().starts_with('{'))
        })
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_network_has_layers() {
        assert!(super::is_prototxt(
            b"name: \"net\"\nlayer {\n  name: \"conv\"\n}\n"
        ));
        assert!(super::is_prototxt(b"layers { type: CONVOLUTION }"));
        assert!(!super::is_prototxt(b"layer by layer"));
        assert!(!super::is_prototxt(b"\xff\xfe"));
    }
}
