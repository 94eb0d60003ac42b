//! Reads DeepLearning4j archives into the caribou graph.
//!
//! The archive is described by `caribou_writer_dl4j::format`. Values are in DL4J's own axis orders: each layer is read
//! as what stock DL4J computes for the array that it gets, so that an archive that was written wrongly is found out.
//! Nothing in an archive is deserialised as a Java object.

mod archive;
mod build;
mod layers;
mod parameters;
mod rows;
mod shapes;
mod training;

use caribou_ir::{
    Code, Confidence, Finding, Findings, Import, Normalizer, ReadError, ReadOptions, Reader, Severity, Source,
};
use caribou_writer_dl4j::format::read_normalizer;

/// Reads DL4J archives.
#[derive(Debug, Clone, Copy, Default)]
pub struct Dl4jReader;

impl Reader for Dl4jReader {
    fn name(&self) -> &'static str {
        "dl4j"
    }

    fn probe(&self, source: &Source) -> Confidence {
        if archive::is_archive(source) {
            Confidence::Yes
        } else {
            Confidence::No
        }
    }

    fn read(&self, source: &Source, options: &ReadOptions) -> Result<Import, ReadError> {
        let archive = archive::open(source, &options.limits)?;
        let mut builder = build::Builder::new(archive.parameters);
        builder.network(&archive.configuration, options);
        let (graph, mut findings) = builder.finish();
        if archive.holds_java_object {
            findings.push(
                Finding::new(
                    Severity::Warning,
                    Code("D0304"),
                    None,
                    "the archive holds preprocessor.bin, which DL4J deserialises as a Java object",
                )
                .with_help("do not load this archive in DL4J unless you trust where it comes from"),
            );
        }
        let normalizer = archive
            .normalizer
            .as_deref()
            .and_then(|bytes| normalizer(bytes, &mut findings));
        if findings.has_errors() {
            return Err(ReadError::Refused {
                rest: None,
                path: source.path().to_path_buf(),
                findings,
            });
        }
        let training = training::training(&archive.configuration);
        let format = format!("DeepLearning4j {}", archive.configuration.class());
        Ok(Import {
            graph,
            findings,
            training,
            normalizer,
            format,
        })
    }
}

/// A normaliser that is not carried over, or not whole.
const NORMALIZER: Code = Code("D0307");

/// The normaliser beside the network.
fn normalizer(bytes: &[u8], findings: &mut Findings) -> Option<Normalizer> {
    let mut lost = |message: String| {
        let finding = Finding::new(Severity::Warning, NORMALIZER, None, message);
        findings.push(finding.with_help("carry it over by hand: it is no part of the network"));
    };
    match read_normalizer(bytes) {
        Ok((normalizer, labels)) => {
            if labels {
                lost("the normalizer has statistics of labels too, which are not read".into());
            }
            Some(normalizer)
        }
        Err(error) => {
            lost(format!("normalizer.bin: {error}"));
            None
        }
    }
}
