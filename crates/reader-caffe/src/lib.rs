//! Reads trained Caffe networks into the caribou graph.
//!
//! A network is two files: what its layers are, as text (`.prototxt`, [`text`]), and their weights (`.caffemodel`,
//! [`weights`]), which belong to layers by name. [`net`] brings the text into one form, whatever age its words are, with
//! the layers of one phase; [`build`] walks these in order and asks the table in [`layers`] for each: one row a type,
//! one function a row. Nothing in a file is ever executed, and no file but the named ones is opened.

mod build;
mod layers;
mod net;
mod preprocessing;
mod schema;
mod solver;
mod text;
mod weights;

use caribou_ir::{
    Confidence, Findings, Import, LayerTraining, Limits, ReadError, ReadOptions, Reader, Source, Training,
};
use net::State;
pub use preprocessing::{Apply, Preprocessing};
use schema::{NetParameter, SolverParameter};
use text::Unknown;
use weights::Weights;

/// Reads Caffe networks.
#[derive(Debug, Clone, Default)]
pub struct CaffeReader {
    /// Whether the layers of the phase TRAIN are taken, and not those of TEST.
    pub training: bool,
    /// The level that `min_level` and `max_level` of rules are compared with.
    pub level: i32,
    /// The stages that rules ask for.
    pub stages: Vec<String>,
    /// The solver that the network was trained with (`solver.prototxt`).
    pub solver: Option<Source>,
    /// What the data layers do to the first input.
    pub preprocessing: Preprocessing,
}

impl Reader for CaffeReader {
    fn name(&self) -> &'static str {
        "caffe"
    }

    fn takes_weights(&self) -> bool {
        true
    }

    fn probe(&self, source: &Source) -> Confidence {
        if Kind::of(source) != Kind::Unknown {
            Confidence::Yes
        } else {
            Confidence::No
        }
    }

    fn read(&self, source: &Source, options: &ReadOptions) -> Result<Import, ReadError> {
        let damaged = |message: String, help: &str| ReadError::Format {
            path: source.path().to_path_buf(),
            message,
            help: help.into(),
        };
        let mut findings = Findings::new();
        let parsed = match Kind::of(source) {
            Kind::Network => weights::network(source, &options.limits, &mut findings)
                .map_err(|error| damaged(error.to_string(), TEXT)),
            Kind::Weights => Err(damaged(
                "it holds the weights of a network, and not its layers".into(),
                TEXT,
            )),
            Kind::Blob => Err(damaged(
                "it holds one array of numbers, such as a mean image, and no network".into(),
                MEAN,
            )),
            // Whoever names such a file as a network wants to know where it stops being one.
            Kind::Unknown if !is_text(source.bytes()) => {
                weights::network(source, &options.limits, &mut findings)
                    .map_err(|error| damaged(error.to_string(), BINARY))
            }
            Kind::Text | Kind::Unknown => {
                text::parse::<NetParameter>(source.bytes(), "NetParameter", &options.limits)
                    .map_err(|error| damaged(error.to_string(), NETWORK))
            }
        }?;
        let foreign = parsed.unknown.first().map(Unknown::to_string);
        let state = State {
            training: self.training,
            level: self.level,
            stages: self.stages.clone(),
        };
        let net = net::normalize(parsed, &state, options.strict, &mut findings);
        let ends = |message: &str| match is_text(source.bytes()) {
            true => text::at_end(source.bytes(), message).to_string(),
            false => format!("byte {}: {message}", source.bytes().len()),
        };
        if net.layers.is_empty() {
            let message = match foreign {
                Some(foreign) => format!("{foreign}; the network has no layers in this phase"),
                None => ends("the file ends, and the network has no layers in this phase"),
            };
            return Err(damaged(message, NETWORK));
        }
        let own = Some(source).filter(|source| Kind::of(source) == Kind::Network);
        let weights = match source.weights().or(own) {
            Some(file) => Weights::open(file, &options.limits, &mut findings).map_err(|error| {
                ReadError::Format {
                path: file.path().to_path_buf(),
                message: error.to_string(),
                help:
                    "expected the weights of a Caffe network (.caffemodel); check that the file arrived whole"
                        .into(),
            }
            })?,
            None if options.untrained => Weights::Untrained,
            None => Weights::none(),
        };
        weights.report_unused(&net, &mut findings);
        let goes_on = self.solver.is_some();
        let given = &self.preprocessing;
        let mut built = build::build(&net, &weights, options, given, goes_on, &mut findings);
        if built.graph.outputs().is_empty() && !findings.has_errors() && !options.cut_unsupported {
            let message = ends("the file ends, and no layer of the network computes anything of an input");
            return Err(damaged(message, NETWORK));
        }
        let mut training = self.training(&net, options, &mut findings)?;
        if let Some(training) = &mut training {
            training.losses = std::mem::take(&mut built.losses);
        }
        if findings.has_errors() {
            return Err(ReadError::Refused {
                path: source.path().to_path_buf(),
                findings,
                rest: built.rest,
            });
        }
        Ok(Import {
            graph: built.graph,
            findings,
            training,
            normalizer: built.normalizer,
            format: match net.version {
                2 => format!("Caffe network {}", net.name).trim_end().to_owned(),
                old => format!("Caffe network {} in the words of V{old}", net.name),
            },
        })
    }
}

impl CaffeReader {
    /// What the solver says, where there is one.
    fn training(
        &self,
        net: &net::Net,
        options: &ReadOptions,
        findings: &mut Findings,
    ) -> Result<Option<Training>, ReadError> {
        let baked = self.preprocessing.apply == Apply::Bake;
        let Some(file) = &self.solver else {
            let mut training = Training::default();
            keep_preprocessing(&mut training);
            return Ok(baked.then_some(training));
        };
        let parsed = text::parse::<SolverParameter>(file.bytes(), "SolverParameter", &options.limits);
        let parsed = parsed.map_err(|error| ReadError::Format {
            path: file.path().to_path_buf(),
            message: error.to_string(),
            help: "expected a solver of Caffe as text".into(),
        })?;
        net::report(&parsed.unknown, &[], options.strict, findings);
        let solver = solver::Solver {
            says: &parsed.message,
            text: file.bytes(),
        };
        let mut training = solver::training(&solver, net, findings);
        if baked {
            keep_preprocessing(&mut training);
        }
        Ok(Some(training))
    }
}

/// What is done to images stays as it is in training.
fn keep_preprocessing(training: &mut Training) {
    let frozen = LayerTraining {
        frozen: true,
        ..LayerTraining::default()
    };
    training.layers.insert(preprocessing::LAYER.to_owned(), frozen);
}

const NETWORK: &str = "expected a network as text, as Caffe reads it";
const TEXT: &str =
    "give the network as text, and this file with --weights: deploy.prototxt --weights net.caffemodel";
const BINARY: &str = "expected a network of Caffe as text (.prototxt) or in binary form (.caffemodel); check that the file arrived whole";
const MEAN: &str = "give the network, and this file with --mean-file";

/// What a file of Caffe holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A network as text.
    Text,
    /// A network in binary form, with its weights.
    Network,
    /// Weights without a network.
    Weights,
    /// One array.
    Blob,
    Unknown,
}

impl Kind {
    fn of(source: &Source) -> Self {
        let limits = Limits::default();
        match () {
            () if is_prototxt(source.bytes()) => Self::Text,
            () if weights::is_network(source) => Self::Network,
            () if weights::is_hdf5_weights(source, &limits) => Self::Weights,
            () if weights::is_blob(source) => Self::Blob,
            () => Self::Unknown,
        }
    }
}

/// Whether the bytes may be text, as far as they are looked at: in any encoding, but without the bytes that no text has.
fn is_text(bytes: &[u8]) -> bool {
    let odd = |byte: &u8| byte.is_ascii_control() && !byte.is_ascii_whitespace() && *byte != 0x0b;
    !bytes[..bytes.len().min(PROBED)].iter().any(odd)
}

/// Bytes that are looked at to tell a network: comments in front of it may be long.
const PROBED: usize = 1 << 18;

/// Whether the bytes are text in which a layer of a network is opened.
fn is_prototxt(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(PROBED)]);
    let text: String = text
        .lines()
        .flat_map(|line| [line.split('#').next().unwrap_or(""), "\n"])
        .collect();
    let opens = text.match_indices("layer").any(|(at, word)| {
        let before = text[..at].chars().next_back();
        let rest = text[at + word.len()..].trim_start_matches('s').trim_start();
        let rest = rest.strip_prefix(':').unwrap_or(rest).trim_start();
        before.is_none_or(|before| before.is_whitespace() || matches!(before, '}' | '>' | ';' | ','))
            && rest.starts_with(['{', '<'])
    });
    opens && !bytes.contains(&0)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_network_has_layers() {
        for text in [
            "name: \"net\"\nlayer {\n  name: \"conv\"\n}\n",
            "layers { type: CONVOLUTION }",
            "name: 'x' layer: < name: 'y' >",
            "input: \"data\" layer\n{\n}",
        ] {
            assert!(super::is_prototxt(text.as_bytes()), "{text}");
        }
        assert!(!super::is_prototxt(b"layer by layer"));
        assert!(!super::is_prototxt(b"{\"layers\": [{\"class_name\": 1}]}"));
        assert!(!super::is_prototxt(b"layer {\0}"));
        assert!(!super::is_prototxt(b"\xff\xfe"));
    }
}
