//! Writes the caribou graph as a DeepLearning4j archive that stock `ModelSerializer` restores.
//!
//! [`format`](mod@format) describes the archive, for readers too; `lower` turns operators into layers and vertices;
//! `archive` streams the parameters into the zip, so that no more than a block of them is in memory at a time.

mod archive;
pub mod format;
mod lower;

pub use lower::ArchiveLayout;

use caribou_ir::{Report, Sink, ValidGraph, WriteError, WriteOptions, Writer};

/// How the parameters are stored in the zip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// As they are: deflating trained numbers costs much time for a few percent.
    #[default]
    Auto,
    /// As they are.
    Stored,
    /// Deflated.
    Deflate,
}

/// Writes archives.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dl4jWriter {
    /// The axis orders of inputs and outputs.
    pub layout: ArchiveLayout,
    /// How parameters are stored.
    pub compression: Compression,
}

impl Writer for Dl4jWriter {
    fn write(
        &self,
        model: &ValidGraph,
        sink: &mut dyn Sink,
        options: &WriteOptions,
    ) -> Result<Report, WriteError> {
        let network =
            lower::lower(model, self.layout, options.training.as_ref()).map_err(WriteError::Refused)?;
        archive::write(model, network, sink, self.compression)
    }
}
