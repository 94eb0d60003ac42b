//! Graph passes that make trained networks smaller: clipping, magnitude pruning, per-channel quantization.
//! This version holds the entry point only.

pub mod kernels;

/// What a later version brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotYetSupported;

impl std::fmt::Display for NotYetSupported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not yet supported by this version of caribou-optimize")
    }
}

impl std::error::Error for NotYetSupported {}

/// Makes a trained graph smaller.
///
/// # Errors
/// Always, in this version.
pub fn optimize(_graph: &caribou_ir::Graph) -> Result<caribou_ir::Graph, NotYetSupported> {
    Err(NotYetSupported)
}
