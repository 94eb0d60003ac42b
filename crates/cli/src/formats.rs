//! The formats that are read, found by content.

use crate::failure::Failure;
use caribou_ir::{Confidence, Import, ReadOptions, Reader, Source};
use std::path::Path;

/// All readers.
const READERS: [&dyn Reader; 4] = [
    &caribou_reader_keras::KerasReader,
    &caribou_reader_dl4j::Dl4jReader,
    &caribou_reader_caffe::CaffeReader,
    &caribou_reader_tf::TensorflowReader,
];

/// Maps a model and finds who reads it.
pub(crate) fn open(path: &Path, weights: Option<&Path>) -> Result<(Source, &'static dyn Reader), Failure> {
    let map = |path: &Path| Source::open(path).map_err(|error| Failure::io(path, &error));
    let mut source = map(path)?;
    if let Some(weights) = weights {
        source = source.with_weights(map(weights)?);
    }
    let best = READERS.iter().copied().max_by_key(|reader| reader.probe(&source));
    match best.filter(|reader| reader.probe(&source) > Confidence::No) {
        Some(reader) => Ok((source, reader)),
        None => Err(Failure::Model {
            message: format!("{}: it is of no format that caribou reads", path.display()),
            help: "expected a Keras .h5 file or a DL4J .zip archive".into(),
            findings: caribou_ir::Findings::new(),
        }),
    }
}

/// Reads a model.
pub(crate) fn read(path: &Path, weights: Option<&Path>, options: &ReadOptions) -> Result<Import, Failure> {
    let (source, reader) = open(path, weights)?;
    reader.read(&source, options).map_err(Failure::read)
}
