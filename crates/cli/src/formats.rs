//! The formats that are read, found by content.

use crate::args::{Parts, PhaseChoice};
use crate::failure::Failure;
use crate::normalizer::{Choice, Normalizing};
use caribou_ir::{Confidence, Import, Limits, ReadOptions, Reader, Source};
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

/// The endings of names, and the reader of the format that they stand for.
const ENDINGS: [(&str, &str); 10] = [
    (".prototxt", "caffe"),
    (".caffemodel", "caffe"),
    (".caffemodel.h5", "caffe"),
    (".h5", "keras"),
    (".json", "keras"),
    (".hdf5", "keras"),
    (".keras", "keras"),
    (".pb", "tensorflow"),
    (".pbtxt", "tensorflow"),
    (".zip", "dl4j"),
];

/// The reader of the format that files are called by: the first of them whose name says one.
fn called(files: &[Option<&Path>]) -> Option<&'static str> {
    let names = files.iter().flatten().filter_map(|path| path.file_name());
    let mut names = names.map(|name| name.to_string_lossy().to_ascii_lowercase());
    names.find_map(|name| {
        let ending = ENDINGS.iter().find(|(ending, _)| name.ends_with(ending));
        ending.map(|(_, reader)| *reader)
    })
}

/// Refuses options that only models of other formats have: they would be passed over.
fn check(parts: &Parts, reader: &str, file: &Path) -> Result<(), Failure> {
    let graph = &parts.graph;
    let options: [(&str, bool, &[&str]); 11] = [
        ("--input", !graph.inputs.is_empty(), &["tensorflow", "dl4j"]),
        ("--output", !graph.outputs.is_empty(), &["tensorflow"]),
        ("--signature", graph.signature.is_some(), &["tensorflow"]),
        ("--bind", !graph.bind.is_empty(), &["tensorflow"]),
        ("--phase", parts.phase != PhaseChoice::default(), &["caffe"]),
        ("--level", parts.level != 0, &["caffe"]),
        ("--stage", !parts.stages.is_empty(), &["caffe"]),
        ("--solver", parts.solver.is_some(), &["caffe"]),
        ("--mean-file", parts.mean_file.is_some(), &["caffe"]),
        ("--mean-value", !parts.mean_values.is_empty(), &["caffe"]),
        ("--input-scale", parts.input_scale.is_some(), &["caffe"]),
    ];
    let foreign = options
        .iter()
        .find(|(_, given, formats)| *given && !formats.contains(&reader));
    foreign.map_or(Ok(()), |(option, _, formats)| {
        Err(Failure::Usage(format!(
            "{option}: it is for models of format {}, and {} is of format {reader}",
            formats.join(" or "),
            file.display()
        )))
    })
}

/// A model's files, and who reads them.
pub(crate) struct Opened {
    pub(crate) source: Source,
    pub(crate) reader: Box<dyn Reader>,
}

impl Opened {
    /// The layers of an archive that were composed and never learned; a model of another format has none.
    pub(crate) fn composed(&self, limits: &Limits) -> Result<Vec<String>, Failure> {
        match self.reader.name() {
            "dl4j" => caribou_reader_dl4j::still(&self.source, limits).map_err(Failure::read),
            _ => Ok(Vec::new()),
        }
    }
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
    let called = called(&[Some(first), weights]);
    let found = readers(parts, solver, mean_file).into_iter().map(|reader| {
        let named = called == Some(reader.name());
        ((reader.probe(&source), named), reader)
    });
    // A file that is damaged at its start is of no format by its content: the reader of the format that it is called
    // by tells where it goes wrong.
    let best = found.max_by_key(|(confidence, _)| *confidence);
    let Some((_, reader)) = best.filter(|(confidence, _)| *confidence > (Confidence::No, false)) else {
        return Err(Failure::Model {
            message: format!("{}: it is of no format that caribou reads", first.display()),
            help: "expected a Keras .h5, .keras or .json file, a Caffe .prototxt or .caffemodel, a TensorFlow .pb, .pbtxt or SavedModel \
                   directory, or a DL4J .zip archive"
                .into(),
            findings: caribou_ir::Findings::new(),
        });
    };
    check(parts, reader.name(), first)?;
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
