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

use caribou_ir::{Confidence, Finding, Import, ReadError, ReadOptions, Reader, Severity, Source};

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
                    caribou_ir::Code("D0304"),
                    None,
                    "the archive holds preprocessor.bin, which DL4J deserialises as a Java object",
                )
                .with_help("do not load this archive in DL4J unless you trust where it comes from"),
            );
        }
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
            normalizer: None,
            format,
        })
    }
}
