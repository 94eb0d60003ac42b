//! Reads trained Keras models into the caribou graph.
//!
//! A Keras 2 `.h5` file holds the architecture as JSON in the attribute `model_config` ([`config`]) and the weights
//! as one HDF5 group a layer ([`weights`]). [`build`] walks the architecture in the order of its calls and asks the
//! table in [`layers`] for each layer: one row a class, one function a row. Nothing in a file is ever executed, and
//! no file but the named one is opened.
//!
//! A reader is faithful: it keeps every attribute and says all that it does not know at once. What DL4J can't do is
//! for the writer to refuse.

mod activation;
mod build;
mod config;
mod hdf5;
mod layers;
mod training;
mod weights;

use caribou_ir::{Confidence, Import, ReadError, ReadOptions, Reader, Source};
use hdf5::{Hdf5Error, ModelFile};

/// The first bytes of every HDF5 file.
const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Reads Keras models.
#[derive(Debug, Clone, Copy, Default)]
pub struct KerasReader;

impl Reader for KerasReader {
    fn name(&self) -> &'static str {
        "keras"
    }

    fn probe(&self, source: &Source) -> Confidence {
        // HDF5 allows a user block of 512, 1024, … bytes before the signature.
        let bytes = source.bytes();
        let offsets = std::iter::once(0).chain((9..20).map(|power| 1usize << power));
        let hdf5 = offsets
            .take_while(|&at| at < bytes.len())
            .any(|at| bytes[at..].starts_with(SIGNATURE));
        if hdf5 || is_keras_archive(bytes) {
            Confidence::Yes
        } else {
            Confidence::No
        }
    }

    fn read(&self, source: &Source, options: &ReadOptions) -> Result<Import, ReadError> {
        let path = || source.path().to_path_buf();
        if is_keras_archive(source.bytes()) {
            return Err(ReadError::NotYetSupported {
                path: path(),
                what: "the .keras archives of Keras 3".into(),
            });
        }
        let damaged = |error: Hdf5Error| ReadError::Format {
            path: path(),
            message: error.to_string(),
            help: "save the model again with model.save('model.h5') and check that the file arrived whole"
                .into(),
        };
        let file = ModelFile::open(source, &options.limits).map_err(damaged)?;
        let root = file.root().map_err(damaged)?;
        let version = root.text("keras_version").map_err(damaged)?;
        let Some(text) = root.text("model_config").map_err(damaged)? else {
            let members = root.members().map_err(damaged)?;
            let found: Vec<&str> = members.groups.iter().take(6).map(String::as_str).collect();
            return Err(ReadError::Format {
                path: path(),
                message: format!(
                    "the file has no model_config attribute: it holds weights only, or no Keras model (its groups: {})",
                    found.join(", ")
                ),
                help: "save the whole model with model.save('model.h5'), not save_weights".into(),
            });
        };
        let version = version.unwrap_or_else(|| "2".into());
        if let Some(what) = not_yet(&version) {
            return Err(ReadError::NotYetSupported {
                path: path(),
                what: format!("{what} (keras_version is {version})"),
            });
        }
        let model = config::parse_model(&text, &options.limits).map_err(|error| ReadError::Format {
            path: path(),
            message: format!("model_config: {error}"),
            help: "the architecture in this file is damaged; save the model again".into(),
        })?;
        let built = build::build(&model, &root, &options.limits);
        let build::Built {
            graph,
            mut findings,
            weights,
        } = match built {
            Ok(built) => built,
            Err(findings) => {
                return Err(ReadError::Refused {
                    path: path(),
                    findings,
                });
            }
        };
        let training = match root.text("training_config") {
            Ok(Some(text)) => training::parse(&text, &graph, &mut findings),
            _ => None,
        };
        let training = training.map(|mut training| {
            training::go_on(&mut training, &root, &weights, &mut findings);
            training
        });
        Ok(Import {
            graph,
            findings,
            training,
            format: format!("Keras {version} HDF5"),
        })
    }
}

/// Whether these are the bytes of a zip that holds a Keras model: its first entry is one of the three that
/// `.keras` files have.
fn is_keras_archive(bytes: &[u8]) -> bool {
    let name = bytes.get(30..60).unwrap_or_default();
    bytes.starts_with(b"PK\x03\x04")
        && [&b"metadata.json"[..], b"config.json", b"model.weights.h5"]
            .iter()
            .any(|entry| name.starts_with(entry))
}

/// The versions of Keras that are not read yet.
fn not_yet(version: &str) -> Option<&'static str> {
    match version.split('.').next() {
        Some("1") => Some("files of Keras 1"),
        Some("3") => Some("files of Keras 3"),
        _ => None,
    }
}
