//! Whether a frozen graph becomes the layers that the file of Keras becomes which it was frozen from.
//!
//! Beside its graph, such a case has the model as Keras saves it (`source.h5`). Both are converted, and their archives must
//! have the same layers in the same order, with the same hyperparameters, reading the same layers, under the same names, and
//! the same bits as parameters. A graph may put the names of models before those of the layers within. What only training
//! needs a frozen graph does not hold, and it is not compared: dropout, and the momentum of batch normalisations.
//!
//! The committed cases are narrow or shallow members of families of `keras.applications`, each in a zip; whole ones are
//! recorded in `target/parity`.

use crate::Failure;
use crate::case::{Case, cases};
use crate::verify::{self, Converted};
use caribou_writer_dl4j::ArchiveLayout;
use caribou_writer_dl4j::format::{ComputationGraphConfiguration, Configuration, MultiLayerConfiguration};
use serde_json::Value;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only the cases whose name matches.
    #[arg(long, default_value = "*")]
    case: String,
    /// The folder of cases, each a folder or a zip of one, of which those with a `source.h5` are compared.
    #[arg(long, default_value = "target/parity")]
    cases: PathBuf,
}

/// The class of layers that do nothing at inference.
const DROPOUT: &str = "org.deeplearning4j.nn.conf.layers.DropoutLayer";

/// The class of batch normalisations.
const BATCH_NORMALIZATION: &str = "org.deeplearning4j.nn.conf.layers.BatchNormalization";

pub(crate) fn run(root: &Path, options: &Options) -> Result<ExitCode, Failure> {
    let (mut same, mut differ) = (0, 0);
    let work = tempfile::tempdir()?;
    for case in paired(&root.join(&options.cases), &options.case, work.path())? {
        let name = case.case.clone();
        match compared(case)? {
            Ok(found) => {
                println!("{name}: {found}");
                same += 1;
            }
            Err(difference) => {
                println!("{name}: DIFFERENT: {difference}");
                differ += 1;
            }
        }
    }
    println!("{same} the same, {differ} different");
    Ok(if same > 0 && differ == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The cases that have both files; those that are packed are unpacked in `work`.
fn paired(folder: &Path, pattern: &str, work: &Path) -> Result<Vec<Case>, Failure> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if let (Some(name), Some("zip")) = (path.file_stem(), path.extension().and_then(OsStr::to_str)) {
            zip::ZipArchive::new(File::open(&path)?)?.extract(work.join(name))?;
        }
    }
    let mut found = cases(folder, pattern)?;
    found.extend(cases(work, pattern)?);
    found.retain(|case| case.source().exists());
    Ok(found)
}

/// What both files of a case became, or the first difference.
fn compared(mut case: Case) -> Result<Result<String, String>, Failure> {
    let work = tempfile::tempdir()?;
    let mut archives = Vec::new();
    for (name, by_source) in [("the Keras file", true), ("the graph", false)] {
        case.by_source = by_source;
        let converted = verify::convert(&case, ArchiveLayout::Keep, work.path());
        let refused = |findings| format!("{}: {name} is refused: {findings:?}", case.case);
        archives.push(archive(&converted.map_err(refused)?)?);
    }
    Ok(difference(&archives[0], &archives[1]))
}

/// A layer or vertex.
struct Part {
    name: String,
    /// All that its configuration says, but for its name and how it is trained.
    configuration: Value,
    /// The places of what it reads; inputs of the network come first.
    reads: Vec<usize>,
}

/// What is compared of an archive.
struct Archive {
    parts: Vec<Part>,
    coefficients: Vec<u8>,
}

fn archive(converted: &Converted) -> Result<Archive, Failure> {
    let mut zip = zip::ZipArchive::new(File::open(&converted.archive)?)?;
    let mut entry = |name: &str| -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        match zip.by_name(name) {
            Ok(mut entry) => entry.read_to_end(&mut bytes)?,
            // A network without parameters.
            Err(zip::result::ZipError::FileNotFound) => 0,
            Err(error) => return Err(error.into()),
        };
        Ok(bytes)
    };
    let coefficients = entry("coefficients.bin")?;
    let parts = match Configuration::parse(&entry("configuration.json")?)? {
        Configuration::MultiLayer(chain) => layers(&chain)?,
        Configuration::Graph(graph) => vertices(&graph)?,
    };
    Ok(Archive { parts, coefficients })
}

/// The layers of a chain.
fn layers(chain: &MultiLayerConfiguration) -> Result<Vec<Part>, Failure> {
    let mut parts: Vec<Part> = Vec::new();
    for (i, layer) in chain.confs.iter().enumerate() {
        let mut configuration = serde_json::to_value(layer)?;
        let name = stripped(&mut configuration);
        if class(&configuration["layer"]) == DROPOUT {
            continue;
        }
        let preprocessor = serde_json::to_value(chain.input_pre_processors.get(&i.to_string()))?;
        parts.push(Part {
            name,
            configuration: Value::from(vec![configuration, preprocessor]),
            reads: vec![parts.len()],
        });
    }
    Ok(parts)
}

/// The vertices of a graph in their order.
fn vertices(graph: &ComputationGraphConfiguration) -> Result<Vec<Part>, Failure> {
    let mut places: HashMap<String, usize> = HashMap::new();
    for (i, input) in graph.network_inputs.iter().enumerate() {
        places.insert(input.clone(), i);
    }
    let mut parts: Vec<Part> = Vec::new();
    for name in graph.order().ok_or("the graph is not sound")? {
        let reads: Vec<usize> = graph.reads(&name).iter().map(|read| places[read]).collect();
        let mut configuration = graph.vertices[&name].clone();
        stripped(&mut configuration);
        if class(&configuration["layerConf"]["layer"]) == DROPOUT && configuration["preProcessor"].is_null() {
            places.insert(name, reads[0]);
            continue;
        }
        places.insert(name.clone(), graph.network_inputs.len() + parts.len());
        parts.push(Part {
            name,
            configuration,
            reads,
        });
    }
    Ok(parts)
}

fn class(value: &Value) -> &str {
    value["@class"].as_str().unwrap_or_default()
}

/// Takes the name of a layer out of its configuration, and the momentum with which a batch normalisation learns.
fn stripped(configuration: &mut Value) -> String {
    let mut name = String::new();
    match configuration {
        Value::Object(fields) => {
            if fields.get("@class").and_then(Value::as_str) == Some(BATCH_NORMALIZATION) {
                fields.remove("decay");
            }
            if let Some(Value::String(found)) = fields.remove("layerName") {
                name = found;
            }
            for value in fields.values_mut() {
                let found = stripped(value);
                if name.is_empty() {
                    name = found;
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| {
            stripped(value);
        }),
        _ => {}
    }
    name
}

/// How many layers and parameters both have, or the first difference.
fn difference(keras: &Archive, graph: &Archive) -> Result<String, String> {
    for (i, (a, b)) in keras.parts.iter().zip(&graph.parts).enumerate() {
        if a.configuration != b.configuration {
            return Err(format!(
                "layer {i} of {} and {}, {}: {}\n    of the graph, {}: {}",
                keras.parts.len(),
                graph.parts.len(),
                a.name,
                a.configuration,
                b.name,
                b.configuration
            ));
        }
        if a.reads != b.reads {
            return Err(format!(
                "layer {i}, {}, reads {:?}; of the graph, {}, {:?}",
                a.name, a.reads, b.name, b.reads
            ));
        }
    }
    if keras.parts.len() != graph.parts.len() {
        return Err(format!(
            "{} layers, and of the graph {}",
            keras.parts.len(),
            graph.parts.len()
        ));
    }
    if keras.coefficients != graph.coefficients {
        let pairs = keras.coefficients.iter().zip(&graph.coefficients);
        let bytes = pairs.filter(|(a, b)| a != b).count();
        return Err(format!(
            "the parameters have {} and {} bytes, of which {bytes} differ",
            keras.coefficients.len(),
            graph.coefficients.len()
        ));
    }
    let names = keras.parts.iter().zip(&graph.parts);
    let others: Vec<String> = names
        .filter(|(a, b)| a.name != b.name && !b.name.ends_with(&format!("/{}", a.name)))
        .map(|(a, b)| format!("{} is {}", a.name, b.name))
        .collect();
    if !others.is_empty() {
        let some = others.iter().take(6).cloned().collect::<Vec<_>>().join(", ");
        return Err(format!("{} names: {some}", others.len()));
    }
    Ok(format!(
        "the same {} layers, the same {} bytes of parameters",
        keras.parts.len(),
        keras.coefficients.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folders of committed pairs, and how many each has at least.
    const COMMITTED: [(&str, usize); 2] = [("testdata/tf", 2), ("testdata/parity", 10)];

    #[test]
    fn committed_graphs_become_the_layers_of_their_keras_files() {
        for (folder, least) in COMMITTED {
            let work = tempfile::tempdir().unwrap();
            let pairs = paired(&crate::root().join(folder), "*", work.path()).unwrap();
            let count = pairs.len();
            assert!(count >= least, "{folder} has {count} pairs");
            for case in pairs {
                let name = case.case.clone();
                if let Err(difference) = compared(case).unwrap() {
                    panic!("{name}: {difference}");
                }
            }
        }
    }
}
