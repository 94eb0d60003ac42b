//! Word vectors (word2vec, GloVe, fastText) for DeepLearning4j.
//! This version holds the entry point only.

/// What a later version brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotYetSupported;

impl std::fmt::Display for NotYetSupported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not yet supported by this version of caribou-word-vectors")
    }
}

impl std::error::Error for NotYetSupported {}

/// Reads the words of a file with their vectors.
///
/// # Errors
/// Always, in this version.
pub fn read(_source: &caribou_ir::Source) -> Result<Vec<(String, Vec<f32>)>, NotYetSupported> {
    Err(NotYetSupported)
}
