//! How every command that writes an archive does it: read, change, write, read back, and only then give it its name.

use crate::args::{Arguments, Parts, Target};
use crate::destination::Destination;
use crate::failure::Failure;
use crate::optimization::{Examples, Optimization, Truth};
use crate::progress::Progress;
use crate::report::{Conversion, Verification};
use crate::{formats, model};
use caribou_ir::op::Operator;
use caribou_ir::{
    Code, Finding, Findings, Limits, Precision, Quantization, ReadError, ReadOptions, Reader, Report,
    Severity, Source, Training, ValidGraph, Validator, WriteError, WriteOptions, Writer, layout,
};
use caribou_optimize::memory;
use caribou_reader_dl4j::Dl4jReader;
use caribou_runtime::{Array, Largest, Session};
use caribou_writer_dl4j::{Compression, Dl4jWriter};
use std::io::{BufWriter, Write};
use std::path::Path;

/// A weight that is no number.
const NOT_FINITE: Code = Code("I0101");
/// The same, as the writer says it.
const NOT_FINITE_PARAMETER: Code = Code("D0202");
/// A training state that was asked for, and is not there.
const NO_STATE: Code = Code("I0102");
/// A training state that no longer fits.
const STATE_DROPPED: Code = Code("I0103");
/// A training state that is there, and not carried over.
const ANEW: Code = Code("I0105");
/// What a step of a gradual schedule does to the outputs.
const STEP: Code = Code("I0104");
/// Fewer filters taken out than were to be.
pub(crate) const TOO_FEW: Code = Code("I0106");
/// Examples that the archive is compared on.
pub(crate) const SAMPLES: usize = 2;
/// Layers with weights from which rounding errors add up to more.
const DEEP: usize = 40;

/// What is to be written.
pub(crate) struct Job<'a> {
    pub(crate) model: &'a Path,
    pub(crate) parts: &'a Parts,
    pub(crate) target: &'a Target,
    pub(crate) unroll_recurrent: Option<u32>,
    pub(crate) with_training_state: bool,
    /// What makes another network of the model while it is read.
    pub(crate) surgery: Option<&'a dyn Fn(formats::Opened) -> formats::Opened>,
    /// Whether the weights repeat themselves, and are deflated unless it is said otherwise.
    pub(crate) repetitive: bool,
    pub(crate) arguments: &'a Arguments,
}

/// A model that a pass gets: as the source has it, and with its axis changes sunk, which is what is written.
pub(crate) struct Model<'a> {
    pub(crate) source: &'a ValidGraph,
    pub(crate) graph: ValidGraph,
    /// The layers of an archive that were composed and never learned.
    pub(crate) composed: Vec<String>,
}

/// A model that a pass gives.
pub(crate) struct Changed {
    pub(crate) graph: ValidGraph,
    /// What was done, for the report.
    pub(crate) report: Optimization,
    pub(crate) findings: Findings,
    /// What the grid values of quantized weights stand for.
    pub(crate) quantization: Option<Quantization>,
    /// What the network gives on the examples that it was judged by, which the archive is compared with; it is run on seeded ones
    /// where there are none.
    pub(crate) examples: Option<Examples>,
}

impl Changed {
    /// A network that is judged by these examples, if there are some.
    pub(crate) fn judged(
        graph: ValidGraph,
        mut report: Optimization,
        truth: Option<Truth>,
    ) -> Result<Self, Failure> {
        let (deviation, examples) = truth.map(|truth| truth.settle(&graph)).transpose()?.unzip();
        report.deviation = deviation;
        Ok(Self {
            graph,
            report,
            findings: Findings::new(),
            quantization: None,
            examples,
        })
    }
}

/// What changes a model before it is written.
pub(crate) type Pass<'p> = dyn FnMut(Model) -> Result<Changed, Failure> + 'p;

/// Writes the archive and its report. There is a report on a refusal too.
pub(crate) fn write(job: &Job, pass: Option<&mut Pass>) -> Result<Conversion, Failure> {
    let (parts, target) = (job.parts, job.target);
    let files = [
        Some(job.model),
        parts.weights.as_deref(),
        parts.config.as_deref(),
        parts.solver.as_deref(),
        parts.mean_file.as_deref(),
    ];
    let mut inputs: Vec<&Path> = files.into_iter().flatten().collect();
    let archive = Destination::create(&target.output, target.force, &inputs)?;
    inputs.push(&target.output);
    let report = match &target.report {
        Some(path) => Some(Destination::create(path, true, &inputs)?),
        None => None,
    };
    let mut conversion = Conversion::default();
    let written = formats::open(job.model, parts)
        .map(|opened| match job.surgery {
            Some(surgery) => surgery(opened),
            None => opened,
        })
        .and_then(|opened| convert(job, opened, archive, &mut conversion, pass));
    if let Err(failure) = &written {
        conversion.findings.extend(failure.findings());
    }
    // A report that can't be written is found out before the archive gets its name; on a refusal there is a report too.
    let report = match report {
        Some(mut report) => {
            let text = format!("{:#}\n", conversion.to_json());
            let written = report.file().write_all(text.as_bytes());
            written.map_err(|error| Failure::model(format!("the report can't be written: {error}")))?;
            Some(report)
        }
        None => None,
    };
    let refusal = match written {
        Ok(archive) => archive.complete().map(|()| None)?,
        Err(failure) => Some(failure),
    };
    report.map_or(Ok(()), Destination::complete)?;
    refusal.map_or(Ok(conversion), Err)
}

/// How training is to go on: from where it stands, if that was asked for and the model says it.
fn training(
    training: Option<Training>,
    with_state: bool,
    archive: bool,
    findings: &mut Findings,
) -> Option<Training> {
    let known = training.as_ref().and_then(|training| training.state.as_ref());
    match known {
        None if with_state => {
            let message = "the model holds no training state that can be carried over: training starts anew";
            findings.push(
                Finding::new(Severity::Warning, NO_STATE, None, message).with_help(
                    "compile and train the model, and save it with its optimizer (include_optimizer=True)",
                ),
            );
        }
        // An archive that was made of an archive may be expected to go on.
        Some(known) if archive && !with_state => {
            let message = format!(
                "the {} training steps so far are not counted, and what the optimizer remembers is not carried over: training starts anew",
                known.iterations
            );
            findings.push(
                Finding::new(Severity::Note, ANEW, None, message)
                    .with_help("give --with-training-state to go on from there"),
            );
        }
        _ => {}
    }
    training.map(|mut training| {
        training.state = training.state.filter(|_| with_state);
        training
    })
}

/// What a step of a gradual schedule does to the outputs.
pub(crate) fn step(sparsity: f64, moved: f64) -> Finding {
    let message =
        format!("at a sparsity of {sparsity} the outputs move by {moved:.1e} of their largest magnitude");
    Finding::new(Severity::Note, STEP, None, message)
}

/// What the optimizer remembers of the weights that a pass has left as they were, or changed in place.
fn followed(
    training: &mut Training,
    before: &ValidGraph,
    changed: &Changed,
    findings: &mut Findings,
) -> Result<(), Failure> {
    let Some(state) = training.state.take() else {
        return Ok(());
    };
    let followed = memory::follow(training, &state, before, &changed.graph, changed.report.change())
        .map_err(|error| Failure::model(format!("the training state: {error}")))?;
    if !followed.dropped.is_empty() {
        let layers = Vec::from_iter(followed.dropped).join(", ");
        let message = format!(
            "what the optimizer remembers of {layers} belongs to the weights before, and is not carried over"
        );
        findings.push(Finding::new(Severity::Warning, STATE_DROPPED, None, message));
    }
    training.state = Some(followed.state);
    Ok(())
}

/// Writes the archive and reads it back; it has its final name only after [`Destination::complete`].
fn convert(
    job: &Job,
    opened: formats::Opened,
    mut archive: Destination,
    conversion: &mut Conversion,
    pass: Option<&mut Pass>,
) -> Result<Destination, Failure> {
    let (target, limits) = (job.target, job.arguments.limits());
    conversion.sources = std::iter::once(&opened.source)
        .chain(opened.source.weights())
        .cloned()
        .collect();
    let mut read = job.parts.options(limits.clone());
    // After a transfer the optimizer starts anew.
    read.training_state = job.with_training_state && job.surgery.is_none();

    let compression = match Compression::from(target.compression) {
        // Zeros and values of a grid deflate to a fraction; trained numbers do not.
        Compression::Auto if pass.is_some() && job.repetitive => Compression::Deflate,
        compression => compression,
    };
    let mut writer = Dl4jWriter {
        layout: target.layout.into(),
        compression,
    };
    let mut write_options = WriteOptions::default();
    write_options.precision = target.precision.into();
    write_options.unroll_recurrent = job.unroll_recurrent.map(|max| max as usize);
    let import = opened
        .reader
        .read(&opened.source, &read)
        .map_err(|error| refused(error, &writer, &write_options, &limits))?;
    write_options.normalizer = import.normalizer;
    conversion.format = import.format;
    conversion.findings.extend(import.findings);
    let (sunk, rewrites) = layout::sink_transposes(&import.graph)
        .map_err(|error| Failure::model(format!("{}: {error}", job.model.display())))?;
    conversion.rewrites = rewrites;
    let mut sunk = model::validated(job.model, sunk, &limits)?;
    let source = model::validated(job.model, import.graph, &limits)?;
    let mut trained = import.training;
    let passed = pass.is_some();
    let mut examples = None;
    if let Some(pass) = pass {
        let before = sunk.clone();
        let changed = pass(Model {
            source: &source,
            graph: sunk,
            composed: opened.composed(&limits)?,
        })?;
        if let Some(trained) = trained.as_mut().filter(|_| job.with_training_state) {
            followed(trained, &before, &changed, &mut conversion.findings)?;
        }
        sunk = changed.graph;
        if compression == Compression::Deflate && changed.report.is_sparse() {
            writer.compression = Compression::Smallest;
        }
        let mut told = changed.report;
        if write_options.precision != Precision::Single {
            // A network of 16-bit numbers holds half the bytes that are counted for one of 32.
            told.after.bytes_in_memory /= 2;
        }
        conversion.optimization = Some(told);
        conversion.findings.extend(changed.findings);
        write_options.quantization = changed.quantization;
        examples = changed.examples;
    }

    write_options.training = training(
        trained,
        job.with_training_state,
        opened.reader.name() == "dl4j",
        &mut conversion.findings,
    );
    let state = write_options
        .training
        .as_ref()
        .and_then(|training| training.state.as_ref());
    if write_options.precision != Precision::Single && state.is_some_and(|state| !state.parameters.is_empty())
    {
        let message = "--with-training-state: what an optimizer remembers is too small for numbers of 16 bits; leave out --precision";
        return Err(Failure::Usage(message.into()));
    }
    let parameters = source.parameter_count();
    let buffered = BufWriter::with_capacity(1 << 16, archive.file());
    let mut sink = Progress::new(buffered, parameters as u64 * 4, job.arguments.quiet);
    let report = writer
        .write(&sunk, &mut sink, &write_options)
        .map_err(|error| match error {
            // The writer has seen a number that is none; the source tells which weight it belongs to.
            WriteError::Refused(findings)
                if findings.iter().any(|found| found.code == NOT_FINITE_PARAMETER) =>
            {
                match finite(job.model, &source) {
                    Err(failure) => failure,
                    Ok(()) => Failure::refused(job.model, findings),
                }
            }
            error => Failure::write(job.model, error),
        })?;
    sink.flush()
        .map_err(|error| Failure::io(&target.output, &error))?;
    drop(sink);
    conversion.findings.extend(report.findings.clone());
    let metadata = archive.file().metadata();
    conversion.bytes = metadata
        .map_err(|error| Failure::io(&target.output, &error))?
        .len();
    if !target.no_verify {
        let written = if passed { &sunk } else { &source };
        let examples = match examples {
            Some(examples) => examples,
            None => {
                let (inputs, outputs) = model::seeded_run(written, SAMPLES, 1)?;
                Examples { inputs, outputs }
            }
        };
        conversion.verification = Some(verify(
            written,
            examples,
            archive.temporary(),
            &report,
            write_options.precision,
            &limits,
        )?);
    }
    conversion.report = Some(report);
    Ok(archive)
}

/// A refusal of the reader, with what the writer would refuse of the other layers.
fn refused(error: ReadError, writer: &Dl4jWriter, options: &WriteOptions, limits: &Limits) -> Failure {
    let ReadError::Refused {
        path,
        mut findings,
        rest: Some(rest),
    } = error
    else {
        return Failure::read(error);
    };
    let sunk = layout::sink_transposes(&rest.graph).map(|(graph, _)| graph);
    let valid = sunk.map(|graph| Validator::new(limits.clone()).validate(graph));
    let others = match valid {
        Ok(Ok(graph)) => writer.refusals(&graph, options),
        // Where the rest makes no sound graph, the refusals of the reader have to do.
        Ok(Err(_)) | Err(_) => Findings::new(),
    };
    for finding in others {
        // An origin without a layer of the source belongs to the ends that the cuts made.
        let Some(layer) = finding.origin.as_ref().filter(|origin| &*origin.kind != "output") else {
            continue;
        };
        let assumed = finding.help.is_empty() && rest.assumed.contains(&*layer.layer);
        findings.push(match assumed {
            true => finding.with_help("what it reads is not known, behind a layer that is refused"),
            false => finding,
        });
    }
    Failure::refused(&path, findings)
}

/// Refuses weights that are no numbers, all of them by name.
fn finite(path: &Path, graph: &ValidGraph) -> Result<(), Failure> {
    let mut findings = Findings::new();
    for (_, node) in graph.nodes() {
        for (role, tensor) in node.op.parameters() {
            let mut count = 0usize;
            tensor
                .stream(|block| {
                    count += block.iter().filter(|value| !value.is_finite()).count();
                    Ok::<(), caribou_ir::TensorError>(())
                })
                .map_err(|error| Failure::model(format!("{}: {error}", node.origin)))?;
            if count > 0 {
                let message = format!("its {role} holds {count} numbers that are NaN or infinite");
                findings.push(Finding::error(NOT_FINITE, &node.origin, message));
            }
        }
    }
    if findings.has_errors() {
        return Err(Failure::refused(path, findings));
    }
    Ok(())
}

/// The relative difference that rounding alone may make.
pub(crate) fn tolerance(graph: &ValidGraph) -> f64 {
    let weighted = graph.nodes().filter(|(_, node)| !node.op.parameters().is_empty());
    if weighted.count() < DEEP { 1e-5 } else { 1e-4 }
}

/// By how much, relative to it, a number of this kind may be off the one that it stands for; 32-bit numbers are not rounded.
fn roundoff(precision: Precision) -> f64 {
    match precision {
        Precision::Single => 0.0,
        Precision::Half => 1.0 / 2048.0,
        Precision::Bfloat16 => 1.0 / 256.0,
    }
}

/// Roundoffs of the parameters that the outputs of a network may be off: those of each layer add up.
const ROUNDED: f64 = 20.0;

/// Reads the archive back and compares its outputs with those of the source on these examples.
fn verify(
    source: &ValidGraph,
    examples: Examples,
    archive: &Path,
    report: &Report,
    precision: Precision,
    limits: &Limits,
) -> Result<Verification, Failure> {
    let sizes = |port: &caribou_ir::PortReport| {
        port.shape
            .iter()
            .map(|&size| usize::try_from(size).ok())
            .collect()
    };
    let options = ReadOptions {
        limits: limits.clone(),
        input_shapes: report.inputs.iter().map(sizes).collect(),
        ..ReadOptions::default()
    };
    let mapped = Source::open(archive).map_err(|error| Failure::io(archive, &error))?;
    let import = Dl4jReader.read(&mapped, &options).map_err(Failure::read)?;
    let written = model::validated(archive, import.graph, limits)?;
    let samples = examples
        .inputs
        .first()
        .map_or(0, |array| array.shape().first().copied().unwrap_or(1));
    let permuted = |arrays: Vec<Array>, ports: &[caribou_ir::PortReport]| -> Vec<Array> {
        let permute = |(array, port): (Array, &caribou_ir::PortReport)| {
            array
                .permuted_axes(port.permutation.clone())
                .as_standard_layout()
                .into_owned()
        };
        arrays.into_iter().zip(ports).map(permute).collect()
    };
    let mut most = Largest::of(precision);
    let found = Session::new(&written)
        .run_observed(
            &permuted(examples.inputs, &report.inputs),
            &mut |node, outputs| {
                most.observe(node, outputs);
            },
        )
        .map_err(|error| Failure::Differ(format!("the archive can't be run: {error}")))?;
    if let Some((origin, magnitude)) = most.beyond() {
        return Err(Failure::Differ(format!(
            "{origin}: it computes with {magnitude:.1e}, beyond the numbers of 16 bits: write it with --precision single, or bfloat16"
        )));
    }
    let differences =
        model::differences(&permuted(examples.outputs, &report.outputs), &found).map_err(Failure::Differ)?;
    let tolerance = match roundoff(precision) {
        0.0 => tolerance(source),
        roundoff => ROUNDED * roundoff,
    };
    for (port, (_, relative)) in report.outputs.iter().zip(&differences) {
        // A NaN is no number below the tolerance.
        if relative.is_nan() || *relative > tolerance {
            return Err(Failure::Differ(format!(
                "the archive computes something else: output {} differs by {relative:.1e}, tolerance {tolerance:.0e}",
                port.name
            )));
        }
    }
    let largest = |f: fn(&(f64, f64)) -> f64| differences.iter().map(f).fold(0.0, f64::max);
    Ok(Verification {
        samples,
        max_abs: largest(|d| d.0),
        max_rel: largest(|d| d.1),
    })
}
