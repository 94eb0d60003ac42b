//! The shapes of a network's inputs, which DL4J does not store.
//!
//! In this order they are what whoever reads says, what the archive says in an entry of caribou's own, what the layers that read
//! an input want, and at last, for images, the smallest square that fits what follows.

use crate::archive::Archive;
use crate::build::{Builder, INPUT, MISFIT};
use crate::parameters::Parameters;
use crate::shapes::{self, Sizes};
use caribou_ir::{Code, Finding, Findings, Graph, Origin, Port, ReadOptions, Severity};
use caribou_writer_dl4j::format::{Configuration, MODEL, ModelEntry, PortEntry};

/// The size of images that was found by trying.
const SIZE: Code = Code("D0310");
/// The largest side of images that is tried.
const LARGEST: usize = 1024;
/// What the archive says of its shapes can't be read, or contradicts the rest of it.
const CONTRADICTED: Code = Code("D0312");

/// What is known of an input before anything is built.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    /// Its name in the graph.
    pub(crate) name: String,
    /// Its sizes behind the batch, where somebody says them.
    pub(crate) sizes: Option<Sizes>,
}

/// A network as it was built.
pub(crate) type Network = (Graph, Findings, Parameters);

/// Builds the network of an archive with the shapes that its inputs have.
///
/// # Errors
/// When a shape is given for an input that there is not.
pub(crate) fn network(archive: &Archive, options: &ReadOptions) -> Result<Network, String> {
    let configuration = &archive.configuration;
    let build = |inputs: &[Input]| {
        let mut builder = Builder::new(archive.parameters.clone());
        builder.network(configuration, inputs);
        builder.finish()
    };
    let entry = archive.model.as_ref().map(|entry| {
        let entry = entry.as_ref().map_err(Clone::clone)?;
        of_this_network(configuration, entry).map(|()| entry)
    });
    let declared: Option<&ModelEntry> = entry.as_ref().and_then(|entry| entry.as_ref().ok().copied());
    let given = given(configuration, declared, options)?;
    let told = given.iter().any(|input| input.sizes.is_some());
    let mut contradiction = entry.as_ref().and_then(|entry| entry.as_ref().err().cloned());
    if let Some(entry) = declared {
        let built = build(&with(&given, entry));
        if !told {
            contradiction = contradicted(&built, entry);
        }
        // Where it is not the shapes that are wrong, the network can't be read with others either.
        let misfits = only_misfits(&built.1);
        if contradiction.is_none() && !built.1.has_errors() || built.1.has_errors() && !misfits {
            return Ok(built);
        }
    }
    let plain = names(configuration).zip(&given).map(|(name, given)| Input {
        name: name.to_owned(),
        sizes: given.sizes.clone(),
    });
    let mut built = build(&plain.collect::<Vec<_>>());
    if built.1.has_errors()
        && !told
        && let Some((square, side)) = sized(configuration, build)
    {
        built = square;
        let message = format!(
            "an archive does not store the size of images: {side} x {side} is the smallest that fits what follows"
        );
        let note = Finding::new(Severity::Note, SIZE, None, message);
        built.1.push(note.with_help(advice(configuration, &given)));
    }
    if built.1.has_errors() && only_misfits(&built.1) {
        built.1 = explained(configuration, &given, declared, built.1);
    }
    if let Some(reason) = contradiction {
        let message = format!("{MODEL} is passed over: {reason}");
        let warning = Finding::new(Severity::Warning, CONTRADICTED, None, message);
        built.1.push(
            warning
                .with_help("the shapes of inputs are what layers tell; give --input NAME=SHAPE for others"),
        );
    }
    Ok(built)
}

/// Whether all errors, if there are any, are of shapes.
fn only_misfits(findings: &Findings) -> bool {
    let mut errors = findings.iter().filter(|found| found.severity == Severity::Error);
    errors.all(|error| [MISFIT, INPUT].contains(&error.code))
}

/// The names that inputs have in the configuration; that of a chain is the reader's.
fn names(configuration: &Configuration) -> impl Iterator<Item = &str> {
    let (chain, graph) = match configuration {
        Configuration::MultiLayer(_) => (Some("input"), None),
        Configuration::Graph(network) => (None, Some(&network.network_inputs)),
    };
    chain
        .into_iter()
        .chain(graph.into_iter().flatten().map(String::as_str))
}

/// Whether an entry speaks of the inputs and outputs of this network.
fn of_this_network(configuration: &Configuration, entry: &ModelEntry) -> Result<(), String> {
    let same = |what: &str, known: &[String], ports: &[PortEntry]| {
        let found: Vec<&str> = ports.iter().map(|port| port.name.as_str()).collect();
        match known == found {
            true => Ok(()),
            false => Err(format!(
                "it lists the {what}s {}, and the network has {}",
                found.join(", "),
                known.join(", ")
            )),
        }
    };
    match configuration {
        Configuration::MultiLayer(_) => match (entry.inputs.as_slice(), entry.outputs.as_slice()) {
            ([_], [_]) => Ok(()),
            (inputs, outputs) => Err(format!(
                "it lists {} inputs and {} outputs, and a MultiLayerNetwork has one of each",
                inputs.len(),
                outputs.len()
            )),
        },
        Configuration::Graph(network) => same("input", &network.network_inputs, &entry.inputs)
            .and_then(|()| same("output", &network.network_outputs, &entry.outputs)),
    }
}

/// The inputs with the sizes that whoever reads has said.
fn given(
    configuration: &Configuration,
    entry: Option<&ModelEntry>,
    options: &ReadOptions,
) -> Result<Vec<Input>, String> {
    let behind = |shape: &[Option<usize>]| shape.iter().skip(1).copied().collect();
    let mut inputs: Vec<Input> = names(configuration)
        .enumerate()
        .map(|(i, name)| Input {
            name: entry.map_or(name, |entry| &entry.inputs[i].name).to_owned(),
            sizes: options.input_shapes.get(i).map(|shape| behind(shape)),
        })
        .collect();
    let chain = matches!(configuration, Configuration::MultiLayer(_));
    for (name, shape) in &options.named_shapes {
        let found = inputs
            .iter_mut()
            .find(|input| input.name == *name || chain && name == "input");
        match found {
            Some(input) => input.sizes = Some(behind(shape)),
            None => {
                let known: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
                return Err(format!(
                    "a shape is given for {name}, and the inputs are {}",
                    known.join(", ")
                ));
            }
        }
    }
    Ok(inputs)
}

/// The inputs with the sizes of the entry where nobody has said others.
fn with(given: &[Input], entry: &ModelEntry) -> Vec<Input> {
    let inputs = given.iter().zip(&entry.inputs);
    inputs
        .map(|(input, port)| Input {
            name: input.name.clone(),
            sizes: input.sizes.clone().or_else(|| Some(port.shape[1..].to_vec())),
        })
        .collect()
}

/// Why the entry contradicts the network that was built with it, if it does.
fn contradicted((graph, findings, _): &Network, entry: &ModelEntry) -> Option<String> {
    if let Some(error) = findings.iter().find(|found| found.severity == Severity::Error) {
        return Some(error.message.clone());
    }
    let differ = |port: &Port, declared: &PortEntry| {
        let shape = graph.shape(port.value);
        let declared = &declared.shape;
        let same = shape.rank() == declared.len()
            && (1..shape.rank()).all(|axis| agree(shape.size(axis), declared[axis]));
        (!same).then(|| {
            let declared = brackets(declared);
            format!(
                "it says {declared} of the output {}, whose shape is {shape}",
                port.name
            )
        })
    };
    graph
        .outputs()
        .iter()
        .zip(&entry.outputs)
        .find_map(|(port, declared)| differ(port, declared))
}

/// Whether two sizes may be the same.
fn agree(a: Option<usize>, b: Option<usize>) -> bool {
    a.zip(b).is_none_or(|(a, b)| a == b)
}

/// `[?, 3, 32, ?]`.
fn brackets(shape: &[Option<usize>]) -> String {
    let sizes: Vec<String> = shape
        .iter()
        .map(|size| size.map_or_else(|| "?".to_owned(), |size| size.to_string()))
        .collect();
    format!("[{}]", sizes.join(", "))
}

/// The network of square images whose size only the layers behind a flattening tell, of the first size that fits.
fn sized(configuration: &Configuration, build: impl Fn(&[Input]) -> Network) -> Option<(Network, usize)> {
    let mut all = names(configuration);
    let (Some(name), None) = (all.next(), all.next()) else {
        return None;
    };
    let sizes = shapes::wanted(configuration, name)?;
    if sizes.len() != 3 || sizes.iter().flatten().count() != 1 {
        return None;
    }
    (1..=LARGEST).find_map(|side| {
        let square = sizes.iter().map(|size| size.or(Some(side)));
        let built = build(&[Input {
            name: name.to_owned(),
            sizes: Some(square.collect()),
        }]);
        (!built.1.has_errors()).then_some((built, side))
    })
}

/// What to do where the shape of an input is not known: with what is known of it.
fn advice(configuration: &Configuration, inputs: &[Input]) -> String {
    let shaped = names(configuration).zip(inputs).map(|(name, input)| {
        let wanted = shapes::wanted(configuration, name).unwrap_or_default();
        let sizes = wanted.iter().map(|size| match size {
            Some(size) => format!("x{size}"),
            None => "xSIZE".to_owned(),
        });
        let known: String = sizes.collect();
        let known = if known.is_empty() {
            "xSIZE…"
        } else {
            known.as_str()
        };
        format!("--input {}=?{known}", input.name)
    });
    let shaped: Vec<String> = shaped.collect();
    format!("say the shape of what it is fed: {}", shaped.join(" "))
}

/// The findings of a network that could not be built, with what its inputs are and should be.
fn explained(
    configuration: &Configuration,
    given: &[Input],
    entry: Option<&ModelEntry>,
    findings: Findings,
) -> Findings {
    let mut explained = Findings::new();
    for (i, (name, input)) in names(configuration).zip(given).enumerate() {
        let Some(found) = &input.sizes else { continue };
        let declared = entry.map(|entry| entry.inputs[i].shape[1..].to_vec());
        let Some(wanted) = declared.or_else(|| shapes::wanted(configuration, name)) else {
            continue;
        };
        let fits = wanted.len() == found.len() && wanted.iter().zip(found).all(|(&a, &b)| agree(a, b));
        if !fits {
            let batched = |sizes: &Sizes| brackets(&[&[None], sizes.as_slice()].concat());
            let message = format!(
                "arrays of shape {} are expected, and {} is given",
                batched(&wanted),
                batched(found)
            );
            explained.push(Finding::error(
                MISFIT,
                &Origin::new(&*input.name, "input"),
                message,
            ));
        }
    }
    if explained.has_errors() {
        return explained;
    }
    let unknown = given.iter().any(|input| input.sizes.is_none());
    for finding in findings.iter().cloned() {
        explained.push(match unknown && finding.help.is_empty() {
            true => finding.with_help(advice(configuration, given)),
            false => finding,
        });
    }
    explained
}
