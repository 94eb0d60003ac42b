//! What several commands do with a model.

use crate::failure::Failure;
use caribou_ir::{Graph, Limits, ValidGraph, Validator};
use caribou_runtime::{Array, Session, compare, seeded_inputs};
use std::path::{Path, PathBuf};

/// Checks a graph that was read from `path`.
pub(crate) fn validated(path: &Path, graph: Graph, limits: &Limits) -> Result<ValidGraph, Failure> {
    Validator::new(limits.clone())
        .validate(graph)
        .map_err(|findings| Failure::refused(path, findings))
}

/// Lengths to try where a size is unknown, until every window of the network finds room.
const LENGTHS: [usize; 5] = [7, 16, 33, 64, 224];

/// Seeded inputs that the graph can be run on, with its outputs.
pub(crate) fn seeded_run(
    graph: &ValidGraph,
    samples: usize,
    seed: u64,
) -> Result<(Vec<Array>, Vec<Array>), Failure> {
    let session = Session::new(graph);
    let mut last = String::new();
    for length in LENGTHS {
        let inputs = seeded_inputs(graph, samples, length, seed);
        match session.run(&inputs) {
            Ok(outputs) => return Ok((inputs, outputs)),
            Err(error) => last = error.to_string(),
        }
    }
    Err(Failure::Differ(format!(
        "the source can't be run on seeded inputs: {last}"
    )))
}

/// The largest differences of all outputs: absolute, and relative to the output's largest magnitude.
pub(crate) fn differences(expected: &[Array], found: &[Array]) -> Result<Vec<(f64, f64)>, String> {
    if expected.len() != found.len() {
        return Err(format!("{} outputs against {}", expected.len(), found.len()));
    }
    let pairs = expected.iter().zip(found).enumerate();
    pairs
        .map(|(i, (a, b))| {
            let difference = compare(a, b).map_err(|error| format!("output {i}: {error}"))?;
            Ok((difference.max_abs, difference.max_rel))
        })
        .collect()
}

/// The arrays in these files, as the inputs of a graph in its order.
///
/// # Errors
/// When there are more or fewer than inputs, one can't be read, or is of another shape.
pub(crate) fn arrays(graph: &ValidGraph, files: &[PathBuf], option: &str) -> Result<Vec<Array>, Failure> {
    let ports = graph.inputs();
    if files.len() != ports.len() {
        return Err(Failure::Usage(format!(
            "{option}: the model has {} inputs, {} files were given",
            ports.len(),
            files.len()
        )));
    }
    files
        .iter()
        .zip(ports)
        .map(|(file, port)| {
            let array: Array = ndarray_npy::read_npy(file)
                .map_err(|error| Failure::Usage(format!("{option}: {}: {error}", file.display())))?;
            let shape = graph.shape(port.value);
            let fits = array.ndim() == shape.rank()
                && (0..shape.rank()).all(|axis| match shape.size(axis) {
                    Some(size) => array.shape()[axis] == size,
                    None => array.shape()[axis] > 0,
                });
            match fits {
                true => Ok(array),
                false => Err(Failure::Usage(format!(
                    "{option}: {}: input {} expects an array of shape {shape}, found {:?}",
                    file.display(),
                    port.name,
                    array.shape()
                ))),
            }
        })
        .collect()
}
