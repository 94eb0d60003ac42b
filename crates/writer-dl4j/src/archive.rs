//! The zip: the configuration, then the parameters block by block.

use crate::Compression;
use crate::format::array::{ArrayType, row_header};
use crate::format::normalizer_entry;
use crate::format::{
    COEFFICIENTS, CONFIGURATION, ComputationGraphConfiguration, Configuration, MODEL, ModelEntry,
    MultiLayerConfiguration, NO_PARAMETERS, NORMALIZER, NeuralNetConfiguration, QUANTIZATION, UPDATER_STATE,
    Vertex, to_ascii_json,
};
use crate::lower::{Edge, Kind, Network, Placed};
use crate::quantization;
use crate::stream::stream;
use caribou_ir::{
    Code, Dim, Finding, Findings, Graph, Origin, Port, PortReport, Precision, Report, Severity, Sink, Tensor,
    WriteError, WriteOptions,
};
use std::collections::BTreeMap;
use std::io::Write;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// More parameters than one Java array of bytes can hold.
const TOO_LARGE: Code = Code("D0201");

/// A network of 16-bit numbers.
const SIXTEEN_BITS: Code = Code("D0205");

/// A layer that stock DL4J can't run in 16 bits.
const UNRUNNABLE: Code = Code("D0206");

/// The largest entry that DL4J reads, in bytes.
const MAX_ENTRY: usize = i32::MAX as usize;

/// The level of deflation that looks longest for what repeats itself.
const MOST_EFFORT: i64 = 9;

pub(crate) fn write(
    graph: &Graph,
    network: Network,
    sink: &mut dyn Sink,
    compression: Compression,
    options: &WriteOptions,
) -> Result<Report, WriteError> {
    let parameters: Vec<(String, Tensor)> = network
        .vertices
        .iter()
        .flat_map(|placed| {
            placed
                .parameters
                .iter()
                .map(|tensor| (placed.name.clone(), tensor.clone()))
        })
        .collect();
    let count: usize = parameters.iter().map(|(_, tensor)| tensor.len()).sum();
    let dtype = match options.precision {
        Precision::Single => ArrayType::Float,
        Precision::Half => ArrayType::Half,
        Precision::Bfloat16 => ArrayType::Bfloat16,
    };
    let header = row_header(dtype, count);
    if count
        .checked_mul(dtype.size())
        .and_then(|bytes| bytes.checked_add(header.len()))
        .is_none_or(|bytes| bytes > MAX_ENTRY)
    {
        let message =
            format!("{count} parameters: an archive of more than 2^31 - 1 bytes can't be loaded by any DL4J");
        return Err(WriteError::Refused(Findings::from(Finding::new(
            Severity::Error,
            TOO_LARGE,
            None,
            message,
        ))));
    }
    if dtype == ArrayType::Half {
        let mut too_large = Findings::default();
        for finding in network.vertices.iter().filter_map(beyond_half) {
            too_large.push(finding);
        }
        if too_large.has_errors() {
            return Err(WriteError::Refused(too_large));
        }
    }
    let port = |port: &Port, edge: &Edge| {
        let size = |dim: &Dim| dim.fixed().map_or(-1, |size| size as i64);
        let shape = graph
            .shape(port.value)
            .permuted(&edge.permutation)
            .dims()
            .iter()
            .map(size)
            .collect();
        PortReport {
            name: edge.name.clone(),
            source_name: port.source_name.clone(),
            shape,
            permutation: edge.permutation.clone(),
        }
    };
    let mut report = Report {
        inputs: graph
            .inputs()
            .iter()
            .zip(&network.inputs)
            .map(|(p, edge)| port(p, edge))
            .collect(),
        outputs: graph
            .outputs()
            .iter()
            .zip(&network.outputs)
            .map(|(p, edge)| port(p, edge))
            .collect(),
        parameters: count as u64,
        ..Report::default()
    };
    let Network {
        inputs,
        outputs,
        vertices,
        layers,
        rewrites,
        findings,
        single_only,
        state,
    } = network;
    report.layers = layers;
    report.rewrites = rewrites;
    report.findings = findings;
    if dtype != ArrayType::Float {
        report.findings.push(slower(dtype));
        for origin in &single_only {
            report.findings.push(unrunnable_in(dtype, origin));
        }
    }
    let mut configuration = configuration(inputs, outputs, vertices).map_err(json)?;
    if let Some(state) = &state {
        configuration.set_counts(state.iterations, state.epochs);
    }
    report.target = configuration.class().to_owned();
    if dtype != ArrayType::Float {
        configuration.set_data_type(dtype.name()).map_err(json)?;
    }

    let mut zip = ZipWriter::new(sink);
    // The time of every entry is the format's first day: the same model gives the same bytes.
    let deflated = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    zip.start_file(CONFIGURATION, deflated).map_err(io)?;
    zip.write_all(configuration.to_json().map_err(json)?.as_bytes())?;
    let numbers = match compression {
        Compression::Deflate => deflated,
        Compression::Smallest => deflated.compression_level(Some(MOST_EFFORT)),
        Compression::Auto | Compression::Stored => {
            SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
        }
    };
    zip.start_file(COEFFICIENTS, numbers).map_err(io)?;
    if count == 0 {
        // An empty entry with the marker is the one form that every version takes for "no parameters".
        zip.start_file(
            NO_PARAMETERS,
            SimpleFileOptions::default().compression_method(CompressionMethod::Stored),
        )
        .map_err(io)?;
    } else {
        zip.write_all(&header)?;
        stream(
            parameters.iter().map(|(layer, tensor)| (layer, tensor, 1.0)),
            dtype,
            &mut zip,
        )?;
    }
    let vectors = state.map(|state| state.vectors).unwrap_or_default();
    if !vectors.is_empty() {
        zip.start_file(UPDATER_STATE, numbers).map_err(io)?;
        let count = vectors.iter().map(|vector| vector.tensor.len()).sum();
        zip.write_all(&row_header(dtype, count))?;
        let vectors = vectors
            .iter()
            .map(|vector| (&vector.layer, &vector.tensor, vector.scale));
        stream(vectors, dtype, &mut zip)?;
    }
    if let Some(normalizer) = &options.normalizer {
        zip.start_file(NORMALIZER, deflated).map_err(io)?;
        zip.write_all(&normalizer_entry(normalizer))?;
    }
    if let Some(quantization) = &options.quantization {
        let (entry, findings) = quantization::entry(quantization, &parameters);
        zip.start_file(QUANTIZATION, deflated).map_err(io)?;
        zip.write_all(to_ascii_json(&entry).map_err(json)?.as_bytes())?;
        report.findings.extend(findings);
    }
    zip.start_file(MODEL, deflated).map_err(io)?;
    let ports = ModelEntry::new(&report.inputs, &report.outputs);
    zip.write_all(to_ascii_json(&ports).map_err(json)?.as_bytes())?;
    zip.finish().map_err(io)?.flush()?;
    Ok(report)
}

/// That a vertex does what can't be done in half precision: it computes with a number that HALF has not, as compositions of
/// steps do, or it is stock DL4J's attention.
fn beyond_half(placed: &Placed) -> Option<Finding> {
    let Kind::Vertex(vertex) = &placed.kind else {
        return None;
    };
    let (kind, code, message) = match vertex {
        Vertex::Attention { .. } => (
            "Attention",
            UNRUNNABLE,
            "stock DL4J's attention over a length that is not known gives no numbers in HALF".to_owned(),
        ),
        Vertex::Scale { scale_factor: number } | Vertex::Shift { shift_factor: number } => {
            let largest = half::f16::MAX.to_f64();
            let why = if number.abs() > largest {
                format!("HALF does not hold: {largest} is its largest")
            } else if *number != 0.0 && half::f16::from_f64(number.abs()) == half::f16::ZERO {
                "HALF rounds to 0".to_owned()
            } else {
                return None;
            };
            (
                "Scale",
                crate::stream::TOO_LARGE,
                format!("it is composed with the number {number:e}, which {why}"),
            )
        }
        _ => return None,
    };
    let origin = Origin::new(&*placed.source, kind);
    Some(Finding::error(code, &origin, message).with_help("write it with --precision single, or bfloat16"))
}

/// That a layer can't be run: stock DL4J mixes 16-bit numbers with 32-bit ones there.
fn unrunnable_in(dtype: ArrayType, origin: &Origin) -> Finding {
    let name = dtype.name();
    let message =
        format!("on a CPU stock DL4J can't run norms over images or sequences of {name} numbers: it throws");
    Finding::warning(UNRUNNABLE, origin, message)
        .with_help("net.convertDataType(DataType.FLOAT) makes it one of 32-bit numbers when it is loaded")
}

/// What a network of 16-bit numbers means to whoever runs it.
fn slower(dtype: ArrayType) -> Finding {
    let name = dtype.name();
    let message = match dtype {
        ArrayType::Bfloat16 => {
            "on a CPU stock DL4J runs a network of BFLOAT16 numbers, and can't train it".to_owned()
        }
        _ => format!(
            "on a CPU stock DL4J runs a network of {name} numbers 10 to 20 times slower than one of FLOAT"
        ),
    };
    Finding::new(Severity::Warning, SIXTEEN_BITS, None, message).with_help(format!(
        "feed it arrays of its own type, x.castTo(DataType.{name}): some layers throw on others; or let \
         net.convertDataType(DataType.FLOAT) make it one of 32-bit numbers when it is loaded"
    ))
}

/// A chain of layers where the network is one, else a graph.
fn configuration(
    inputs: Vec<Edge>,
    outputs: Vec<Edge>,
    vertices: Vec<Placed>,
) -> Result<Configuration, serde_json::Error> {
    if let Some(chain) = chain(&inputs, &outputs, &vertices) {
        return Ok(Configuration::MultiLayer(Box::new(chain)));
    }
    let vertices: Vec<(String, Vertex, Vec<String>)> = vertices
        .into_iter()
        .map(|placed| {
            let vertex = match placed.kind {
                Kind::Vertex(vertex) => vertex,
                Kind::Layer { layer, preprocessor } => Vertex::Layer {
                    layer_conf: Box::new(NeuralNetConfiguration::new(layer)),
                    output_vertex: outputs.iter().any(|edge| edge.name == placed.name),
                    pre_processor: preprocessor,
                },
            };
            (placed.name, vertex, placed.inputs)
        })
        .collect();
    let names = |edges: Vec<Edge>| edges.into_iter().map(|edge| edge.name).collect();
    Ok(Configuration::Graph(Box::new(
        ComputationGraphConfiguration::new(names(inputs), names(outputs), &vertices)?,
    )))
}

/// Whether the network is a chain of layers.
pub(crate) fn is_chain(inputs: &[Edge], outputs: &[Edge], vertices: &[Placed]) -> bool {
    chain(inputs, outputs, vertices).is_some()
}

/// The layers of a network that is a chain; `None` for one that is not.
fn chain(inputs: &[Edge], outputs: &[Edge], vertices: &[Placed]) -> Option<MultiLayerConfiguration> {
    let ([input], [output]) = (inputs, outputs) else {
        return None;
    };
    let mut before = &input.name;
    let mut layers = Vec::with_capacity(vertices.len());
    let mut preprocessors = BTreeMap::new();
    for (i, placed) in vertices.iter().enumerate() {
        let Kind::Layer { layer, preprocessor } = &placed.kind else {
            return None;
        };
        if placed.inputs != [before.clone()] {
            return None;
        }
        before = &placed.name;
        layers.push(NeuralNetConfiguration::new(layer.clone()));
        preprocessors.extend(
            preprocessor
                .clone()
                .map(|preprocessor| (i.to_string(), preprocessor)),
        );
    }
    (before == &output.name && !layers.is_empty())
        .then(|| MultiLayerConfiguration::new(layers, preprocessors))
}

fn io(error: zip::result::ZipError) -> WriteError {
    WriteError::Io(std::io::Error::other(error))
}

fn json(error: serde_json::Error) -> WriteError {
    WriteError::Io(std::io::Error::other(error))
}
