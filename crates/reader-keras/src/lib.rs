//! Reads trained Keras models into the caribou graph.
//!
//! Every file comes down to the same: the architecture as JSON ([`config`]) and the weights of its layers ([`weights`]).
//! An `.h5` file has the first in the attribute `model_config` and the second as one HDF5 group a layer; a `.keras`
//! file is a zip ([`archive`]) of a `config.json` and an HDF5 file of numbered objects. [`build`] walks the
//! architecture in the order of its calls and asks the table in [`layers`] for each layer: one row a class, one
//! function a row. Nothing in a file is ever executed, and no file but the named one is opened.
//!
//! What differs between the generations of Keras is in few places: how connections are written
//! (`config/connection.rs`), how weights are found (`weights/`), and what a name means ([`version`], [`activation`]).
//!
//! A reader is faithful: it keeps every attribute and says all that it does not know at once. What DL4J can't do is
//! for the writer to refuse.

mod activation;
mod architecture;
mod archive;
mod backend;
mod build;
mod config;
mod hdf5;
mod layers;
mod mask;
mod precision;
mod training;
mod version;
mod weights;

#[cfg(feature = "libhdf5")]
pub use hdf5::compare::{Comparison, compare_libraries};

use caribou_ir::{
    Code, Confidence, Finding, Findings, Import, Limits, ReadError, ReadOptions, Reader, Rest, Severity,
    Source,
};
use config::keras1;
use hdf5::{Group, Hdf5Error, Image, ModelFile};
use serde_json::Value;
use version::Generation;
use weights::WeightStore;

/// An architecture without weights.
const UNTRAINED: Code = Code("K0607");

/// The file was written by a version of Keras that did not exist when this reader was made.
const FUTURE_VERSION: Code = Code("K0608");

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
        if hdf5 || archive::is_archive(bytes) || architecture::is_json(bytes) {
            Confidence::Yes
        } else {
            Confidence::No
        }
    }

    fn takes_weights(&self) -> bool {
        true
    }

    fn read(&self, source: &Source, options: &ReadOptions) -> Result<Import, ReadError> {
        let file = File {
            source,
            limits: &options.limits,
        };
        if archive::is_archive(source.bytes()) {
            file.read_archive()
        } else if architecture::is_json(source.bytes()) {
            file.read_json(options.untrained)
        } else {
            file.read_hdf5()
        }
    }
}

/// A file that is being read.
struct File<'a> {
    source: &'a Source,
    limits: &'a Limits,
}

/// What a file says besides its weights.
struct Described {
    architecture: Value,
    version: Option<String>,
    training: Option<String>,
    container: &'static str,
}

impl Described {
    fn is_keras1(&self) -> bool {
        match &self.version {
            Some(version) => version.starts_with("1."),
            None => keras1::is_keras1(&self.architecture),
        }
    }
}

impl File<'_> {
    fn error(&self, message: impl ToString, help: &str) -> ReadError {
        ReadError::Format {
            path: self.source.path().to_path_buf(),
            message: message.to_string(),
            help: help.to_owned(),
        }
    }

    fn damaged(&self, error: impl ToString) -> ReadError {
        self.error(
            error,
            "save the model again and check that the file arrived whole",
        )
    }

    fn refused(&self, findings: Findings, rest: Option<Box<Rest>>) -> ReadError {
        ReadError::Refused {
            path: self.source.path().to_path_buf(),
            findings,
            rest,
        }
    }

    fn architecture(&self, text: &str, place: &str) -> Result<Value, ReadError> {
        config::document(text, self.limits).map_err(|error| self.damaged(format!("{place}: {error}")))
    }

    /// `model.to_json()`: the weights are in another file, or nowhere.
    fn read_json(&self, untrained: bool) -> Result<Import, ReadError> {
        let text = architecture::text(self.source.bytes(), self.limits);
        let described = Described {
            architecture: self.architecture(text.map_err(|error| self.damaged(error))?, "JSON")?,
            version: None,
            training: None,
            container: "JSON",
        };
        match self.source.weights() {
            Some(weights) => self.read_weights(weights, described),
            None if untrained => {
                let message =
                    "the model has no weights: zeros are written, and ones for variances and scales";
                let warning = Finding::new(Severity::Warning, UNTRAINED, None, message);
                self.import(described, WeightStore::Untrained, None, Findings::from(warning))
            }
            None => Err(self.error(
                "the file holds an architecture and no weights",
                "give the weights with --weights FILE, or --untrained for a network that is to be trained",
            )),
        }
    }

    fn read_hdf5(&self) -> Result<Import, ReadError> {
        let damaged = |error: Hdf5Error| self.damaged(error);
        let file = ModelFile::open(Image::whole(self.source), self.limits).map_err(damaged)?;
        let root = file.root().map_err(damaged)?;
        let Some(text) = root.text("model_config").map_err(damaged)? else {
            let members = root.members().map_err(damaged)?;
            let found: Vec<&str> = members.groups.iter().take(6).map(String::as_str).collect();
            return Err(self.error(
                format!(
                    "the file has no model_config attribute: it holds weights only, or no Keras model (its groups: {})",
                    found.join(", ")
                ),
                "give the architecture with --config MODEL.json (model.to_json()), or save the whole model with model.save",
            ));
        };
        let described = Described {
            architecture: self.architecture(&text, "model_config")?,
            version: root.text("keras_version").map_err(damaged)?,
            training: root.text("training_config").ok().flatten(),
            container: "HDF5",
        };
        match self.source.weights() {
            Some(weights) => self.read_weights(weights, described),
            None => self.with_weights(root, described),
        }
    }

    /// A `.keras` file.
    fn read_archive(&self) -> Result<Import, ReadError> {
        let archive = archive::open(self.source, self.limits).map_err(|error| self.damaged(error))?;
        let described = Described {
            architecture: self.architecture(&archive.config, "config.json")?,
            version: Some(archive.version),
            training: training::of_archive(&archive.config),
            container: "archive",
        };
        if let Some(weights) = self.source.weights() {
            return self.read_weights(weights, described);
        }
        let damaged = |error: Hdf5Error| self.damaged(format!("model.weights.h5: {error}"));
        let file = ModelFile::open(archive.weights, self.limits).map_err(damaged)?;
        let store = WeightStore::Numbered(file.root().map_err(damaged)?);
        self.import(described, store, None, Findings::new())
    }

    /// The weights are in a file of their own.
    fn read_weights(&self, weights: &Source, described: Described) -> Result<Import, ReadError> {
        let other = File {
            source: weights,
            limits: self.limits,
        };
        let damaged = |error: Hdf5Error| other.damaged(error);
        let file = ModelFile::open(Image::whole(weights), self.limits).map_err(damaged)?;
        other.with_weights(file.root().map_err(damaged)?, described)
    }

    fn with_weights(&self, root: Group<'_>, mut described: Described) -> Result<Import, ReadError> {
        let damaged = |error: Hdf5Error| self.damaged(error);
        let backend = root.text("backend").map_err(damaged)?;
        let numbered = root.group("layers").map_err(damaged)?.is_some()
            && root.strings("layer_names").map_err(damaged)?.is_none();
        let store = if described.is_keras1() {
            let home = root.group("model_weights").map_err(damaged)?;
            let names = home.as_ref().unwrap_or(&root).strings("layer_names");
            let names = names.map_err(damaged)?.unwrap_or_default();
            keras1::name_models(&mut described.architecture, &names);
            WeightStore::Keras1(root)
        } else if numbered {
            WeightStore::Numbered(root)
        } else {
            WeightStore::ByName(root)
        };
        self.import(described, store, backend, Findings::new())
    }

    fn import(
        &self,
        mut described: Described,
        store: WeightStore<'_>,
        backend: Option<String>,
        mut findings: Findings,
    ) -> Result<Import, ReadError> {
        let stated = described
            .architecture
            .get("keras_version")
            .and_then(Value::as_str);
        let version = described.version.clone().or_else(|| stated.map(str::to_owned));
        let version = if described.is_keras1() {
            keras1::upgrade(&mut described.architecture, &mut findings);
            version.unwrap_or_else(|| "1".into())
        } else {
            // Keras 3 writes the module of each class, and no version into the JSON of an architecture.
            let assumed = described.architecture.get("module").map_or("2", |_| "3");
            version.unwrap_or_else(|| assumed.into())
        };
        if version::is_future(&version) {
            let message = format!(
                "Keras {version} is newer than this reader: the file was read by the rules of Keras 3"
            );
            findings.push(Finding::new(Severity::Note, FUTURE_VERSION, None, message));
        }
        let generation = Generation::of(&version);
        let model = config::parse_document(&described.architecture)
            .map_err(|error| self.damaged(format!("model_config: {error}")))?;
        backend::check(&model, backend.as_deref(), &mut findings);
        precision::note(&model, &mut findings);
        let store = store
            .placed(&model, generation)
            .map_err(|error| self.damaged(error))?;
        let built = match build::build(&model, &store, generation, self.limits) {
            Ok(built) => built,
            Err(unreadable) => {
                findings.extend(unreadable.findings);
                return Err(self.refused(findings, Some(unreadable.rest)));
            }
        };
        findings.extend(built.findings);
        if findings.has_errors() {
            return Err(self.refused(findings, None));
        }
        let graph = built.graph;
        let training = described
            .training
            .and_then(|text| training::parse(&text, &graph, &mut findings));
        let known = training.is_some() || !built.training.is_empty();
        let (mut training, extra) = training.unwrap_or_default();
        training.layers = built.training;
        training::go_on(&mut training, &extra, &store, &built.weights, &mut findings);
        let training = known.then_some(training);
        Ok(Import {
            graph,
            findings,
            training,
            normalizer: None,
            format: format!("Keras {version} {}", described.container),
        })
    }
}
