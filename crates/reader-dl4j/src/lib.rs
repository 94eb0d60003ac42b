//! Reads DeepLearning4j archives into the caribou graph.
//!
//! The archive is described by `caribou_writer_dl4j::format`. Values are in DL4J's own axis orders: each layer is read
//! as what stock DL4J computes for the array that it gets, so that an archive that was written wrongly is found out.
//! Nothing in an archive is deserialised as a Java object.

mod archive;
mod build;
mod inputs;
mod layers;
mod parameters;
mod rows;
mod shapes;
mod still;
mod training;

use caribou_ir::{
    Code, Confidence, Finding, Findings, Import, Limits, Normalizer, Origin, ReadError, ReadOptions, Reader,
    Severity, Source, Tensor,
};
use caribou_writer_dl4j::format::{QuantizationEntry, read_normalizer};

pub use still::still;

/// Whether a node is no layer of an archive but a field of one, under a name that is made of its name.
pub fn is_field(origin: &Origin) -> bool {
    [build::PREPROCESSOR, layers::FIELD_OF_DROPOUT].contains(&&*origin.kind)
}

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
        let archive = archive::open(source, &options.limits, options.training_state)?;
        let (graph, mut findings, parameters) =
            inputs::network(&archive, options).map_err(|message| ReadError::Format {
                path: source.path().to_path_buf(),
                message,
                help: "give --input NAME=SHAPE for one of these".into(),
            })?;
        if archive.holds_java_object {
            findings.push(
                Finding::new(
                    Severity::Warning,
                    JAVA_OBJECT,
                    None,
                    "the archive holds preprocessor.bin, which DL4J deserialises as a Java object",
                )
                .with_help("do not load this archive in DL4J unless you trust where it comes from"),
            );
        }
        if let Some(entry) = &archive.quantization {
            findings.push(Finding::new(Severity::Note, QUANTIZED, None, quantized(entry)));
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
        let mut training = training::training(&archive.configuration, &mut findings);
        if let (Some(training), Some(state)) = (&mut training, archive.state) {
            let known = state.and_then(|state| {
                let (taken, copied) = (&parameters.taken, &parameters.copied);
                training::state::parameters(&archive.configuration, taken, copied, &state)
            });
            match known {
                Ok(known) => training.state.get_or_insert_default().parameters = known,
                Err(reason) => {
                    let message = format!(
                        "what the optimiser remembers (updaterState.bin) is not carried over: {reason}; training starts anew from there"
                    );
                    findings.push(Finding::new(Severity::Warning, STATE, None, message));
                }
            }
        }
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

/// An entry that DL4J would deserialise as a Java object.
const JAVA_OBJECT: Code = Code("D0304");
/// An optimiser's state that is not carried over.
const STATE: Code = Code("D0309");

/// What the quantized parameters of an archive stand for, and all its parameters; `None` where it is not quantized.
///
/// # Errors
/// When the archive is damaged, or its entry names no scales, or parameters that are not there.
pub fn quantization(
    source: &Source,
    limits: &Limits,
) -> Result<Option<(QuantizationEntry, Tensor)>, ReadError> {
    let archive = archive::open(source, limits, false)?;
    Ok(archive.quantization.map(|entry| (entry, archive.parameters)))
}

/// Parameters whose values lie on grids.
const QUANTIZED: Code = Code("D0311");

/// The grids of an archive in one line.
fn quantized(entry: &QuantizationEntry) -> String {
    let mut bits: Vec<u32> = entry.parameters.iter().map(|block| block.bits()).collect();
    bits.sort_unstable();
    bits.dedup();
    let elements: usize = entry.parameters.iter().map(|block| block.elements).sum();
    format!(
        "{elements} parameters in {} blocks are values of grids of {bits:?} bits; caribou/quantization.json tells which",
        entry.parameters.len()
    )
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
