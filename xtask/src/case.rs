//! Recorded cases: a model, inputs, and the outputs that its own framework computed.

use crate::Failure;
use caribou_ir::{ReadOptions, Reader, Source};
use caribou_reader_caffe::{Apply, CaffeReader, Preprocessing};
use caribou_reader_keras::KerasReader;
use caribou_reader_tf::{Binding, InputChoice, TensorflowReader};
use ndarray::ArrayD;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// How a framework's models lie in the folders of their cases.
struct Framework {
    /// The names that a model may have.
    models: &'static [&'static str],
    /// The names that a second file with its weights may have.
    weights: &'static [&'static str],
    reader: fn(&Case) -> std::io::Result<Box<dyn Reader>>,
}

/// All frameworks; a case belongs to the first whose model it has.
const FRAMEWORKS: &[Framework] = &[
    Framework {
        models: &["model.h5", "model.keras"],
        weights: &[],
        reader: |_| Ok(Box::new(KerasReader)),
    },
    Framework {
        // A file of weights alone holds the network too.
        models: &["deploy.prototxt", "net.caffemodel"],
        weights: &["net.caffemodel", "net.caffemodel.h5"],
        reader: |case| {
            let solver = case.directory.join("solver.prototxt");
            let preprocessing = case.preprocessing.as_ref();
            Ok(Box::new(CaffeReader {
                training: case.phase.as_deref() == Some("train"),
                level: case.level.unwrap_or(0),
                stages: case.stages.clone().unwrap_or_default(),
                solver: solver.exists().then(|| Source::open(solver)).transpose()?,
                preprocessing: preprocessing
                    .map(|own| own.of(&case.directory))
                    .transpose()?
                    .unwrap_or_default(),
            }))
        },
    },
    Framework {
        models: &[
            "saved_model",
            "graph.pb",
            "graph.pbtxt",
            "model.pb",
            "model.ckpt.meta",
        ],
        weights: &["model.ckpt.index"],
        reader: |case| {
            Ok(Box::new(TensorflowReader {
                inputs: case.feeds.clone().unwrap_or_default(),
                outputs: case.fetches.clone().unwrap_or_default(),
                signature: case.signature.clone(),
                bind: case.bind.clone().unwrap_or_default(),
            }))
        },
    },
];

/// One case, as `case.json` describes it.
#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    pub(crate) case: String,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    /// Largest difference, relative to the largest magnitude of the output.
    pub(crate) tolerance: f64,
    /// `convert` or `refuse`.
    pub(crate) expect: String,
    /// The layer that a refusal must name.
    pub(crate) layer: Option<String>,
    /// Others that it must name at once.
    #[serde(default)]
    pub(crate) layers_too: Vec<String>,
    /// Whether stock DL4J can train the converted network; false where it has a fault of its own.
    #[serde(default = "yes")]
    pub(crate) trains: bool,
    /// The layout, keep or nchw, in which alone it has that fault.
    pub(crate) untrained_in: Option<String>,
    /// The option `--unroll-recurrent` of the conversion.
    pub(crate) unroll_recurrent: Option<usize>,
    /// The option `--cut-unsupported` of the conversion.
    pub(crate) cut_unsupported: Option<bool>,
    /// The options `--input-shape`.
    pub(crate) input_shapes: Option<Vec<Vec<usize>>>,
    /// The option `--phase`.
    pub(crate) phase: Option<String>,
    /// The option `--level`.
    pub(crate) level: Option<i32>,
    /// The options `--stage`.
    pub(crate) stages: Option<Vec<String>>,
    /// The options `--input` of a TensorFlow graph.
    #[serde(default, deserialize_with = "options")]
    pub(crate) feeds: Option<Vec<InputChoice>>,
    /// The options `--output`.
    pub(crate) fetches: Option<Vec<String>>,
    /// The option `--signature`.
    pub(crate) signature: Option<String>,
    /// The options `--bind`.
    #[serde(default, deserialize_with = "options")]
    pub(crate) bind: Option<Vec<Binding>>,
    /// What is done to images in front of the network.
    pub(crate) preprocessing: Option<Transform>,
    /// How the source framework went on training it.
    pub(crate) training: Option<Course>,
    #[serde(skip)]
    pub(crate) directory: PathBuf,
    /// Whether the model is taken to be the Keras file that the case's graph was frozen from.
    #[serde(skip)]
    pub(crate) by_source: bool,
}

/// Options in the words of the command line.
fn options<'de, D, T>(deserializer: D) -> Result<Option<Vec<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: FromStr<Err = String>,
{
    let texts = Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default();
    let parsed: Result<Vec<T>, String> = texts.iter().map(|text| text.parse()).collect();
    parsed.map(Some).map_err(serde::de::Error::custom)
}

/// The preprocessing options of the conversion.
#[derive(Debug, Deserialize)]
pub(crate) struct Transform {
    /// Whether it becomes DL4J's normalizer, and not the first layer.
    #[serde(default)]
    normalizer: bool,
    /// The option `--mean-file`.
    mean_file: Option<PathBuf>,
    /// The options `--mean-value`.
    #[serde(default)]
    mean_values: Vec<f32>,
    /// The option `--input-scale`.
    scale: Option<f32>,
}

impl Transform {
    fn of(&self, directory: &Path) -> std::io::Result<Preprocessing> {
        let mean_file = self.mean_file.as_ref();
        Ok(Preprocessing {
            apply: if self.normalizer {
                Apply::Normalizer
            } else {
                Apply::Bake
            },
            mean_file: mean_file
                .map(|file| Source::open(directory.join(file)))
                .transpose()?,
            mean_values: self.mean_values.clone(),
            scale: self.scale,
        })
    }
}

/// Recorded training: batches, used one after the other and then again, and the loss of each before its step.
#[derive(Debug, Deserialize)]
pub(crate) struct Course {
    /// For each input a file with an array whose first axis counts batches.
    pub(crate) inputs: Vec<String>,
    /// The same for the labels of each output.
    pub(crate) labels: Vec<String>,
    pub(crate) losses: Vec<f64>,
    /// Whether the losses count penalties, as those of Keras do and those of Caffe do not.
    #[serde(default = "yes")]
    pub(crate) penalties: bool,
    /// Largest relative difference of a loss.
    pub(crate) tolerance: f64,
    /// The code of the finding that must say why the losses differ, where they can't be the same in
    /// one of the layouts.
    pub(crate) differs: Option<String>,
}

fn yes() -> bool {
    true
}

/// An input or output.
#[derive(Debug, Deserialize)]
pub(crate) struct Port {
    pub(crate) file: String,
    /// The axes of the recorded array in the order in which the graph has them, where that is another one: examples come
    /// first, and some networks put time there.
    pub(crate) axes: Option<Vec<usize>>,
}

impl Case {
    /// What the reader is asked for.
    pub(crate) fn options(&self) -> ReadOptions {
        ReadOptions {
            cut_unsupported: self.cut_unsupported.unwrap_or(false),
            input_shapes: self
                .input_shapes
                .iter()
                .flatten()
                .map(|shape| shape.iter().copied().map(Some).collect())
                .collect(),
            ..ReadOptions::default()
        }
    }

    /// The model, in the form that the case has it, and who reads it.
    pub(crate) fn model(&self) -> std::io::Result<(Source, Box<dyn Reader>)> {
        let found = |names: &[&str]| {
            let mut paths = names.iter().map(|name| self.directory.join(name));
            paths.find(|path| path.exists())
        };
        if self.by_source {
            return Ok((Source::open(self.source())?, Box::new(KerasReader)));
        }
        for framework in FRAMEWORKS {
            if let Some(model) = found(framework.models) {
                let source = Source::open(model)?;
                let weights = found(framework.weights).filter(|weights| weights != source.path());
                let source = match weights {
                    Some(weights) => source.with_weights(Source::open(weights)?),
                    None => source,
                };
                return Ok((source, (framework.reader)(self)?));
            }
        }
        Err(std::io::Error::new(
            std::io::ErrorKind::NotFound,
            format!("{} has no model", self.directory.display()),
        ))
    }

    /// The Keras file that a graph was frozen from; few cases have it.
    pub(crate) fn source(&self) -> PathBuf {
        self.directory.join("source.h5")
    }

    pub(crate) fn arrays(&self, ports: &[Port]) -> Result<Vec<ArrayD<f32>>, Failure> {
        let read = |port: &Port| -> Result<ArrayD<f32>, Failure> {
            let array: ArrayD<f32> = ndarray_npy::read_npy(self.directory.join(&port.file))?;
            Ok(match &port.axes {
                Some(axes) => array
                    .permuted_axes(axes.clone())
                    .as_standard_layout()
                    .into_owned(),
                None => array,
            })
        };
        ports.iter().map(read).collect()
    }
}

/// The cases of a folder whose names match, by name.
pub(crate) fn cases(folder: &Path, pattern: &str) -> Result<Vec<Case>, Failure> {
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let directory = entry?.path();
        let Ok(text) = std::fs::read_to_string(directory.join("case.json")) else {
            continue;
        };
        let case: Case = serde_json::from_str(&text)?;
        if matches(pattern, &case.case) {
            cases.push(Case { directory, ..case });
        }
    }
    cases.sort_by(|a, b| a.case.cmp(&b.case));
    Ok(cases)
}

/// Whether `name` matches a pattern in which `*` stands for any characters.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((start, rest)) => name.strip_prefix(start).is_some_and(|name| {
            (0..=name.len())
                .filter(|&i| name.is_char_boundary(i))
                .any(|i| matches(rest, &name[i..]))
        }),
    }
}
