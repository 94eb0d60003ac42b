//! The formats that are read, found by content.

use crate::args::{Parts, PhaseChoice};
use crate::failure::Failure;
use crate::normalizer::{Choice, Normalizing};
use caribou_ir::{Confidence, Import, ReadOptions, Reader, Source};
use caribou_reader_caffe::{Apply, Preprocessing};
use std::path::Path;

/// All readers.
fn readers(parts: &Parts, solver: Option<Source>, mean_file: Option<Source>) -> [Box<dyn Reader>; 4] {
    [
        Box::new(caribou_reader_keras::KerasReader),
        Box::new(caribou_reader_dl4j::Dl4jReader),
        Box::new(caribou_reader_caffe::CaffeReader {
            training: parts.phase == PhaseChoice::Train,
            level: parts.level,
            stages: parts.stages.clone(),
            solver,
            preprocessing: Preprocessing {
                apply: match (parts.bake_preprocessing, &parts.normalizer) {
                    (true, None | Some(Choice::DataLayer)) => Apply::Bake,
                    (false, Some(Choice::DataLayer)) => Apply::Normalizer,
                    _ => Apply::Outside,
                },
                mean_file,
                mean_values: parts.mean_values.clone(),
                scale: parts.input_scale,
            },
        }),
        Box::new(caribou_reader_tf::TensorflowReader {
            inputs: parts.graph.inputs.clone(),
            outputs: parts.graph.outputs.clone(),
            signature: parts.graph.signature.clone(),
            bind: parts.graph.bind.clone(),
        }),
    ]
}

/// A model's files, and who reads them.
pub(crate) struct Opened {
    pub(crate) source: Source,
    pub(crate) reader: Box<dyn Reader>,
}

/// Maps a model and finds who reads it.
pub(crate) fn open(path: &Path, parts: &Parts) -> Result<Opened, Failure> {
    let map = |path: &Path| Source::open(path).map_err(|error| Failure::io(path, &error));
    let (first, weights) = match &parts.config {
        Some(config) => (config.as_path(), Some(path)),
        None => (path, parts.weights.as_deref()),
    };
    let mut source = map(first)?;
    let solver = parts.solver.as_deref().map(map).transpose()?;
    let mean_file = parts.mean_file.as_deref().map(map).transpose()?;
    let found = readers(parts, solver, mean_file)
        .into_iter()
        .map(|reader| (reader.probe(&source), reader));
    let best = found.max_by_key(|(confidence, _)| *confidence);
    let Some((_, reader)) = best.filter(|(confidence, _)| *confidence > Confidence::No) else {
        return Err(Failure::Model {
            message: format!("{}: it is of no format that caribou reads", first.display()),
            help: "expected a Keras .h5, .keras or .json file, a Caffe .prototxt or .caffemodel, a TensorFlow .pb, .pbtxt or SavedModel \
                   directory, or a DL4J .zip archive"
                .into(),
            findings: caribou_ir::Findings::new(),
        });
    };
    if let Some(weights) = weights {
        if !reader.takes_weights() {
            return Err(Failure::Usage(format!(
                "{}: its format ({}) has no weights in a file of their own",
                first.display(),
                reader.name()
            )));
        }
        source = source.with_weights(map(weights)?);
    }
    let reader: Box<dyn Reader> = match &parts.normalizer {
        Some(Choice::DataLayer) if reader.name() == "caffe" => reader,
        Some(choice) => Box::new(Normalizing {
            reader,
            choice: choice.clone(),
            bake: parts.bake_preprocessing,
        }),
        None if parts.bake_preprocessing && reader.name() != "caffe" => {
            return Err(Failure::Usage(format!(
                "--bake-preprocessing: a file of format {} says nothing of its preprocessing; give --normalizer",
                reader.name()
            )));
        }
        None => reader,
    };
    Ok(Opened { source, reader })
}

/// Reads a model.
pub(crate) fn read(path: &Path, parts: &Parts, options: &ReadOptions) -> Result<Import, Failure> {
    let opened = open(path, parts)?;
    opened.reader.read(&opened.source, options).map_err(Failure::read)
}
