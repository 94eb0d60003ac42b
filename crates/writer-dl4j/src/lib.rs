//! Writes the caribou graph as a DeepLearning4j archive that stock `ModelSerializer` restores.
//!
//! [`format`](mod@format) describes the archive, for readers too; `legalize` composes operators that DL4J lacks from
//! those it has; `lower` turns operators into layers and vertices; `archive` writes the zip, into which `stream` brings
//! the parameters, so that no more than a few blocks of them are in memory at a time.

mod archive;
pub mod format;
mod legalize;
mod lower;
mod quantization;
mod stream;

pub use lower::ArchiveLayout;

use caribou_ir::{
    Code, Finding, Findings, Normalizer, Origin, Report, Severity, ShapeError, Sink, ValidGraph, WriteError,
    WriteOptions, Writer,
};

/// A composition that does not fit the shapes of its inputs.
const MISFIT: Code = Code("D0104");

/// A parameter that the source does not have, or not as one that learns.
const EXTRA_PARAMETER: Code = Code("D0114");

/// A normaliser that would treat another axis than the channels.
const NORMALIZER: Code = Code("D0126");

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
    /// Deflated with the most effort, which pays where most numbers are zeros: a twentieth less, in several times the time.
    Smallest,
}

/// Writes archives.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dl4jWriter {
    /// The axis orders of inputs and outputs.
    pub layout: ArchiveLayout,
    /// How parameters are stored.
    pub compression: Compression,
}

impl Dl4jWriter {
    /// What would be refused of `model`. Nothing is written.
    pub fn refusals(&self, model: &ValidGraph, options: &WriteOptions) -> Findings {
        let legal = match legalize::legalize(model, options) {
            Ok(legal) => legal,
            Err(error) => return unsound(&error),
        };
        match lower::lower(&legal, self.layout, options.training.as_ref()) {
            Ok(_) => Findings::new(),
            Err(findings) => findings,
        }
    }
}

impl Writer for Dl4jWriter {
    fn write(
        &self,
        model: &ValidGraph,
        sink: &mut dyn Sink,
        options: &WriteOptions,
    ) -> Result<Report, WriteError> {
        let legal =
            legalize::legalize(model, options).map_err(|error| WriteError::Refused(unsound(&error)))?;
        let mut network =
            lower::lower(&legal, self.layout, options.training.as_ref()).map_err(WriteError::Refused)?;
        network.rewrites.splice(0..0, legal.rewrites);
        network.findings.extend(legal.findings);
        for layer in &mut network.layers {
            if let Some(bound) = layer.source.iter().find_map(|name| legal.inexact.get(name)) {
                layer.exact = false;
                layer.note.clone_from(bound);
            }
        }
        if let Some(finding) = misplaced(options.normalizer.as_ref(), model, &network.inputs) {
            return Err(WriteError::Refused(Findings::from(finding)));
        }
        archive::write(model, network, sink, self.compression, options)
    }
}

/// DL4J's normalisers treat axis 1 as the channels, whatever the network does.
fn misplaced(normalizer: Option<&Normalizer>, model: &ValidGraph, inputs: &[lower::Edge]) -> Option<Finding> {
    let channels = normalizer?.channels()?;
    let (port, edge) = (model.inputs().first()?, inputs.first()?);
    let shape = model.shape(port.value).permuted(&edge.permutation);
    let axis = port.layout.channel_axis(shape.rank())?;
    let place = edge.permutation.iter().position(|&of| of == axis)?;
    let message = match shape.size(1) {
        _ if place != 1 => {
            format!("DL4J's normalizers treat axis 1 as the channels, which the input {shape} has last")
        }
        Some(size) if size != channels => {
            format!("the normalizer has {channels} channels, the input {shape} has {size}")
        }
        _ => return None,
    };
    let origin = Origin::new(port.name.as_str(), "input");
    Some(Finding::error(NORMALIZER, &origin, message).with_help(
        "write the archive with --layout nchw, or make the normalizer its first layer with --bake-preprocessing",
    ))
}

/// The validator lets no graph through whose operators do not fit; a composition that does not is a fault of ours, and
/// is refused rather than written.
fn unsound(error: &ShapeError) -> Findings {
    Findings::from(Finding::new(Severity::Error, MISFIT, None, error.to_string()))
}
